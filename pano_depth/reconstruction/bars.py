"""Black bars: what a partial panorama leaves of the sphere, or the black disc below a stitched one.

Players and stitchers pad what was not filmed with black: rows at the top and at the bottom, columns
at the sides. A bar has one dark value everywhere and in every frame, but for the few levels by
which compression is off, and it ends in a straight border along its whole length. A dark room or a
night sky has neither: what is in it ends in no straight line, or is not this even.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from pano_depth.kernels.shapes import Array
from pano_depth.reconstruction import validity

LOOKED = 16  # frames over the clip that are looked at
BLACK = 20  # largest grey value that a bar may have: black, or black of a limited range
NOISE = 10  # levels by which compression may be off
EVEN = 0.95  # share of the pixels of a line of a bar that have to be this even
BESIDE = 14  # levels by which what ends a bar is brighter, in its brightest frame
BORDER = 0.85  # share of the border at which it is
BLENDED = 3  # lines over which compression and shrinking blend a bar with the image
LEAST = 2  # lines; the place below a camera is not a bar
MOST = 0.4  # share of the lines that a bar may take: a night sky ends at the horizon


class Bars(NamedTuple):
    """Black bars of footage.

    Attributes:
        mask: False in bars; None where there are none.
        share: of the sphere that they hide.
        reason: one sentence for people; empty where there are none.
    """

    mask: Bool[np.ndarray, 'height width'] | None
    share: float
    reason: str


def find(frames: UInt8[Array, 'frames height width 3']) -> Bars:
    """Finds black bars.

    Args:
        frames: equirectangular, in memory or mapped from a file; a bounded number of them is read,
            and 64 rows are enough. All have to show the bars.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(LOOKED, len(frames))).astype(int))
    darkest, brightest = np.full(frames.shape[1:3], 255), np.zeros(frames.shape[1:3], int)
    for i in chosen:
        frame = np.asarray(frames[i])
        darkest = np.minimum(darkest, frame.min(axis=-1))
        brightest = np.maximum(brightest, frame.max(axis=-1))
    height, width = brightest.shape
    sides = {'top': (0, 1), 'bottom': (0, -1), 'left': (1, 1), 'right': (1, -1)}
    dark = {name: _dark_lines(darkest, brightest, *side) for name, side in sides.items()}
    # The border of a bar is as long as the bars beside it leave.
    between = (
        slice(dark['left'], width - dark['right']),
        slice(dark['top'], height - dark['bottom']),
    )
    lines = {
        name: _lines(brightest, dark[name], *side, between[side[0]]) for name, side in sides.items()
    }
    counts = np.zeros((height, width), bool)
    counts[lines['top'] : height - lines['bottom'], lines['left'] : width - lines['right']] = True
    if counts.all():
        return Bars(None, 0.0, '')
    found = [name for name in sides if lines[name]]
    where = ' and '.join(filter(None, [', '.join(found[:-1]), found[-1]]))
    share = validity.hidden_share(counts)
    reason = f'black bars ({where}) take {share:.1%} of the sphere and are left out'
    return Bars(counts, share, reason)


def _turned(image, axis, step):
    """An image whose first rows are the lines at one of its sides."""
    return np.moveaxis(image, axis, 0)[::step]


def _dark_lines(darkest, brightest, axis, step):
    """How many lines at a side have one dark value in all frames, if a bar may be that wide."""
    darkest, brightest = (_turned(image, axis, step) for image in (darkest, brightest))
    level = np.median(brightest[0])
    even = (brightest <= level + NOISE) & (darkest >= level - NOISE)
    whole = even.mean(axis=1) >= EVEN
    count = len(whole) if whole.all() else int(np.argmin(whole))
    return count if level <= BLACK and LEAST <= count <= MOST * len(whole) else 0


def _lines(brightest, count, axis, step, between):
    """How many lines a bar hides: the dark ones and those that are blended; 0 if it is none."""
    if not count:
        return 0
    brightest = _turned(brightest, axis, step)
    ended = brightest[count : count + BLENDED, between] >= np.median(brightest[0]) + BESIDE
    ended = np.maximum.accumulate(ended).mean(axis=1) >= BORDER
    return count + int(np.argmax(ended)) + 1 if ended.any() else 0
