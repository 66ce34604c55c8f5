"""Results of a search: the front, its outstanding cells, and the record of the progress."""

import csv
import pathlib
from collections.abc import Sequence

import numpy as np

from common.logs import format_seconds
from common.report.page import Report
from common.run import atomic_path, write_json
from nas.search import pareto
from nas.search.evaluations import Evaluation
from nas.search.front_figure import front_figure

FRONT_FILE = 'pareto.csv'
PICTURE_FILE = 'pareto.png'
SUMMARY_FILE = 'search.json'
REPORT_FILE = 'report.html'
FILES = (FRONT_FILE, PICTURE_FILE, SUMMARY_FILE, REPORT_FILE)
BALANCED = 'balanced'
BALANCE_RULE = (
    'of the cells on the front, the one nearest to the best value of every objective at once, '
    'after each objective is scaled to 0..1 over the front (Euclidean distance)'
)
_ROLES = {'error': 'most accurate', 'latency_ms': 'fastest', 'memory_mb': 'least memory'} | {
    name: f'fewest {name}' for name in ('params', 'flops', 'macs')
}


def standouts(search) -> dict[str, Evaluation]:
    """Finds the outstanding cells of a search's front, among those better than its reference.

    Source: DPP-Net (Dong et al., ECCV 2018) names, for each device, an accurate cell, a fast one,
    and one that is balanced (Panacea) without defining the last; here it is `BALANCE_RULE`.

    Args:
        search: a `nas.search.Search`.

    Returns:
        By role: 'most accurate', 'fastest', ... for each objective, and 'balanced'. Ties go to the
        smaller sum of the scaled objectives. Empty if the front is empty.
    """
    reference, objectives = search.reference(), search.objectives
    front = search.front()
    front = [e for e in front if (search.points([e])[0] < reference).all()] or front
    if not front:
        return {}
    points = search.points(front)
    spread = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1)
    found = {
        _ROLES.get(name, f'lowest {name}'): front[
            int(np.lexsort((scaled.sum(axis=1), points[:, i]))[0])
        ]
        for i, name in enumerate(objectives)
    }
    found[BALANCED] = front[
        int(np.lexsort((scaled.sum(axis=1), np.linalg.norm(scaled, axis=1)))[0])
    ]
    return found


def _counts(search, evaluation: Evaluation) -> bool:
    """Whether an evaluation succeeded and satisfies the constraints."""
    values = evaluation.objectives
    return evaluation.status == 'ok' and not any(
        c.excess(values[c.name]) for c in search.constraints
    )


def hypervolume_by_evaluation(search, evaluations: Sequence[Evaluation]) -> list[float]:
    """Hypervolume after each evaluation, as a part of the box from 0 to the final reference.

    Failed, stopped and infeasible cells add nothing, and neither do cells of a warm start.

    Args:
        search: the `nas.search.Search`.
        evaluations: those of its run, in the order of the log.

    Returns:
        Numbers that rise from 0 towards 1.
    """
    reference = search.reference()
    scale = np.where(reference > 0, reference, 1)
    outside = np.nextafter(reference, np.inf)
    rows = [
        [e.objectives[name] for name in search.objectives] if _counts(search, e) else outside
        for e in evaluations
    ]
    points = np.array(rows, np.float64).reshape(-1, len(reference))
    return pareto.hypervolume_by_step(points / scale, reference / scale).tolist()


