"""What trained networks say of a clip: depth of every frame, the camera's path, in one unit."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth import cube, media, model as models, trajectory
from pano_depth.rigid import Motion

BATCH = 8


class Estimate(NamedTuple):
    """Depth and poses of a clip.

    Attributes:
      depth: [N, H, W] float32 range; all frames in one unit, which is relative: nothing in the images tells metres.
      poses: `Motion` [N, 3, 3] and [N, 3] float64, camera to world, in that unit; the world is frame 0's camera.
      units: [N] factors by which the frames' own units were brought to the common one.
    """

    depth: np.ndarray
    poses: Motion
    units: np.ndarray


@functools.partial(jax.jit, static_argnames=('config',))
def _images(frames, grid, config):
    del config
    upright = jnp.broadcast_to(jnp.eye(3), (frames.shape[0], 3, 3))
    return models.look(frames[:, None].astype(jnp.float32) / 255, grid, upright)[:, 0]


@functools.partial(jax.jit, static_argnames=('config',))
def _disparity(params, images, grid, config):
    return models.predict_disparity(params, images, grid, config)[0][0]


@functools.partial(jax.jit, static_argnames=('config',))
def _motions(params, target, source, grid, config):
    return models.predict_motion(params, target, source, grid, config)[1]


def _in_batches(function, *arrays):
    """Calls function on rows of the arrays in batches of one size, so that it compiles once; stacks the results as numpy."""
    count, results = len(arrays[0]), []
    for start in range(0, count, BATCH):
        rows = np.minimum(np.arange(start, start + BATCH), count - 1)
        results.append(jax.device_get(function(*(array[rows] for array in arrays))))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *results)


def grid_images(frames, grid, config):
    """Frames [N, H, W, 3] uint8 as the model sees them: [N, F, h, w, 3] float32, shrunk to the resolution of the grid first."""
    height = 2 * config.face_size
    small = np.stack([media.resize_equirect(frame, height, 2 * height) for frame in frames])
    return _in_batches(lambda part: _images(part, grid, config), small)


def predict_depth(params, images, grid, config, height):
    """Depth of frames, each in its own unit.

    Args:
      params: {'depth', 'pose'} parameters.
      images: [N, F, h, w, 3] from `grid_images`.
      grid: `Grid`.
      config: `ModelConfig`.
      height: rows of the result.

    Returns:
      [N, height, 2 height] float32 range.
    """
    if config.padding == 'equirect':
        resample = lambda x: jax.image.resize(x[:, 0, ..., 0], (x.shape[0], height, 2 * height), 'linear')
    else:
        table = cube.cube_to_equirect_table(config.face_size, height, 2 * height)
        resample = lambda x: cube.cube_to_equirect(x, height, 2 * height, table=table)[..., 0]
    # Disparity is what the network predicts smoothly, and planes are linear in it.
    return _in_batches(lambda part: 1 / resample(_disparity(params, part, grid, config)[..., None]), images)


def predict_motions(params, images, grid, config):
    """Motions between neighbouring frames.

    Returns:
      (forward, backward): `Motion`s [N-1] of frame i to i+1 in the unit of frame i, and of i+1 to i in the unit of i+1, numpy.
    """
    motions = lambda a, b: _in_batches(lambda x, y: _motions(params, x, y, grid, config), a, b)
    return motions(images[:-1], images[1:]), motions(images[1:], images[:-1])


def estimate(params, frames, grid, config, *, height):
    """Depth and trajectory of a clip.

    Args:
      params: {'depth', 'pose'} parameters.
      frames: [N, H, W, 3] uint8, in an order in which neighbours overlap.
      grid: `Grid`.
      config: `ModelConfig`.
      height: rows of the depth maps.

    Returns:
      `Estimate`, scaled such that the median depth of the clip is 1.
    """
    images = grid_images(frames, grid, config)
    depth = predict_depth(params, images, grid, config, height)
    if len(frames) == 1:
        units, poses = np.ones(1), Motion(np.eye(3)[None], np.zeros((1, 3)))
    else:
        forward, backward = predict_motions(params, images, grid, config)
        units = trajectory.frame_units(depth, forward, backward)
        poses = trajectory.chain(forward, backward, units)
    depth = depth * units[:, None, None].astype(np.float32)
    scale = 1 / float(np.median(depth))
    return Estimate(depth * np.float32(scale), Motion(poses.rotation, poses.translation * scale), units * scale)
