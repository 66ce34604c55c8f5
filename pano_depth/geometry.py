"""Trajectories and point clouds: their files, and the fusion of a clip's depth into one cloud."""

import numpy as np
from scipy.spatial.transform import Rotation

from pano_depth import sphere
from pano_depth.media import replacing
from pano_depth.rigid import Motion

# Rows: the file's axes in the camera frame (x right, y down, z forward); each keeps handedness.
CLOUD_AXES = {
    'y_up': np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
    'z_up': np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
    'y_down': np.eye(3, dtype=int),
}
_PLY_TYPES = {'char': 'i1', 'uchar': 'u1', 'uint8': 'u1', 'short': '<i2', 'ushort': '<u2', 'int': '<i4',
              'int32': '<i4', 'uint': '<u4', 'float': '<f4', 'float32': '<f4', 'double': '<f8',
              'float64': '<f8'}
# 21 bits a coordinate: three fit an int64.
_VOXEL_BITS = 21


def _as_trajectory(motion, name):
    """`Motion` in numpy float64; ValueError unless it is one of [N, 3, 3] and [N, 3], N >= 1."""
    rotation = np.asarray(motion.rotation, np.float64)
    translation = np.asarray(motion.translation, np.float64)
    n = len(rotation) if rotation.ndim else 0
    if n == 0 or rotation.shape != (n, 3, 3) or translation.shape != (n, 3):
        raise ValueError(f'{name} has rotation {rotation.shape} and translation {translation.shape}; '
                         'accepted: [N, 3, 3] and [N, 3] with N >= 1')
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
    rotation, translation = _as_trajectory(motion, name)
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
    rotation, translation = _as_trajectory(motion, name)
    back = np.swapaxes(rotation[:-1], -1, -2)
    return Motion(back @ rotation[1:], np.einsum('nij,nj->ni', back, np.diff(translation, axis=0)))


def write_tum(path, timestamps, motion):
    """Writes a trajectory in TUM format, `timestamp tx ty tz qx qy qz qw` a line, atomically.

    Args:
      path: destination.
      timestamps: [N] seconds.
      motion: `Motion` of [N, 3, 3] and [N, 3], camera to world, metres.

    Raises:
      ValueError: the lengths differ, a value is not finite, or a rotation is none.
    """
    timestamps = np.asarray(timestamps, np.float64)
    rotation, translation = _as_trajectory(motion, f'trajectory for {path}')
    if timestamps.shape != (len(rotation),):
        raise ValueError(f'trajectory for {path} has timestamps {timestamps.shape} for {len(rotation)} '
                         'poses; accepted: [N] seconds')
    if not all(np.isfinite(array).all() for array in (timestamps, rotation, translation)):
        raise ValueError(f'trajectory for {path} holds values that are not finite')
    skew = np.abs(np.swapaxes(rotation, -1, -2) @ rotation - np.eye(3)).max()
    if skew > 1e-3 or np.linalg.det(rotation).min() < 0:
        raise ValueError(f'trajectory for {path} holds a matrix that is no rotation')
    quaternion = Rotation.from_matrix(rotation).as_quat(canonical=True)
    rows = np.concatenate([timestamps[:, None], translation, quaternion], axis=-1)
    with replacing(path) as temporary, open(temporary, 'w', encoding='ascii') as file:
        for row in rows:
            file.write(' '.join([f'{row[0]:.6f}'] + [f'{value:.9f}' for value in row[1:]]) + '\n')


def _tum_row(line, where):
    try:
        row = [float(word) for word in line.split()]
    except ValueError as error:
        raise ValueError(f'{where}: {error}; accepted: 8 numbers, timestamp tx ty tz qx qy qz qw') from error
    if len(row) != 8:
        raise ValueError(f'{where}: {len(row)} values; accepted: 8, timestamp tx ty tz qx qy qz qw')
    if not np.isfinite(row).all():
        raise ValueError(f'{where}: a value is not finite')
    if abs(np.linalg.norm(row[4:]) - 1) > 1e-2:
        raise ValueError(f'{where}: the quaternion has length {np.linalg.norm(row[4:]):.4f}; accepted: 1')
    return row


