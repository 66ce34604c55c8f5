"""What trained networks say of footage, of any length: depth of every frame, the camera's path, in
one unit.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth.kernels import cube
from pano_depth.kernels.rigid import Motion
from pano_depth.learning import model as models
from pano_depth.reconstruction import trajectory

BATCH = 8


class Analysis(NamedTuple):
    """Depth and poses of footage of N frames.

    Attributes:
        disparity: [N, F, h, w] float32 on the grid of the model, divided by its mean over the
            sphere.
        units: [N] float64, depth of a frame = units / disparity. All frames share one unit, which
            is relative: nothing in the images tells metres.
        poses: `Motion` [N, 3, 3] and [N, 3] float64, camera to world, in that unit; the world is
            frame 0's camera. None for unrelated images.
        steps: `trajectory.UnitStep` of [N-1], how neighbours compare before their units were
            brought together; None for unrelated images.
    """

    disparity: np.ndarray
    units: np.ndarray
    poses: Motion | None
    steps: trajectory.UnitStep | None


@functools.partial(jax.jit, static_argnames=('config',))
def _images(frames, grid, config):
    del config
    upright = jnp.broadcast_to(jnp.eye(3), (frames.shape[0], 3, 3))
    return models.look(frames[:, None].astype(jnp.float32) / 255, grid, upright)[:, 0]


@functools.partial(jax.jit, static_argnames=('config',))
def _disparity(params, images, grid, config):
    return models.predict_disparity(params, images, grid, config)[0][0]


@functools.partial(jax.jit, static_argnames=('config',))
def _motion(params, target, source, grid, config):
    return models.predict_motion(params, target, source, grid, config)[1]


def depth_maps(config, height):
    """Makes a function that turns disparity on the grid into equirectangular depth.

    Args:
        config: `ModelConfig`.
        height: rows of the depth maps.

    Returns:
        function(disparity [N, F, h, w], units [N]) -> [N, height, 2 height] float32 range.
    """
    size = (height, 2 * height)
    if config.padding == 'equirect':
        resample = lambda faces, unused_table: jax.image.resize(
            faces[:, 0], (len(faces), *size), 'linear'
        )
        table = None
    else:
        resample = lambda faces, table: cube.cube_to_equirect(faces[..., None], *size, table=table)[
            ..., 0
        ]
        table = cube.cube_to_equirect_table(config.face_size, *size)
    # Disparity is what the network predicts smoothly, and planes are linear in it.
    compiled = jax.jit(lambda faces, units, table: units[:, None, None] / resample(faces, table))
    return lambda disparity, units: compiled(
        jnp.asarray(disparity), jnp.asarray(units, jnp.float32), table
    )


def estimate_depth(params, frames, grid, config):
    """Depth of frames, each for itself.

    Args:
        params, frames, grid, config: as for `analyse`.

    Returns:
        [N, H, 2H] float16 range, whose mean disparity is about 1.
    """
    disparity = analyse(params, frames, grid, config, ordered=False).disparity
    depth_of = depth_maps(config, 2 * config.face_size)
    out = np.empty(frames.shape[:3], np.float16)
    for start in range(0, len(frames), BATCH):
        # The last batch overlaps the one before, so that everything compiles once.
        rows = slice(max(0, min(start, len(frames) - BATCH)), start + BATCH)
        out[rows] = depth_of(disparity[rows], np.ones(len(disparity[rows])))
    return out


def _put(arrays, start, found):
    """Writes a batch into arrays from a row on, as far as it fits."""
    for array, values in zip(jax.tree.leaves(arrays), jax.tree.leaves(found)):
        room = max(0, len(array) - start)
        array[start : start + len(values)] = np.asarray(values)[:room]


def analyse(
    params, frames, grid, config, *, ordered=True, distances=(1,), out=None, on_frames=None
):
    """Predicts depth and trajectory of footage, a few frames at a time.

    Args:
        params: {'depth', 'pose'} parameters.
        frames: [N, H, 2H, 3] uint8 with H = 2 * face_size, in memory or mapped from a file.
        grid: `Grid`.
        config: `ModelConfig`.
        ordered: whether neighbours are frames of one moving camera.
        distances: between which frames motions are predicted, beside direct neighbours, to refine
            the path; those that the networks know.
        out: [N, F, h, w] float32 to write the disparity to, such as a file in memory; None for a
            new array.
        on_frames: called with the number of frames done since the last call.

    Returns:
        `Analysis`; without order every unit is 1.
    """
    count = len(frames)
    out = np.empty((count, *grid.rays.shape[:3]), np.float32) if out is None else out
    grid, params = jax.tree.map(jnp.asarray, (grid, params))
    coarse_depth = depth_maps(config, 2 * config.face_size)
    distances = (
        sorted({1, *(distance for distance in distances if distance < count)}) if ordered else [0]
    )
    kept = {}
    for start in range(0, count, BATCH):
        # Frames beyond the batch, for the pairs across its end; the last one is repeated, so that
        # everything compiles once.
        rows = np.minimum(np.arange(start, start + BATCH + distances[-1]), count - 1)
        images = _images(np.asarray(frames[rows]), grid, config)
        disparity = _disparity(params, images[: BATCH + 1], grid, config)
        fresh = min(BATCH, count - start)
        out[start : start + fresh] = disparity[:fresh]
        for distance in distances if ordered else ():
            target, source = images[:BATCH], images[distance : distance + BATCH]
            there = _motion(params, target, source, grid, config)
            back = _motion(params, source, target, grid, config)
            known = [((distance, 'there'), there), ((distance, 'back'), back)]
            if distance == 1:
                known.append(
                    (
                        'steps',
                        trajectory.unit_steps(
                            coarse_depth(disparity, np.ones(BATCH + 1)), there, back
                        ),
                    )
                )
            for name, found in known:
                if name not in kept:
                    # All at once: many small arrays that stay between large ones that go would let
                    # the heap grow without end.
                    kept[name] = jax.tree.map(
                        lambda x: np.empty((count - distance, *x.shape[1:]), x.dtype), found
                    )
                _put(kept[name], start, found)
        if on_frames is not None:
            on_frames(fresh)
    if not ordered:
        return Analysis(out, np.ones(count), None, None)
    links = {distance: (kept[distance, 'there'], kept[distance, 'back']) for distance in distances}
    steps = kept['steps']
    units = trajectory.frame_units(steps.ratio)
    poses = trajectory.chain(*links[1], units)
    return Analysis(
        out, units, trajectory.refine(poses, links, units) if len(links) > 1 else poses, steps
    )


def scaled(analysis, factor):
    """An `Analysis` in another unit: depth and translations times `factor`."""
    poses = analysis.poses
    poses = None if poses is None else Motion(poses.rotation, poses.translation * factor)
    return analysis._replace(units=analysis.units * factor, poses=poses)


def median_depth(analysis, *, samples=64):
    """Median depth over evenly spaced frames of an `Analysis`, in its unit."""
    shown = np.unique(
        np.linspace(0, len(analysis.units) - 1, min(samples, len(analysis.units))).astype(int)
    )
    return float(np.median(analysis.units[shown, None, None, None] / analysis.disparity[shown]))
