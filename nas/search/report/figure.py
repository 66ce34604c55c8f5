"""Draws a search as pareto.png: every evaluation, the front, and the outstanding cells."""

import math

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure

from nas.search import pareto
from nas.search.report import picks as picking
from nas.search.report import words
from nas.search.report.picks import Noise, Picks

_LEAST_LOG_RANGE = 5  # ratio of largest to smallest value for a log axis
_IN_A_ROW = 3


class _Ticks(ticker.Formatter):
    """Labels with as many digits as tell neighbours apart."""

    def __call__(self, value, place=None):
        return words.ticks([value])[0]

    def format_ticks(self, values):
        return words.ticks(values)


def front_figure(
    search, picks: Picks | None = None, *, title: str = '', noise: Noise | None = None
) -> Figure:
    """Draws all evaluations of a search: the first objective against each of the others.

    Args:
        search: a `nas.search.Search`.
        picks: cells to mark and limits to draw; default those of the search.
        title: of the picture.
        noise: standard error of an error, drawn as bars.

    Returns:
        A figure with one plot for each objective after the first, or one over the level if there is
        no other.
    """
    picks = picking.pick(search, noise=noise) if picks is None else picks
    first, *others = picking.objective_texts(search)
    others = others or ['level']
    columns = min(len(others), _IN_A_ROW)
    rows = math.ceil(len(others) / columns)
    figure = Figure(figsize=(max(4.6 * columns + 0.6, 6.5), 0.6 + 4.2 * rows), layout='constrained')
    plots = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for plot in plots.flat[len(others) :]:
        plot.remove()
    plots = list(plots.flat[: len(others)])
    levels = [e.level for e in search.history if e.status == 'ok']
    shades = None
    for place, (plot, name) in enumerate(zip(plots, others)):
        drawn = _draw(plot, search, picks, name, first, levels=levels, noise=noise)
        shades = drawn or shades
        if place % columns == 0:
            plot.set_ylabel(words.heading(first))
    if shades is not None:
        figure.colorbar(shades, ax=plots, label='level', ticks=sorted(set(levels)))
    entries = {}
    for plot in plots:
        for handle, label in zip(*plot.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    if entries:
        figure.legend(
            entries.values(),
            entries.keys(),
            loc='outside lower center',
            ncols=min(len(entries), 2 * columns if columns == 1 else 4),
            fontsize=9,
            frameon=False,
        )
    figure.suptitle(title)
    return figure


def _value(evaluation, name: str) -> float:
    return evaluation.level if name == 'level' else evaluation.objectives[words.bare(name)]


def _points(evaluations, *names: str) -> np.ndarray:
    """Values of the evaluations that have all of the names, [N, len(names)]."""
    needed = {words.bare(name) for name in names} - {'level'}
    kept = [e for e in evaluations if needed <= set(e.objectives)]
    return np.array([[_value(e, name) for name in names] for e in kept], np.float64).reshape(
        -1, len(names)
    )


def _draw(plot, search, picks: Picks, across: str, up: str, *, levels, noise: Noise | None):
    """Draws one plot; returns the points coloured by level, None if there are none."""
    good = [e for e in search.history if e.status == 'ok']
    stopped = _points([e for e in search.history if e.status == 'stopped'], across, up)
    points = _points(good, across, up, 'level')
    front = _points(search.front(), across, up)
    plot.set_xlabel(words.heading(across))
    seen = np.concatenate([points[:, :2], stopped, front])
    if not len(seen):
        _nothing(plot)
        return None
    if len(stopped):
        plot.plot(*stopped.T, 'x', color='0.6', ms=5, label='stopped early')
    shades = None
    if len(points):
        shades = plot.scatter(
            *points[:, :2].T,
            c=points[:, 2],
            vmin=min(levels) - 0.5,
            vmax=max(levels) + 0.5,
            s=16,
            cmap='viridis',
            alpha=0.8,
        )
    if noise is not None and words.bare(up) == picking.ERROR:
        _bars(plot, search.front(), across, up, noise)
    if len(front):
        _front(plot, front, across, up)
    given = _points(getattr(search, 'given', ()), across, up)
    if len(given):
        plot.plot(*given.T, 's', mfc='none', mec='black', ms=10, label='given (--include)')
    _mark(plot, picks, across, up)
    condition = f'chosen are cells {picks.condition}'
    for name, line in ((across, plot.axvline), (up, plot.axhline)):
        if name in picks.limits:
            line(picks.limits[name], color='0.35', lw=0.9, ls='--', label=condition)
    _scale(plot.set_xscale, plot.xaxis, seen[:, 0], whole=across == 'level')
    _scale(plot.set_yscale, plot.yaxis, seen[:, 1])
    plot.grid(alpha=0.3)
    return shades


def _nothing(plot) -> None:
    """An empty plot says so, and has no ticks, since no value is known."""
    plot.text(0.5, 0.5, 'no evaluation has values', ha='center', transform=plot.transAxes)
    plot.set_xticks([])
    plot.set_yticks([])


def _front(plot, front: np.ndarray, across: str, up: str) -> None:
    """Marks the front, and joins what is the best in these two objectives."""
    if across != 'level':
        signs = np.array([words.sense(across), words.sense(up)])
        ends = (front * signs)[pareto.non_dominated(front * signs)]
        ends = ends[np.lexsort((-ends[:, 1], ends[:, 0]))] * signs
        plot.step(*ends.T, where='post', color='crimson', lw=0.8, alpha=0.6)
    plot.plot(*front.T, 'o', mfc='none', mec='crimson', ms=9, label='Pareto front')


def _bars(plot, front, across: str, up: str, noise: Noise) -> None:
    """Bars of one standard error at the cells of the front."""
    known = [(e, noise(e)) for e in front]
    known = [(e, one) for e, one in known if one]
    if known:
        plot.errorbar(
            [_value(e, across) for e, _ in known],
            [_value(e, up) for e, _ in known],
            yerr=[one for _, one in known],
            fmt='none',
            ecolor='crimson',
            elinewidth=0.8,
            alpha=0.6,
            label='one standard error',
        )


def _mark(plot, picks: Picks, across: str, up: str) -> None:
    """Marks the outstanding cells; a cell with several roles gets one mark, not a heap of them."""
    roles = {}
    for role, evaluation in picks.chosen.items():
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


def _scale(set_scale, axis, values: np.ndarray, *, whole: bool = False) -> None:
    """Makes an axis of positive, widely ranging values logarithmic; its labels are true."""
    if not whole and values.min() > 0 and values.max() > _LEAST_LOG_RANGE * values.min():
        set_scale('log')
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_minor_formatter(ticker.NullFormatter())
    else:
        axis.set_major_locator(ticker.MaxNLocator(nbins=5, integer=whole))
    axis.set_major_formatter(_Ticks())
