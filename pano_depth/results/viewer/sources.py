"""What the viewer shows: a run directory, or a reconstruction in memory, by the same names."""

import itertools
import pathlib

import numpy as np

from pano_depth.results.files.stored import StoredPiece, StoredRun
from pano_depth.results.reconstruction import Reconstruction


class OfResult:
    """A `Reconstruction` by the names of `StoredRun`."""

    def __init__(self, result: Reconstruction):
        """Keeps the result; nothing is computed yet."""
        self._result = result
        self.name, self.unit = result.name, result.unit
        self.numbers = [int(number) for number in result.indices]
        self.pieces = [
            StoredPiece(range(piece.start, piece.stop), piece.analysis.poses, None)
            for piece in result.pieces
        ]
        self.depth, self.confidence = result.depth, result.confidence
        self.image = result.image

    def some_images(self, positions):
        """(position, frame) of increasing positions."""
        if len(positions):
            wanted = set(positions)
            found = self._result.frames(positions[0], positions[-1] + 1)
            yield from ((position, f.image) for position, f in found if position in wanted)

    def cloud(self, number):
        """(points, colours) of a piece; None if it has no path."""
        known = self._result.pieces[number]
        if not known.has_path and len(self._result) > 1:
            return None
        return self._result.cloud(number)


def open_source(source: str | pathlib.Path | Reconstruction) -> StoredRun | OfResult:
    """What is to be shown.

    Args:
        source: a run directory or a reconstruction.

    Raises:
        ValueError: the directory does not exist or holds no result.
    """
    return OfResult(source) if isinstance(source, Reconstruction) else StoredRun(source)


def pose_of(piece: StoredPiece, at: int) -> tuple[np.ndarray, np.ndarray]:
    """(rotation, translation) of frame `at` of a piece, camera to world; without a path its own."""
    if piece.poses is None or at >= len(piece.poses.translation):
        return np.eye(3), np.zeros(3)
    return piece.poses.rotation[at], piece.poses.translation[at]


def evenly(frames: range, most: int) -> range:
    """At most `most` of the frames, at equal distances."""
    return frames[:: max(1, -(-len(frames) // most))]


def images_of(source: StoredRun | OfResult, positions: range) -> dict[int, np.ndarray]:
    """The frames at these positions that can be read."""
    return dict(itertools.islice(source.some_images(positions), len(positions)))
