"""Tells cubemaps by their borders: pixels that lie side by side on the cube look alike.

A cubemap is folded, and each of the twelve edges of the cube is looked at from both faces. Along an
edge that the picture does not show in one piece, colours of both faces agree only if the picture is
this cubemap.
"""

import functools
import itertools

import numpy as np
from PIL import Image

from pano_depth.footage.layouts.faces import FACES, UPRIGHT, turned
from pano_depth.footage.layouts.table import LAYOUTS, fits

# Pixels of a side to which faces are reduced.
_SIDE = 64
# Colours on both sides of a folded edge differ by this part of what other edges differ by.
_MOST = 0.45
# Grey values by which two different edges differ at least in the mean; a night is darker than this.
_TEXTURE = 6.0
# Standard deviation of what is of one colour, grey values.
_EMPTY = 5.0


@functools.cache
def _folds(name, options):
    """What lies beside what in a layout.

    Returns:
        [(face, side, face, side, reversed, apart)]: numbers in `FACES`, sides 'up', 'down',
        'left', 'right' of the picture; whether the second line runs the other way; whether the
        picture shows the two sides apart from each other.
    """
    ends = {}
    for number, (_, _, face, turns) in enumerate(FACES[name, options]):
        right, down = turned(UPRIGHT[face], turns)
        forward = np.cross(right, down)
        for side, (out, along) in {
            'left': (-right, down), 'right': (right, down), 'up': (-down, right),
            'down': (down, right),
        }.items():  # fmt: skip
            start, end = (tuple(forward + out - along), tuple(forward + out + along))
            ends[number, side] = start, end
    folds = []
    for one, other in itertools.combinations(ends, 2):
        if set(ends[one]) == set(ends[other]):
            apart = not _touch(FACES[name, options], one, other)
            folds.append((*one, *other, ends[one] != ends[other], apart))
    return folds


def _touch(faces, one, other):
    """Whether two sides of faces are one line in the picture."""
    (column, row), (column2, row2) = faces[one[0]][:2], faces[other[0]][:2]
    sides = {one[1], other[1]}
    if sides == {'left', 'right'}:
        return row == row2 and column - column2 == (1 if one[1] == 'left' else -1)
    if sides == {'up', 'down'}:
        return column == column2 and row - row2 == (1 if one[1] == 'up' else -1)
    return False


def _reduced(frame, name, options):
    """[6, S, S, 3] float32: the faces as they stand in the picture."""
    height, width = frame.shape[:2]
    columns, rows = LAYOUTS[name].grid
    image, faces = Image.fromarray(frame), []
    for column, row, _, _ in FACES[name, options]:
        box = (column * width / columns, row * height / rows)
        box += ((column + 1) * width / columns, (row + 1) * height / rows)
        faces.append(image.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box))
    return np.stack([np.asarray(face, np.float32) for face in faces])


_LINES = {
    'left': lambda face: face[:, 0],
    'right': lambda face: face[:, -1],
    'up': lambda face: face[0],
    'down': lambda face: face[-1],
}


def difference(frames, name, options=''):
    """How much colours differ along the edges of a cubemap that its picture shows apart.

    Args:
        frames: list of [H, W, 3] uint8.
        name: of a cubemap's layout.
        options: of v360, a key of the layouts known here.

    Returns:
        The mean difference across the edges over that between unrelated edges: about 0.1 for this
        cubemap, about 1 for another picture; None where edges look too much alike to tell.
    """
    same, unrelated = [], []
    for frame in frames:
        faces = _reduced(frame, name, options)
        pairs = []
        for face, side, face2, side2, reverse, apart in _folds(name, options):
            if apart:
                line, line2 = _LINES[side](faces[face]), _LINES[side2](faces[face2])
                pairs.append((line, line2[::-1] if reverse else line2))
        same += [np.abs(one - other).mean() for one, other in pairs]
        unrelated += [
            np.abs(pairs[i][0] - pairs[j][1]).mean()
            for i, j in itertools.permutations(range(len(pairs)), 2)
        ]
    if not frames or np.mean(unrelated) < _TEXTURE:
        return None
    return float(np.mean(same) / np.mean(unrelated))


def _is_empty(frames, name):
    """Whether what a cross leaves free is of one colour; true for cubemaps that leave nothing."""
    if name != 'cubemap_cross':
        return True
    for frame in frames:
        height, width = frame.shape[0] // 3, frame.shape[1] // 4
        for row in (0, 2):
            for column in (0, 2, 3):
                free = frame[row * height + 2 : (row + 1) * height - 2]
                free = free[:, column * width + 2 : (column + 1) * width - 2]
                if free.std(axis=(0, 1)).max() > _EMPTY:
                    return False
    return True


def best(frames, height, width):
    """The cubemap that frames are, by their borders.

    Args:
        frames: list of [H, W, 3] uint8 of one eye.
        height, width: their size, pixels.

    Returns:
        (name, options of v360, difference) of the cubemap that fits best; None if none fits.
    """
    found = []
    for name, options in FACES:
        if fits(LAYOUTS[name], height, width) and _is_empty(frames, name):
            value = difference(frames, name, options)
            if value is not None and value < _MOST:
                found.append((value, name, options))
    if not found:
        return None
    value, name, options = min(found)
    return name, options, value
