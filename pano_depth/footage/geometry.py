"""Trajectories: files in TUM format, the world frame, and the motions between frames."""

import numpy as np
from scipy.spatial.transform import Rotation

from common.run import atomic_path
from pano_depth.kernels.rigid import Motion


def as_trajectory(motion, name):
    """A motion as a trajectory in numpy float64.

    Args:
        motion: `Motion` of [N, 3, 3] and [N, 3], N >= 1.
        name: what the message calls it.

    Returns:
        `Motion` of numpy float64.

    Raises:
        ValueError: other shapes.
    """
    rotation = np.asarray(motion.rotation, np.float64)
    translation = np.asarray(motion.translation, np.float64)
    n = len(rotation) if rotation.ndim else 0
    if n == 0 or rotation.shape != (n, 3, 3) or translation.shape != (n, 3):
        raise ValueError(
            f'{name} has rotation {rotation.shape} and translation {translation.shape}; '
            'accepted: [N, 3, 3] and [N, 3] with N >= 1'
        )
    return Motion(rotation, translation)


def from_first_frame(motion, name='motion'):
    """A trajectory with its own frame 0 as the world, inverse(T_0) o T_i.

    Args:
        motion: `Motion` of [N, 3, 3] and [N, 3], camera to world.
        name: what the message calls it.

    Returns:
        `Motion` of [N, 3, 3] and [N, 3] numpy float64, camera to frame 0's camera.

    Raises:
        ValueError: other shapes.
    """
    rotation, translation = as_trajectory(motion, name)
    return Motion(rotation[0].T @ rotation, (translation - translation[0]) @ rotation[0])


def relative_motions(motion, name='motion'):
    """Motions between consecutive frames, inverse(T_i) o T_{i+1}.

    Args:
        motion: `Motion` of [N, 3, 3] and [N, 3], camera to world.
        name: what the message calls it.

    Returns:
        `Motion` of [N-1, 3, 3] and [N-1, 3] numpy float64: frame i+1's camera into frame i's.

    Raises:
        ValueError: other shapes.
    """
    rotation, translation = as_trajectory(motion, name)
    back = np.swapaxes(rotation[:-1], -1, -2)
    return Motion(back @ rotation[1:], np.einsum('nij,nj->ni', back, np.diff(translation, axis=0)))


def write_tum(path, timestamps, motion, *, comments=()):
    """Writes a trajectory in TUM format, `timestamp tx ty tz qx qy qz qw` a line, atomically.

    Args:
        path: destination.
        timestamps: [N] seconds.
        motion: `Motion` of [N, 3, 3] and [N, 3], camera to world, metres.
        comments: lines above the poses; each gets a `#`, which readers of the format pass over.

    Raises:
        ValueError: the lengths differ, a value is not finite, or a matrix is no rotation.
    """
    timestamps = np.asarray(timestamps, np.float64)
    rotation, translation = as_trajectory(motion, f'trajectory for {path}')
    if timestamps.shape != (len(rotation),):
        raise ValueError(
            f'trajectory for {path} has timestamps {timestamps.shape} for {len(rotation)} '
            'poses; accepted: [N] seconds'
        )
    if not all(np.isfinite(array).all() for array in (timestamps, rotation, translation)):
        raise ValueError(f'trajectory for {path} holds values that are not finite')
    skew = np.abs(np.swapaxes(rotation, -1, -2) @ rotation - np.eye(3)).max()
    if skew > 1e-3 or np.linalg.det(rotation).min() < 0:
        raise ValueError(f'trajectory for {path} holds a matrix that is no rotation')
    quaternion = Rotation.from_matrix(rotation).as_quat(canonical=True)
    rows = np.concatenate([timestamps[:, None], translation, quaternion], axis=-1)
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='ascii') as file:
        file.writelines(f'# {line}\n' for line in comments)
        for row in rows:
            file.write(' '.join([f'{row[0]:.6f}'] + [f'{value:.9f}' for value in row[1:]]) + '\n')


def _tum_row(line, where):
    try:
        row = [float(word) for word in line.split()]
    except ValueError as error:
        raise ValueError(
            f'{where}: {error}; accepted: 8 numbers, timestamp tx ty tz qx qy qz qw'
        ) from error
    if len(row) != 8:
        raise ValueError(f'{where}: {len(row)} values; accepted: 8, timestamp tx ty tz qx qy qz qw')
    if not np.isfinite(row).all():
        raise ValueError(f'{where}: a value is not finite')
    if abs(np.linalg.norm(row[4:]) - 1) > 1e-2:
        raise ValueError(
            f'{where}: the quaternion has length {np.linalg.norm(row[4:]):.4f}; accepted: 1'
        )
    return row


def read_tum(path):
    """Reads a trajectory in TUM format; empty lines and lines that start with `#` are skipped.

    Args:
        path: the file, `timestamp tx ty tz qx qy qz qw` a line, separated by white space.

    Returns:
        [N] timestamps in seconds and the `Motion` of [N, 3, 3] and [N, 3], all numpy float64, as
        stored.

    Raises:
        ValueError: the file is missing or has no pose, or a line is not 8 finite numbers with a
            unit quaternion; the message names file and line.
    """
    try:
        with open(path, encoding='utf-8') as file:
            lines = [(number, line.strip()) for number, line in enumerate(file, 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'trajectory {path} cannot be read: {error}') from error
    lines = [(number, line) for number, line in lines if line and not line.startswith('#')]
    rows = [_tum_row(line, f'{path}, line {number}') for number, line in lines]
    if not rows:
        raise ValueError(f'trajectory {path} has no poses')
    rows = np.array(rows)
    return rows[:, 0], Motion(Rotation.from_quat(rows[:, 4:]).as_matrix(), rows[:, 1:4])


def tum_comments(path):
    """What the comments above the poses of a TUM file say.

    Args:
        path: the file.

    Returns:
        dict of the lines `# name: text`, name -> text; empty if the file cannot be read.
    """
    said = {}
    try:
        with open(path, encoding='utf-8') as file:
            for line in file:
                if not line.startswith('#'):
                    break
                name, colon, text = line[1:].partition(':')
                if colon:
                    said[name.strip()] = text.strip()
    except (OSError, UnicodeDecodeError):
        return {}
    return said
