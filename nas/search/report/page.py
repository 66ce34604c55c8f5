"""report.html of a search: its front, its cells, its progress, and how it was run."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.logs import format_seconds
from common.report.blocks import Written
from common.report.page import Report
from common.report.run import add_command, add_run, subtitle
from nas.search.report import chart, drawing, picks, words
from nas.search.report.picks import Noise, Picks

_LOST = {'failed': 'failed', 'stopped': 'stopped early'}
_LINE = 90  # letters of a command in one line
# What comes next for the cell of a role: (what it does, command).
NextSteps = Callable[[str], Sequence[tuple[str, str]]]
# Adds to a page: takes the page, the search and its outstanding cells.
Blocks = Callable[[Report, Any, Picks], None]


def make_page(
    folder,
    search,
    picked: Picks,
    facts: Mapping[str, Any],
    table: tuple[Sequence[str], Sequence[Sequence]],
    *,
    title: str = '',
    noise: Noise | None = None,
    next_steps: NextSteps | None = None,
    blocks: Blocks | None = None,
) -> Report:
    """Makes the page of a search.

    Args:
        folder: the run directory; its run.json and flags.txt are shown.
        search: a `nas.search.Search`.
        picked: its outstanding cells.
        facts: what search.json holds.
        table: columns and rows of the front, see `nas.search.results.front_rows`.
        title: of the page.
        noise: standard error of an error.
        next_steps: gives the commands that come next for a role.
        blocks: adds to the page, behind the chosen cells.

    Returns:
        The page, not yet written.
    """
    page = Report(title or 'Architecture search', subtitle=subtitle(folder))
    add_command(page, folder)
    page.facts(_overview(facts))
    if facts.get('note'):
        page.text(facts['note'], note=True)
    page.section('Pareto front')
    if not table[1]:
        page.text(
            'No evaluation is on the front: none succeeded and satisfied the limits.', note=True
        )
    chart.add_chart(page, search, picked, noise=noise)
    page.text(
        'Point at a cell to see what it is and, as a dotted line, the evaluated cells that it grew'
        ' from. Thin lines show the best of all cells up to each level.'
    )
    _add_front(page, search, picked, table)
    if picked.chosen:
        _add_chosen(page, search, picked, next_steps, noise)
    if blocks is not None:
        blocks(page, search, picked)
    _add_progress(page, facts)
    time = {'time': format_seconds(facts['seconds'])}
    add_run(page, folder, {**_kept(facts), **time})
    return page


def _overview(facts: Mapping[str, Any]) -> dict[str, str]:
    spent = f'{facts["evaluations"]} of {facts["budget"]}'
    lost = [f'{facts[name]} {text}' for name, text in _LOST.items() if facts[name]]
    shown = {
        'evaluations': ', '.join([spent, *lost]),
        'objectives': ', '.join(map(str, facts['objectives'])),
        'limits': ', '.join(facts['constraints']),
        'time': format_seconds(facts['seconds']),
    }
    return {name: text for name, text in shown.items() if text}


def _kept(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of search.json about how the search was run."""
    return {name: facts[name] for name in ('seed', 'device') if facts.get(name) is not None}


def _add_front(page: Report, search, picked: Picks, table) -> None:
    names, rows = table
    objectives = {words.bare(name): words.sense(name) for name in picks.objective_texts(search)}
    # Costs that are no objectives stand in the readout of each point and in pareto.csv.
    # The role comes early, since rows of long cells scroll.
    places = [0, len(names) - 1]
    places += [i for i, name in enumerate(names) if name in ('level', *objectives)]
    better = [
        None if names[i] not in objectives else 'lower' if objectives[names[i]] > 0 else 'higher'
        for i in places
    ]
    columns = []
    for i in places:
        values = [row[i] for row in rows]
        columns.append(
            [
                Written(value, text) if isinstance(value, (int, float)) else text
                for value, text in zip(values, words.column(values, names[i]))
            ]
        )
    note = f'Chosen are cells {picked.condition}.' if picked.condition else ''
    heads = [words.heading(names[i]) for i in places]
    page.table('Front', heads, list(zip(*columns)), note=note, better=better)


def _add_chosen(
    page: Report, search, picked: Picks, next_steps: NextSteps | None, noise: Noise | None
) -> None:
    """Each chosen cell with its rules, values, drawing, and the commands that come next."""
    page.section('Chosen cells')
    names = [words.bare(name) for name in picks.objective_texts(search)]
    cells = {}
    for role, evaluation in picked.chosen.items():
        cells.setdefault(str(evaluation.cell), (evaluation, []))[1].append(role)
    for evaluation, roles in cells.values():
        page.heading(', '.join(roles))
        values = {'cell': str(evaluation.cell)}
        for name in names:
            values[words.title(name)] = words.quantity(evaluation.objectives[name], name)
        one = noise(evaluation) if noise is not None else None
        if one and picks.ERROR in values:
            values[picks.ERROR] += f' \u00b1 {words.doubt(one)} (one standard error)'
        values['chosen as'] = '\n'.join(
            f'{picked.rules[role]}{f": {picks.BALANCE_RULE}" * (role == picks.BALANCED)}'
            for role in roles
        )
        page.facts(values)
        rows = drawing.rows_of(search.space, evaluation.cell)
        if rows:
            page.drawing(rows, alt=f'The cell {evaluation.cell} in each stage of its network.')
        for what, command in next_steps(roles[0]) if next_steps else ():
            page.command(what, _in_lines(command))


def _add_progress(page: Report, facts: Mapping[str, Any]) -> None:
    page.section('Progress')
    volumes = facts['hypervolume']
    series = {'hypervolume': (list(range(1, len(volumes) + 1)), volumes)}
    if facts.get('relative_hypervolume'):
        relative = facts['relative_hypervolume']
        series['part of the true front'] = (list(range(1, len(relative) + 1)), relative)
    page.curves(
        'Hypervolume, as a part of the box up to the reference', series, x_label='evaluations'
    )
    if facts['rank_correlation']:
        page.facts(
            {
                f'Kendall tau of the surrogate, level {level}': tau
                for level, tau in facts['rank_correlation'].items()
            }
        )


def _in_lines(command: str) -> str:
    """A long command with one flag a line, as a shell reads it."""
    if len(command) <= _LINE:
        return command
    return ' \\\n    '.join(map(shlex.quote, shlex.split(command)))
