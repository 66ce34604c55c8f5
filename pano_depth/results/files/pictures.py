"""Pictures of a reconstruction: a few frames with their depth, paths, what was left out."""

import functools
import pathlib

import jax.numpy as jnp
import numpy as np

from pano_depth.footage import geometry, media
from pano_depth.kernels import sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.results import panels

PANELS = 4


@functools.lru_cache(maxsize=2)
def rays_of(height):
    """Unit rays [height, 2 height, 3] of equirectangular pixels, float32 numpy."""
    return np.asarray(sphere.ray_directions(height, 2 * height))


def warped_view(source, depth, target_pose, source_pose):
    """A frame synthesised from another one, as the photometric loss compares it.

    Args:
        source: [H, W, 3] uint8.
        depth: [H, W] range of the target frame.
        target_pose, source_pose: (rotation [3, 3], translation [3]) camera to world.

    Returns:
        [H, W, 3] uint8.
    """
    world = source_pose[0].T
    rotation, translation = world @ target_pose[0], world @ (target_pose[1] - source_pose[1])
    return np.asarray(
        warp.synthesize(
            jnp.asarray(source),
            sphere.ray_directions(*depth.shape),
            jnp.asarray(depth),
            jnp.asarray(rotation, jnp.float32),
            jnp.asarray(translation, jnp.float32),
        )
    )


class Shown:
    """Keeps the few frames that are shown, and the frames that they are synthesised from."""

    def __init__(self, result):
        """Chooses frames of a `reconstruction.Reconstruction`."""
        count, self._result = len(result), result
        self.shown = np.unique(
            np.linspace(0, max(count - 1, 0), min(PANELS, count)).round().astype(int)
        )
        self.partner = {i: self._partner(i) for i in self.shown}
        self._images, self._depth, self._truth = {}, {}, {}

    def _partner(self, index):
        """A neighbour in the same piece, whose path is known; None if there is none."""
        piece = self._result.piece_of(index)
        near = [i for i in (index + 1, index - 1) if piece.start <= i < piece.stop]
        return near[0] if near and piece.has_path else None

    def add(self, position, frame, depth):
        """Adds a frame with its depth [H, 2H]."""
        if position in self.shown or position in self.partner.values():
            self._images[position] = frame.image
        if position in self.shown:
            self._depth[position], self._truth[position] = depth, frame.depth

    def write(self, path):
        """Writes the panels."""
        take = lambda kept: np.stack([kept[i] for i in self.shown])
        poses = self._result.poses
        pose = lambda i: (poses.rotation[i], poses.translation[i])
        warped = None
        # Without a path there is nothing to synthesise from; the panels have no holes.
        if None not in self.partner.values():
            views = [
                warped_view(self._images[j], self._depth[i], pose(i), pose(j))
                for i, j in self.partner.items()
            ]
            warped = np.stack(views)
        truth = None if any(truth is None for truth in self._truth.values()) else take(self._truth)
        panels.clip_panels(
            path,
            take(self._images),
            take(self._depth),
            truth=truth,
            warped=warped,
            labels=self.shown,
            title=self._result.name,
        )


def write_path(path: pathlib.Path, result, piece) -> None:
    """Draws the path of a piece, next to the true one where that is known.

    Args:
        path: of the picture.
        result: `reconstruction.Reconstruction`.
        piece: `reconstruction.Piece` of at least two frames.
    """
    truth = result.footage.poses
    if truth is not None:
        kept = result.indices[piece.start : piece.stop]
        truth = geometry.from_first_frame(Motion(*(part[kept] for part in truth)))
    panels.trajectory_plot(
        path,
        piece.analysis.poses,
        truth,
        title=result.name,
        unit='m' if result.unit == 'metre' or truth else 'units',
    )


def write_mask(path: pathlib.Path, mask, height: int) -> None:
    """Writes what is left out, black, as an image that can be given as --mask.

    What is left out in some frames is the darker the more frames these are.

    Args:
        path: of the image.
        mask: False where images do not count, of any size: [h, w], or [frames, h, w].
        height: rows of the image.
    """
    frames = mask[None] if mask.ndim == 2 else mask
    counts = sum(media.nearest(np.asarray(one), height).astype(np.float32) for one in frames)
    media.write_image(path, np.rint(255 / len(frames) * counts).astype(np.uint8))
