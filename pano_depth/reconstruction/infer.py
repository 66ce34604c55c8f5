"""Predictions for footage of any length: depth of every frame and one path, in one unit."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float16, Float32, Float64, UInt8

from pano_depth.kernels import cube, sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array
from pano_depth.learning import model as models
from pano_depth.learning import views
from pano_depth.learning.model import Grid, ModelConfig
from pano_depth.learning.objective import HIDDEN
from pano_depth.reconstruction import trajectory, validity
from pano_depth.reconstruction.validity import Mask

BATCH = 8


class Analysis(NamedTuple):
    """Depth and poses of footage.

    Attributes:
        disparity: on the grid of the model, divided by its mean over the sphere.
        units: depth of a frame = units / disparity. All frames share one unit. It is relative,
            since images alone do not tell metres.
        poses: [frames] in float64, camera to world, in that unit; the world is frame 0's camera.
            None for unrelated images.
        steps: [frames - 1], how the units of neighbours compared before they became one; None for
            unrelated images.
        spread: how much views of an image differ about the logarithm of disparity (`views`); None
            where there was one view.
    """

    disparity: Float32[np.ndarray, 'frames faces rows columns']
    units: Float64[np.ndarray, ' frames']
    poses: Motion | None
    steps: trajectory.UnitStep | None
    spread: Float32[np.ndarray, 'frames faces rows columns'] | None = None


def _upright(frames, grid):
    """Frames in [0, 1] on the grid of the model."""
    views = jnp.broadcast_to(jnp.eye(3), (frames.shape[0], 3, 3))
    return models.look(frames[:, None], grid, views)[:, 0]


@jax.jit
def _images(frames, grid):
    return _upright(frames.astype(jnp.float32) / 255, grid)


@jax.jit
def _floats(frames, masks):
    """Frames in [0, 1], where what is hidden looks as it does in training."""
    return jnp.where(masks[..., None], frames.astype(jnp.float32) / 255, HIDDEN)


@jax.jit
def _shown(frames, masks, grid):
    """`_images` of these."""
    return _upright(_floats(frames, masks), grid)


@functools.partial(jax.jit, static_argnames=('config',))
def _disparity(params, images, grid, config):
    return models.predict_disparity(params, images, grid, config)[0][0]


@functools.partial(jax.jit, static_argnames=('config',))
def _motion(params, target, source, grid, config):
    return models.predict_motion(params, target, source, grid, config)[1]


def motion(
    params: dict,
    target: UInt8[Array, 'pairs height width 3'],
    source: UInt8[Array, 'pairs height width 3'],
    grid: Grid,
    config: ModelConfig,
) -> Motion:
    """Motions between frames, each pair by itself.

    Args:
        params, grid, config: as for `analyse`.
        target, source: equirectangular with H = 2 * face_size.

    Returns:
        [pairs] motions, points of the target camera into the source camera.
    """
    target, source = (_images(np.asarray(frames), grid) for frames in (target, source))
    return _motion(params, target, source, grid, config)


def depth_maps(
    config: ModelConfig, height: int
) -> Callable[
    [Float[Array, 'frames faces rows columns'], Float[Array, ' frames']],
    Float32[jax.Array, 'frames height 2*height'],
]:
    """Makes a function that turns disparity on the grid into equirectangular depth.

    Args:
        config: of the model.
        height: rows of the depth maps.

    Returns:
        Function of disparity and units, as an `Analysis` holds them, that gives range.
    """
    size = (height, 2 * height)
    flat = config.padding == 'equirect'
    table = None if flat else cube.cube_to_equirect_table(config.face_size, *size)

    def resample(faces, table):
        if flat:
            return jax.image.resize(faces[:, 0], (len(faces), *size), 'linear')
        return cube.cube_to_equirect(faces[..., None], *size, table=table)[..., 0]

    # Disparity is interpolated: the network predicts it smoothly, and planes are linear in it.
    compiled = jax.jit(lambda faces, units, table: units[:, None, None] / resample(faces, table))
    return lambda disparity, units: compiled(
        jnp.asarray(disparity), jnp.asarray(units, jnp.float32), table
    )


def estimate_depth(
    params: dict, frames: UInt8[Array, 'frames height width 3'], grid: Grid, config: ModelConfig
) -> Float16[np.ndarray, 'frames height width']:
    """Depth of frames, each frame by itself.

    Args:
        params, frames, grid, config: as for `analyse`.

    Returns:
        Range, whose mean disparity is about 1.
    """
    disparity = analyse(params, frames, grid, config, ordered=False).disparity
    depth_of = depth_maps(config, 2 * config.face_size)
    out = np.empty(frames.shape[:3], np.float16)
    for start in range(0, len(frames), BATCH):
        # The last batch overlaps the one before, so that everything compiles once.
        rows = slice(max(0, min(start, len(frames) - BATCH)), start + BATCH)
        out[rows] = depth_of(disparity[rows], np.ones(len(disparity[rows])))
    return out


def _room_for(found, count):
    """Arrays like those found, but with `count` rows and without values."""
    return jax.tree.map(lambda x: np.empty((count, *x.shape[1:]), x.dtype), found)


def _put(arrays, start, found):
    """Writes a batch into arrays from a row on, as far as it fits."""
    for array, values in zip(jax.tree.leaves(arrays), jax.tree.leaves(found)):
        room = max(0, len(array) - start)
        array[start : start + len(values)] = np.asarray(values)[:room]


def analyse(
    params: dict,
    frames: UInt8[Array, 'frames height width 3'],
    grid: Grid,
    config: ModelConfig,
    *,
    ordered: bool = True,
    distances: Sequence[int] = (1,),
    mask: Mask = None,
    out: Float32[np.ndarray, 'frames faces rows columns'] | None = None,
    spread: Float32[np.ndarray, 'frames faces rows columns'] | None = None,
    on_frames: Callable[[int], None] | None = None,
) -> Analysis:
    """Predicts depth and trajectory of footage, a few frames at a time.

    Args:
        params: {'depth', 'pose'} parameters.
        frames: equirectangular with H = 2 * face_size, in memory or mapped from a file.
        grid: of the model.
        config: of the model.
        ordered: whether neighbours are frames of one moving camera.
        distances: distances between frames over which motions are predicted too, beside direct
            neighbours, to refine the path; the networks have to know these distances.
        mask: False for what is hidden from the networks, as from `objective` in training, at the
            size of the frames: one mask, or one for each frame; None: they see everything.
        out: array that the disparity is written to, such as a file mapped into memory; None for a
            new array.
        spread: array for how much views differ: single images, and unrelated ones, are then seen
            through several views (`views`), which is better and takes `views.COUNT` times as long;
            None: one view.
        on_frames: called with the number of frames done since the last call.

    Returns:
        The analysis; for unrelated images every unit is 1.
    """
    count = len(frames)
    out = np.empty((count, *grid.rays.shape[:3]), np.float32) if out is None else out
    grid, params = jax.tree.map(jnp.asarray, (grid, params))
    tell = on_frames or (lambda _: None)
    if not ordered or (count == 1 and spread is not None):
        for start, fresh, found in _each_alone(params, frames, grid, config, mask, spread):
            for array, values in zip((out, spread), found):
                array[start : start + fresh] = values[:fresh]
            tell(fresh)
        poses = Motion(np.eye(3)[None], np.zeros((1, 3))) if ordered else None
        return Analysis(out, np.ones(count), poses, None, spread)
    distances = sorted({1, *(distance for distance in distances if distance < count)})
    kept = {}
    for start, fresh, disparity, found in _along(params, frames, grid, config, mask, distances):
        out[start : start + fresh] = disparity[:fresh]
        for (name, distance), values in found.items():
            if (name, distance) not in kept:
                # All memory at once: small arrays that stay between large arrays that are freed
                # would let the heap grow without end.
                kept[name, distance] = _room_for(values, count - distance)
            _put(kept[name, distance], start, values)
        tell(fresh)
    links = {distance: (kept['there', distance], kept['back', distance]) for distance in distances}
    steps = kept['steps', 1]
    units = trajectory.frame_units(steps.ratio)
    poses = trajectory.chain(*links[1], units)
    if len(links) > 1:
        poses = trajectory.refine(poses, links, units)
    return Analysis(out, units, poses, steps)


def _along(params, frames, grid, config, mask, distances):
    """Predicts frames of one moving camera, by batches.

    Yields:
        (first frame, how many are new, disparity, {(what, distance): values}): 'there' and 'back'
        are motions over the distance, 'steps' is how the units of neighbours compare.
    """
    count, coarse_depth = len(frames), depth_maps(config, 2 * config.face_size)
    for start in range(0, count, BATCH):
        # Frames beyond the batch, for the pairs across its end; the last one is repeated, so that
        # everything compiles once.
        rows = np.minimum(np.arange(start, start + BATCH + distances[-1]), count - 1)
        images = _seen(frames, rows, mask, grid)
        disparity = _disparity(params, images[: BATCH + 1], grid, config)
        found = {}
        for distance in distances:
            target, source = images[:BATCH], images[distance : distance + BATCH]
            found['there', distance] = _motion(params, target, source, grid, config)
            found['back', distance] = _motion(params, source, target, grid, config)
        depth = coarse_depth(disparity, np.ones(BATCH + 1))
        found['steps', 1] = trajectory.unit_steps(depth, found['there', 1], found['back', 1])
        yield start, min(BATCH, count - start), disparity, found


def _masks_of(mask, rows):
    """The masks of some frames, or the one of all."""
    return np.asarray(mask if mask.ndim == 2 else mask[rows])


def _seen(frames, rows, mask, grid):
    """Some frames on the grid of the model, as the networks see them."""
    if mask is None:
        return _images(np.asarray(frames[rows]), grid)
    return _shown(np.asarray(frames[rows]), _masks_of(mask, rows), grid)


def _each_alone(params, frames, grid, config, mask, spread):
    """Yields (first frame, how many are new, (disparity, spread between views)) by batches."""
    size = BATCH if len(frames) > 1 else 1
    for start in range(0, len(frames), size):
        # The last image is repeated, so that everything compiles once.
        rows = np.minimum(np.arange(start, start + size), len(frames) - 1)
        if spread is None:
            found = (_disparity(params, _seen(frames, rows, mask, grid), grid, config),)
        else:
            masks = np.ones((1, 1), bool) if mask is None else _masks_of(mask, rows)
            found = views.disparity(params, _floats(frames[rows], masks), grid, config)
        yield start, min(size, len(frames) - start), found


def scaled(analysis: Analysis, factor: float) -> Analysis:
    """An `Analysis` in another unit: depth and translations times `factor`."""
    poses = analysis.poses
    poses = None if poses is None else Motion(poses.rotation, poses.translation * factor)
    return analysis._replace(units=analysis.units * factor, poses=poses)


def median_depth(analysis: Analysis, *, mask: Mask = None, samples: int = 64) -> float:
    """Median depth over evenly spaced frames of an `Analysis`, in its unit.

    Args:
        analysis: the frames.
        mask: False for pixels that do not count, of any size: one mask, or one for each frame; or
            None. If it hides everything, everything counts.
        samples: number of frames, at most.
    """
    count = len(analysis.units)
    shown = np.unique(np.linspace(0, count - 1, min(samples, count)).astype(int))
    depth = analysis.units[shown, None, None, None] / analysis.disparity[shown]
    if mask is not None:
        faces, rows, columns = depth.shape[1:]
        whole = faces == 1
        rays = sphere.ray_directions(rows, columns)[None] if whole else cube.face_directions(rows)
        masks = np.stack([validity.of_frame(mask, i) for i in shown], axis=-1)
        counts = np.asarray(sphere.sample_equirect(masks, rays, method='nearest'))
        depth = depth[np.moveaxis(counts, -1, 0)] if counts.any() else depth
    return float(np.median(depth))
