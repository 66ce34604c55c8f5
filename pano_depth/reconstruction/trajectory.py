"""From pairwise motions to one trajectory in one unit: scale of the frames, chain of the motions.

In each frame, the networks know depth and motion up to a factor: the one that makes the mean
disparity of the frame 1. Neighbouring frames see the same surfaces, so that the ratio of their
factors is the ratio of one frame's depth to the other's, carried over by the motion between them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64
from scipy import sparse
from scipy.sparse import linalg

from pano_depth.kernels import rigid, sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array


class UnitStep(NamedTuple):
    """How the units of two frames compare.

    Attributes:
        ratio: log(unit of the target / unit of the source).
        spread: median absolute deviation of that log ratio over the pixels: how much their depths
            disagree beyond one factor.
    """

    ratio: Float[Array, '*pairs']
    spread: Float[Array, '*pairs']


def _weighted_median(values, weights):
    order = jnp.argsort(values)
    cumulative = jnp.cumsum(weights[order])
    return values[order[jnp.searchsorted(cumulative, cumulative[-1] / 2)]]


def unit_step(
    depth_target: Float[Array, 'height width'],
    depth_source: Float[Array, 'height width'],
    motion: Motion,
    rays: Float[Array, 'height width 3'],
) -> UnitStep:
    """Compares the units of two frames.

    Args:
        depth_target, depth_source: range of two frames, each in a unit of its own.
        motion: one motion, target to source camera, its translation in the target's unit.
        rays: unit rays of the pixels.

    Returns:
        Scalars: the median over the pixels, weighted by solid angle, of the log ratio between the
        source's depth and the distance of the target's points from the source camera.
    """
    points = rigid.rotate(motion.rotation, rays * depth_target[..., None]) + motion.translation
    expected = jnp.linalg.norm(points, axis=-1)
    directions = warp.reproject(rays, depth_target, motion.rotation, motion.translation)
    seen = sphere.sample_equirect(depth_source[..., None], directions)[..., 0]
    weights = jnp.broadcast_to(jnp.linalg.norm(rays[..., ::2], axis=-1), expected.shape).reshape(-1)
    ratio = jnp.log(seen / expected).reshape(-1)
    median = _weighted_median(ratio, weights)
    return UnitStep(median, _weighted_median(jnp.abs(ratio - median), weights))


@jax.jit
def unit_steps(
    depth: Float[Array, 'frames height width'], forward: Motion, backward: Motion
) -> UnitStep:
    """Compares the units of neighbouring frames both ways, so that a bias of one way cancels.

    Args:
        depth: range, each frame in a unit of its own.
        forward: [frames - 1] motions, frame i to frame i+1, in the unit of frame i.
        backward: [frames - 1] motions, frame i+1 to frame i, in the unit of frame i+1.

    Returns:
        [frames - 1], from frame i to frame i+1: log(unit of frame i+1 / unit of frame i).
    """
    rays = sphere.ray_directions(*depth.shape[1:])

    def one(pair):
        first, second, there, back = pair
        there, back = unit_step(first, second, there, rays), unit_step(second, first, back, rays)
        return UnitStep((back.ratio - there.ratio) / 2, (back.spread + there.spread) / 2)

    return jax.lax.map(one, (depth[:-1], depth[1:], forward, backward))


def frame_units(steps: Float[Array, ' steps']) -> Float64[np.ndarray, ' steps+1']:
    """The common unit of a clip's frames.

    Args:
        steps: logarithms from `unit_steps`.

    Returns:
        Factors that bring the frames (depth, and motions that start at them) into the unit of frame
        0.
    """
    return np.exp(np.concatenate([[0.0], np.cumsum(np.asarray(steps, np.float64))]))


def refine(
    path: Motion, links: dict[int, tuple[Motion, Motion]], units: Float[np.ndarray, ' frames']
) -> Motion:
    """Improves the positions of a trajectory by motions over longer distances.

    The errors of these motions grow less than the distances.

    Args:
        path: [frames] poses from `chain`.
        links: {distance k: (forward, backward)}, [frames - k] motions of frame i to frame i+k in
            the unit of frame i, and of frame i+k to frame i in the unit of frame i+k.
        units: from `frame_units`.

    Returns:
        [frames] poses: the rotations of `path`, and the positions that fit all differences best in
        the sense of least squares, weighted by 1 / sqrt(distance); frame 0 stays.
    """
    rotation, count = path.rotation, len(units)
    rows, differences, weights = [], [], []
    for distance, (forward, backward) in links.items():
        first = np.arange(count - distance)
        second = first + distance
        f, b = (
            Motion(*(np.asarray(part, np.float64) for part in motion))
            for motion in (forward, backward)
        )
        turn = lambda r, t: np.einsum('nij,nj->ni', r, t)
        # The way from the earlier to the later camera by the forward and by the backward motion,
        # both in the world's axes.
        inverse = -turn(np.swapaxes(f.rotation, 1, 2), f.translation)
        differences += [
            turn(rotation[first], inverse * units[first, None]),
            turn(rotation[first], b.translation * units[second, None]),
        ]
        rows += [np.stack([first, second])] * 2
        weights += [np.full(2 * len(first), distance**-0.5)]
    first, second = np.concatenate(rows, axis=1)
    index, weights = np.arange(len(first)), np.concatenate(weights)
    system = sparse.coo_array(
        (np.concatenate([weights, -weights]), (np.tile(index, 2), np.concatenate([second, first]))),
        (len(first), count),
    ).tocsc()
    system = system[:, 1:]
    positions = linalg.splu((system.T @ system).tocsc()).solve(
        system.T @ (weights[:, None] * np.concatenate(differences))
    )
    return Motion(rotation, np.concatenate([np.zeros((1, 3)), positions]))


def chain(forward: Motion, backward: Motion, units: Float[np.ndarray, ' frames']) -> Motion:
    """Chains the motions of neighbouring frames into a trajectory.

    Args:
        forward, backward: as in `unit_steps`.
        units: from `frame_units`.

    Returns:
        [frames] poses, numpy float64, camera to world, in the unit of frame 0; the world is frame
        0's camera.
    """
    f, b = (
        Motion(np.asarray(m.rotation, np.float64), np.asarray(m.translation, np.float64))
        for m in (forward, backward)
    )
    rotations, positions = [np.eye(3)], [np.zeros(3)]
    for i in range(len(units) - 1):
        # The backward motion and the inverse of the forward motion both take frame i+1 into frame
        # i.
        other = f.rotation[i].T
        translation = (b.translation[i] * units[i + 1] - other @ f.translation[i] * units[i]) / 2
        u, _, vt = np.linalg.svd(b.rotation[i] + other)
        rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        positions.append(positions[-1] + rotations[-1] @ translation)
        rotations.append(rotations[-1] @ rotation)
    return Motion(np.stack(rotations), np.stack(positions))
