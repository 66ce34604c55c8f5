"""How well the target of a triplet is synthesised from its sources, the frames around it."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from pano_depth.kernels import rigid, sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array, Real, Scalar
from pano_depth.learning import losses, networks
from pano_depth.learning.model import Grid
from pano_depth.learning.supervised import seen


def _halve(images, times):
    """[B, F, h, w, C] -> [B, F, h / 2^times, w / 2^times, C] by averaging."""
    b, f, h, w, c = images.shape
    size = 2**times
    if not times:
        return images
    return images.reshape(b, f, h // size, size, w // size, size, c).mean(axis=(3, 5))


def twice(x: Real[Array, ' batch *rest']) -> Real[jax.Array, ' pairs *rest']:
    """A batch behind itself: what both sources have in common."""
    return jnp.concatenate([x, x])


def both(triplets: Real[Array, ' batch 3 *rest']) -> Real[jax.Array, ' pairs *rest']:
    """The sources of triplets: all previous frames, then all next ones."""
    return jnp.concatenate([triplets[:, 0], triplets[:, 2]])


def counting(
    mask: Real[Array, 'height width'] | Real[Array, 'batch height width'],
    directions: Float[Array, 'batch faces rows columns 3'],
) -> Real[jax.Array, 'batch faces rows columns']:
    """Where directions show what counts, by one mask or by one for each example."""
    return seen(mask, directions) if mask.ndim == 2 else jax.vmap(seen)(mask, directions)


def _synthesize(frames, disparity, motion, view, mask, grid):
    """The target synthesised from both sources, and where it would show masked pixels.

    Returns:
        Views [2B, F, h, w, 3]; and [2B, F, h, w], 1 where they would show what is masked, or None.
    """
    turned = warp.reproject(grid.rays, 1 / twice(disparity), motion.rotation, motion.translation)
    turned = rigid.rotate(twice(view)[:, None, None, None], turned)
    hidden = None
    if mask is not None:
        hidden = 1 - counting(mask if mask.ndim == 2 else both(mask), turned)
    return jax.vmap(sphere.sample_equirect)(both(frames), turned), hidden


def _compare(views, hidden, images, weights, share, pad, pyramid, ssim_weight, automask):
    """The photometric error of synthesised views at several resolutions.

    Args:
        views, hidden: from `_synthesize`.
        images: [B, 3, F, h, w, 3] the triplet itself.
        weights: [B, F, h, w] of the target's pixels, 0 where masked.
        share: 1 for the minimum over the two sources, 0 for their mean, or between.
        pad, pyramid, ssim_weight, automask: see `photometric`.

    Returns:
        Scalar.
    """
    error = lambda a, b: losses.photometric_error(a, b, pad=pad, ssim_weight=ssim_weight)
    pairs = lambda x: x.reshape((2, len(images)) + x.shape[1:])
    target = twice(images[:, 1])
    if hidden is not None:
        # Masked pixels must not leak into coarse pixels and windows.
        views = jnp.where((twice(weights) > 0)[..., None], views, target)
    total = 0.0
    for times in range(pyramid):
        coarse = _halve(target, times)
        errors = pairs(error(_halve(views, times), coarse))
        if hidden is not None:
            errors = errors + pairs(_halve(hidden[..., None], times)[..., 0])
        # Where a mask makes both errors exactly 0, the derivative of a reduction may divide by the
        # number of ties that it counts, which rounding can make 0.
        least = errors.min(axis=0) if hidden is None else jnp.minimum(errors[0], errors[1])
        errors = errors.mean(axis=0) + share * (least - errors.mean(axis=0))
        if automask:
            errors = jnp.minimum(
                errors, pairs(error(_halve(both(images), times), coarse)).min(axis=0)
            )
        total = total + losses.weighted_mean(errors, _halve(weights[..., None], times)[..., 0])
    return total / pyramid


def photometric(
    frames: Float[Array, 'batch 3 height width 3'],
    images: Float[Array, 'batch 3 faces rows columns 3'],
    disparities: list[Float[Array, 'batch faces _ _']],
    motion: Motion,
    view: Float[Array, 'batch 3 3'],
    mask: Real[Array, 'height width'] | Real[Array, 'batch 3 height width'] | None,
    weights: Float[Array, 'batch faces rows columns'],
    share: Scalar,
    grid: Grid,
    pad: losses.Pad,
    *,
    pyramid: int,
    ssim_weight: float,
    automask: bool,
) -> Float[jax.Array, '']:
    """The photometric error of the targets, a mean over the scales of the disparity.

    Args:
        frames: triplets, in [0, 1].
        images: the same on the grid, through the view.
        disparities: of the targets, the finest first.
        motion: [2 * batch, faces], from the targets to their sources.
        view: orthogonal matrices through which the model looks.
        mask: 1 where the images count, one for all frames or one for each of each triplet; or None.
        weights: of the target's pixels, 0 where masked.
        share: 1 for the minimum over the two sources, 0 for their mean, or between.
        grid: of the model.
        pad: see `losses.photometric_error`.
        pyramid, ssim_weight, automask: see `objective.LossConfig`.
    """
    total = 0.0
    for level, disparity in enumerate(disparities):
        for _ in range(level):
            disparity = networks.upsample(disparity[..., None])[..., 0]
        views, hidden = _synthesize(frames, disparity, motion, view, mask, grid)
        error = _compare(views, hidden, images, weights, share, pad, pyramid, ssim_weight, automask)
        total = total + error / len(disparities)
    return total
