"""Writes spherical metadata into mp4 and mov files."""

import dataclasses
import shutil
import struct

from common.run import atomic_path
from pano_depth.footage import mp4
from pano_depth.footage.spherical.reading import ENTRY_FIELDS, V1, is_video
from pano_depth.footage.spherical.record import STEREO

_SOURCE = 'pano_depth'
_V1_XML = (
    '<?xml version="1.0"?><rdf:SphericalVideo'
    ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    ' xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">{}</rdf:SphericalVideo>'
)
_VIEW = ('Heading', 'Pitch', 'Roll')
# Optional boxes of a sample entry, which come after the spherical ones.
_OPTIONAL = (b'clap', b'pasp', b'colr', b'fiel', b'btrt', b'')


def _v1_box(spherical):
    tags = {
        'Spherical': 'true',
        'Stitched': 'true',
        'StitchingSoftware': _SOURCE,
        'ProjectionType': spherical.projection,
    }
    if spherical.stereo is not None:
        tags['StereoMode'] = spherical.stereo
    for name, angle in zip(_VIEW, spherical.view):
        if round(angle):
            tags[f'InitialView{name}Degrees'] = round(angle)
    elements = (f'<GSpherical:{tag}>{value}</GSpherical:{tag}>' for tag, value in tags.items())
    return b'uuid', V1 + _V1_XML.format(''.join(elements)).encode()


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
            if len(entry) >= ENTRY_FIELDS:
                boxes = [
                    box
                    for box in mp4.split(entry[ENTRY_FIELDS:])
                    if box[0] not in (b'st3d', b'sv3d')
                ]
                place = next((i for i, box in enumerate(boxes) if box[0] in _OPTIONAL), len(boxes))
                boxes[place:place] = _v2_boxes(spherical) if 2 in spherical.versions else []
                entry = entry[:ENTRY_FIELDS] + mp4.join(boxes)
            entries.append((kind, entry))
        return table[:8] + mp4.join(entries)

    trak = mp4.changed(trak, (b'mdia', b'minf', b'stbl', b'stsd'), mark_entries)
    boxes = [box for box in mp4.split(trak) if box[0] != b'uuid' or box[1][:16] != V1]
    return mp4.join(boxes + ([_v1_box(spherical)] if 1 in spherical.versions else []))


def _marked_moov(found, spherical):
    """The bytes of a new moov box; `found` is what `mp4.find_moov` gave."""
    if found is None:
        raise ValueError('there is no moov box')
    start, end, old = found
    boxes = mp4.split(old)
    tracks = [i for i, (kind, payload) in enumerate(boxes) if kind == b'trak' and is_video(payload)]
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
