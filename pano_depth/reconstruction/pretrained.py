"""Trained networks for use from Python: depth of images, motion between them."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Num

from pano_depth.footage import media
from pano_depth.kernels.rigid import Motion
from pano_depth.learning import checkpoints
from pano_depth.learning.model import ModelConfig, make_grid
from pano_depth.reconstruction import infer

Images = Num[Array | np.ndarray, '*batch height width 3']


class Networks:
    """A depth network and a pose network with their parameters.

    Attributes:
        config: configuration of the networks.
        params: {'depth', 'pose'} parameters.
    """

    def __init__(self, params: dict, config: ModelConfig):
        """Holds trained parameters; `load_networks` reads them."""
        self.params, self.config = params, config
        self._grid = make_grid(config)

    def depth(
        self, images: Images, *, averaged: bool = False
    ) -> Float32[np.ndarray, '*batch height width']:
        """Range of every pixel, for each image by itself.

        Args:
            images: equirectangular, uint8 or float in [0, 1], width = 2 x height, any leading
                axes.
            averaged: whether the depth is the mean over eight views of each image, as that of
                single images in a reconstruction, which is better and takes eight times as long.

        Returns:
            Range along the ray in the networks' unit, in which 1 / range has a mean of about 1 over
            the sphere; the networks see 2 * face_size rows, and finer rows are interpolated.

        Raises:
            ValueError: images of another shape, type or range.
        """
        small, batch, height = self._shrink(images, 'images')
        spread = np.empty((len(small), *self._grid.rays.shape[:3]), np.float32)
        analysis = infer.analyse(
            self.params,
            small,
            self._grid,
            self.config,
            ordered=False,
            spread=spread if averaged else None,
        )
        depth_of = infer.depth_maps(self.config, height)
        out = np.empty((len(small), height, 2 * height), np.float32)
        for i, disparity in enumerate(analysis.disparity):
            out[i] = depth_of(disparity[None], np.ones(1, np.float32))[0]
        return out.reshape(*batch, height, 2 * height)

    def motion(self, target: Images, source: Images) -> Motion:
        """Motion of the camera between images.

        Args:
            target, source: equirectangular images as for `depth`, with equal leading axes.

        Returns:
            Motion that takes points of the target camera into the source camera, X_source =
            rotation @ X_target + translation, in the networks' unit.

        Raises:
            ValueError: as `depth`, or leading axes that differ.
        """
        targets, batch, _ = self._shrink(target, 'target')
        sources, other, _ = self._shrink(source, 'source')
        if batch != other:
            raise ValueError(
                f'target has the leading axes {batch}, source {other}; accepted: equal'
            )
        size = 1 if len(targets) == 1 else infer.BATCH
        found = []
        for start in range(0, len(targets), size):
            # The last image is repeated, so that everything compiles once.
            rows = np.minimum(np.arange(start, start + size), len(targets) - 1)
            pairs = targets[rows], sources[rows]
            found.append(infer.motion(self.params, *pairs, self._grid, self.config))
        rotation, translation = (
            jnp.concatenate(parts)[: len(targets)] for parts in zip(*found, strict=True)
        )
        return Motion(rotation.reshape(*batch, 3, 3), translation.reshape(*batch, 3))

    def _shrink(self, images, name):
        """(uint8 [N, 2 S, 4 S, 3], leading axes, rows) of images at the size of the networks."""
        images = np.asarray(images)
        if images.ndim < 3 or images.shape[-1] != 3 or images.shape[-2] != 2 * images.shape[-3]:
            raise ValueError(
                f'{name} has the shape {images.shape}; accepted: [..., H, 2H, 3], equirectangular'
            )
        if images.size == 0:
            raise ValueError(f'{name} has the shape {images.shape}: there is no image in it')
        if images.dtype != np.uint8:
            if not np.issubdtype(images.dtype, np.floating):
                raise ValueError(f'{name} is {images.dtype}; accepted: uint8, or float in [0, 1]')
            if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
                raise ValueError(f'{name} has values outside of [0, 1]; accepted: float in [0, 1]')
            images = np.rint(images * 255).astype(np.uint8)
        batch, height = images.shape[:-3], images.shape[-3]
        rows = 2 * self.config.face_size
        flat = images.reshape(-1, height, 2 * height, 3)
        small = [media.resize_equirect(image, rows, 2 * rows) for image in flat]
        return np.stack(small), batch, height


def load_networks(name: str | pathlib.Path = 'default') -> Networks:
    """Reads trained networks.

    Args:
        name: 'default' for the networks of the package, the workdir of a run that trained or
            adapted networks, or a `.npz` of `--save_weights`.

    Returns:
        `Networks`.

    Raises:
        ValueError: there are no networks, or they are of another version.
    """
    params, config = checkpoints.trained_model(str(name))
    return Networks(jax.tree.map(jnp.asarray, params), config)
