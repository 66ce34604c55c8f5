"""View synthesis on the sphere: where points of one view lie in another, and their colours.

Every ray of the target meets the source sphere somewhere, so that nothing ever leaves the image.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Float

from pano_depth.kernels import rigid, sphere
from pano_depth.kernels.shapes import Array, Real

_FAR = 1e30  # metres; still a number when rotated and scaled in float32


def _align(motion, grid, axes, name):
    """Appends axes to `motion` [*leading, *last]; `leading` fits the FIRST axes of `grid`."""
    leading = motion.shape[: motion.ndim - axes]
    if len(leading) > len(grid) or any(m not in (1, g) for m, g in zip(leading, grid)):
        raise ValueError(
            f'{name} has shape {motion.shape}; its leading axes {leading} must match the first axes'
            f' of the depth, {grid}'
        )
    return motion.reshape(
        leading + (1,) * (len(grid) - len(leading)) + motion.shape[motion.ndim - axes :]
    )


def _grid(directions, depth):
    """The shape that directions [..., 3] and depth [...] broadcast to."""
    try:
        return jnp.broadcast_shapes(directions.shape[:-1], depth.shape)
    except ValueError:
        raise ValueError(
            f'directions have shape {directions.shape}, depth has {depth.shape}; expected [..., 3]'
            ' and [...]'
        ) from None


def reproject(
    directions: Real[Array, '*#grid 3'],
    depth: Real[ArrayLike, '*#grid'],
    rotation: Real[Array, '... 3 3'],
    translation: Real[Array, '... 3'],
) -> Float[jax.Array, '*#grid 3']:
    """Viewing directions, in the source camera, of the points that the target camera sees.

    Args:
        directions: unit rays of the target, which broadcast against the depth ([H, W, 3] or
            [6, S, S, 3] for depth [B, H, W] or [B, 6, S, S]).
        depth: range along the rays, metres; infinity is accepted.
        rotation, translation: from the target camera to the source camera. Their leading axes align
            with the FIRST axes of the depth: [B, 6, 3, 3] is a motion per face.

    Returns:
        Unit directions; the rotated ray where the point is the source camera's centre. Gradients
        are finite everywhere.

    Raises:
        ValueError: the shapes do not fit.
    """
    directions, depth, rotation, translation = (
        jnp.asarray(x) for x in (directions, depth, rotation, translation)
    )
    for name, value, last in (
        ('directions', directions, (3,)),
        ('rotation', rotation, (3, 3)),
        ('translation', translation, (3,)),
    ):
        if value.shape[value.ndim - len(last) :] != last:
            raise ValueError(
                f'{name} has shape {value.shape}; expected [..., {", ".join(map(str, last))}]'
            )
    grid = _grid(directions, depth)
    rotation = _align(rotation, grid, 2, 'rotation')
    translation = _align(translation, grid, 1, 'translation')
    rays = rigid.rotate(rotation, jnp.broadcast_to(directions, grid + (3,)))
    # An infinitely far point lies along its ray; arithmetic with infinity would give NaN instead.
    distance = jnp.minimum(depth.astype(jnp.promote_types(depth.dtype, jnp.float32)), _FAR)
    points = rays * distance[..., None] + translation
    # Scaled by the largest component first: the square of a far point would overflow, that of a
    # near point would underflow.
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(points), axis=-1, keepdims=True))
    nowhere = scale < 1e-30
    points = jnp.where(nowhere, rays, points / jnp.where(nowhere, 1.0, scale))
    return points * jax.lax.rsqrt(jnp.sum(points * points, axis=-1, keepdims=True))


def synthesize(
    source: Real[Array, '*batch height width channels'],
    directions: Real[Array, '*#grid 3'],
    depth: Real[ArrayLike, '*#grid'],
    rotation: Real[Array, '... 3 3'],
    translation: Real[Array, '... 3'],
) -> Real[jax.Array, '... channels']:
    """The target view, looked up in the source image.

    Args:
        source: equirectangular, float (uint8 is interpolated and rounded, and has no gradient).
        directions, depth, rotation, translation: as in `reproject`; the first axes of the depth are
            the leading axes of the source, or the depth has none of them (one view, or its six
            faces, for all sources).

    Returns:
        Image on the grid of the depth. It does not know occlusions: for a point that is hidden in
        the source it shows what hides the point.

    Raises:
        ValueError: the shapes do not fit.
    """
    batch, grid = jnp.shape(source)[:-3], _grid(jnp.asarray(directions), jnp.asarray(depth))
    # One view, of faces or of an image, serves all sources; a batch of views must fit the sources.
    if len(batch) and grid[:-2] not in ((), (6,)) and grid[: len(batch)] != batch:
        raise ValueError(
            f'source has shape {jnp.shape(source)}; its leading axes {batch} must be the first axes'
            f' of the depth, {grid}'
        )
    return sphere.sample_equirect(source, reproject(directions, depth, rotation, translation))
