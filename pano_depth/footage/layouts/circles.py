"""Finds fisheye circles in a picture, their field of view, and how they are turned.

The lens is taken to be equidistant, as v360 takes it: the distance from the middle of the circle is
proportional to the angle from the axis of the lens.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

# Pixels of a side to which a circle is reduced.
_SIDE = 256
# Grey values: outside a circle is at most this; the rim of a circle is brighter by at least that.
_BLACK, _LIT = 30, 10
# Parts of the pixels outside that are black, of the rim that is lit, of it that is a circle.
_MOST_BLACK, _MOST_LIT, _MOST_EVEN = 0.97, 0.8, 0.6
_SECTORS = 24
# Degrees of the fields of view that are tried, and how far from the seam of two lenses they look.
_FOVS = np.arange(176.0, 226.0, 1.0)
_ASIDE = (-2.0, 0.0, 2.0)
_LEAST_ALIKE = 0.6
# Places around a ring.
_AROUND = 360


class Lenses(NamedTuple):
    """What two circles say about their lenses.

    Attributes:
        fov: degrees across the height of the picture.
        turn: quarter turns with the clock that the first picture needs to stand as the second.
        alike: correlation of what both lenses see, 1 for the same.
    """

    fov: float
    turn: int
    alike: float


def _grey(square):
    """[S, S] float32 of a square picture [H, W, 3]."""
    image = Image.fromarray(square).convert('L').resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(image, np.float32)


def _sample(grey, x, y):
    """Linear interpolation at pixel places; what lies outside repeats the border."""
    x, y = (np.clip(place, 0, _SIDE - 1.001) for place in (x, y))
    column, row = x.astype(int), y.astype(int)
    fraction, rest = x - column, y - row
    upper = grey[row, column] * (1 - fraction) + grey[row, column + 1] * fraction
    lower = grey[row + 1, column] * (1 - fraction) + grey[row + 1, column + 1] * fraction
    return upper * (1 - rest) + lower * rest


def _at(grey, radius, angle):
    """Grey values at a radius (1 = half a side) and an angle from the right, downwards."""
    middle = (_SIDE - 1) / 2
    return _sample(
        grey,
        middle + _SIDE / 2 * radius * np.cos(angle),
        middle + _SIDE / 2 * radius * np.sin(angle),
    )


def radius(frames):
    """The radius of the bright circle on black in square pictures, or None.

    Args:
        frames: list of [S, S, 3] uint8.

    Returns:
        Its radius over half a side; None if there is no such circle in each of the pictures. A
        panorama of a dark night has no circle: its light does not end along one.
    """
    found = [_radius(_grey(frame)) for frame in frames]
    if not found or None in found:
        return None
    return float(np.median(found))


def _radius(grey):
    offset = (2 * np.arange(_SIDE) + 1) / _SIDE - 1
    distance = np.hypot(*np.meshgrid(offset, offset))
    if (grey[distance > 1.06] > _BLACK).mean() > 1 - _MOST_BLACK:
        return None
    # Along the diagonals the picture reaches beyond the circle.
    angles = np.radians(np.concatenate([np.arange(25, 66, 2) + 90 * k for k in range(4)]))
    radii = np.linspace(0.75, 1.1, 71)
    profile = _at(grey, radii[:, None], angles)
    inside, outside = profile[:15].mean(0), profile[-6:].mean(0)
    lit = inside > outside + _LIT
    if lit.mean() < _MOST_LIT:
        return None
    edge = radii[np.argmin(np.diff(profile[:, lit], axis=0), axis=0)]
    even = np.abs(edge - np.median(edge)) < 0.03
    sectors = 2 * np.pi * np.arange(_SECTORS) / _SECTORS
    rim = _at(grey, np.linspace(0.85, 0.93, 5)[:, None] * np.median(edge), sectors).mean(0)
    if even.mean() < _MOST_EVEN or (rim > _LIT).mean() < _MOST_LIT:
        return None
    return float(np.median(edge[even]))


def lenses(pairs):
    """Measures two lenses by the ring that both see.

    Args:
        pairs: list of (one, other), [S, S, 3] uint8: pictures of two lenses back to back, the one
            on the left (behind) first, as v360 takes a dual fisheye.

    Returns:
        `Lenses`, or None where the rings do not agree enough to tell.
    """
    greys = [(_grey(one), _grey(other)) for one, other in pairs]
    best = None
    angles = 2 * np.pi * np.arange(_AROUND) / _AROUND
    aside = np.array(_ASIDE)[:, None]
    for fov in _FOVS:
        near, far = (90 - aside) / (fov / 2), (90 + aside) / (fov / 2)
        if far.max() > 1:
            continue
        # What is on the right for the one lens is on the left for the other.
        rings = [(_at(one, near, np.pi - angles), _at(other, far, angles)) for one, other in greys]
        for turn in range(4):
            # A picture that stands turned has its ring shifted.
            alike = float(
                np.mean([_alike(np.roll(one, turn * _AROUND // 4, 1), ring) for one, ring in rings])
            )
            if best is None or alike > best.alike:
                best = Lenses(float(fov), -turn % 4, alike)
    return best if best is not None and best.alike >= _LEAST_ALIKE else None


def _alike(one, other):
    """Correlation of two rings."""
    one, other = one - one.mean(), other - other.mean()
    size = np.sqrt((one**2).sum() * (other**2).sum())
    # A ring without texture agrees with everything and says nothing.
    return 0.0 if size < one.size * 4 else float((one * other).sum() / size)
