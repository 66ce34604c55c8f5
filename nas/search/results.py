"""Results of a search: the front, its outstanding cells, and the record of the progress."""

import csv
import pathlib
from collections.abc import Sequence

from common.logs import format_seconds
from common.run import atomic_path, write_json
from nas.search import pareto
from nas.search.evaluations import Evaluation
from nas.search.report import picks, words
from nas.search.report.figure import front_figure
from nas.search.report.page import Blocks, NextSteps, make_page
from nas.search.report.picks import BALANCE_RULE, BALANCED, Noise, Picks, pick, standouts

__all__ = ['BALANCED', 'BALANCE_RULE', 'front_figure', 'standouts']

FRONT_FILE = 'pareto.csv'
PICTURE_FILE = 'pareto.png'
SUMMARY_FILE = 'search.json'
REPORT_FILE = 'report.html'
FILES = (FRONT_FILE, PICTURE_FILE, SUMMARY_FILE, REPORT_FILE)


def hypervolume_by_evaluation(search, evaluations: Sequence[Evaluation]) -> list[float]:
    """Hypervolume after each evaluation, as a part of the box up to the final reference.

    The box begins at 0, or at the best value of what is maximised or negative. Failed, stopped and
    infeasible cells add nothing, and neither do cells of a warm start.

    Args:
        search: the `nas.search.Search`.
        evaluations: those of its run, in the order of the log.

    Returns:
        Numbers that rise from 0 towards 1.
    """
    points, reference = search.boxed(evaluations)
    return pareto.hypervolume_by_step(points, reference).tolist()


def summary(
    search,
    evaluations: Sequence[Evaluation],
    *,
    budget: int,
    seconds: float,
    extra: dict | None = None,
    picked: Picks | None = None,
) -> dict:
    """Everything about a search that `search.json` holds.

    Args:
        search: the `nas.search.Search`.
        evaluations: those of its run, in the order of the log.
        budget: number of evaluations that the search was given.
        seconds: how long it has taken, earlier runs included.
        extra: further entries.
        picked: its outstanding cells; default those of `pick(search)`.

    Returns:
        dict of numbers, strings, lists and dicts.
    """
    picked = pick(search) if picked is None else picked
    statuses = [e.status for e in evaluations]
    texts = picks.objective_texts(search)
    return {
        'budget': budget,
        'evaluations': len(statuses),
        'failed': statuses.count('failed'),
        'stopped': statuses.count('stopped'),
        'objectives': list(texts),
        'constraints': [str(constraint) for constraint in search.constraints],
        'reference': {
            words.bare(name): words.sense(name) * float(value)
            for name, value in zip(texts, search.reference())
        },
        'hypervolume': hypervolume_by_evaluation(search, evaluations),
        'rank_correlation': {str(level): tau for level, tau in search.rank_correlations().items()},
        'front': [str(e.cell) for e in search.front()],
        'chosen': {
            role: {'cell': str(e.cell), **e.objectives} for role, e in picked.chosen.items()
        },
        'chosen_by': dict(picked.rules),
        'limits': {words.bare(name): value for name, value in picked.limits.items()},
        'beyond_limits': [str(e.cell) for e in picked.left_out],
        'balance_rule': BALANCE_RULE,
        'seconds': round(seconds, 1),
        **(extra or {}),
    }


def front_rows(search, picked: Picks | None = None) -> tuple[list[str], list[list]]:
    """The front as a table: (column names, rows from the best of the first objective on)."""
    picked = pick(search) if picked is None else picked
    texts = picks.objective_texts(search)
    first, way = words.bare(texts[0]), words.sense(texts[0])
    front = sorted(search.front(), key=lambda e: way * e.objectives[first])
    names = [words.bare(name) for name in texts]
    others = sorted({name for e in front for name in e.objectives} - set(names))
    columns = [*names, *others]
    beyond = {str(e.cell) for e in picked.left_out}
    roles = [
        ', '.join(picked.roles(e)) or ('beyond the limit' if str(e.cell) in beyond else '')
        for e in front
    ]
    return (
        ['cell', 'level', *columns, 'chosen as'],
        [
            [str(e.cell), e.level, *(e.objectives.get(name) for name in columns), role]
            for e, role in zip(front, roles)
        ],
    )


