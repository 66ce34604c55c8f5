"""The mesh of an `mshp` box: which layout its corners stand for.

A mesh says of points of the sphere where in the picture they are. YouTube describes its
equi-angular cubemaps in this way (spherical-video-v2-rfc.md, "Mesh Projection Box").
"""

import zlib

import numpy as np

from pano_depth.footage import mp4
from pano_depth.footage.layouts.faces import FACES, UPRIGHT, turned
from pano_depth.footage.layouts.table import LAYOUTS

# Part of the picture by which a corner may stand elsewhere than a layout says: YouTube keeps its
# corners a few pixels away from the borders of the faces.
_NEAR = 0.012
# Corners that are needed between the borders of faces, where layouts differ.
_LEAST = 8
_MAX_BYTES = 1 << 26


def corners(payload):
    """The corners of the first mesh.

    Args:
        payload: bytes of an `mshp` box.

    Returns:
        (directions [N, 3] float64 in the camera frame, places [N, 2]: right and down in the picture
        as parts of its width and height).

    Raises:
        ValueError: damaged, or of an unknown encoding.
    """
    encoding, data = payload[8:12], payload[12:]
    if encoding == b'dfl8':
        try:
            data = zlib.decompressobj(-15).decompress(data, _MAX_BYTES)
        except zlib.error as error:
            raise ValueError(f'its mesh cannot be unpacked: {error}') from error
    elif encoding != b'raw ':
        raise ValueError(f'its mesh has the encoding {encoding!r}; accepted: raw and dfl8')
    box = mp4.inside(data, b'mesh')
    if box is None:
        raise ValueError('its mshp box holds no mesh')
    values, used = _floats(box)
    numbers = _indices(box[used:], len(values))
    x, y, z, u, v = values[numbers].T
    # OpenGL: y is up and z behind; the picture begins at the lower left.
    return np.stack([x, -y, -z], axis=-1), np.stack([u, 1 - v], axis=-1)


def _floats(box):
    """(coordinates, bytes used)."""
    count = int.from_bytes(box[:4], 'big')
    if not 0 < count <= (len(box) - 4) // 4:
        raise ValueError(f'its mesh claims {count} coordinates')
    values = np.frombuffer(box, '>f4', count, 4).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError('its mesh holds coordinates that are not finite')
    return values, 4 + 4 * count


def _indices(data, coordinates):
    """[N, 5]: which coordinates are x, y, z, u, v of each corner."""
    count = int.from_bytes(data[:4], 'big')
    bits = max(1, int(np.ceil(np.log2(2 * coordinates))))
    if not 0 < count * 5 * bits <= 8 * (len(data) - 4):
        raise ValueError(f'its mesh claims {count} corners')
    stream = np.unpackbits(np.frombuffer(data, np.uint8, offset=4), count=count * 5 * bits)
    codes = stream.reshape(-1, bits).astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1))
    # Zigzag: 2 n for n >= 0, else -2 n - 1; each number is added to the one of the corner before.
    steps = np.where(codes & 1, -(codes + 1) // 2, codes // 2).reshape(count, 5)
    numbers = np.cumsum(steps, axis=0)
    if numbers.min() < 0 or numbers.max() >= coordinates:
        raise ValueError('its mesh points at coordinates that it does not have')
    return numbers


def layout_of(payload):
    """The layout whose places a mesh has.

    Args:
        payload: bytes of an `mshp` box.

    Returns:
        (name, options of v360, stereo): `stereo` tells how the picture holds two eyes if the mesh
        of the left eye covers one half of it, else None. None where no layout is like the mesh.

    Raises:
        ValueError: as from `corners`.
    """
    directions, places = corners(payload)
    stereo, scale = _half(places)
    places = places * scale
    for name, options in FACES:
        distance, telling = _distances(directions, places, name, options)
        if telling.sum() >= _LEAST and np.quantile(distance, 0.99) < _NEAR:
            return name, options, stereo
    if np.quantile(_equirect_distances(directions, places), 0.99) < _NEAR:
        return 'equirect', '', stereo
    return None


def _half(places):
    """(stereo, factors for right and down) of a mesh that covers the first half of a picture."""
    right, down = places.max(axis=0)
    if right <= 0.51 < down:
        return 'left_right', (2, 1)
    return ('top_bottom', (1, 2)) if down <= 0.51 < right else (None, (1, 1))


def _distances(directions, places, name, options):
    """How far corners stand from where a cubemap has them, and which lie where cubemaps differ."""
    columns, rows = LAYOUTS[name].grid
    nearest = np.full(len(directions), np.inf)
    telling = np.zeros(len(directions), bool)
    for column, row, face, turns in FACES[name, options]:
        right, down = turned(UPRIGHT[face], turns)
        depth = directions @ np.cross(right, down)
        with np.errstate(divide='ignore', invalid='ignore'):
            local = np.stack([directions @ right / depth, directions @ down / depth], axis=-1)
        on = (depth > 0) & (np.abs(local) < 1.01).all(axis=-1)
        telling |= on & ((np.abs(local) > 0.2) & (np.abs(local) < 0.8)).any(axis=-1)
        if name == 'eac':
            local = 4 / np.pi * np.arctan(local)
        expected = ((column, row) + (local + 1) / 2) / (columns, rows)
        distance = np.where(on, np.abs(expected - places).max(axis=-1), np.inf)
        nearest = np.minimum(nearest, distance)
    return nearest, telling


def _equirect_distances(directions, places):
    """How far corners stand from where a panorama has them; at the poles only up and down count."""
    x, y, z = directions.T
    right = np.arctan2(x, z) / (2 * np.pi) + 0.5
    down = np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5
    across = np.abs(right - places[:, 0])
    across = np.minimum(across, 1 - across) * (np.hypot(x, z) > 1e-3 * np.abs(y))
    return np.maximum(across, np.abs(down - places[:, 1]))
