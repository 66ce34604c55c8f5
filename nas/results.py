"""What a search leaves behind: the front as table and picture, the cells that stand out, the record of its progress."""

import csv
import pathlib

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from common.report import Report
from common.run import atomic_path, write_json
from nas import pareto
from nas.evaluations import Evaluation

FRONT_FILE, PICTURE_FILE, SUMMARY_FILE, REPORT_FILE = 'pareto.csv', 'pareto.png', 'search.json', 'report.html'
BALANCE_RULE = ('of the cells on the front, the one nearest to the best value of every objective at once, after each '
                'objective is scaled to 0..1 over the front (Euclidean distance)')


def standouts(search) -> dict[str, Evaluation]:
    """The cells of a search's front that DPP-Net would name, among those that are better than its reference.

    Source: DPP-Net (Dong et al., ECCV 2018) names, for each device, an accurate cell, a fast one, and one that is
    balanced (Panacea) without defining the last; here it is `BALANCE_RULE`.

    Args:
        search: a `nas.search.Search`.

    Returns:
        {'lowest <objective>': evaluation} for each objective, and 'balanced'. Ties go to the smaller sum of the
        scaled objectives. Empty without such a cell.
    """
    reference, objectives = search.reference(), search.objectives
    front = [e for e in search.front() if (search.points([e])[0] < reference).all()]
    if not front:
        return {}
    points = search.points(front)
    spread = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1)
    found = {f'lowest {name}': front[int(np.lexsort((scaled.sum(axis=1), points[:, i]))[0])]
             for i, name in enumerate(objectives)}
    found['balanced'] = front[int(np.lexsort((scaled.sum(axis=1), np.linalg.norm(scaled, axis=1)))[0])]
    return found


def _counts(search, evaluation: Evaluation) -> bool:
    """Whether an evaluation succeeded and keeps to the constraints."""
    return evaluation.status == 'ok' and not any(c.excess(evaluation.objectives[c.name]) for c in search.constraints)


def hypervolume_by_evaluation(search) -> list[float]:
    """Hypervolume after each evaluation of a `nas.search.Search`, with the reference that it has at the end.

    Failed, stopped and infeasible cells add nothing.
    """
    reference = search.reference()
    outside = np.nextafter(reference, np.inf)
    rows = [[e.objectives[name] for name in search.objectives] if _counts(search, e) else outside for e in search.history]
    return pareto.hypervolume_by_step(np.array(rows, np.float64).reshape(-1, len(reference)), reference).tolist()


def summary(search, *, budget: int, seconds: float, extra: dict | None = None) -> dict:
    """Everything about a search that `search.json` holds.

    Args:
        search: the `nas.search.Search`.
        budget: evaluations that it was given.
        seconds: how long it has taken, earlier runs included.
        extra: further entries.

    Returns:
        dict of numbers, strings, lists and dicts.
    """
    statuses = [e.status for e in search.history]
    chosen = standouts(search)
    return {
        'budget': budget, 'evaluations': len(statuses), 'failed': statuses.count('failed'),
        'stopped': statuses.count('stopped'), 'objectives': list(search.objectives),
        'constraints': [f'{c.name}{"<" if c.strict else "<="}{c.limit:g}' for c in search.constraints],
        'reference': dict(zip(search.objectives, search.reference().tolist())),
        'hypervolume': hypervolume_by_evaluation(search),
        'rank_correlation': {str(level): tau for level, tau in search.rank_correlations().items()},
        'front': [str(e.cell) for e in search.front()],
        'chosen': {name: {'cell': str(e.cell), **e.objectives} for name, e in chosen.items()},
        'balance_rule': BALANCE_RULE, 'seconds': round(seconds, 1), **(extra or {})}


def front_rows(search) -> tuple[list[str], list[list]]:
    """The front as a table: (column names, rows sorted by the first objective)."""
    front = sorted(search.front(), key=lambda e: e.objectives[search.objectives[0]])
    others = sorted({name for e in front for name in e.objectives} - set(search.objectives))
    columns = [*search.objectives, *others]
    named = standouts(search)
    roles = [', '.join(name for name, chosen in named.items() if chosen is e) for e in front]
    return (['cell', 'level', *columns, 'chosen as'],
            [[str(e.cell), e.level, *(e.objectives.get(name) for name in columns), role]
             for e, role in zip(front, roles)])


