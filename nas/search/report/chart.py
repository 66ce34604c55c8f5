"""The chart of a search on its page: every evaluation as a point that says what it is."""

from collections.abc import Sequence

from common.report.page import Report
from common.report.points import Axis, Point
from nas.search.evaluations import Evaluation
from nas.search.report import picks as picking
from nas.search.report import words
from nas.search.report.picks import Noise, Picks


def add_chart(page: Report, search, picks: Picks, *, noise: Noise | None = None) -> None:
    """Adds the chart of all evaluations of a search to a page.

    Args:
        page: the page.
        search: a `nas.search.Search`.
        picks: its outstanding cells.
        noise: standard error of an error, drawn as bars.
    """
    objectives = picking.objective_texts(search)
    front = search.front()
    own = {id(e) for e in search.history}
    # The front may hold cells of an earlier search.
    shown = [e for e in (*search.history, *(e for e in front if id(e) not in own)) if e.objectives]
    names = [words.bare(objective) for objective in objectives]
    axes = [
        Axis(words.heading(objective), words.sense(objective), picks.limits.get(objective))
        for objective in objectives
    ]
    places = {str(e.cell): place for place, e in enumerate(shown)}
    points = [
        Point(
            [*(e.objectives.get(name) for name in names), *([e.level] if len(names) == 1 else [])],
            e.level,
            _lines(e, objectives, picks, noise, own=id(e) in own),
            role=', '.join(picks.roles(e)),
            front=any(e is other for other in front),
            counts=e.status == 'ok',
            faded=e.status != 'ok',
            noise=noise(e) if noise is not None else None,
            path=_path(e, places),
        )
        for e in shown
    ]
    if len(names) == 1:
        axes.append(Axis('level', whole=True))
    page.points(
        'All evaluated cells',
        axes,
        points,
        start=(1, 0),
        noise_axis=names.index(picking.ERROR) if noise and picking.ERROR in names else None,
        names={
            'group': 'level',
            'limit': f'chosen are cells {picks.condition}',
            'noise': 'one standard error',
            'faded': 'stopped early',
            'empty': 'no evaluation has values',
        },
    )


def _lines(
    e: Evaluation, objectives: Sequence[str], picks: Picks, noise: Noise | None, *, own: bool
) -> list[str]:
    """What the readout says of an evaluation."""
    lines = [str(e.cell), f'level {e.level}{"" if own else ", of an earlier search"}']
    for objective in dict.fromkeys([*map(words.bare, objectives), *sorted(e.objectives)]):
        if objective not in e.objectives:
            continue
        text = f'{words.title(objective)} {words.quantity(e.objectives[objective], objective)}'
        one = noise(e) if noise is not None and objective == picking.ERROR else None
        lines.append(f'{text} \u00b1 {words.doubt(one)}' if one else text)
    lines += picks.roles(e)
    if any(e is other for other in picks.left_out):
        lines.append(f'on the front, but not {picks.condition}')
    if e.status != 'ok':
        lines.append(f'{"stopped early" if e.status == "stopped" else e.status}: {e.reason}')
    return lines


def _path(e: Evaluation, places: dict[str, int]) -> list[int]:
    """Places of the evaluated cells from which the cell grew, by level."""
    text = str(e.cell)
    found = [(len(cell), at) for cell, at in places.items() if text.startswith(f'{cell}-')]
    return [at for _, at in sorted(found)]
