"""The boxes of mp4 and mov files (ISO 14496-12): size, kind and payload, often more boxes."""

import struct

import numpy as np

# A file of this family begins with one of these boxes.
_FIRST = (b'ftyp', b'moov', b'mdat', b'free', b'skip', b'wide', b'pnot', b'uuid')
# Tables of chunk offsets, which count bytes from the beginning of the file.
_CHUNK_TABLES = ((b'stco', np.dtype('>u4')), (b'co64', np.dtype('>i8')))
_MAX_MOOV = 1 << 28
# Per container; a damaged file must not be walked through 8 bytes at a time.
_MAX_BOXES = 10_000


def split(data):
    """The boxes of a container.

    Args:
        data: bytes of the container's payload.

    Returns:
        [(kind, payload)], kind of 4 bytes; up to 7 bytes after the last box have the kind b''.

    Raises:
        ValueError: a box is shorter than its header or longer than the container, or there are too
            many.
    """
    boxes, place = [], 0
    while len(data) - place >= 8:
        size, kind = struct.unpack_from('>I4s', data, place)
        header = 16 if size == 1 else 8
        if size == 1 and len(data) - place >= 16:
            (size,) = struct.unpack_from('>Q', data, place + 8)
        if not header <= size <= len(data) - place:
            raise ValueError(f'box {kind!r} claims {size} bytes of {len(data) - place}')
        boxes.append((kind, data[place + header : place + size]))
        place += size
        if len(boxes) > _MAX_BOXES:
            raise ValueError(f'more than {_MAX_BOXES} boxes in one')
    return boxes + ([(b'', data[place:])] if place < len(data) else [])


def box(kind, payload):
    """The bytes of a box; for the kind b'' only the payload."""
    return struct.pack('>I4s', len(payload) + 8, kind) + payload if kind else payload


def join(boxes):
    """The bytes of boxes, the inverse of `split`."""
    return b''.join(box(kind, payload) for kind, payload in boxes)


def inside(data, *path):
    """The payload of the first box at a path of kinds, or None; ValueError as from `split`."""
    for kind in path:
        data = next((payload for name, payload in split(data) if name == kind), None)
        if data is None:
            return None
    return data


def changed(data, path, change):
    """The bytes of a container with the payload of every box at a path of kinds replaced.

    Args:
        data: bytes of the container's payload.
        path: kinds from the container inwards.
        change: function from the old payload to the new one.

    Returns:
        Bytes; the sizes of the boxes around the change are right.

    Raises:
        ValueError: as from `split`.
    """
    if not path:
        return change(data)
    return join(
        (kind, changed(payload, path[1:], change) if kind == path[0] else payload)
        for kind, payload in split(data)
    )


def find_moov(file):
    """The box that describes the tracks of a file. Media data is not read.

    Args:
        file: open binary file.

    Returns:
        (start, end, payload): the place of the box in the file, bytes, and its contents; None if
        the file has none or is of another family.

    Raises:
        ValueError: the box, or one in front of it, has an impossible size.
    """
    total, place = file.seek(0, 2), 0
    for _ in range(_MAX_BOXES):
        if total - place < 8:
            return None
        file.seek(place)
        head = file.read(16)
        size, kind = struct.unpack_from('>I4s', head)
        if place == 0 and kind not in _FIRST:
            return None
        header = 16 if size == 1 else 8
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack_from('>Q', head, 8)
        # A box of size 0 reaches to the end of the file.
        end = place + size if size else total
        if end - place < header or end > total:
            raise ValueError(f'box {kind!r} claims {size} bytes of {total - place}')
        if kind == b'moov':
            if end - place > _MAX_MOOV:
                raise ValueError(
                    f'its moov box is of {end - place} bytes; accepted: at most {_MAX_MOOV}'
                )
            file.seek(place + header)
            return place, end, file.read(end - place - header)
        place = end
    raise ValueError(f'no moov within {_MAX_BOXES} boxes')


def _shift_table(table, dtype, end, growth):
    """The payload of a table of chunk offsets; offsets from `end` on move by `growth`."""
    count = int.from_bytes(table[4:8], 'big')
    stop = 8 + count * dtype.itemsize
    if len(table) < max(8, stop):
        raise ValueError('a table of chunk offsets is too short')
    offsets = np.frombuffer(table, dtype, count, 8).astype(np.int64)
    offsets = np.where(offsets >= end, offsets + growth, offsets)
    if offsets.max(initial=0) > np.iinfo(dtype).max:
        raise ValueError('a chunk offset leaves the range of its table')
    return table[:8] + offsets.astype(dtype).tobytes() + table[stop:]


def shift_chunks(moov, end, growth):
    """Corrects the chunk offsets of tracks after the moov box in front of the data changed size.

    Args:
        moov: bytes of its payload.
        end: where the box ended in the file, bytes; data behind it has moved, data in front of it
            has not.
        growth: by how many bytes it moved.

    Returns:
        Bytes of the payload, of the same length.

    Raises:
        ValueError: as from `split`, or a table of offsets is too short or an offset too large for
            it.
    """
    for kind, dtype in _CHUNK_TABLES:
        moov = changed(
            moov,
            (b'trak', b'mdia', b'minf', b'stbl', kind),
            lambda table, dtype=dtype: _shift_table(table, dtype, end, growth),
        )
    return moov
