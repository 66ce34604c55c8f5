"""GoPro's GPMF: keys, lengths and values, nested (https://github.com/gopro/gpmf-parser).

A key has four letters; then come a letter for the type, the bytes of a sample, how many samples
there are, and these, big-endian and filled up to four bytes. A type of 0 holds more of the same: a
payload of the track is one DEVC for each device, which holds one STRM for each sensor. What
describes the values of a sensor (SCAL, TYPE, ORIN, ...) stands before them in its STRM.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_TYPES = {
    b'b': '>i1',
    b'B': '>u1',
    b's': '>i2',
    b'S': '>u2',
    b'l': '>i4',
    b'L': '>u4',
    b'f': '>f4',
    b'd': '>f8',
    b'j': '>i8',
    b'J': '>u8',
    b'q': '>i4',
    b'Q': '>i8',
}
# Fixed-point numbers are integers times these.
_FIXED = {b'q': 2.0**-16, b'Q': 2.0**-32}
_DEEPEST = 8
# GoPro's picture of its axes has X to the left, Y to the back and Z up, as one looks along with the
# camera. Rows: x right, y down, z forward.
_CAMERA = np.array([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]])


class Item(NamedTuple):
    """A key with its value.

    Attributes:
        key: four letters.
        kind: letter of its type; a zero for a nest.
        size: bytes of a sample.
        count: number of samples.
        data: their bytes.
    """

    key: bytes
    kind: bytes
    size: int
    count: int
    data: bytes


class Vectors(NamedTuple):
    """What one payload says of gravity.

    Attributes:
        gravity: [N, 3] float64, spread evenly over the time of the payload; see `read`.
        turned: degrees by which the camera turned its pictures against itself, at most (IORI).
    """

    gravity: np.ndarray
    turned: float


def items(data: bytes) -> Iterator[Item]:
    """The items of a nest.

    Args:
        data: its bytes.

    Raises:
        ValueError: an item is longer than what is left. Those before it were given by then.
    """
    place = 0
    while len(data) - place >= 8:
        key, kind, size = data[place : place + 4], data[place + 4 : place + 5], data[place + 5]
        if key == bytes(4):
            return  # filled up with zeros
        count = int.from_bytes(data[place + 6 : place + 8], 'big')
        start, length = place + 8, size * count
        if length > len(data) - start:
            raise ValueError(f'item {key!r} claims {length} bytes of {len(data) - start}')
        yield Item(key, kind, size, count, data[start : start + length])
        place = start + -(-length // 4) * 4


def numbers(item: Item, layout: bytes = b'') -> np.ndarray:
    """The numbers of an item, [N, M] float64, M of them in each sample.

    Args:
        item: with numbers in it.
        layout: what the item TYPE says, for samples of several types.

    Raises:
        ValueError: they are of no known type, or do not fill the samples.
    """
    types = _expanded(layout) if item.kind == b'?' else [item.kind]
    if not types or not set(types) <= _TYPES.keys():
        raise ValueError(f'item {item.key!r} is of type {item.kind + layout!r}')
    if len(types) == 1:
        types *= max(1, item.size // np.dtype(_TYPES[types[0]]).itemsize)
    dtype = np.dtype([(str(i), _TYPES[kind]) for i, kind in enumerate(types)])
    if dtype.itemsize != item.size:
        raise ValueError(f'item {item.key!r} has samples of {item.size} bytes')
    rows = np.frombuffer(item.data, dtype, item.count)
    columns = [rows[str(i)] * _FIXED.get(kind, 1.0) for i, kind in enumerate(types)]
    return np.stack(columns, axis=-1).astype(np.float64)


def read(payload: bytes) -> Vectors:
    """The gravity in a payload.

    The stream GRAV has one vector for each frame: the direction of gravity, 1 long, in the frame of
    the camera's body, with x to a side, y down and z along the view. GoPro says so by the axes of
    its accelerometer, "x, -z, -y" for all cameras (issue 170 of gpmf-parser), and a MAX that is
    held upright writes (0, 1, 0). To which side x points, and z, is not certain: it depends on how
    one reads GoPro's picture of axes, and on which lens is the front of a file. `Gravity.axes` says
    so.

    Where ORIN names the axes of the values (capital letters: along them), or MTRX and ORIO do once
    they are turned, that counts.

    Args:
        payload: a sample of the track.

    Raises:
        ValueError: it is damaged, or says of its axes what cannot be read.
    """
    found, turned = [], 0.0
    for stream in _streams(payload):
        about = {}
        for item in stream:
            if item.key == b'GRAV':
                found.append(_scaled(item, about, 3) @ _orientation(about).T)
            elif item.key == b'IORI':
                turned = max(turned, _angle(_scaled(item, about, 4)))
            else:
                about[item.key] = item
    gravity = np.concatenate(found) if found else np.zeros((0, 3))
    return Vectors(gravity, turned)


def _streams(data, depth=0):
    """The items of every sensor. Those of a sensor may be nested once more, with clocks."""
    for item in items(data):
        if item.kind != b'\0' or depth > _DEEPEST:
            continue
        if item.key == b'STRM':
            yield _flat(item.data, depth)
        else:
            yield from _streams(item.data, depth + 1)


def _flat(data, depth):
    for item in items(data):
        if item.kind != b'\0':
            yield item
        elif depth < _DEEPEST:
            yield from _flat(item.data, depth + 1)


def _expanded(layout):
    """Letters of the types of a sample: b'f[3]L' -> [b'f', b'f', b'f', b'L']."""
    found = []
    for kind, times in re.findall(rb'([A-Za-z])(?:\[(\d{1,3})\])?', layout.rstrip(b'\0')):
        found += [kind] * int(times or 1)
    return found


def _scaled(item, about, columns):
    """[N, columns] of an item, divided by its scale."""
    layout = about[b'TYPE'].data if b'TYPE' in about else b''
    values = numbers(item, layout)
    if values.shape[1] != columns:
        raise ValueError(f'item {item.key!r} has {values.shape[1]} numbers in a sample')
    if b'SCAL' in about:
        scale = numbers(about[b'SCAL']).ravel()
        if len(scale) not in (1, columns) or not np.isfinite(scale).all() or not scale.all():
            raise ValueError(f'item {item.key!r} has the scale {scale}')
        values = values / scale
    return values


def _orientation(about):
    """[3, 3]: numbers of a vector as stored to the camera's frame."""
    matrix, letters = np.eye(3), about.get(b'ORIN')
    if b'MTRX' in about:
        matrix, letters = numbers(about[b'MTRX']).ravel(), about.get(b'ORIO')
        if matrix.size != 9 or letters is None or not np.isfinite(matrix).all():
            raise ValueError('its MTRX does not say which axes it gives')
        matrix = matrix.reshape(3, 3)
    if letters is None:
        return matrix
    names = letters.data.rstrip(b'\0').decode('latin-1')
    if sorted(names.upper()) != ['X', 'Y', 'Z']:
        raise ValueError(f'its axes are {names!r}; known: X, Y, Z and, against them, x, y, z')
    named = np.zeros((3, 3))
    for column, name in enumerate(names):
        named['XYZ'.index(name.upper()), column] = 1 if name.isupper() else -1
    return _CAMERA @ named @ matrix


def _angle(quaternions):
    """Degrees of the largest turn of [N, 4] quaternions, whose first number is the cosine."""
    length = np.linalg.norm(quaternions, axis=-1)
    known = quaternions[length > 0.5]
    if not len(known):
        return 0.0
    cosine = np.abs(known[:, 0]) / np.linalg.norm(known, axis=-1)
    return float(np.degrees(2 * np.arccos(np.minimum(cosine, 1))).max())