def text_table(columns: list[str], rows: list[list]) -> str:
    """A table in columns for a terminal, texts to the left and numbers to the right.

    Args:
        columns: names of objectives, which get their units, or other heads.
        rows: numbers, texts, and None for a dash.
    """
    heads = [words.heading(name) for name in columns]
    entries = [words.column([row[i] for row in rows], name) for i, name in enumerate(columns)]
    table = [heads, *map(list, zip(*entries))]
    widths = [max(map(len, column)) for column in zip(*table)]
    texts = [any(isinstance(row[i], str) for row in rows) for i in range(len(columns))]
    lines = [
        '  '.join(
            entry.ljust(width) if text else entry.rjust(width)
            for entry, width, text in zip(row, widths, texts)
        )
        for row in table
    ]
    return '\n'.join(line.rstrip() for line in lines)


def story(search, facts: dict) -> str:
    """The text that a finished search prints: its front and its outstanding cells.

    Args:
        search: the `nas.search.Search`.
        facts: from `summary`.
    """
    texts = picks.objective_texts(search)
    lines = [text_table(*front_rows(search, _named(search, facts)))]
    for role, cell in facts['chosen'].items():
        figures = ', '.join(
            f'{words.title(name)} {words.quantity(cell[words.bare(name)], name)}' for name in texts
        )
        lines.append(f'{facts["chosen_by"][role]}: {cell["cell"]} ({figures})')
    if facts['chosen']:
        lines.append(f'({BALANCED}: {BALANCE_RULE})')
    if facts.get('relative_hypervolume'):
        part = facts['relative_hypervolume'][-1]
        lines.append(f'hypervolume relative to the true front: {part:.4f}')
    if facts.get('note'):
        lines.append(facts['note'])
    lines.append(
        f'{facts["evaluations"]} evaluations, {facts["failed"]} failed, {facts["stopped"]} stopped'
        f' early, in {format_seconds(facts["seconds"])}'
    )
    return '\n'.join(lines)


def _named(search, facts: dict) -> Picks:
    """The outstanding cells as the facts of a search name them."""
    by_cell = {str(e.cell): e for e in search.front()}
    return Picks(
        chosen={
            role: by_cell[entry['cell']]
            for role, entry in facts['chosen'].items()
            if entry['cell'] in by_cell
        },
        left_out=tuple(by_cell[cell] for cell in facts['beyond_limits'] if cell in by_cell),
    )


def write_results(
    folder,
    search,
    evaluations: Sequence[Evaluation],
    *,
    budget: int,
    seconds: float,
    title: str = '',
    extra: dict | None = None,
    noise: Noise | None = None,
    next_steps: NextSteps | None = None,
    blocks: Blocks | None = None,
) -> dict:
    """Writes `pareto.csv`, `pareto.png`, `search.json` and `report.html`, each of them atomically.

    Args:
        folder: the run directory; the page shows its run.json and flags.txt.
        search, evaluations, budget, seconds, extra: as for `summary`.
        title: of picture and page.
        noise: standard error of an error; errors within one of the lowest count as equal, and
            pictures show it as bars.
        next_steps: gives the commands that come next for a role, for the page.
        blocks: adds to the page, behind the chosen cells.

    Returns:
        The result of `summary`.
    """
    folder, picked = pathlib.Path(folder), pick(search, noise=noise)
    facts = summary(search, evaluations, budget=budget, seconds=seconds, extra=extra, picked=picked)
    table = front_rows(search, picked)
    with atomic_path(folder / FRONT_FILE) as temporary, open(temporary, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(table[0])
        writer.writerows(table[1])
    with atomic_path(folder / PICTURE_FILE) as temporary:
        front_figure(search, picked, title=title, noise=noise).savefig(temporary, dpi=110)
    write_json(folder / SUMMARY_FILE, facts)
    page = make_page(
        folder,
        search,
        picked,
        facts,
        table,
        title=title,
        noise=noise,
        next_steps=next_steps,
        blocks=blocks,
    )
    page.write(folder / REPORT_FILE)
    return facts
