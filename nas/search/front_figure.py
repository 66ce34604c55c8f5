"""Draws a search: every evaluation, the front, and the outstanding cells."""

from collections.abc import Mapping

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure

from nas.search import pareto
from nas.search.evaluations import Evaluation

_LABELS = {'error': 'error (%)', 'latency_ms': 'latency (ms)', 'memory_mb': 'memory (MB)'}
_LEAST_LOG_RANGE = 5  # ratio of largest to smallest value for a log axis


def front_figure(search, chosen: Mapping[str, Evaluation], *, title: str = '') -> Figure:
    """Draws all evaluations of a search: the first objective against each of the others.

    Args:
        search: a `nas.search.Search`.
        chosen: cells to mark, by role.
        title: of the picture.

    Returns:
        A figure with one plot for each objective after the first, or one over the level if there is
        no other.
    """
    first, *others = search.objectives
    others = others or ['level']
    figure = Figure(figsize=(max(4.6 * len(others) + 0.6, 6.5), 4.8), layout='constrained')
    plots = figure.subplots(1, len(others), squeeze=False, sharey=True)[0]
    levels = [e.level for e in search.history] or [0]
    for plot, name in zip(plots, others):
        shades = _draw(
            plot, search, chosen, name, first, limits=(min(levels) - 0.5, max(levels) + 0.5)
        )
    plots[0].set_ylabel(_LABELS.get(first, first))
    figure.colorbar(shades, ax=list(plots), label='level', ticks=sorted(set(levels)))
    handles, labels = plots[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc='outside lower center',
        ncols=min(len(labels), 4),
        fontsize=9,
        frameon=False,
    )
    figure.suptitle(title)
    return figure


def _value(evaluation: Evaluation, name: str) -> float:
    return evaluation.level if name == 'level' else evaluation.objectives[name]


def _points(evaluations, *names: str) -> np.ndarray:
    """Values of the evaluations that have all of the names, [N, len(names)]."""
    kept = [e for e in evaluations if set(names) - {'level'} <= set(e.objectives)]
    return np.array([[_value(e, name) for name in names] for e in kept], np.float64).reshape(
        -1, len(names)
    )


def _draw(
    plot,
    search,
    chosen: Mapping[str, Evaluation],
    across: str,
    up: str,
    *,
    limits: tuple[float, float],
):
    """Draws one plot; returns the points coloured by level."""
    stopped = _points([e for e in search.history if e.status == 'stopped'], across, up)
    if len(stopped):
        plot.plot(*stopped.T, 'x', color='0.6', ms=5, label='stopped early')
    good = _points([e for e in search.history if e.status == 'ok'], across, up, 'level')
    shades = plot.scatter(
        *good[:, :2].T,
        c=good[:, 2],
        vmin=limits[0],
        vmax=limits[1],
        s=16,
        cmap='viridis',
        alpha=0.8,
    )
    front = _points(search.front(), across, up)
    if across != 'level':
        ends = front[pareto.non_dominated(front)]
        ends = ends[np.lexsort((-ends[:, 1], ends[:, 0]))]
        plot.step(*ends.T, where='post', color='crimson', lw=0.8, alpha=0.6)
    plot.plot(*front.T, 'o', mfc='none', mec='crimson', ms=9, label='Pareto front')
    # A cell with several roles gets one mark, since its marks would hide each other.
    roles = {}
    for role, evaluation in chosen.items():
        roles.setdefault(str(evaluation.cell), (evaluation, []))[1].append(role)
    for number, (evaluation, names) in enumerate(roles.values()):
        plot.plot(
            _value(evaluation, across),
            _value(evaluation, up),
            marker='sD^vP*X'[number % 7],
            ls='',
            color=f'C{number}',
            ms=9,
            mec='white',
            mew=0.8,
            label=', '.join(names),
            zorder=3,
        )
    plot.set_xlabel(_LABELS.get(across, across))
    _scale(plot.set_xscale, plot.xaxis, good[:, 0])
    _scale(plot.set_yscale, plot.yaxis, good[:, 1])
    plot.grid(alpha=0.3)
    return shades


def _scale(set_scale, axis, values: np.ndarray) -> None:
    """Makes an axis of positive, widely ranging values logarithmic; shortens its numbers."""
    if len(values) and values.min() > 0 and values.max() > _LEAST_LOG_RANGE * values.min():
        set_scale('log')
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_minor_formatter(ticker.NullFormatter())
    axis.set_major_formatter(lambda value, place: _tick(value))


def _tick(value: float) -> str:
    for unit, suffix in ((1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if abs(value) >= unit:
            return f'{value / unit:g}{suffix}'
    return f'{value:g}'
