"""Spherical metadata of mp4 and mov files: what tells a player that a video is a panorama.

Both schemes of https://github.com/google/spatial-media are read and written: V1
(docs/spherical-video-rfc.md), an XML text in a `uuid` box of the video track, and V2
(docs/spherical-video-v2-rfc.md), the boxes `st3d` and `sv3d` in the sample entry of the video.
Where a file has both, V2 counts.
"""

import dataclasses
import re
import shutil
import struct
import uuid

from common.run import atomic_path
from pano_depth.footage import mp4

STEREO = ('mono', 'top-bottom', 'left-right', 'custom', 'right-left')
_PROJECTIONS = {b'equi': 'equirectangular', b'cbmp': 'cubemap', b'mshp': 'mesh'}
_SOURCE = 'pano_depth'
_V1 = uuid.UUID('ffcc8263-f855-4a93-8814-587a02521fdd').bytes
_V1_XML = (
    '<?xml version="1.0"?><rdf:SphericalVideo'
    ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    ' xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">{}</rdf:SphericalVideo>'
)
_V1_ROWS = ('CroppedAreaTopPixels', 'CroppedAreaImageHeightPixels', 'FullPanoHeightPixels')
_V1_COLUMNS = ('CroppedAreaLeftPixels', 'CroppedAreaImageWidthPixels', 'FullPanoWidthPixels')
# Optional boxes of a sample entry, which come after the spherical ones.
_OPTIONAL = (b'clap', b'pasp', b'colr', b'fiel', b'btrt', b'')
# Fields of a visual sample entry before its boxes, bytes (ISO 14496-12).
_ENTRY_FIELDS = 78


@dataclasses.dataclass(frozen=True)
class Spherical:
    """What a file says about its sphere.

    Attributes:
        projection: 'equirectangular', 'cubemap', 'mesh', or what else the file says.
        stereo: one of `STEREO`, or None where the file does not say.
        pose: yaw, pitch and roll of the projection in degrees (V2).
        bounds: top, bottom, left and right parts of the panorama, in [0, 1], that the frame leaves
            out; all 0 for the full sphere.
        versions: the schemes in which it was found, 1, 2 or both; `write_spherical` writes these.
        xml: the text of V1 as found, or None. It is not written, since it holds the sizes of the
            old video.
    """

    projection: str = 'equirectangular'
    stereo: str | None = None
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bounds: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    versions: tuple[int, ...] = (1, 2)
    xml: str | None = None

    @property
    def full(self):
        """Whether the frame covers the whole sphere; VR180, for example, does not."""
        return max(map(abs, self.bounds)) < 1e-3


def mono_equirect():
    """The `Spherical` of a full panorama for one eye, in both schemes."""
    return Spherical(stereo='mono')


def _is_video(trak):
    handler = mp4.inside(trak, b'mdia', b'hdlr')
    return handler is not None and handler[8:12] == b'vide'


def _read_v1(trak):
    """`Spherical` of a track's XML, or None."""
    texts = [
        payload[16:] for kind, payload in mp4.split(trak) if kind == b'uuid' and payload[:16] == _V1
    ]
    if not texts:
        return None
    xml = texts[0].decode('utf-8', errors='replace').rstrip('\0')
    tags = {
        name: value.strip() for name, value in re.findall(r'<GSpherical:(\w{1,60})>([^<]*)<', xml)
    }
    if tags.get('Spherical', '').lower() != 'true':
        return None
    try:
        top, height, rows = (int(tags[name]) for name in _V1_ROWS)
        left, width, columns = (int(tags[name]) for name in _V1_COLUMNS)
        bounds = (
            top / rows,
            1 - (top + height) / rows,
            left / columns,
            1 - (left + width) / columns,
        )
    except (KeyError, ValueError, ArithmeticError):
        bounds = Spherical.bounds
    projection, stereo = (tags.get(name, '').lower() for name in ('ProjectionType', 'StereoMode'))
    stereo = stereo if stereo in STEREO else None
    return Spherical(projection or 'unknown', stereo, bounds=bounds, versions=(1,), xml=xml)


def _read_v2(entry):
    """`Spherical` of a sample entry's boxes, or None."""
    entry = entry[_ENTRY_FIELDS:]
    projection = mp4.inside(entry, b'sv3d', b'proj')
    if projection is None:
        return None
    mode = mp4.inside(entry, b'st3d')
    if mode is not None and len(mode) < 5:
        raise ValueError('its st3d box is too short')
    stereo = STEREO[mode[4]] if mode and mode[4] < len(STEREO) else None
    kinds = dict(mp4.split(projection))
    kind = next((kind for kind in kinds if kind in _PROJECTIONS), None)
    pose, bounds = kinds.get(b'prhd', bytes(16)), kinds.get(b'equi', bytes(20))
    if len(pose) < 16 or len(bounds) < 20:
        raise ValueError('its proj box holds boxes that are too short')
    pose = tuple(angle / 65536 for angle in struct.unpack_from('>3i', pose, 4))
    bounds = tuple(part / 2**32 for part in struct.unpack_from('>4I', bounds, 4))
    return Spherical(_PROJECTIONS.get(kind, 'unknown'), stereo, pose, bounds, (2,))


def _read_track(trak):
    if not _is_video(trak):
        return None
    table = mp4.inside(trak, b'mdia', b'minf', b'stbl', b'stsd') or b''
    entries = [entry for kind, entry in mp4.split(table[8:]) if kind]
    first, second = _read_v1(trak), (_read_v2(entries[0]) if entries else None)
    if first is None or second is None:
        return first or second
    return dataclasses.replace(
        second, stereo=second.stereo or first.stereo, versions=(1, 2), xml=first.xml
    )


