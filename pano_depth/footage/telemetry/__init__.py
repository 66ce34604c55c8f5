"""Telemetry: what sensors of the camera wrote into a video file, read for the gravity in it.

Two kinds of tracks of mp4, mov and .360 files are read: `gpmd`, GoPro's GPMF
(https://github.com/gopro/gpmf-parser), and `camm`, Google's Camera Motion Metadata
(https://developers.google.com/streetview/publish/camm-spec).
"""

from pano_depth.footage.telemetry.gravity import Gravity, read_gravity

__all__ = ['Gravity', 'read_gravity']
