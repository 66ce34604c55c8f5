"""Pieces of footage that were taken without a cut, each with a path of its own or with none."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import infer, validity
from pano_depth.results.refined import Refined


class Piece(NamedTuple):
    """Frames that were taken without a cut.

    Attributes:
        start, stop: position of its first frame, and of the frame after its last.
        analysis: the predictions of the networks for these frames, scaled, with the path that was
            found; the world is the piece's first camera, or level. Its poses are None if there is
            no path.
        refined: depth and confidence of these frames by geometry, in the same unit, instead of the
            networks' depth; or None.
        mask: False where images do not count: there depth is 0. [h, w] of any size, or
            [frames, h, w], a mask for each of these frames; or None.
    """

    start: int
    stop: int
    analysis: infer.Analysis
    refined: Refined | None = None
    mask: validity.Mask = None

    @property
    def has_path(self) -> bool:
        """Whether the path of the camera is known."""
        return self.analysis.poses is not None


def in_order(pieces: Sequence[tuple[int, int]], moving: Sequence[bool]) -> list[int]:
    """Numbers of pieces in the order in which a reconstruction lists them.

    Args:
        pieces: (position of the first frame, of the frame after the last), in order of time.
        moving: whether each has a path.
    """
    paths = [i for i, moves in enumerate(moving) if moves]
    rest = [i for i, moves in enumerate(moving) if not moves]
    longest = max(paths, key=lambda i: pieces[i][1] - pieces[i][0], default=None)
    return [i for i in paths if i == longest] + [i for i in paths if i != longest] + rest


def all_poses(pieces: Sequence[Piece], count: int) -> Motion | None:
    """The poses of all frames, each in the world of its piece; None without any path.

    Frames of a piece without a path have the identity.

    Args:
        pieces: in any order.
        count: number of frames.
    """
    if not any(piece.has_path for piece in pieces):
        return None
    poses = Motion(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    for piece in pieces:
        if piece.has_path:
            poses.rotation[piece.start : piece.stop] = piece.analysis.poses.rotation
            poses.translation[piece.start : piece.stop] = piece.analysis.poses.translation
    return poses
