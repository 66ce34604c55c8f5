"""Files with telemetry, written by hand: mp4 boxes, GPMF, CAMM. The code under test has no part."""

import struct

import numpy as np

VIDEO_TICKS, MOVIE_TICKS = 90_000, 1000


def box(kind, *parts):
    body = b''.join(parts)
    return struct.pack('>I4s', len(body) + 8, kind) + body


def full(kind, *parts, version=0):
    return box(kind, bytes([version, 0, 0, 0]), *parts)


def table(kind, form, rows):
    return full(kind, struct.pack('>I', len(rows)), *(struct.pack(form, *row) for row in rows))


def klv(key, kind, size, data, count=None):
    """An item of GPMF; a nest takes `kind` 0 and a size of 1."""
    count = len(data) // size if count is None else count
    kind = kind.encode() if kind else b'\0'
    return key.encode() + kind + struct.pack('>BH', size, count) + data + bytes(-len(data) % 4)


def nest(key, *items):
    return klv(key, '', 1, b''.join(items))


def grav(vectors, *, about=b'', scale=32767):
    """A payload of a camera: an accelerometer, then a stream GRAV of [N, 3] vectors."""
    stored = np.round(np.asarray(vectors) * scale).astype('>i2').tobytes()
    other = nest(
        'STRM',
        klv('STNM', 'c', 1, b'Accelerometer'),
        klv('TMPC', 'f', 4, struct.pack('>f', 56.1)),
        klv('SCAL', 's', 2, struct.pack('>h', 418)),
        klv('ACCL', 's', 6, struct.pack('>6h', *range(6))),
    )
    stream = nest(
        'STRM',
        klv('TSMP', 'L', 4, struct.pack('>I', len(vectors))),
        klv('STNM', 'c', 1, b'Gravity Vector'),
        klv('SCAL', 's', 2, struct.pack('>h', scale)),
        about,
        klv('GRAV', 's', 6, stored),
    )
    return nest(
        'DEVC', klv('DVID', 'L', 4, bytes(4)), klv('DVNM', 'c', 1, b'A camera'), other, stream
    )


def packet(kind, *values, form='f'):
    return struct.pack(f'<2H{len(values)}{form}', 0, kind, *values)


def trak(kind, lengths, sizes, chunks, *, ticks=1000, edits=b'', wide=False):
    """A track of metadata; chunks: list of (place in the file, samples)."""
    runs, last = [], None
    for number, (_, count) in enumerate(chunks, 1):
        if count != last:
            runs.append((number, count, 1))
        last = count
    same = len(set(sizes)) == 1
    places = [(place,) for place, _ in chunks]
    boxes = (
        full(b'stsd', struct.pack('>I', 1), box(kind, bytes(8))),
        table(b'stts', '>2I', [(1, length) for length in lengths]),
        table(b'stsc', '>3I', runs),
        full(
            b'stsz',
            struct.pack('>2I', sizes[0] if same else 0, len(sizes)),
            b'' if same else struct.pack(f'>{len(sizes)}I', *sizes),
        ),
        table(b'co64', '>Q', places) if wide else table(b'stco', '>I', places),
    )
    media = box(b'minf', box(b'gmhd'), box(b'stbl', *boxes))
    clock = full(b'mdhd', struct.pack('>4I', 0, 0, ticks, sum(lengths)), bytes(4))
    return box(
        b'trak', edits, box(b'mdia', clock, full(b'hdlr', bytes(4), b'meta', bytes(13)), media)
    )


def edits(*rows):
    """The edits of a track: (ticks of the movie, ticks of the track or -1 for nothing)."""
    return box(b'edts', table(b'elst', '>Ii4x', rows))


def video(*, edits=b''):
    """A track that is nothing but a name."""
    return box(b'trak', edits, box(b'mdia', full(b'hdlr', bytes(4), b'vide', bytes(13))))


def movie(*traks):
    return box(b'moov', full(b'mvhd', struct.pack('>4I', 0, 0, MOVIE_TICKS, 0), bytes(80)), *traks)


def write(path, kind, samples, lengths, *, each=3, gap=b'', first=b'', **more):
    """Writes a file of one track: chunks of `each` samples with a gap behind each.

    Args:
        path: the file.
        kind: b'gpmd' or b'camm'.
        samples: bytes of each.
        lengths: ticks of each.
        each: samples in a chunk.
        gap: bytes between chunks, where the pictures would lie.
        first: further traks in front.
        more: of `trak`.
    """
    head = box(b'ftyp', b'isom', bytes(4))
    chunks, data, place = [], b'', len(head) + 8
    for start in range(0, len(samples), each):
        part = samples[start : start + each]
        chunks.append((place + len(data), len(part)))
        data += b''.join(part) + gap
    track = trak(kind, lengths, [len(one) for one in samples], chunks, **more)
    path.write_bytes(head + box(b'mdat', data) + movie(first or video(), track))
    return path


def add(path, kind, samples, lengths, **more):
    """Adds a track to a file of ffmpeg's, whose moov stands last."""
    data = path.read_bytes()
    start = data.rfind(b'moov') - 4
    assert start + int.from_bytes(data[start : start + 4], 'big') == len(data)
    media = box(b'mdat', b''.join(samples))
    track = trak(kind, lengths, [len(one) for one in samples], [(start + 8, len(samples))], **more)
    path.write_bytes(data[:start] + media + box(b'moov', data[start + 8 :], track))
    return path