def summary(
    search,
    evaluations: Sequence[Evaluation],
    *,
    budget: int,
    seconds: float,
    extra: dict | None = None,
) -> dict:
    """Everything about a search that `search.json` holds.

    Args:
        search: the `nas.search.Search`.
        evaluations: those of its run, in the order of the log.
        budget: number of evaluations that the search was given.
        seconds: how long it has taken, earlier runs included.
        extra: further entries.

    Returns:
        dict of numbers, strings, lists and dicts.
    """
    statuses = [e.status for e in evaluations]
    return {
        'budget': budget,
        'evaluations': len(statuses),
        'failed': statuses.count('failed'),
        'stopped': statuses.count('stopped'),
        'objectives': list(search.objectives),
        'constraints': [
            f'{c.name}{"<" if c.strict else "<="}{c.limit:g}' for c in search.constraints
        ],
        'reference': dict(zip(search.objectives, search.reference().tolist())),
        'hypervolume': hypervolume_by_evaluation(search, evaluations),
        'rank_correlation': {str(level): tau for level, tau in search.rank_correlations().items()},
        'front': [str(e.cell) for e in search.front()],
        'chosen': {
            role: {'cell': str(e.cell), **e.objectives} for role, e in standouts(search).items()
        },
        'balance_rule': BALANCE_RULE,
        'seconds': round(seconds, 1),
        **(extra or {}),
    }


def front_rows(search) -> tuple[list[str], list[list]]:
    """The front as a table: (column names, rows sorted by the first objective)."""
    front = sorted(search.front(), key=lambda e: e.objectives[search.objectives[0]])
    others = sorted({name for e in front for name in e.objectives} - set(search.objectives))
    columns = [*search.objectives, *others]
    named = standouts(search)
    roles = [', '.join(name for name, chosen in named.items() if chosen is e) for e in front]
    return (
        ['cell', 'level', *columns, 'chosen as'],
        [
            [str(e.cell), e.level, *(e.objectives.get(name) for name in columns), role]
            for e, role in zip(front, roles)
        ],
    )


def shown(value) -> str:
    """A table's entry as text: four digits, thousands separators in whole numbers, None as '-'."""
    if value is None:
        return '-'
    if isinstance(value, (int, float)):
        return f'{value:,.0f}' if float(value).is_integer() else f'{value:.4g}'
    return str(value)


def text_table(columns: list[str], rows: list[list]) -> str:
    """A table in columns for a terminal, texts to the left and numbers to the right."""
    table = [list(columns)] + [[shown(value) for value in row] for row in rows]
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
    lines = [text_table(*front_rows(search))]
    for role, cell in facts['chosen'].items():
        figures = ', '.join(f'{name} {shown(cell[name])}' for name in search.objectives)
        lines.append(f'{role}: {cell["cell"]} ({figures})')
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


def write_results(
    folder,
    search,
    evaluations: Sequence[Evaluation],
    *,
    budget: int,
    seconds: float,
    title: str = '',
    extra: dict | None = None,
) -> dict:
    """Writes `pareto.csv`, `pareto.png`, `search.json` and `report.html`, each of them atomically.

    Args:
        folder: the run directory.
        search, evaluations, budget, seconds, extra: as for `summary`.
        title: of picture and page.

    Returns:
        The result of `summary`.
    """
    folder = pathlib.Path(folder)
    facts = summary(search, evaluations, budget=budget, seconds=seconds, extra=extra)
    columns, rows = front_rows(search)
    with atomic_path(folder / FRONT_FILE) as temporary, open(temporary, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    with atomic_path(folder / PICTURE_FILE) as temporary:
        front_figure(search, standouts(search), title=title).savefig(temporary, dpi=110)
    write_json(folder / SUMMARY_FILE, facts)
    page = Report(
        title or 'Architecture search',
        subtitle=(
            f'{facts["evaluations"]} of {budget} evaluations, '
            f'{facts["failed"]} failed, {facts["stopped"]} stopped early'
        ),
    )
    page.section('Pareto front')
    page.table('Front', columns, rows, note=f'{BALANCED}: {BALANCE_RULE}')
    page.image(folder / PICTURE_FILE, alt='Evaluated cells and the Pareto front.')
    page.section('Progress')
    volumes = facts['hypervolume']
    page.curves(
        'Hypervolume, as a part of the box up to the reference',
        {'hypervolume': (list(range(1, len(volumes) + 1)), volumes)},
        x_label='evaluations',
    )
    page.facts(
        {
            f'Kendall tau of the surrogate, level {level}': tau
            for level, tau in facts['rank_correlation'].items()
        }
    )
    page.write(folder / REPORT_FILE)
    return facts
