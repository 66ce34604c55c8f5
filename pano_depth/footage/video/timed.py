"""Frames with times for ffmpeg: a stream that says when each frame is shown.

Raw video on a pipe has one rate. Matroska (RFC 9559) holds raw pictures with a time each; what is
written here is the little of it that a pipe of raw pictures needs.
"""

TICK = 1e-6  # seconds: the unit of times in the stream
RATE = 90000  # ticks a second of the file that is made: whole for all usual rates, and 11 us
# Without frames that refer to later ones the file lasts exactly until the last frame ends.
OPTIONS = ['-enc_time_base', f'1:{RATE}', '-video_track_timescale', str(RATE), '-bf', '0']
SOURCE = ['-f', 'matroska']
_EBML, _SEGMENT, _UNKNOWN = b'\x1a\x45\xdf\xa3', b'\x18\x53\x80\x67', b'\x01' + b'\xff' * 7
_INFO, _TRACKS, _CLUSTER = b'\x15\x49\xa9\x66', b'\x16\x54\xae\x6b', b'\x1f\x43\xb6\x75'


def _element(name, data):
    """An element: its name, the size of its data in eight bytes, its data."""
    return name + (len(data) | 1 << 56).to_bytes(8, 'big') + data


def _number(name, value):
    return _element(name, int(value).to_bytes(8, 'big'))


def header(height, width):
    """What stands before the first frame.

    Args:
        height, width: of the frames in pixels.

    Returns:
        bytes.
    """
    versions = [(b'\x42\x86', 1), (b'\x42\xf7', 1), (b'\x42\xf2', 4), (b'\x42\xf3', 8)]
    kind = _element(b'\x42\x82', b'matroska') + _number(b'\x42\x87', 4) + _number(b'\x42\x85', 2)
    start = _element(_EBML, b''.join(_number(*entry) for entry in versions) + kind)
    info = _element(_INFO, _number(b'\x2a\xd7\xb1', round(TICK * 1e9)))
    # Three bytes a pixel: 24 bits of red, green, blue.
    size = _number(b'\xb0', width) + _number(b'\xba', height)
    size += _element(b'\x2e\xb5\x24', b'RGB\x18')
    track = _number(b'\xd7', 1) + _number(b'\x73\xc5', 1) + _number(b'\x83', 1)
    track += _element(b'\x86', b'V_UNCOMPRESSED') + _element(b'\xe0', size)
    return start + _SEGMENT + _UNKNOWN + info + _element(_TRACKS, _element(b'\xae', track))


def before_frame(time, duration, size):
    """What stands before the bytes of a frame.

    Args:
        time, duration: when it is shown and for how long, seconds; 0 <= time, 0 < duration.
        size: number of its bytes.

    Returns:
        bytes.
    """
    start, stop = round(time / TICK), round((time + duration) / TICK)
    # The frame stands last, so that it need not be copied behind what announces it.
    before = _number(b'\x9b', max(1, stop - start))
    block = b'\xa1' + (4 + size | 1 << 56).to_bytes(8, 'big') + b'\x81\0\0\0'
    group = before + block
    group = b'\xa0' + (len(group) + size | 1 << 56).to_bytes(8, 'big') + group
    group = _number(b'\xe7', start) + group
    return _CLUSTER + (len(group) + size | 1 << 56).to_bytes(8, 'big') + group
