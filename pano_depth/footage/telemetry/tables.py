"""Tracks of metadata in mp4 files: when and where their samples lie (ISO 14496-12), and these.

Only the tables are read, and then the bytes of the samples: never the pictures between them.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from pano_depth.footage import mp4

_TABLE = (b'mdia', b'minf', b'stbl')
_MAX_SAMPLES = 1 << 24  # 11 hours at 400 a second
_MAX_BYTES = 1 << 30
_RUN = 1 << 20  # bytes that are read at a time, where samples follow each other


class Track(NamedTuple):
    """The samples of a track.

    Attributes:
        times: [N] float64, when each begins, in seconds after the first frame of the video.
        lengths: [N] float64, how long each lasts, in seconds.
        places: [N] int64, where each begins in the file.
        sizes: [N] int64, bytes of each.
    """

    times: np.ndarray
    lengths: np.ndarray
    places: np.ndarray
    sizes: np.ndarray


def kind_of(trak: bytes) -> bytes | None:
    """The four letters of what a track holds; None where its boxes do not tell."""
    try:
        entries = mp4.inside(trak, *_TABLE, b'stsd')
        found = mp4.split(entries[8:]) if entries else []
    except ValueError:
        return None
    return found[0][0] if found else None


def read_track(moov: bytes, trak: bytes) -> Track:
    """The tables of a track.

    Args:
        moov: payload of the box that describes all tracks.
        trak: payload of the box of the track.

    Returns:
        `Track`, of as many samples as all of its tables describe.

    Raises:
        ValueError: a table is missing, too short, or too large to be true.
    """
    scale, movie = _scale(mp4.inside(trak, b'mdia', b'mdhd')), _scale(mp4.inside(moov, b'mvhd'))
    sizes = _sizes(trak)
    chunks = _chunks(trak)
    first, each = _rows(trak, b'stsc', '>u4', 3).T[:2]
    ends = np.append(first[1:], len(chunks) + 1) - first
    if len(first) == 0 or first[0] != 1 or (ends < 0).any() or ends.sum() != len(chunks):
        raise ValueError('its stsc box names chunks that are not there')
    # Never more samples than there are, whatever the tables claim.
    upto = np.minimum(np.cumsum(np.repeat(np.minimum(each, len(sizes)), ends)), len(sizes))
    counts = np.diff(upto, prepend=0)
    sizes = sizes[: counts.sum()]
    before = np.cumsum(sizes) - sizes
    chunk = np.repeat(np.arange(len(chunks)), counts)
    places = chunks[chunk] + before - before[(upto - counts)[chunk]]
    times, lengths = _clock(trak, len(sizes))
    count = len(times)
    begins = _edits(trak, movie) - _first_frame(moov, movie)
    shift = begins[0] - begins[1] / scale
    return Track(times / scale + shift, lengths / scale, places[:count], sizes[:count])


def payloads(file: BinaryIO, track: Track) -> Iterator[tuple[float, float, bytes]]:
    """The samples of a track in order.

    Args:
        file: open binary file.
        track: its tables.

    Yields:
        (time, length, bytes), as in `Track`.

    Raises:
        ValueError: the file ends before the samples do. All whole ones were given by then.
    """
    if track.sizes.sum() > _MAX_BYTES:
        raise ValueError(f'it claims more than {_MAX_BYTES} bytes')
    ends, count, index = track.places + track.sizes, len(track.sizes), 0
    while index < count:
        last = index + 1
        while (
            last < count
            and track.places[last] == ends[last - 1]
            and ends[last] - track.places[index] <= _RUN
        ):
            last += 1
        start = track.places[index]
        file.seek(start)
        data = file.read(int(ends[last - 1] - start))
        for i in range(index, last):
            begin, end = int(track.places[i] - start), int(ends[i] - start)
            if end > len(data):
                raise ValueError(f'the file ends before sample {i} of {count}')
            yield float(track.times[i]), float(track.lengths[i]), data[begin:end]
        index = last


def _box(trak, kind):
    found = mp4.inside(trak, *_TABLE, kind)
    if found is None:
        raise ValueError(f'it has no {kind.decode()} box')
    return found


def _rows(trak, kind, dtype, columns):
    """[N, columns] int64 of a table that says at byte 4 how many rows it has."""
    table = _box(trak, kind)
    dtype = np.dtype(dtype)
    count = int.from_bytes(table[4:8], 'big')
    if len(table) < 8 + count * columns * dtype.itemsize:
        raise ValueError(f'its {kind.decode()} box is too short')
    found = np.frombuffer(table, dtype, count * columns, 8).astype(np.int64)
    return found.reshape(count, columns)


def _scale(header):
    """Ticks a second by an `mdhd` or `mvhd` box."""
    place = 20 if header and header[0] else 12
    ticks = int.from_bytes(header[place : place + 4], 'big') if header else 0
    if not ticks:
        raise ValueError('it has no time scale')
    return ticks


def _sizes(trak):
    table = _box(trak, b'stsz')
    size, count = (int.from_bytes(table[at : at + 4], 'big') for at in (4, 8))
    if count > _MAX_SAMPLES or (not size and len(table) < 12 + 4 * count):
        raise ValueError(f'its stsz box claims {count} samples')
    if size:
        return np.full(count, size, np.int64)
    return np.frombuffer(table, '>u4', count, 12).astype(np.int64)


def _chunks(trak):
    if mp4.inside(trak, *_TABLE, b'co64') is not None:
        return _rows(trak, b'co64', '>i8', 1)[:, 0]
    return _rows(trak, b'stco', '>u4', 1)[:, 0]


def _clock(trak, count):
    """(times, lengths) of at most `count` samples in ticks of the track."""
    runs = _rows(trak, b'stts', '>u4', 2)
    upto = np.minimum(np.cumsum(np.minimum(runs[:, 0], count)), count)
    lengths = np.repeat(runs[:, 1], np.diff(upto, prepend=0)).astype(np.float64)
    return np.cumsum(lengths) - lengths, lengths


def _edits(trak, movie):
    """[2]: seconds of nothing before a track, and ticks of it that are left out, by its edits."""
    table = mp4.inside(trak, b'edts', b'elst')
    if table is None:
        return np.zeros(2)
    dtype = np.dtype('>u8,>i8,>i4' if table[0] else '>u4,>i4,>i4')
    count = int.from_bytes(table[4:8], 'big')
    if len(table) < 8 + count * dtype.itemsize:
        raise ValueError('its elst box is too short')
    empty = 0
    for length, start, _ in np.frombuffer(table, dtype, count, 8):
        if start >= 0:
            return np.array([empty / movie, float(start)])
        empty += int(length)
    return np.array([empty / movie, 0.0])


def _first_frame(moov, movie):
    """[2]: seconds of nothing before the first video track, and 0: its edits begin with frame 0."""
    for kind, trak in mp4.split(moov):
        handler = mp4.inside(trak, b'mdia', b'hdlr') if kind == b'trak' else None
        if handler is not None and handler[8:12] == b'vide':
            return _edits(trak, movie) * [1, 0]
    return np.zeros(2)
