"""Spherical boxes put into video files by a search for kinds in their bytes.

The code under test has no part in it.
"""

import re
import struct
import subprocess
import uuid

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
TRACK = (b'moov', b'trak')
TABLE = (*TRACK, b'mdia', b'minf', b'stbl')
ENTRY = (*TABLE, b'stsd', b'avc1')
V1_ID = uuid.UUID('ffcc8263-f855-4a93-8814-587a02521fdd').bytes
V1_XML = b"""<?xml version="1.0"?>
<rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">
  <GSpherical:Spherical>true</GSpherical:Spherical>
  <GSpherical:Stitched>true</GSpherical:Stitched>
  <GSpherical:StitchingSoftware>
    Some Camera
  </GSpherical:StitchingSoftware>
  <GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>
  <GSpherical:StereoMode>top-bottom</GSpherical:StereoMode>
  %s
</rdf:SphericalVideo>"""


def box(kind, *parts):
    body = b''.join(parts)
    return (8 + len(body)).to_bytes(4, 'big') + kind + body


def v1(extra=b''):
    return box(b'uuid', V1_ID, V1_XML % extra)


def v2(mode=2, bounds=(0, 0, 0, 0), projection=None):
    projection = projection or box(b'equi', bytes(4), struct.pack('>4I', *bounds))
    pose = box(b'prhd', bytes(4), struct.pack('>3i', 90 << 16, -30 << 16, 15 << 16))
    head = box(b'svhd', bytes(4), b'a camera\0')
    return box(b'st3d', bytes(4), bytes([mode])) + box(
        b'sv3d', head, box(b'proj', pose, projection)
    )


def insert(path, boxes, parents):
    """Puts boxes at the end of the innermost of `parents` in a file whose moov stands first."""
    data = bytearray(path.read_bytes())
    starts = [data.find(kind, data.find(parents[0])) - 4 for kind in parents]
    sizes = [int.from_bytes(data[start : start + 4], 'big') for start in starts]
    for start, size in zip(starts, sizes, strict=True):
        data[start : start + 4] = (size + len(boxes)).to_bytes(4, 'big')
    chunks = data.find(b'stco') + 8
    for i in range(int.from_bytes(data[chunks : chunks + 4], 'big')):
        place = chunks + 4 + 4 * i
        data[place : place + 4] = (
            int.from_bytes(data[place : place + 4], 'big') + len(boxes)
        ).to_bytes(4, 'big')
    end = starts[-1] + sizes[-1]
    path.write_bytes(data[:end] + boxes + data[end:])


def says(path):
    """What ffmpeg prints of a video's stereo layout and projection."""
    text = (
        subprocess.run([FFMPEG, '-nostdin', '-i', str(path)], capture_output=True)
        .stderr.decode()
        .lower()
    )
    found = {
        'stereo': re.search(r'stereo ?3d: ([\w ]+)', text),
        'spherical': re.search(r'spherical(?: mapping)?: (.*)', text),
    }
    return {name: match[1].strip() for name, match in found.items() if match}
