"""From pairwise motions to one trajectory in one unit: scale of the frames, chain of the motions.

The networks know depth and motion up to a factor of each frame, that which makes its mean disparity 1. Neighbouring frames see the same surfaces,
so that the ratio of their factors is the ratio of one frame's depth to the other's, carried over by the motion between them.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth import rigid, sphere, warp
from pano_depth.rigid import Motion


@jax.jit
def depth_ratio(depth_target, depth_source, motion, rays):
    """How much longer the unit of the target's depth is than that of the source's, log.

    Args:
      depth_target, depth_source: [H, W] range of two frames, each in a unit of its own.
      motion: `Motion`, target to source camera, its translation in the target's unit.
      rays: [H, W, 3].

    Returns:
      Scalar log(unit of the target / unit of the source): the median over the pixels of the log ratio between the source's depth and what the
      target's points make of it.
    """
    points = rigid.rotate(motion.rotation, rays * depth_target[..., None]) + motion.translation
    expected = jnp.linalg.norm(points, axis=-1)
    directions = warp.reproject(rays, depth_target, motion.rotation, motion.translation)
    seen = sphere.sample_equirect(depth_source[..., None], directions)[..., 0]
    # Each row of an equirectangular image counts by its solid angle.
    weights = jnp.broadcast_to(jnp.linalg.norm(rays[..., ::2], axis=-1), expected.shape).reshape(-1)
    ratio = jnp.log(seen / expected).reshape(-1)
    order = jnp.argsort(ratio)
    cumulative = jnp.cumsum(weights[order])
    return ratio[order[jnp.searchsorted(cumulative, cumulative[-1] / 2)]]


def frame_units(depth, forward, backward):
    """The common unit of a clip's frames.

    Args:
      depth: [N, H, W] range, each frame in a unit of its own.
      forward: `Motion` [N-1], frame i to frame i+1, in the unit of frame i.
      backward: `Motion` [N-1], frame i+1 to frame i, in the unit of frame i+1.

    Returns:
      [N] float64 factors that bring the frames (depth, and motions that start at them) into the unit of frame 0.
    """
    rays = sphere.ray_directions(*depth.shape[1:])
    steps = []
    for i in range(len(depth) - 1):
        pick = lambda motion: Motion(jnp.asarray(motion.rotation[i]), jnp.asarray(motion.translation[i]))
        there = depth_ratio(depth[i], depth[i + 1], pick(forward), rays)
        back = depth_ratio(depth[i + 1], depth[i], pick(backward), rays)
        steps.append((float(back) - float(there)) / 2)
    return np.exp(np.concatenate([[0.0], np.cumsum(steps)]))


def chain(forward, backward, units):
    """Chains the motions of neighbouring frames into a trajectory.

    Args:
      forward, backward, units: as in `frame_units`.

    Returns:
      `Motion` of [N, 3, 3] and [N, 3] numpy float64, camera to world, the world is frame 0's camera, in the unit of frame 0.
    """
    f, b = (Motion(np.asarray(m.rotation, np.float64), np.asarray(m.translation, np.float64)) for m in (forward, backward))
    rotations, positions = [np.eye(3)], [np.zeros(3)]
    for i in range(len(units) - 1):
        # Both describe the motion of frame i+1 into frame i: the backward one, and the inverse of the forward one.
        other = f.rotation[i].T
        translation = (b.translation[i] * units[i + 1] - other @ f.translation[i] * units[i]) / 2
        u, _, vt = np.linalg.svd(b.rotation[i] + other)
        rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        positions.append(positions[-1] + rotations[-1] @ translation)
        rotations.append(rotations[-1] @ rotation)
    return Motion(np.stack(rotations), np.stack(positions))
