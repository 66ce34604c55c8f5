"""The frames of a reconstruction in one cloud, one by one; the cloud of each piece as a file."""

import pathlib

import numpy as np

from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import infer
from pano_depth.results import cloud, ply
from pano_depth.results.files import pictures


class FrameFusion:
    """A cloud to which the frames of a piece are added one by one.

    Attributes:
        max_depth: farther points are left out, since the clip's baseline is too short for them.
    """

    ROWS = 256  # the cloud needs no finer rows, and fusing takes most of the time
    FAR = 4.0  # median depths

    def __init__(self, height: int, piece, voxel: float | None):
        """Starts an empty cloud.

        Args:
            height: rows of the frames.
            piece: `reconstruction.Piece`.
            voxel: as for `Reconstruction.fusion`.
        """
        middle = infer.median_depth(piece.analysis)
        self.max_depth = self.FAR * middle
        self._step, self._start = max(1, height // self.ROWS), piece.start
        self._poses = piece.analysis.poses or Motion(np.eye(3)[None], np.zeros((1, 3)))
        rays = pictures.rays_of(height)[:: self._step, :: self._step]
        self._fusion = cloud.Fusion(
            *rays.shape[:2], directions=rays, voxel=voxel or 0.01 * middle, max_depth=self.max_depth
        )

    def add(self, position: int, image, depth) -> None:
        """Adds a frame: its position in the footage, [H, 2H, 3] uint8 and its depth [H, 2H]."""
        step, at = self._step, position - self._start
        self._fusion.add(
            image[::step, ::step],
            depth[::step, ::step],
            self._poses.rotation[at],
            self._poses.translation[at],
        )

    def result(self):
        """(points [M, 3] float32, colours [M, 3] uint8) of the frames so far."""
        return self._fusion.result()


class CloudFiles:
    """The clouds of all pieces, written one after the other: only one is in memory.

    Attributes:
        facts: by number of the piece, what `run.json` says of its cloud.
    """

    def __init__(self, folder: pathlib.Path, result, *, axes: str, voxel: float | None):
        """Starts without frames.

        Args:
            folder: of the files.
            result: `reconstruction.Reconstruction`.
            axes, voxel: as for `predict.write_results`.
        """
        self._folder, self._result, self._axes, self._voxel = folder, result, axes, voxel
        self._number, self._fusion, self.facts = None, None, {}

    def add(self, position: int, image) -> None:
        """Adds a frame, in order of time; the cloud of a piece is written at its last one."""
        piece = self._result.piece_of(position)
        if position == piece.start:
            self._number = self._result.number_of(position)
            self._fusion = self._result.fusion(self._voxel, self._number)
        if self._fusion is None:
            return
        self._fusion.add(position, image, self._result.solid(position))
        if position == piece.stop - 1:
            self._write()

    def _write(self):
        points, colours = self._fusion.result()
        name = file_name('cloud', self._number, '.ply')
        ply.write_ply(self._folder / name, points, colours, axes=self._axes)
        self.facts[self._number] = {
            'cloud_points': len(points),
            'cloud_axes': self._axes,
            'cloud_max_depth': self._fusion.max_depth,
        }
        self._fusion = None


def file_name(stem: str, number: int, suffix: str) -> str:
    """The name of a file of a piece: cloud.ply of the first, cloud_2.ply of the second."""
    return f'{stem}{f"_{number + 1}" if number else ""}{suffix}'
