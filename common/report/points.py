"""The data of a chart of points, for `points.js`: any two of several values against each other."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from common.report.blocks import data_block


@dataclasses.dataclass(frozen=True)
class Axis:
    """One of the values of every point.

    Attributes:
        label: what it is, with its unit.
        sense: 1 if smaller is better, -1 if larger is.
        limit: a value at which a line is drawn, or None.
        whole: whether its values are whole numbers.
    """

    label: str
    sense: int = 1
    limit: float | None = None
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class Point:
    """A point.

    Attributes:
        values: one for each axis, None where it is not known.
        group: a whole number that gives its colour, such as a level.
        lines: what the readout says of it; the first line is its name.
        role: text beside it, or ''.
        front: whether it is marked as one of the front.
        counts: whether it is among those that the fronts up to each group are made of.
        faded: drawn as a cross, such as a cell that was stopped early.
        noise: half the length of its bar, on the axis of `points`, or None.
        path: places of the points that it came from, joined by a line while it is pointed at.
    """

    values: Sequence[float | None]
    group: int
    lines: Sequence[str]
    role: str = ''
    front: bool = False
    counts: bool = True
    faded: bool = False
    noise: float | None = None
    path: Sequence[int] = ()


def points_block(
    title: str,
    axes: Sequence[Axis],
    points: Sequence[Point],
    *,
    start: tuple[int, int],
    noise_axis: int | None,
    names: dict[str, str],
) -> str:
    """A chart's data for `points.js`; see `common.report.page.Report.points`."""
    for place, point in enumerate(points):
        if len(point.values) != len(axes):
            raise ValueError(
                f'point {place} of {title!r} has {len(point.values)} values; accepted: '
                f'{len(axes)}, one for each axis'
            )
    if not axes or not all(0 <= place < len(axes) for place in start):
        raise ValueError(f'start of {title!r} is {start}; accepted: places of {len(axes)} axes')
    data = {
        'title': str(title),
        'axes': [
            {
                'label': str(axis.label),
                'sense': axis.sense,
                'limit': _number(axis.limit),
                'whole': axis.whole,
            }
            for axis in axes
        ],
        'start': list(start),
        'noise_axis': noise_axis,
        'group_label': names.get('group', 'group'),
        'limit_label': names.get('limit', 'limit'),
        'noise_label': names.get('noise', 'standard error'),
        'faded_label': names.get('faded', 'left out'),
        'empty': names.get('empty', 'no points'),
        'points': [
            {
                'values': [_number(value) for value in point.values],
                'group': int(point.group),
                'lines': [str(line) for line in point.lines],
                'role': str(point.role),
                'front': bool(point.front),
                'counts': bool(point.counts),
                'faded': bool(point.faded),
                'noise': _number(point.noise),
                'path': [int(place) for place in point.path],
            }
            for point in points
        ],
    }
    return f'<figure data-kind="points">{data_block(data)}</figure>'


def _number(value) -> float | None:
    """Nine digits of a number; None where there is none."""
    return None if value is None or not np.isfinite(value) else float(f'{value:.9g}')
