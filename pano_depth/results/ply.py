"""Coloured point clouds as PLY files."""

import numpy as np

from common.run import atomic_path
from pano_depth.footage.poses.axes import AXES

CLOUD_AXES = AXES
_PLY_TYPES = {
    'char': 'i1',
    'uchar': 'u1',
    'uint8': 'u1',
    'short': '<i2',
    'ushort': '<u2',
    'int': '<i4',
    'int32': '<i4',
    'uint': '<u4',
    'float': '<f4',
    'float32': '<f4',
    'double': '<f8',
    'float64': '<f8',
}


def write_ply(path, points, colors, *, axes='y_up'):
    """Writes a coloured point cloud as binary little-endian PLY, atomically.

    Args:
        path: destination.
        points: [N, 3] in the frame x right, y down, z forward; metres.
        colors: [N, 3] uint8 RGB.
        axes: the file's axes: 'y_up' (x right, z back: most viewers), 'z_up' (y forward: Blender),
            'y_down' (as given).

    Raises:
        ValueError: unknown `axes`, wrong shapes or types, or points that are not finite.
    """
    if axes not in CLOUD_AXES:
        raise ValueError(f'axes is {axes!r}; accepted: {", ".join(CLOUD_AXES)}')
    points, colors = np.asarray(points), np.asarray(colors)
    if (
        points.ndim != 2
        or points.shape[1] != 3
        or colors.shape != points.shape
        or colors.dtype != np.uint8
    ):
        raise ValueError(
            f'points are {points.shape}, colors {colors.dtype} {colors.shape}; accepted: '
            '[N, 3] and uint8 [N, 3]'
        )
    if not np.isfinite(points).all():
        raise ValueError('points hold values that are not finite')
    vertices = np.empty(len(points), [('position', '<f4', 3), ('color', 'u1', 3)])
    vertices['position'] = points @ CLOUD_AXES[axes].T
    vertices['color'] = colors
    header = ['ply', 'format binary_little_endian 1.0', f'comment axes {axes}']
    header += [f'element vertex {len(points)}']
    header += [f'property float {name}' for name in 'xyz']
    header += [f'property uchar {name}' for name in ('red', 'green', 'blue')]
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        file.write(('\n'.join(header) + '\nend_header\n').encode('ascii'))
        file.write(vertices.tobytes())


def read_ply(path):
    """Reads the points and colours of a binary little-endian PLY.

    Its vertices come first and hold no lists.

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
        _, name, count = lines[elements[0]]
        if name != 'vertex' or not 0 <= int(count) <= len(body):
            raise ValueError(f'its first element is {name} {count}, in {len(body)} bytes')
        properties = [line for line in lines[elements[0] + 1 : stop] if line[:1] == ['property']]
        fields = [(line[2], _PLY_TYPES[line[1]]) for line in properties]
        vertices = np.frombuffer(body, np.dtype(fields), int(count))
        points = np.stack([vertices[name] for name in ('x', 'y', 'z')], axis=-1).astype(np.float32)
        colors = np.stack([vertices[name] for name in ('red', 'green', 'blue')], axis=-1)
        if colors.dtype != np.uint8:
            raise ValueError(f'its colours are {colors.dtype}')
        return points, colors
    except (LookupError, ValueError) as error:
        raise ValueError(
            f'point cloud {path} has no coloured vertices that can be read: {error}'
        ) from error


def axes_of(path):
    """The axes that the header by `write_ply` names; 'y_up' if another program wrote the file."""
    with open(path, 'rb') as file:
        header = file.read(4096).partition(b'end_header')[0].decode('ascii', errors='replace')
    words = [line.split()[2] for line in header.splitlines() if line.startswith('comment axes ')]
    return words[0] if words and words[0] in CLOUD_AXES else 'y_up'
