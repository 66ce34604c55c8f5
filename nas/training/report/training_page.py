"""report.html of a training: its scores, its network, its curves, and how it was run."""

import pathlib

from common.logs import format_seconds, read_metrics
from common.report import run as run_report
from common.report.page import Report
from nas.cells.architecture import Architecture
from nas.search.report import drawing, words
from nas.training.report.next_steps import export_command
from nas.training.score import TOP

_COSTS = ('params', 'flops', 'macs')


def training_page(workdir: pathlib.Path, facts: dict) -> Report:
    """Makes the page of a training.

    Args:
        workdir: of the training, with run.json, flags.txt and metrics.jsonl.
        facts: what train.json holds.

    Returns:
        The page, not yet written.
    """
    about = [facts['note'], run_report.subtitle(workdir)]
    page = Report(f'{facts["name"]} on {facts["data"]}', subtitle=', '.join(filter(None, about)))
    run_report.add_command(page, workdir)
    page.section('Result')
    # Of five classes, the right one is always among the first five.
    errors = ('error', 'top5_error') if facts['classes'] > TOP else ('error',)
    rows = [
        [name, steps, found['held_out_error'], *(found['test'][error] for error in errors)]
        for name, steps, found in (
            ('last', facts['steps'], facts),
            ('best by held-out error', facts['best']['step'], facts['best']),
        )
    ]
    page.table(
        'Errors',
        ['network', 'steps', 'held-out error, %', 'test error, %', 'top-5 test error, %'][
            : 3 + len(errors)
        ],
        rows,
    )
    page.facts(
        {
            **{words.title(name): words.number(facts[name], name) for name in _COSTS},
            'epochs': facts['epochs'],
            'time': format_seconds(facts['seconds']),
            'images per second': words.number(facts['images_per_second']),
            'device': facts['device'],
        }
    )
    _add_network(page, facts)
    page.command('Export it (needs the extra [export]):', export_command(workdir))
    page.facts(facts['recipe'], summary='Recipe')
    page.section('Training')
    metrics = read_metrics(workdir)
    named = {'training': '', 'held out': 'held_out_'}
    for title, column, unit in (('Error', 'error', '%'), ('Loss', 'loss', 'nats')):
        series = {
            name: ([row['epoch'] for row in metrics], [row.get(prefix + column) for row in metrics])
            for name, prefix in named.items()
            if any(prefix + column in row for row in metrics)
        }
        page.curves(title, series, x_label='epoch', y_label=unit)
    rates = [row['epoch'] for row in metrics], [row['learning_rate'] for row in metrics]
    page.curves('Learning rate', {'learning rate': rates}, x_label='epoch')
    run_report.add_run(page, workdir, {'seed': facts['seed']} if 'seed' in facts else {})
    return page


def _add_network(page: Report, facts: dict) -> None:
    """The drawing of the cell that was trained; a published network outside the space has none."""
    architecture = Architecture.from_dict(facts)
    if architecture.cell is not None:
        rows = drawing.rows_on(architecture.skeleton, architecture.cell)
        page.drawing(rows, alt=f'The cell {architecture.cell} in each stage of its network.')
