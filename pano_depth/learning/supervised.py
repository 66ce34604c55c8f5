"""Errors of predicted disparity and motion against known ones."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from pano_depth.kernels import rigid, sphere
from pano_depth.kernels.shapes import Array, Real, Scalar
from pano_depth.learning import augment, losses
from pano_depth.learning.model import Grid


def seen(
    image: Real[Array, 'height width'], directions: Float[Array, '*shape 3']
) -> Real[jax.Array, '*shape']:
    """The nearest pixels of a camera's mask or depth in unit directions of the camera frame."""
    return sphere.sample_equirect(image[..., None], directions, method='nearest')[..., 0]


def log_error(
    depth: Float[Array, 'batch height width'],
    disparity: Float[Array, 'batch faces rows columns'],
    view: Float[Array, 'batch 3 3'],
    weights: Float[Array, 'batch faces rows columns'],
    grid: Grid,
    importance: Float[Array, 'batch faces rows columns'] | Scalar = 1.0,
    *,
    confidence: Float[Array, 'batch height width'] | None = None,
    share: Float[Array, ' batch'] | None = None,
) -> tuple[Float[jax.Array, ''], Float[jax.Array, ' batch']]:
    """Mean |log disparity| difference to known depth, and the unit of the prediction.

    Args:
        depth: range in the cameras' frames, 0 where unknown.
        disparity: predicted, mean 1.
        view: orthogonal matrices through which the model looks, camera direction = view @ ray.
        weights: of the pixels, 0 where masked.
        grid: of the model.
        importance: factor of each pixel's error.
        confidence: in [0, 1], of the depth; what is less sure counts less, not relative to the rest
            of the image but altogether. None: all depth is sure.
        share: factor of each example's error, or None.

    Returns:
        (error, units of the predictions in a unit of the depth).
    """
    rays = jax.vmap(rigid.rotate, in_axes=(0, None))(view, grid.rays)
    true_range = jax.vmap(seen)(depth, rays)
    every, weights = weights, jnp.where(true_range > 0, weights, 0.0)
    if confidence is not None:
        sure = jnp.where(true_range > 0, jax.vmap(seen)(confidence, rays), 0.0)
        weights, importance = weights * sure, importance * sure
    known = jnp.where(true_range > 0, 1 / jnp.where(true_range > 0, true_range, 1.0), 0.0)
    # Both disparities have the mean 1 over the known pixels; where there are none, the means are 0
    # and the ratio is not used.
    mean = lambda x: (
        (x * weights).sum(axis=(1, 2, 3), keepdims=True)
        / jnp.maximum(weights.sum(axis=(1, 2, 3), keepdims=True), 1e-6)
    )
    unit, mine = (jnp.maximum(mean(x), 1e-6) for x in (known, disparity))
    true = jnp.where(true_range > 0, known / unit, 1.0)
    ratio = jnp.where(true_range > 0, disparity / mine / true, 1.0)
    errors = importance * jnp.abs(jnp.log(ratio))
    if share is not None:
        errors = errors * share[:, None, None, None]
    counted = weights if confidence is None else every
    unit = jax.lax.stop_gradient(unit / mine)
    return losses.weighted_mean(errors, counted), unit[:, 0, 0, 0]


def motion_error(
    true: rigid.Motion,
    unit: Float[Array, ' batch'],
    motion: rigid.Motion,
    view: Float[Array, 'batch 3 3'],
    share: Float[Array, ' batch'] | None = None,
) -> Float[jax.Array, '']:
    """Mean error of the motions of both sources, in the frames of the views.

    Args:
        true: [2 * batch] known motions.
        unit: factor from lengths of the truth to those of the prediction.
        motion: [2 * batch, faces] predicted.
        view: orthogonal matrices through which the model looks.
        share: factor of each example's error, or None.
    """
    twice = lambda x: jnp.concatenate([x, x])
    turned = augment.conjugate(true, twice(view))
    moved = motion.translation - (turned.translation * twice(unit)[:, None])[:, None]
    rotated = motion.rotation - turned.rotation[:, None]
    if share is None:
        return jnp.abs(moved).mean() + jnp.abs(rotated).mean()
    each = jnp.abs(moved).mean(axis=(1, 2)) + jnp.abs(rotated).mean(axis=(1, 2, 3))
    return jnp.mean(each * twice(share))
