"""The blocks that JPEG and video leave: a cosine transform of 8 x 8 pixels, rounded."""

import math

import jax.numpy as jnp
import numpy as np

BLOCK = 8  # pixels


def _cosines():
    """The orthonormal transform DCT-II [BLOCK, BLOCK]."""
    rows, columns = np.mgrid[:BLOCK, :BLOCK]
    matrix = np.cos(np.pi * (columns + 0.5) * rows / BLOCK) * math.sqrt(2 / BLOCK)
    matrix[0] /= math.sqrt(2)
    return np.float32(matrix)


# Luminance and two differences of colour.
_TO_COLOUR = np.array([[0.3, 0.59, 0.11], [-0.17, -0.33, 0.5], [0.5, -0.42, -0.08]], np.float32)
_FROM_COLOUR = np.linalg.inv(_TO_COLOUR).astype(np.float32)
_FINE = np.float32(1 + 0.4 * np.add.outer(np.arange(BLOCK), np.arange(BLOCK)))


def _mixed(matrix, image):
    """The matrix [3, 3] applied to the colours of an image."""
    return jnp.stack([sum(m * part for m, part in zip(row, image)) for row in matrix])


def compressed(image, step):
    """What rounding the transform of blocks leaves of an image.

    Args:
        image: [3, H, W] in [0, 1]; sides that are no multiples of `BLOCK` are filled up.
        step: quantisation step of the coarsest waves; 0 changes nothing.

    Returns:
        [3, H, W], which may leave [0, 1] a little.
    """
    _, height, width = image.shape
    below, beside = -height % BLOCK, -width % BLOCK
    padded = jnp.pad(_mixed(_TO_COLOUR, image), ((0, 0), (0, below), (0, beside)), mode='edge')
    high, wide = height + below, width + beside
    matrix = jnp.asarray(_cosines())
    # Along rows and then along columns: a transform of both at once is ten times slower on a CPU.
    along = lambda x, m: (x.reshape(3, high, wide // BLOCK, BLOCK) @ m).reshape(3, high, wide)
    down = lambda x, m: jnp.einsum('ia,cnaw->cniw', m, x.reshape(3, high // BLOCK, BLOCK, wide))
    fine = np.tile(_FINE, (1, wide // BLOCK)) * np.float32([1.0, 2.0, 2.0])[:, None, None, None]
    steps = jnp.maximum(step, 1e-6) * fine
    found = jnp.round(down(along(padded, matrix.T), matrix) / steps) * steps
    back = along(down(found, matrix.T), matrix)
    return jnp.where(step > 0, _mixed(_FROM_COLOUR, back)[:, :height, :width], image)
