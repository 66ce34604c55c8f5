"""How sure depth is: whether another frame agrees, or several views of a single image."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pano_depth.reconstruction.sweep import confirm

Map = Float[Array | np.ndarray, 'height width']

TOLERANCE = 0.05  # relative difference of range at which agreement has fallen to 0.6
UNCONFIRMED = 0.1  # confidence where there is nothing to compare with
# Where views of an image differ by so much (log range), half of the pixels are within a tenth of
# the truth, and the odds fall with this power: by unseen rooms (`depth/single_images.py`).
_EVEN, _POWER = 0.083, 1.6


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
    inverse = lambda x: jnp.where(x > 0, 1 / jnp.where(x > 0, x, 1), 0)
    maps = (inverse(jnp.asarray(x, jnp.float32)) for x in (depth, other))
    motion = (jnp.asarray(x, jnp.float32) for x in (rotation, translation))
    return confirm.compare(*maps, *motion, TOLERANCE)[0]


def of_views(spread: Map) -> Float[np.ndarray, 'height width']:
    """Confidence in the depth of a single image, by how much views of it differ.

    Args:
        spread: standard deviation of the logarithm of disparity between the views.

    Returns:
        Half of the chance that depth is within a tenth of the truth, as measured on unseen rooms:
        below 0.5, since no other frame confirms it.
    """
    return 0.5 / (1 + (np.asarray(spread) / _EVEN) ** _POWER)