def read_tum(path):
    """Reads a trajectory in TUM format; empty lines and lines that start with `#` are skipped.

    Args:
      path: the file, `timestamp tx ty tz qx qy qz qw` a line, separated by white space.

    Returns:
      [N] timestamps in seconds and the `Motion` of [N, 3, 3] and [N, 3], all numpy float64, as stored.

    Raises:
      ValueError: the file is missing or has no pose, or a line is not 8 finite numbers with a unit quaternion
        (file and line are named).
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


def write_ply(path, points, colors, *, axes='y_up'):
    """Writes a coloured point cloud as binary little-endian PLY, atomically.

    Args:
      path: destination.
      points: [N, 3] in the frame x right, y down, z forward; metres.
      colors: [N, 3] uint8 RGB.
      axes: the file's axes: 'y_up' (x right, z back: most viewers), 'z_up' (y forward: Blender), 'y_down' (as
        given).

    Raises:
      ValueError: unknown `axes`, wrong shapes or types, or points that are not finite.
    """
    if axes not in CLOUD_AXES:
        raise ValueError(f'axes is {axes!r}; accepted: {", ".join(CLOUD_AXES)}')
    points, colors = np.asarray(points), np.asarray(colors)
    if points.ndim != 2 or points.shape[1] != 3 or colors.shape != points.shape or colors.dtype != np.uint8:
        raise ValueError(f'points are {points.shape}, colors {colors.dtype} {colors.shape}; accepted: '
                         '[N, 3] and uint8 [N, 3]')
    if not np.isfinite(points).all():
        raise ValueError('points hold values that are not finite')
    vertices = np.empty(len(points), [('position', '<f4', 3), ('color', 'u1', 3)])
    vertices['position'] = points @ CLOUD_AXES[axes].T
    vertices['color'] = colors
    header = ['ply', 'format binary_little_endian 1.0', f'comment axes {axes}']
    header += [f'element vertex {len(points)}']
    header += [f'property float {name}' for name in 'xyz']
    header += [f'property uchar {name}' for name in ('red', 'green', 'blue')]
    with replacing(path) as temporary, open(temporary, 'wb') as file:
        file.write(('\n'.join(header) + '\nend_header\n').encode('ascii'))
        file.write(vertices.tobytes())


def read_ply(path):
    """Reads the points and colours of a binary little-endian PLY whose vertices come first and hold no lists.

    Args:
      path: the file, e.g. from `write_ply`.

    Returns:
      [N, 3] float32 points in the file's axes and [N, 3] uint8 colours.

    Raises:
      ValueError: another kind of PLY, a missing property, or fewer vertices than announced.
    """
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except OSError as error:
        raise ValueError(f'point cloud {path} cannot be read: {error}') from error
    head, end, body = data.partition(b'end_header\n')
    lines = [line.split() for line in head.decode('ascii', errors='replace').splitlines()]
    if not end or ['format', 'binary_little_endian', '1.0'] not in lines:
        raise ValueError(f'point cloud {path} is no binary little-endian PLY')
    elements = [i for i, line in enumerate(lines) if line[:1] == ['element']]
    stop = elements[1] if len(elements) > 1 else len(lines)
    try:
        count = int(lines[elements[0]][2])
        properties = [line for line in lines[elements[0] + 1:stop] if line[:1] == ['property']]
        fields = [(line[2], _PLY_TYPES[line[1]]) for line in properties]
        vertices = np.frombuffer(body, np.dtype(fields), count)
        points = np.stack([vertices[name] for name in ('x', 'y', 'z')], axis=-1).astype(np.float32)
        return points, np.stack([vertices[name] for name in ('red', 'green', 'blue')], axis=-1)
    except (LookupError, ValueError) as error:
        raise ValueError(f'point cloud {path} has no coloured vertices that can be read: {error}') from error


def _fuse(keys, sums):
    """Adds up the columns of [C, M] `sums` that share a key: (sorted keys, [C, unique keys] sums)."""
    if len(keys) == 0:
        return keys, sums
    order = np.argsort(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return keys[starts], np.stack([np.add.reduceat(row[order], starts) for row in sums])


def _voxels(values, counts, voxel):
    """Fuses points into voxels; points outside the grid are dropped.

    Args:
      values: [6, M] positions and colours.
      counts: [M] how many points each of them stands for.
      voxel: side of a voxel.

    Returns:
      [V] int64 keys and [7, V] float64 sums of position, colour and count.
    """
    cells = np.floor(values[:3] / voxel)
    inside = (np.abs(cells) < 2**(_VOXEL_BITS - 1)).all(axis=0)
    cells = cells[:, inside].astype(np.int64) + 2**(_VOXEL_BITS - 1)
    keys = (cells[0] << 2 * _VOXEL_BITS) | (cells[1] << _VOXEL_BITS) | cells[2]
    return _fuse(keys, np.concatenate([values[:, inside] * counts[inside], counts[None, inside]]))


class _Cloud:
    """Sums by voxel; frames pile up and are merged when they outweigh what has been merged: merges stay rare."""

    def __init__(self):
        self._parts, self._pending = [(np.zeros(0, np.int64), np.zeros((7, 0)))], 0

    def add(self, keys, sums):
        self._parts.append((keys, sums))
        self._pending += len(keys)
        if self._pending > max(1_000_000, len(self._parts[0][0])):
            self.merge()

    def merge(self):
        keys, sums = zip(*self._parts, strict=True)
        self._parts, self._pending = [_fuse(np.concatenate(keys), np.concatenate(sums, axis=1))], 0
        return self._parts[0]


def _frame_points(frame, depth, rotation, translation, directions, max_depth):
    """[6, M] float64 world positions and colours of one frame's valid pixels."""
    valid = np.isfinite(depth) & (depth > 0) & (depth <= max_depth)
    points = rotation @ (directions[valid] * depth[valid, None].astype(np.float64)).T + translation[:, None]
    return np.concatenate([points, frame[valid].T])


