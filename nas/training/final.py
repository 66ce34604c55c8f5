"""Results of a finished training: scores on the test split, `train.json` and `report.html`."""

import pathlib
from typing import Any

import numpy as np

from common import parallel
from common.logs import format_seconds
from common.run import write_json
from nas.cells.cost import count
from nas.datasets.images import Images
from nas.search.report import words
from nas.training import batches, score
from nas.training.config import RecipeConfig
from nas.training.recipe import State
from nas.training.report.training_page import training_page
from nas.training.session import Ended
from nas.training.trained import Trained, load_trained

RESULTS_FILE, REPORT_FILE = 'train.json', 'report.html'


def score_trained(opened: Trained, images: Images) -> dict[str, float]:
    """Scores a trained network on a split.

    Args:
        opened: the network; its own mean and deviation normalise the images.
        images: the split.

    Returns:
        {'loss', 'error', 'top5_error'}, errors in percent.

    Raises:
        ValueError: the images or classes are not those that the network takes.
    """
    classes = tuple(opened.meta['classes'])
    if images.classes != classes:
        strange = sorted(set(images.classes) ^ set(classes))
        raise ValueError(
            f'{images.name} has other classes than the network was trained for, among them '
            f'{strange[0] if strange else "the same in another order"!r}'
        )
    data = batches.place(images, (np.float32(opened.meta['mean']), np.float32(opened.meta['std'])))
    variables = opened.variables
    state = State(
        variables['params'], (), variables.get('batch_stats', {}), variables.get('condensation', {})
    )
    config = RecipeConfig(**opened.meta['recipe'])
    return score.make_scorer(opened.plan, dtype=config.dtype)(state, data)._asdict()


def finish(
    workdir, test: Images, ended: Ended, *, note: str = '', extra: dict[str, Any] | None = None
) -> dict:
    """Scores the last and the best network on the test split; writes train.json and report.html.

    Args:
        workdir: of the training.
        test: the test split.
        ended: how the training ended.
        note: remark to print with every figure, such as 'JPEG re-encoded'.
        extra: further entries.

    Returns:
        The content of train.json. 'test', 'held_out_error', 'epochs' and 'steps' are of the last
        network; 'best' has the same entries for the best one. Scores are of the masked network, and
        conversion does not change them; 'params', 'flops' and 'macs' are of the converted network.
    """
    workdir = pathlib.Path(workdir)
    last = load_trained(workdir, which='last')
    scores = score_trained(last, test)
    best = (
        scores
        if ended.best['step'] == ended.last['step']
        else score_trained(load_trained(workdir), test)
    )
    meta = last.meta
    facts = {
        **{name: meta[name] for name in ('name', 'cell', 'network', 'skeleton', 'data')},
        'note': note,
        'test': scores,
        'held_out_error': ended.last['held_out_error'],
        'best': {**ended.best, 'test': best},
        'epochs': ended.last['epoch'],
        'steps': ended.last['step'],
        'seconds': round(ended.seconds, 1),
        **count(last.plan)._asdict(),
        'images_per_second': ended.images_per_second,
        'test_images': len(test),
        'classes': len(test.classes),
        'recipe': meta['recipe'],
        'device': parallel.devices_summary(),
        **(extra or {}),
    }
    if parallel.is_main():
        write_json(workdir / RESULTS_FILE, facts)
        training_page(workdir, facts).write(workdir / REPORT_FILE)
    return facts


def story(facts: dict) -> str:
    """The text that a finished training prints; `facts` is from `finish`."""
    best, rate = facts['best'], facts['images_per_second']
    lines = [
        _line('last', facts['epochs'], facts, facts),
        _line('best', best['epoch'], best, facts),
    ]
    lines += [facts['note']] * bool(facts['note'])
    pace = f', {words.number(rate)} images/s' if rate else ''
    return '\n'.join(
        [*lines, f'{facts["epochs"]} epochs in {format_seconds(facts["seconds"])}{pace}']
    )


def _line(name: str, epoch: int, found: dict, facts: dict) -> str:
    """A line with the errors of one of the kept networks."""
    errors = {'held-out error': found['held_out_error'], 'test error': found['test']['error']}
    if facts['classes'] > score.TOP:
        errors['top-5 test error'] = found['test']['top5_error']
    return f'{name} (epoch {epoch}): ' + ', '.join(
        f'{what} {value:.2f} %' for what, value in errors.items() if value is not None
    )
