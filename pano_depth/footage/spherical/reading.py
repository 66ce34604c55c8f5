"""Reads spherical metadata from mp4, mov, mkv and webm files."""

import dataclasses
import re
import struct
import uuid

from pano_depth.footage import mp4
from pano_depth.footage.spherical import matroska
from pano_depth.footage.spherical.record import STEREO, Spherical

PROJECTIONS = {b'equi': 'equirectangular', b'cbmp': 'cubemap', b'mshp': 'mesh'}
V1 = uuid.UUID('ffcc8263-f855-4a93-8814-587a02521fdd').bytes
# Parts of a panorama that are too small to speak of.
_SOME = 1e-3
# Fields of a visual sample entry before its boxes, bytes (ISO 14496-12).
ENTRY_FIELDS = 78
_V1_ROWS = ('CroppedAreaTopPixels', 'CroppedAreaImageHeightPixels', 'FullPanoHeightPixels')
_V1_COLUMNS = ('CroppedAreaLeftPixels', 'CroppedAreaImageWidthPixels', 'FullPanoWidthPixels')
_V1_VIEW = ('InitialViewHeadingDegrees', 'InitialViewPitchDegrees', 'InitialViewRollDegrees')


def is_video(trak):
    """Whether the payload of a `trak` box is that of a video track."""
    handler = mp4.inside(trak, b'mdia', b'hdlr')
    return handler is not None and handler[8:12] == b'vide'


def _read_v1(trak):
    """`Spherical` of a track's XML, or None."""
    texts = [
        payload[16:] for kind, payload in mp4.split(trak) if kind == b'uuid' and payload[:16] == V1
    ]
    return of_xml(texts[0].decode('utf-8', errors='replace').rstrip('\0')) if texts else None


def of_xml(xml):
    """`Spherical` of the text of V1, or None if it says that the video is no panorama."""
    tags = {
        name: value.strip() for name, value in re.findall(r'<GSpherical:(\w{1,60})>([^<]*)<', xml)
    }
    if tags.get('Spherical', '').lower() != 'true':
        return None
    try:
        top, height, rows = (int(tags[name]) for name in _V1_ROWS)
        left, width, columns = (int(tags[name]) for name in _V1_COLUMNS)
        bounds = _possible(
            (top / rows, 1 - (top + height) / rows, left / columns, 1 - (left + width) / columns)
        )
    except (KeyError, ValueError, ArithmeticError):
        bounds = Spherical.bounds
    projection, stereo = (tags.get(name, '').lower() for name in ('ProjectionType', 'StereoMode'))
    stereo = stereo if stereo in STEREO else None
    view = tuple(_degrees(tags.get(name, '0')) for name in _V1_VIEW)
    return Spherical(
        projection or 'unknown', stereo, bounds=bounds, versions=(1,), xml=xml, view=view
    )


def _possible(bounds):
    """Parts of a panorama that are left out; ValueError unless they leave something of it."""
    top, bottom, left, right = bounds
    if min(bounds) < -_SOME or max(top + bottom, left + right) > 1 - _SOME:
        raise ValueError(f'it leaves out {bounds} of the panorama (top, bottom, left, right)')
    return tuple(max(0.0, part) for part in bounds)


def _degrees(text):
    """An angle of V1; 0 where it is no number."""
    try:
        return float(text) if abs(float(text)) <= 360 else 0.0
    except ValueError:
        return 0.0


def _read_v2(entry):
    """`Spherical` of a sample entry's boxes, or None."""
    entry = entry[ENTRY_FIELDS:]
    projection = mp4.inside(entry, b'sv3d', b'proj')
    if projection is None:
        return None
    mode = mp4.inside(entry, b'st3d')
    if mode is not None and len(mode) < 5:
        raise ValueError('its st3d box is too short')
    stereo = STEREO[mode[4]] if mode and mode[4] < len(STEREO) else None
    kinds = dict(mp4.split(projection))
    kind = next((kind for kind in kinds if kind in PROJECTIONS), None)
    pose = kinds.get(b'prhd', bytes(16))
    if len(pose) < 16:
        raise ValueError('its prhd box is too short')
    pose = tuple(angle / 65536 for angle in struct.unpack_from('>3i', pose, 4))
    return of_box(kind, kinds.get(kind, b''), stereo, pose)


def of_box(kind, payload, stereo, pose):
    """`Spherical` of a projection's box in V2.

    Args:
        kind: b'equi', b'cbmp', b'mshp' or another kind.
        payload: bytes of the box.
        stereo: one of `STEREO`, or None.
        pose: yaw, pitch and roll in degrees.

    Raises:
        ValueError: the payload is too short, or it leaves nothing of the panorama.
    """
    projection, more = PROJECTIONS.get(kind, 'unknown'), {}
    if kind == b'equi':
        if len(payload) < 20:
            raise ValueError('its equi box is too short')
        bounds = struct.unpack_from('>4I', payload, 4)
        more['bounds'] = _possible([part / 2**32 for part in bounds])
    elif kind == b'cbmp':
        if len(payload) < 12:
            raise ValueError('its cbmp box is too short')
        more['cubemap'] = struct.unpack_from('>2I', payload, 4)
    elif kind == b'mshp':
        more['mesh'] = bytes(payload)
    return Spherical(projection, stereo, pose, versions=(2,), **more)


def _read_track(trak):
    if not is_video(trak):
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
    """Reads the spherical metadata of an mp4, mov, mkv or webm file.

    Args:
        path: the file.

    Returns:
        `Spherical` of the first video track that has any; None if no track has any, or if the file
        is of another kind.

    Raises:
        ValueError: the file is missing, or damaged where the metadata stands.
    """
    try:
        with open(path, 'rb') as file:
            if matroska.is_matroska(file):
                return _of_matroska(matroska.read_track(file))
            moov = mp4.find_moov(file)
        boxes = [] if moov is None else mp4.split(moov[2])
        tracks = [_read_track(payload) for kind, payload in boxes if kind == b'trak']
    except OSError as error:
        raise ValueError(f'video {path} cannot be read: {error}') from error
    except ValueError as error:
        raise ValueError(f'the metadata of video {path} is damaged: {error}') from error
    return next((track for track in tracks if track is not None), None)


def _of_matroska(track):
    """`Spherical` of a `matroska.Track`, or None."""
    if track.projection is None:
        return of_xml(track.xml) if track.xml else None
    kind = {1: b'equi', 2: b'cbmp', 3: b'mshp'}.get(track.projection, b'')
    payload = track.private or {b'equi': bytes(20), b'cbmp': bytes(12)}.get(kind, b'')
    found = of_box(kind, payload, track.stereo, track.pose)
    # What is written from it later goes into an mp4 file, which may have both schemes.
    return dataclasses.replace(found, versions=(1, 2))
