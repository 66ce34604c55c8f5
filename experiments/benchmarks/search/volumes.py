"""Hypervolume of a search and of random search by evaluation: reference, table and picture."""

import pathlib
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

from common.run import atomic_path
from experiments.benchmarks.search.tables import markdown
from nas.search import pareto

matplotlib.use('Agg')
from matplotlib import pyplot as plt

OURS, RANDOM = 'search', 'random'


def reference_of(runs: Sequence[Mapping], worst_error: float | None) -> np.ndarray:
    """One reference [M] for all runs: a tenth of the range beyond the front of all evaluations.

    Args:
        runs: lines of curves.jsonl.
        worst_error: reference of the error, from which cells are useless; None treats the error
            like other objectives.
    """
    names = list(runs[0]['objectives'])
    points = np.array([point for run in runs for point in run['points'] if point is not None])
    limit = worst_error is not None and 'error' in names
    if limit and (points[:, names.index('error')] < worst_error).any():
        points = points[points[:, names.index('error')] < worst_error]
    front = points[pareto.non_dominated(points)]
    reference = front.max(axis=0) + 0.1 * np.ptp(front, axis=0)
    if limit:
        reference[names.index('error')] = worst_error
    return reference


def hypervolumes(run: Mapping, reference: np.ndarray) -> np.ndarray:
    """Hypervolume [N] after each evaluation, as a part of the box from 0 to the reference."""
    outside = np.full(len(reference), 2.0)
    points = [outside if point is None else np.array(point) / reference for point in run['points']]
    return pareto.hypervolume_by_step(np.array(points), np.ones(len(reference)))


def summarise(runs: Sequence[Mapping], reference: np.ndarray, budget: int) -> list[dict]:
    """One row by method: hypervolumes at parts of the budget, by seed, and training seconds."""
    rows, marks = [], sorted({max(1, budget // 4), max(1, budget // 2), budget})
    for method in (OURS, RANDOM):
        mine = sorted((run for run in runs if run['method'] == method), key=lambda run: run['seed'])
        curves = [hypervolumes(run, reference) for run in mine]
        rows.append(
            {
                'method': method,
                'seeds': [run['seed'] for run in mine],
                'hypervolume': {
                    str(mark): [float(curve[:mark][-1]) for curve in curves] for mark in marks
                },
                'seconds': float(np.median([run['seconds'] for run in mine])),
            }
        )
    return rows


def as_markdown(rows: Sequence[Mapping], reference: Mapping[str, float]) -> str:
    """The table, and its reference."""
    marks = list(rows[0]['hypervolume'])
    table = [['method', 'runs', *(f'{mark} (lowest)' for mark in marks), 'training s per run']]
    for row in rows:
        values = [
            f'{np.median(row["hypervolume"][mark]):.4f} ({min(row["hypervolume"][mark]):.4f})'
            for mark in marks
        ]
        table.append([row['method'], str(len(row['seeds'])), *values, f'{row["seconds"]:.0f}'])
    ends = np.array([row['hypervolume'][marks[-1]] for row in rows])
    ahead = (
        f'{OURS} is ahead at the end in {int((ends[0] > ends[1]).sum())} of {ends.shape[1]} seeds; '
        f'median difference {np.median(ends[0] - ends[1]):+.4f}'
    )
    counted = ', '.join(f'{name} {value:.6g}' for name, value in reference.items())
    return '\n'.join(
        [
            'Hypervolume after so many evaluations, median over seeds:',
            '',
            markdown(table, texts=('method',)),
            '',
            f'- {ahead}.',
            f'- Reference: {counted}.',
            '',
        ]
    )


def draw(path: pathlib.Path, runs: Sequence[Mapping], reference: np.ndarray) -> None:
    """Medians over the seeds, and bands from the lowest to the highest."""
    figure, axis = plt.subplots(figsize=(6, 4.2))
    for method in (OURS, RANDOM):
        curves = [hypervolumes(run, reference) for run in runs if run['method'] == method]
        length = min(map(len, curves))
        curves = np.array([curve[:length] for curve in curves])
        steps = np.arange(1, length + 1)
        (line,) = axis.plot(steps, np.median(curves, axis=0), label=method)
        axis.fill_between(
            steps,
            curves.min(axis=0),
            curves.max(axis=0),
            color=line.get_color(),
            alpha=0.15,
            linewidth=0,
        )
    axis.set(xlabel='evaluations', ylabel='hypervolume, part of the box up to the reference')
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)