def read_spherical(path):
    """Reads the spherical metadata of an mp4 or mov file.

    Args:
        path: the file.

    Returns:
        `Spherical` of the first video track that has any; None if no track has any, or if the file
        is no mp4 or mov.

    Raises:
        ValueError: the file is missing, or its boxes are damaged.
    """
    try:
        with open(path, 'rb') as file:
            moov = mp4.find_moov(file)
        boxes = [] if moov is None else mp4.split(moov[2])
        tracks = [_read_track(payload) for kind, payload in boxes if kind == b'trak']
    except OSError as error:
        raise ValueError(f'video {path} cannot be read: {error}') from error
    except ValueError as error:
        raise ValueError(f'the boxes of video {path} are damaged: {error}') from error
    return next((track for track in tracks if track is not None), None)


def _v1_box(spherical):
    tags = {
        'Spherical': 'true',
        'Stitched': 'true',
        'StitchingSoftware': _SOURCE,
        'ProjectionType': spherical.projection,
    }
    if spherical.stereo is not None:
        tags['StereoMode'] = spherical.stereo
    elements = (f'<GSpherical:{tag}>{value}</GSpherical:{tag}>' for tag, value in tags.items())
    return b'uuid', _V1 + _V1_XML.format(''.join(elements)).encode()


def _v2_boxes(spherical):
    # Fixed point with 16 and with 32 bits after the point.
    pose = (round(((angle + 180) % 360 - 180) * 65536) for angle in spherical.pose)
    bounds = (min(max(round(part * 2**32), 0), 2**32 - 1) for part in spherical.bounds)
    projection = [
        (b'prhd', struct.pack('>I3i', 0, *pose)),
        (b'equi', struct.pack('>5I', 0, *bounds)),
    ]
    parts = [(b'svhd', bytes(4) + _SOURCE.encode() + b'\0'), (b'proj', mp4.join(projection))]
    boxes = [(b'sv3d', mp4.join(parts))]
    if spherical.stereo is not None:
        boxes.insert(0, (b'st3d', struct.pack('>IB', 0, STEREO.index(spherical.stereo))))
    return boxes


def _mark_track(trak, spherical):
    """The bytes of a video track with this metadata in place of any it had."""

    def mark_entries(table):
        entries = []
        for kind, entry in mp4.split(table[8:]):
            if len(entry) >= _ENTRY_FIELDS:
                boxes = [
                    box
                    for box in mp4.split(entry[_ENTRY_FIELDS:])
                    if box[0] not in (b'st3d', b'sv3d')
                ]
                place = next((i for i, box in enumerate(boxes) if box[0] in _OPTIONAL), len(boxes))
                boxes[place:place] = _v2_boxes(spherical) if 2 in spherical.versions else []
                entry = entry[:_ENTRY_FIELDS] + mp4.join(boxes)
            entries.append((kind, entry))
        return table[:8] + mp4.join(entries)

    trak = mp4.changed(trak, (b'mdia', b'minf', b'stbl', b'stsd'), mark_entries)
    boxes = [box for box in mp4.split(trak) if box[0] != b'uuid' or box[1][:16] != _V1]
    return mp4.join(boxes + ([_v1_box(spherical)] if 1 in spherical.versions else []))


def _marked_moov(found, spherical):
    """The bytes of a new moov box; `found` is what `mp4.find_moov` gave."""
    if found is None:
        raise ValueError('there is no moov box')
    start, end, old = found
    boxes = mp4.split(old)
    tracks = [
        i for i, (kind, payload) in enumerate(boxes) if kind == b'trak' and _is_video(payload)
    ]
    if not tracks or any(kind in (b'mvex', b'mdat') for kind, _ in boxes):
        raise ValueError('it is fragmented or has no video track of its own')
    boxes[tracks[0]] = b'trak', _mark_track(boxes[tracks[0]][1], spherical)
    new = mp4.join(boxes)
    return mp4.box(b'moov', mp4.shift_chunks(new, end, len(new) + 8 - (end - start)))


def _copy(source, target, count):
    while count > 0 and (block := source.read(min(count, 1 << 20))):
        target.write(block)
        count -= len(block)


def write_spherical(path, spherical):
    """Writes spherical metadata into an existing mp4 or mov file, atomically.

    The pictures stay as they are, byte for byte. Metadata that the file had is replaced.

    Args:
        path: the mp4 or mov file, not fragmented.
        spherical: `Spherical`, equirectangular. V1 is left out where it cannot say the same: frames
            that are no full sphere, and the stereo layouts 'custom' and 'right-left'.

    Raises:
        ValueError: another projection, stereo layout or scheme; the file is missing, no mp4 or mov,
            fragmented, or its boxes are damaged.
    """
    if spherical.projection != 'equirectangular' or spherical.stereo not in (None, *STEREO):
        raise ValueError(
            f'spherical is {spherical.projection}, {spherical.stereo}; accepted: '
            f'equirectangular and {", ".join(STEREO)} or None'
        )
    if not spherical.versions or not set(spherical.versions) <= {1, 2}:
        raise ValueError(f'versions are {spherical.versions}; accepted: 1, 2 or both')
    if not spherical.full or spherical.stereo in STEREO[3:]:
        spherical = dataclasses.replace(spherical, versions=(2,))
    try:
        with open(path, 'rb') as file:
            found = mp4.find_moov(file)
            moov = _marked_moov(found, spherical)
            with atomic_path(path) as temporary, open(temporary, 'wb') as output:
                file.seek(0)
                _copy(file, output, found[0])
                output.write(moov)
                file.seek(found[1])
                shutil.copyfileobj(file, output, 1 << 20)
    except OSError as error:
        raise ValueError(f'video {path} cannot be written: {error}') from error
    except ValueError as error:
        raise ValueError(f'video {path} takes no spherical metadata: {error}') from error
