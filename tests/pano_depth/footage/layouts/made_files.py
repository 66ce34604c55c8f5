"""Files that hold nothing but the metadata of a video: mp4 boxes and Matroska elements."""

import struct
import zlib

import numpy as np


def box(kind, *parts):
    body = b''.join(parts)
    return (8 + len(body)).to_bytes(4, 'big') + kind + body


def mp4(path, projection, *, stereo=None, pose=(0, 0, 0), xml=None):
    """Writes an mp4 file without pictures; `projection` is a box of V2, or None."""
    entry = bytes(78)
    if stereo is not None:
        entry += box(b'st3d', bytes(4), bytes([stereo]))
    if projection is not None:
        turns = struct.pack('>3i', *(round(65536 * angle) for angle in pose))
        proj = box(b'proj', box(b'prhd', bytes(4), turns), projection)
        entry += box(b'sv3d', box(b'svhd', bytes(4), b'test\0'), proj)
    table = box(b'stsd', bytes(4), (1).to_bytes(4, 'big'), box(b'avc1', entry))
    media = box(b'minf', box(b'stbl', table))
    trak = box(b'mdia', box(b'hdlr', bytes(8), b'vide', bytes(13)), media)
    if xml is not None:
        identity = bytes.fromhex('ffcc8263f8554a938814587a02521fdd')
        trak += box(b'uuid', identity, xml.encode())
    path.write_bytes(box(b'ftyp', b'isom', bytes(4)) + box(b'moov', box(b'trak', trak)))
    return path


def equi(top=0.0, bottom=0.0, left=0.0, right=0.0):
    parts = (int(part * 2**32) for part in (top, bottom, left, right))
    return box(b'equi', bytes(4), struct.pack('>4I', *parts))


def cbmp(layout=0, padding=0):
    return box(b'cbmp', bytes(4), struct.pack('>2I', layout, padding))


def mshp(corners, packed=True):
    """A box of one mesh; corners [N, 5] are x, y, z (OpenGL), u, v (from the lower left)."""
    values, numbers = np.unique(np.asarray(corners, '>f4'), return_inverse=True)
    numbers = numbers.reshape(-1, 5)
    steps = np.diff(numbers, axis=0, prepend=np.zeros((1, 5), int)).ravel()
    bits = int(np.ceil(np.log2(2 * len(values))))
    codes = ''.join(f'{2 * n if n >= 0 else -2 * n - 1:0{bits}b}' for n in steps)
    codes += '0' * (-len(codes) % 8)
    mesh = struct.pack('>I', len(values)) + values.tobytes() + struct.pack('>I', len(numbers))
    mesh += int(codes, 2).to_bytes(len(codes) // 8, 'big') + struct.pack('>I', 0)
    data, encoding = box(b'mesh', mesh), b'raw '
    if packed:
        deflate = zlib.compressobj(wbits=-15)
        data, encoding = deflate.compress(data) + deflate.flush(), b'dfl8'
    return box(b'mshp', bytes(4), bytes(4), encoding, data)


def youtube_mesh(steps=8, inset=0.002, half=None):
    """The corners of YouTube's equi-angular cubemap, face by face."""
    places = np.linspace(-1, 1, steps + 1)
    t, s = np.meshgrid(places, places, indexing='ij')
    a, b = np.tan(np.pi / 4 * s), np.tan(np.pi / 4 * t)
    one = np.ones_like(a)
    # Left, front, right; down, back, up: x to the right, y up, z behind.
    upper = [(-one, -b, -a), (a, -b, -one), (one, -b, a)]
    lower = [(-b, -one, a), (-b, a, one), (-b, one, -a)]
    rows = []
    for row, faces in enumerate((upper, lower)):
        for column, (x, y, z) in enumerate(faces):
            u = (column + (1 + s * (1 - inset)) / 2) / 3
            v = 1 - (row + (1 + t * (1 - inset)) / 2) / 2
            rows.append(np.stack([x, y, z, u, v], axis=-1).reshape(-1, 5))
    corners = np.concatenate(rows)
    if half == 'left_right':
        corners[:, 3] /= 2
    elif half == 'top_bottom':
        corners[:, 4] = 0.5 + corners[:, 4] / 2
    return corners


def element(kind, payload):
    """A Matroska element; the size takes eight bytes."""
    head = kind.to_bytes((kind.bit_length() + 7) // 8, 'big')
    return head + (len(payload) | 1 << 56).to_bytes(8, 'big') + payload


def webm(path, projection=None, private=b'', *, stereo=None, pose=(), tag=None):
    """Writes the header of a webm file: StereoMode, Projection, and the tag of V1."""
    video = b'' if stereo is None else element(0x53B8, bytes([stereo]))
    if projection is not None:
        inner = element(0x7671, bytes([projection])) + element(0x7672, private)
        for kind, angle in zip((0x7673, 0x7674, 0x7675), pose):
            inner += element(kind, struct.pack('>f', angle))
        video += element(0x7670, inner)
    sound = element(0xAE, element(0x83, bytes([2])))
    track = element(0xAE, element(0x83, bytes([1])) + element(0xE0, video))
    segment = element(0x1654AE6B, sound + track)
    if tag is not None:
        simple = element(0x45A3, b'SPHERICAL-VIDEO') + element(0x4487, tag.encode())
        segment += element(0x1F43B675, bytes(9))
        segment += element(0x1254C367, element(0x7373, element(0x67C8, simple)))
    data = element(0x1A45DFA3, b'') + element(0x18538067, segment)
    path.write_bytes(data)
    return path
