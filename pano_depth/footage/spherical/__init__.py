"""Spherical metadata: what tells a player that a video is a panorama.

Both schemes of https://github.com/google/spatial-media are read and written: V1
(docs/spherical-video-rfc.md), an XML text in a `uuid` box of the video track, and V2
(docs/spherical-video-v2-rfc.md), the boxes `st3d` and `sv3d` in the sample entry of the video.
Where a file has both, V2 counts. Of mkv and webm files the same is read, and nothing is written.
"""

from pano_depth.footage.spherical.reading import read_spherical
from pano_depth.footage.spherical.record import STEREO, Spherical, as_equirect, mono_equirect
from pano_depth.footage.spherical.writing import write_spherical

__all__ = [
    'STEREO',
    'Spherical',
    'as_equirect',
    'mono_equirect',
    'read_spherical',
    'write_spherical',
]
