"""What the adjustment compares: grey images at several sizes, with their gradient on the sphere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from pano_depth.footage import media
from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Size

# Luminance of linear combinations of gamma-coded red, green and blue (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


@functools.lru_cache(maxsize=8)
def _tangents(height: int):
    """Gradient of column and row by the unit direction, [H, 2H, 2, 3] float32, at pixel centres."""
    rays = sphere.pixel_rays(height, 2 * height)
    x, y, z = np.moveaxis(rays, -1, 0)
    level = np.hypot(x, z)
    column = np.stack([z, np.zeros_like(x), -x], axis=-1) / (level**2)[..., None]
    row = np.stack([-x * y / level, level, -z * y / level], axis=-1)
    return np.stack([column * (2 * height / (2 * np.pi)), row * (height / np.pi)], axis=-2).astype(
        np.float32
    )


def _extended(image, pad):
    """[H, W] -> [H + 2 pad, W + 2 pad]: across the poles and around the seam."""
    half = jnp.roll(image, image.shape[1] // 2, axis=1)
    image = jnp.concatenate([half[:pad][::-1], image, half[-pad:][::-1]])
    return jnp.concatenate([image[:, -pad:], image, image[:, :pad]], axis=1)


def _blurred(image, sigma):
    """Gaussian blur of `sigma` pixels in rows and columns."""
    if not sigma:
        return image
    pad = max(1, int(np.ceil(3 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-pad, pad + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    image = _extended(image, pad)
    rows = sum(tap * image[i : image.shape[0] - 2 * pad + i] for i, tap in enumerate(taps.tolist()))
    return sum(
        tap * rows[:, i : rows.shape[1] - 2 * pad + i] for i, tap in enumerate(taps.tolist())
    )


@functools.partial(jax.jit, static_argnames=('height', 'sigma'))
def _texture(frame, hidden, tangents, height, sigma):
    grey = frame.astype(jnp.float32) @ jnp.asarray(GREY, jnp.float32) / 255
    block = frame.shape[0] // height
    # What a mask hides is NaN here and wherever a blur or a gradient reaches it.
    grey = jnp.where(hidden, jnp.nan, grey)
    grey = grey.reshape(height, block, 2 * height, block).mean(axis=(1, 3))
    grey = _blurred(grey, sigma)
    around = _extended(grey, 1)
    slopes = jnp.stack(
        [around[1:-1, 2:] - around[1:-1, :-2], around[2:, 1:-1] - around[:-2, 1:-1]], axis=-1
    )
    gradient = jnp.sum(0.5 * slopes[..., None] * tangents, axis=-2)
    grey = jnp.where(jnp.isnan(slopes).any(axis=-1), jnp.nan, grey)
    return jnp.concatenate([grey[..., None], gradient], axis=-1).reshape(-1, 4)


class Textures:
    """Textures of frames on demand: grey value and its gradient by the unit viewing direction.

    Attributes:
        height: rows of the frames.
    """

    def __init__(
        self,
        frames: UInt8[Array, 'frames height width 3'],
        mask: Bool[np.ndarray, 'h w'] | None = None,
    ):
        """Takes frames, in memory or mapped from a file, and a mask that is False where nothing
        counts.
        """
        self._frames, self.height = frames, frames.shape[1]
        hidden = np.zeros((1, 1), bool) if mask is None else ~media.nearest(mask, self.height)
        self._hidden = jnp.asarray(hidden)

    def texture(self, index: Size, height: Size, sigma: float) -> Float32[jax.Array, 'pixels 4']:
        """The texture of a frame, pixels in one row.

        Args:
            index: of the frame.
            height: rows of the result; those of the frames are a multiple of them.
            sigma: blur before the gradient is taken, pixels of the result.

        Returns:
            Grey value in [0, 1] and its derivative by the unit direction, which is tangential; NaN
            where the mask hides it.
        """
        frame = jnp.asarray(np.asarray(self._frames[index]))
        return _texture(frame, self._hidden, _tangents(int(height)), int(height), float(sigma))
