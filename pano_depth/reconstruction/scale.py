"""Metric scale from the known height of the camera over the floor."""

import itertools
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array
from pano_depth.reconstruction import validity
from pano_depth.reconstruction.validity import Mask

# The floor is looked for between these elevations below the horizon: nearer the nadir stands the
# tripod, farther out stands furniture.
STEEP, FLAT = 70, 25  # degrees
BIN = 0.03  # of the logarithm of height


def floor_height(
    depth: Float[Array, 'height width'],
    *,
    mask: Bool[Array, 'height width'] | None = None,
    down: Float[Array, '3'] | None = None,
) -> float:
    """Height of the camera over the floor, in the unit of the depth.

    All points of the floor lie equally far below the camera; points of furniture do not. The result
    is the height that most of the solid angle agrees on.

    Args:
        depth: range of one frame; 0 where invalid.
        mask: False for pixels that do not count, or None.
        down: unit vector that points down, in the camera frame; None for an upright camera.

    Returns:
        The height, or NaN if nothing below the horizon is known.
    """
    rays = np.asarray(sphere.ray_directions(*depth.shape))
    down = rays[..., 1] if down is None else rays @ np.asarray(down, rays.dtype)
    counts = (
        (down > np.sin(np.radians(FLAT)))
        & (down < np.sin(np.radians(STEEP)))
        & np.isfinite(depth)
        & (depth > 0)
    )
    if mask is not None:
        counts &= mask
    if not counts.any():
        return float('nan')
    height = np.log(depth[counts] * down[counts])
    weights = np.sqrt(1 - down[counts] ** 2)
    edges = np.arange(height.min() - 3 * BIN, height.max() + 4 * BIN, BIN)
    votes, _ = np.histogram(height, edges, weights=weights)
    votes = np.convolve(votes, [1, 2, 3, 2, 1], mode='same')
    peak = edges[np.argmax(votes)] + BIN / 2
    near = np.abs(height - peak) < 3 * BIN
    order = np.argsort(height[near])
    cumulative = np.cumsum(weights[near][order])
    return float(np.exp(height[near][order][np.searchsorted(cumulative, cumulative[-1] / 2)]))


def clip_floor_height(
    depths: Iterable[Float[Array, 'height width']],
    *,
    mask: Mask = None,
    downs: Iterable[Float[Array, '3'] | None] | None = None,
) -> tuple[float, float]:
    """Median of `floor_height` over frames that share one unit.

    Args:
        depths: of the frames.
        mask: as for `floor_height`, one for all of them or one for each.
        downs: which way is down in each frame; None, also for one frame, for an upright camera.

    Returns:
        (height, spread): the spread is the median relative deviation of the frames.

    Raises:
        ValueError: no frame shows anything below the camera.
    """
    each = itertools.repeat(None) if downs is None else downs
    heights = np.array(
        [
            floor_height(depth, mask=validity.of_frame(mask, i), down=down)
            for i, (depth, down) in enumerate(zip(depths, each, strict=False))
        ]
    )
    heights = heights[np.isfinite(heights)]
    if not heights.size:
        raise ValueError(
            'camera_height cannot fix the scale: nothing below the camera is left of the footage'
            ' (is the mask too large?)'
        )
    middle = float(np.median(heights))
    return middle, float(np.median(np.abs(heights / middle - 1)))
