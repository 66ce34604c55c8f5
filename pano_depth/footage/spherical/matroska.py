"""The spherical metadata of mkv and webm files, read from the elements of Matroska (RFC 9559).

ffmpeg prints some of it, but neither the mesh of YouTube's files nor which half is which eye.
"""

import dataclasses
import struct

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_TRACKS, _ENTRY, _KIND, _VIDEO = 0x1654AE6B, 0xAE, 0x83, 0xE0
_STEREO, _PROJECTION = 0x53B8, 0x7670
_TYPE, _PRIVATE, _POSE = 0x7671, 0x7672, (0x7673, 0x7674, 0x7675)
_TAGS, _TAG, _SIMPLE, _NAME, _TEXT = 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
# StereoMode: side by side and one above the other, the left or the right eye first. Either eye of a
# pair will do, so what begins with the right one above is read as if it were the left.
_STEREO_NAMES = {0: 'mono', 1: 'left-right', 2: 'top-bottom', 3: 'top-bottom', 11: 'right-left'}
# A long video has one cluster a second or so; what stands behind so many is not looked for.
_MAX_ELEMENTS, _MAX_SIZE = 100_000, 1 << 26
_MOST_DEGREES = 360


@dataclasses.dataclass
class Track:
    """The first video track of a file.

    Attributes:
        stereo: one of `spherical.STEREO`, or None.
        projection: 0 flat, 1 equirectangular, 2 cubemap, 3 mesh; None where nothing is said.
        private: the payload of the box `equi`, `cbmp` or `mshp`, or b''.
        pose: yaw, pitch and roll in degrees.
        xml: the text of the tag SPHERICAL-VIDEO, or None.
    """

    stereo: str | None = None
    projection: int | None = None
    private: bytes = b''
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    xml: str | None = None


def is_matroska(file):
    """Whether an open binary file is mkv or webm; its place is the beginning afterwards."""
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    return head == _EBML.to_bytes(4, 'big')


def _number(file, keep_marker):
    """A number of variable length: (value or None at the end, its bytes); -1 is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None, 0
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    if len(rest) < length - 1:
        return None, 0
    value = int.from_bytes(first + rest, 'big')
    if keep_marker:
        return value, length
    value &= (1 << 7 * length) - 1
    return (-1 if value == (1 << 7 * length) - 1 else value), length


def _elements(file, end):
    """The elements up to a place in the file: (kind, place of the payload, its size or -1)."""
    for _ in range(_MAX_ELEMENTS):
        if file.tell() >= end:
            return
        kind, _ = _number(file, keep_marker=True)
        size, _ = _number(file, keep_marker=False)
        if kind is None or size is None:
            return
        place = file.tell()
        if size >= 0 and place + size > end:
            # A file that is cut short: what lies before is still good.
            return
        yield kind, place, size
        if size < 0:
            return
        file.seek(place + size)


def _payload(file, place, size):
    if size > _MAX_SIZE:
        raise ValueError(f'an element of {size} bytes; accepted: at most {_MAX_SIZE}')
    file.seek(place)
    return file.read(size)


def _whole(data):
    return int.from_bytes(data, 'big')


def _degrees(data):
    """An angle of 4 or 8 bytes, in degrees."""
    if len(data) not in (0, 4, 8):
        raise ValueError(f'a number of {len(data)} bytes; accepted: 4 or 8')
    value = struct.unpack('>f' if len(data) == 4 else '>d', data)[0] if data else 0.0
    if not abs(value) <= _MOST_DEGREES:
        raise ValueError(f'an angle of {value} degrees; accepted: up to {_MOST_DEGREES}')
    return value


def read_track(file):
    """Reads what the first video track says about eyes and projection.

    Args:
        file: open binary file, mkv or webm.

    Returns:
        `Track`.

    Raises:
        ValueError: damaged.
    """
    end, track, found = file.seek(0, 2), Track(), False
    file.seek(0)
    for kind, place, size in _elements(file, end):
        if kind != _SEGMENT:
            continue
        file.seek(place)
        for inner, start, length in _elements(file, end if size < 0 else place + size):
            if inner == _TRACKS and length >= 0 and not found:
                found = _read_tracks(file, start + length, start, track)
            elif inner == _TAGS and length >= 0:
                track.xml = track.xml or _read_tags(file, start, start + length)
    return track


def _read_tracks(file, end, start, track):
    """Fills a `Track` from the first entry that is a video; whether there is one."""
    file.seek(start)
    for kind, place, size in _elements(file, end):
        if kind != _ENTRY:
            continue
        file.seek(place)
        parts = {inner: (at, count) for inner, at, count in _elements(file, place + size)}
        if _VIDEO not in parts or _whole(_payload(file, *parts.get(_KIND, (0, 0)))) != 1:
            continue
        at, count = parts[_VIDEO]
        file.seek(at)
        video = {inner: where for inner, *where in _elements(file, at + count)}
        if _STEREO in video:
            track.stereo = _STEREO_NAMES.get(_whole(_payload(file, *video[_STEREO])))
        if _PROJECTION in video:
            _read_projection(file, *video[_PROJECTION], track)
        return True
    return False


def _read_projection(file, place, size, track):
    file.seek(place)
    parts = {inner: where for inner, *where in _elements(file, place + size)}
    data = {inner: _payload(file, *where) for inner, where in parts.items()}
    # Type 0, flat, is no panorama.
    track.projection = _whole(data.get(_TYPE, b'')) or None
    track.private = data.get(_PRIVATE, b'')
    track.pose = tuple(_degrees(data.get(angle, b'')) for angle in _POSE)


def _read_tags(file, start, end):
    """The text of the tag SPHERICAL-VIDEO, or None."""
    file.seek(start)
    for kind, place, size in _elements(file, end):
        if kind != _TAG:
            continue
        file.seek(place)
        for inner, at, count in _elements(file, place + size):
            if inner != _SIMPLE:
                continue
            file.seek(at)
            parts = {one: where for one, *where in _elements(file, at + count)}
            name = _payload(file, *parts.get(_NAME, (0, 0))).decode(errors='replace')
            if name.upper() == 'SPHERICAL-VIDEO' and _TEXT in parts:
                return _payload(file, *parts[_TEXT]).decode(errors='replace')
    return None
