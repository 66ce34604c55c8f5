"""What the adjustment compares: grey images at several sizes, with their gradient on the sphere."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8

from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction import validity
from pano_depth.reconstruction.pixels.gradients import GREY, blurred, on_sphere, shrunk, tangents
from pano_depth.reconstruction.validity import Mask


@functools.partial(jax.jit, static_argnames=('height', 'sigma'))
def _texture(frame, hidden, directions, height, sigma):
    colours = frame.astype(jnp.float32)
    grey = sum(share * colours[..., i] for i, share in enumerate(GREY)) / 255
    # What a mask hides is NaN here and wherever a blur or a gradient reaches it.
    grey = blurred(shrunk(jnp.where(hidden, jnp.nan, grey), height), sigma)
    gradient = on_sphere(grey, directions)
    grey = jnp.where(jnp.isnan(sum(gradient)), jnp.nan, grey)
    return jnp.stack([grey, *gradient], axis=-1).reshape(-1, 4)


class Textures:
    """Textures of frames on demand: grey value and its gradient by the unit viewing direction.

    Attributes:
        height: rows of the frames.
    """

    def __init__(self, frames: UInt8[Array, 'frames height width 3'], mask: Mask = None):
        """Takes frames, in memory or mapped from a file, and a mask that is False where nothing
        counts: one for all frames, or one for each.
        """
        self._frames, self.height, self._mask = frames, frames.shape[1], mask
        own = mask is not None and mask.ndim == 3
        self._hidden = None if own else jnp.asarray(self._hidden_in(0))

    def _hidden_in(self, index):
        """What is hidden in a frame, [H, 2H] or [1, 1]."""
        counts = validity.of_frame(self._mask, index, self.height)
        return np.zeros((1, 1), bool) if counts is None else ~counts

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
        hidden = self._hidden_in(index) if self._hidden is None else self._hidden
        return _texture(frame, hidden, tangents(int(height)), int(height), float(sigma))
