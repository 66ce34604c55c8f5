"""Where the faces of a cube stand in the pictures of each layout."""

import numpy as np

# Right and down of each face, as v360 lays it out upright, in the camera frame.
UPRIGHT = {
    'r': ((0, 0, -1), (0, 1, 0)),
    'l': ((0, 0, 1), (0, 1, 0)),
    'u': ((1, 0, 0), (0, 0, 1)),
    'd': ((1, 0, 0), (0, 0, -1)),
    'f': ((1, 0, 0), (0, 1, 0)),
    'b': ((-1, 0, 0), (0, 1, 0)),
}
# Google's specification of `cbmp` turns the upper and the lower face by half a turn.
GOOGLE_TURNED = 'in_frot=002200'
# By name and options of v360: (column, row, face, quarter turns with the clock).
FACES = {
    ('cubemap_3x2', ''): [(i % 3, i // 3, face, 0) for i, face in enumerate('rludfb')],
    ('cubemap_3x2', GOOGLE_TURNED): [
        (i % 3, i // 3, face, 2 if face in 'ud' else 0) for i, face in enumerate('rludfb')
    ],
    ('cubemap_6x1', ''): [(i, 0, face, 0) for i, face in enumerate('rludfb')],
    ('cubemap_1x6', ''): [(0, i, face, 0) for i, face in enumerate('rludfb')],
    ('cubemap_cross', ''): [
        (1, 0, 'u', 0), (0, 1, 'l', 0), (1, 1, 'f', 0), (2, 1, 'r', 0), (3, 1, 'b', 0),
        (1, 2, 'd', 0),
    ],
    ('eac', ''): [
        (0, 0, 'l', 0), (1, 0, 'f', 0), (2, 0, 'r', 0),
        (0, 1, 'd', 3), (1, 1, 'b', 1), (2, 1, 'u', 3),
    ],
}  # fmt: skip


def turned(axes, quarters):
    """Right and down of a face that stands turned with the clock in the picture."""
    right, down = (np.array(axis) for axis in axes)
    for _ in range(quarters):
        right, down = -down, right
    return right, down
