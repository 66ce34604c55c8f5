"""Gradients of equirectangular images, around the seam, across the poles and on the sphere."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Shaped

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Size

# Luminance of linear combinations of gamma-coded red, green and blue (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


@functools.lru_cache(maxsize=8)
def tangents(height: Size) -> Float32[np.ndarray, '2 3 {height} 2*{height}']:
    """Gradient of column and of row by the unit direction at pixel centres.

    Args:
        height: rows of the image.
    """
    rays = sphere.pixel_rays(height, 2 * height)
    x, y, z = np.moveaxis(rays, -1, 0)
    level = np.hypot(x, z)
    column = np.stack([z, np.zeros_like(x), -x]) / level**2
    row = np.stack([-x * y / level, level, -z * y / level])
    return (np.stack([column, row]) * (height / np.pi)).astype(np.float32)


def extended(
    image: Shaped[Array, 'height width'], pad: Size
) -> Shaped[jax.Array, 'height+2*{pad} width+2*{pad}']:
    """An image with `pad` more pixels on all sides: across the poles and around the seam."""
    half = jnp.roll(image, image.shape[1] // 2, axis=1)
    image = jnp.concatenate([half[:pad][::-1], image, half[-pad:][::-1]])
    return jnp.concatenate([image[:, -pad:], image, image[:, :pad]], axis=1)


def steps(
    image: Float[Array, 'height width'],
) -> tuple[Float[jax.Array, 'height width'], Float[jax.Array, 'height width']]:
    """Derivatives by column and by row, by central differences."""
    around = extended(image, 1)
    column, row = around[1:-1, 2:] - around[1:-1, :-2], around[2:, 1:-1] - around[:-2, 1:-1]
    return 0.5 * column, 0.5 * row


def on_sphere(
    image: Float[Array, 'height width'], along: Float32[Array, '2 3 height width']
) -> list[Float[jax.Array, 'height width']]:
    """Derivative by the unit direction, which is tangential, by axis.

    Whole planes for each part: compilers for CPUs are many times slower with last axes of a few.

    Args:
        image: equirectangular.
        along: its `tangents`.
    """
    column, row = steps(image)
    return [column * by_column + row * by_row for by_column, by_row in zip(*along, strict=True)]


def shrunk(
    image: Float[Array, '*planes rows columns'], height: Size
) -> Float[jax.Array, '*planes {height} 2*{height}']:
    """Means of square blocks of pixels; an image of that height stays as it is."""
    block = image.shape[-2] // height
    if block == 1:
        return image
    rows = image.reshape(*image.shape[:-2], height, block, -1).mean(axis=-2)
    return rows.reshape(*image.shape[:-2], height, 2 * height, block).mean(axis=-1)


def interleaved(
    parts: Sequence[Sequence[Shaped[Array, '*planes height width']]],
) -> Shaped[jax.Array, '*planes 2*height 2*width']:
    """An image of which each part has every second row and column.

    Give it parts that are computed: compilers would compute each of them again for all pixels.

    Args:
        parts: of the even rows and of the odd ones, each of the even columns and of the odd ones.
    """
    *planes, height, width = parts[0][0].shape
    rows = [jnp.stack(columns, axis=-1) for columns in parts]
    return jnp.stack(rows, axis=-3).reshape(*planes, 2 * height, 2 * width)


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
