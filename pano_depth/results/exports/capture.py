"""What other tools take of a piece of a reconstruction: cameras with poses, images, points."""

from typing import NamedTuple

from pano_depth.kernels.rigid import Motion
from pano_depth.results.exports.points import Tracks
from pano_depth.results.exports.views import View


class Capture(NamedTuple):
    """Points and the cameras that see them.

    Attributes:
        tracks: the points.
        poses: `Motion` of [N, 3, 3] and [N, 3], camera to world, x right, y down, z forward: the
            places of the N panoramas.
        views: the cameras at each place, of one size: the panorama, or faces.
        images: names of the N panoramas.
    """

    tracks: Tracks
    poses: Motion
    views: list[View]
    images: list[str]