def point_cloud(frames, depth, poses, *, voxel=None, max_points=2_000_000, max_depth=np.inf, directions=None):
    """Fuses a clip's frames into one coloured cloud, one point (the mean) per occupied voxel.

    The voxels even out the density: neighbouring pixels near the poles look along nearly the same ray and
    overlapping frames see the same surfaces, which would otherwise pile up. A cloud with more than
    `max_points` is fused again in voxels of twice the side.

    Args:
      frames: [N, H, W, 3] uint8, W = 2H.
      depth: [N, H, W] range; 0 or non-finite where invalid.
      poses: `Motion` of [N, 3, 3] and [N, 3], camera to world, in the unit of the depth.
      voxel: side of a voxel in that unit, or None for 1 % of the median depth, which needs no known scale.
      max_points: upper limit of the result.
      max_depth: farther pixels are left out.
      directions: [H, W, 3] unit rays of the pixels, or None for `sphere.ray_directions`.

    Returns:
      [M, 3] float32 points in the world frame (x right, y down, z forward) and [M, 3] uint8 colours; M = 0 if
      no depth is valid.

    Raises:
      ValueError: shapes do not match, or `voxel` or `max_points` is not positive.
    """
    frames, depth = np.asarray(frames), np.asarray(depth)
    rotation, translation = _as_trajectory(poses, 'poses')
    if frames.ndim != 4 or frames.shape != depth.shape + (3,) or len(frames) != len(rotation):
        raise ValueError(f'frames {frames.shape}, depth {depth.shape} and {len(rotation)} poses do not '
                         'match; accepted: [N, H, W, 3], [N, H, W] and N')
    if (voxel is not None and not voxel > 0) or max_points < 1:
        raise ValueError(f'voxel, max_points are {voxel}, {max_points}; accepted: positive numbers')
    known = depth[np.isfinite(depth) & (depth > 0) & (depth <= max_depth)]
    if known.size == 0:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8)
    voxel = 0.01 * float(np.median(known)) if voxel is None else voxel
    directions = sphere.ray_directions(*depth.shape[1:]) if directions is None else directions
    directions = np.asarray(directions, np.float64)
    cloud = _Cloud()
    for i in range(len(frames)):
        values = _frame_points(frames[i], depth[i], rotation[i], translation[i], directions, max_depth)
        cloud.add(*_voxels(values, np.ones(values.shape[1]), voxel))
    keys, sums = cloud.merge()
    while len(keys) > max_points:
        voxel *= 2
        keys, sums = _voxels(sums[:6] / sums[6], sums[6], voxel)
    means = (sums[:6] / sums[6]).T
    return means[:, :3].astype(np.float32), np.rint(means[:, 3:]).astype(np.uint8)