def text_table(columns: list[str], rows: list[list]) -> str:
    """A table in columns for a terminal; numbers with four digits, whole ones with thousands separators."""
    def shown(value):
        if value is None:
            return '-'
        if isinstance(value, (int, float)):
            return f'{value:,.0f}' if float(value).is_integer() else f'{value:.4g}'
        return str(value)
    table = [list(columns)] + [[shown(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = ['  '.join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:]))])
             for row in table]
    return '\n'.join(line.rstrip() for line in lines)


def _label(name: str) -> str:
    return {'error': 'error (%)', 'latency_ms': 'latency (ms)', 'memory_mb': 'memory (MB)'}.get(name, name)


def front_figure(search, *, title: str = '') -> Figure:
    """All evaluations and the front: the first objective against each of the others."""
    first, *others = search.objectives
    good = [e for e in search.history if e.status == 'ok']
    front = search.front()
    figure = Figure(figsize=(5.2 * max(len(others), 1), 4.2), layout='constrained')
    axes = figure.subplots(1, max(len(others), 1), squeeze=False)[0]
    value = lambda evaluations, name: [e.objectives[name] for e in evaluations]
    for axis, name in zip(axes, others or ['params']):
        there = [e for e in good if name in e.objectives]
        points = axis.scatter(value(there, name), value(there, first), c=[e.level for e in there], s=14,
                              cmap=matplotlib.colormaps['viridis'], alpha=0.7)
        kept = sorted((e for e in front if name in e.objectives), key=lambda e: e.objectives[name])
        axis.plot(value(kept, name), value(kept, first), 'o', mfc='none', mec='crimson', ms=9, label='Pareto front')
        for number, (role, e) in enumerate(standouts(search).items()):
            axis.plot(*([v] for v in (e.objectives.get(name), e.objectives[first])), marker='sD^vP*X'[number % 7], ls='',
                      color=f'C{number}', ms=7, label=role)
        axis.set_xlabel(_label(name))
        axis.set_ylabel(_label(first))
        if there and min(value(there, name)) > 0:
            axis.set_xscale('log')
        axis.grid(alpha=0.3)
    if good:
        figure.colorbar(points, ax=axes[-1], label='level')
    axes[-1].legend(fontsize=7)
    figure.suptitle(title)
    return figure


def write_results(folder, search, *, budget: int, seconds: float, title: str = '', extra: dict | None = None) -> dict:
    """Writes `pareto.csv`, `pareto.png`, `search.json` and `report.html`, each at once or not at all.

    Args:
        folder: the run directory.
        search: the `nas.search.Search`.
        budget, seconds, extra: as for `summary`.
        title: of picture and page.

    Returns:
        What `summary` says.
    """
    folder, facts = pathlib.Path(folder), summary(search, budget=budget, seconds=seconds, extra=extra)
    columns, rows = front_rows(search)
    with atomic_path(folder / FRONT_FILE) as temporary, open(temporary, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    with atomic_path(folder / PICTURE_FILE) as temporary:
        front_figure(search, title=title).savefig(temporary, dpi=110)
    write_json(folder / SUMMARY_FILE, facts)
    page = Report(title or 'Architecture search', subtitle=f'{facts["evaluations"]} of {budget} evaluations, {facts["failed"]} failed')
    page.section('Pareto front')
    page.table('Front', columns, rows, note=f'balanced: {BALANCE_RULE}')
    page.image(folder / PICTURE_FILE, alt='Evaluated cells and the Pareto front.')
    page.section('Progress')
    page.curves('Hypervolume', {'hypervolume': (list(range(1, len(facts['hypervolume']) + 1)), facts['hypervolume'])},
                x_label='evaluations')
    page.facts({f'Kendall tau of the surrogate, level {level}': tau for level, tau in facts['rank_correlation'].items()})
    page.write(folder / REPORT_FILE)
    return facts
