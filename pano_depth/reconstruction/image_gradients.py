"""Gradients of equirectangular images, around the seam, across the poles and on the sphere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Size

# Luminance of linear combinations of gamma-coded red, green and blue (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


@functools.lru_cache(maxsize=8)
def tangents(height: Size) -> Float32[np.ndarray, '{height} 2*{height} 2 3']:
    """Gradient of column and row by the unit direction at pixel centres.

    Args:
        height: rows of the image.
    """
    rays = sphere.pixel_rays(height, 2 * height)
    x, y, z = np.moveaxis(rays, -1, 0)
    level = np.hypot(x, z)
    column = np.stack([z, np.zeros_like(x), -x], axis=-1) / (level**2)[..., None]
    row = np.stack([-x * y / level, level, -z * y / level], axis=-1)
    return np.stack([column * (2 * height / (2 * np.pi)), row * (height / np.pi)], axis=-2).astype(
        np.float32
    )


def extended(
    image: Float[Array, 'height width'], pad: Size
) -> Float[jax.Array, 'height+2*{pad} width+2*{pad}']:
    """An image with `pad` more pixels on all sides: across the poles and around the seam."""
    half = jnp.roll(image, image.shape[1] // 2, axis=1)
    image = jnp.concatenate([half[:pad][::-1], image, half[-pad:][::-1]])
    return jnp.concatenate([image[:, -pad:], image, image[:, :pad]], axis=1)


def steps(image: Float[Array, 'height width']) -> Float[jax.Array, 'height width 2']:
    """Derivative by column and row, by central differences."""
    around = extended(image, 1)
    return 0.5 * jnp.stack(
        [around[1:-1, 2:] - around[1:-1, :-2], around[2:, 1:-1] - around[:-2, 1:-1]], axis=-1
    )


def blurred(image: Float[Array, 'height width'], sigma: float) -> Float[jax.Array, 'height width']:
    """Gaussian blur of `sigma` pixels in rows and columns."""
    if not sigma:
        return image
    pad = max(1, int(np.ceil(3 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-pad, pad + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    image = extended(image, pad)
    rows = sum(tap * image[i : image.shape[0] - 2 * pad + i] for i, tap in enumerate(taps.tolist()))
    return sum(
        tap * rows[:, i : rows.shape[1] - 2 * pad + i] for i, tap in enumerate(taps.tolist())
    )
