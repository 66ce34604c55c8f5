"""Axes of result files: which way x, y and z of their world point; paths in these axes.

Inside the package every world is x right, y down, z forward. Files may be turned. The axes of a
camera, in which its pose turns its rays, stay x right, y down, z forward in every file.
"""

from typing import NamedTuple

import numpy as np

from pano_depth.footage import geometry
from pano_depth.kernels.rigid import Motion

# Rows: the axes of a file in the world x right, y down, z forward; each keeps handedness.
AXES = {
    'y_up': np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
    'z_up': np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    'y_down': np.eye(3, dtype=int),
}
WORDS = {
    'y_up': 'x right, y up, z back',
    'z_up': 'x right, y forward, z up',
    'y_down': 'x right, y down, z forward',
}
UNITS = ('metre', 'relative')


class Path(NamedTuple):
    """The path of a camera in a file.

    Attributes:
        times: [N] seconds.
        poses: `Motion` of [N, 3, 3] and [N, 3] numpy float64, camera to world; the world is x
            right, y down, z forward, whatever the axes of the file.
        axes: name of the axes of the file.
        unit: 'metre' or 'relative'; None if the file does not say.
    """

    times: np.ndarray
    poses: Motion
    axes: str = 'y_down'
    unit: str | None = None


def turned(motion, axes):
    """Poses to a world with other axes.

    Args:
        motion: `Motion` of [N, 3, 3] and [N, 3], camera to a world x right, y down, z forward.
        axes: name of the axes, a key of `AXES`.

    Returns:
        `Motion` of the same cameras to the same world in these axes.

    Raises:
        ValueError: unknown `axes`.
    """
    turn = matrix(axes)
    return Motion(turn @ motion.rotation, motion.translation @ turn.T)


def matrix(axes):
    """[3, 3] that turns points x right, y down, z forward into axes; ValueError if unknown."""
    if axes not in AXES:
        raise ValueError(f'axes is {axes!r}; accepted: {", ".join(AXES)}')
    return AXES[axes]


def write_path(path, times, poses, *, axes='y_down', unit=None):
    """Writes the path of a camera in TUM format, with its axes and unit in comments above it.

    Args:
        path: destination.
        times: [N] seconds.
        poses: `Motion` of [N, 3, 3] and [N, 3], camera to world, x right, y down, z forward.
        axes: of the world in the file.
        unit: 'metre', 'relative', or None to say nothing.

    Raises:
        ValueError: as for `geometry.write_tum`; unknown `axes`.
    """
    poses = turned(poses, axes)
    comments = [f'axes: {axes} ({WORDS[axes]})'] + ([f'unit: {unit}'] if unit else [])
    comments.append('timestamp tx ty tz qx qy qz qw, camera (x right, y down, z forward) to world')
    geometry.write_tum(path, times, poses, comments=comments)


def read_path(path):
    """Reads a path in TUM format, by `write_path` or another program, whose axes are not known.

    Args:
        path: the file.

    Returns:
        `Path`; a file that does not name its axes has y down. Comments of other programs say
        nothing.

    Raises:
        ValueError: as for `geometry.read_tum`.
    """
    times, poses = geometry.read_tum(path)
    said = geometry.tum_comments(path)
    axes = (said.get('axes', '').split() or ['y_down'])[0]
    unit = (said.get('unit', '').split() or [None])[0]
    axes, unit = axes if axes in AXES else 'y_down', unit if unit in UNITS else None
    back = AXES[axes].T
    return Path(times, Motion(back @ poses.rotation, poses.translation @ back.T), axes, unit)
