"""Whether two views agree: depth of one frame, looked up in the depth of another."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pano_depth.kernels import sphere, warp

Map = Float[Array | np.ndarray, 'height width']

TOLERANCE = 0.05  # relative difference of range at which agreement has fallen to 0.6
UNCONFIRMED = 0.1  # confidence where there is no other view to compare with


def agreement(
    depth: Map,
    other: Map,
    rotation: Float[Array | np.ndarray, '3 3'],
    translation: Float[Array | np.ndarray, '3'],
) -> Float[Array, 'height width']:
    """How well another view confirms the depth of a frame.

    Each point of the frame is moved into the other camera; there its distance is compared with the
    depth that the other view has in that direction. The result is exp(-d^2 / (2 TOLERANCE^2)) of
    the difference d of their logarithms. Nothing is confirmed where the other view has no depth or
    sees something nearer, which hides the point.

    Args:
        depth: range of the frame; 0 where invalid.
        other: range of the other frame; 0 where invalid.
        rotation, translation: from the camera of the frame to the other camera, in the unit of the
            depth.

    Returns:
        Agreement in [0, 1]; 0 where one of the two is invalid.
    """
    rays = sphere.ray_directions(*depth.shape)
    points = jnp.asarray(depth)[..., None] * rays @ jnp.asarray(rotation).T + translation
    directions = warp.reproject(rays, depth, rotation, translation)
    seen = sphere.sample_equirect(jnp.asarray(other)[..., None], directions, method='nearest')
    expected = jnp.linalg.norm(points, axis=-1)
    valid = (jnp.asarray(depth) > 0) & (seen[..., 0] > 0) & (expected > 0)
    ratio = jnp.where(valid, expected, 1.0) / jnp.where(valid, seen[..., 0], 1.0)
    return jnp.where(valid, jnp.exp(-0.5 * (jnp.log(ratio) / TOLERANCE) ** 2), 0.0)


compiled_agreement = jax.jit(agreement)
