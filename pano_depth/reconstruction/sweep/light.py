"""How much brighter one frame is than another, where both see the same."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from pano_depth.footage import media
from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction.pixels import sampling
from pano_depth.reconstruction.pixels.gradients import GREY, blurred

ROWS = 32  # of the images that are compared, at most: surfaces matter, not what is on them
_DARK, _BRIGHT = 0.03, 0.97  # grey values beyond which a camera tells nothing
_MOST = 0.7  # log ratio
_BLUR = 3.0  # pixels over which brightness may change: half a right angle
_EVEN = 0.05  # log ratio below which a difference is put down to geometry


def small_grey(colour: Float32[Array, '3 height width']) -> Float32[jax.Array, 'rows columns']:
    """Grey values at few rows, each the mean over what its pixel covers."""
    height = colour.shape[1]
    rows = min(ROWS, height)
    grey = np.asarray(jnp.tensordot(jnp.asarray(GREY, jnp.float32), colour, axes=1))
    return jnp.asarray(_covered(height, rows) @ grey @ _covered(2 * height, 2 * rows).T)


def _covered(size, count):
    """[count, size]: the share of each of `size` pixels in each of `count` larger ones."""
    edges = np.arange(count + 1)[:, None] * (size / count)
    reached = np.clip(edges - np.arange(size), 0, 1)
    return ((reached[1:] - reached[:-1]) * (count / size)).astype(np.float32)


def larger(
    factor: Float32[Array, 'rows columns'], height: Size
) -> Float32[jax.Array, '{height} 2*{height}']:
    """A smooth map at another size."""
    return jnp.asarray(media.nearest(np.asarray(factor), height))


@jax.jit
def ratio(
    target: Float32[Array, 'rows columns'],
    source: Float32[Array, 'rows columns'],
    depth: Float32[Array, 'rows columns'],
    rotation: Float32[Array, '3 3'],
    position: Float32[Array, '3'],
) -> Float32[jax.Array, 'rows columns']:
    """Factor from the brightness of the source to that of the target, smooth over the sphere.

    A difference of a few percent is left alone: depth is not known well, and surfaces look
    different from elsewhere.

    Args:
        target, source: grey values.
        depth: of the target; 0 where unknown.
        rotation, position: from the target's camera to the source's, in the unit of the depth.
    """
    height, width = target.shape
    rays = jnp.moveaxis(sphere.ray_directions(height, width), -1, 0)
    inverse = jnp.where(depth > 0, 1 / jnp.maximum(depth, 1e-9), 0)
    towards = jnp.stack(sampling.seen_from(rays, inverse, rotation, position), axis=-1)
    there = sphere.sample_equirect(source[..., None], towards)[..., 0]
    fair = lambda grey: (grey > _DARK) & (grey < _BRIGHT)
    use = fair(target) & fair(there) & (depth > 0)
    logs = jnp.clip(jnp.log(jnp.maximum(target, _DARK) / jnp.maximum(there, _DARK)), -_MOST, _MOST)
    overall = jnp.nanmedian(jnp.where(use, logs, jnp.nan))
    overall = jnp.where(jnp.isnan(overall), 0.0, overall)
    weight = use.astype(jnp.float32)
    # Where the sources are hidden the ratio is that of all.
    local = blurred(weight * (logs - overall), _BLUR) / (blurred(weight, _BLUR) + 0.2)
    shrunk = lambda x: jnp.sign(x) * jnp.maximum(jnp.abs(x) - _EVEN, 0)
    overall = jnp.where(jnp.abs(overall) < 0.01, 0.0, overall)
    return jnp.exp(overall + shrunk(local))
