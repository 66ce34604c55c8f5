"""Which depth other views confirm, and what stands where none does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Scalar
from pano_depth.reconstruction.pixels import sampling

TOLERANCE = 0.02  # log range within which two views agree
CONFIRMED = 0.5  # confidence from which on depth stands as it was found
UNKNOWN = 0.1  # confidence of what no other view confirms
_LOWEST = 1 / 255  # least confidence of a valid pixel, which is not 0 in 8 bits
_PRECISE = 0.1  # pixels by which the place of a point in a source may be off
_RIGHT = 0.03  # log range that a confident pixel may be off
_TRUST = 0.5  # pixels that the surroundings of a pixel count as when holes are filled


@sampling.compiled
def compare(
    inverse: Float32[Array, 'height width'],
    other: Float32[Array, 'height width'],
    rotation: Float32[Array, '3 3'],
    position: Float32[Array, '3'],
    tolerance: Scalar = TOLERANCE,
) -> tuple[Float32[jax.Array, 'height width'], Float32[jax.Array, 'height width']]:
    """How well another view confirms the depth of a frame, and what it says instead.

    Each point of the frame is looked up in the other view. If what is seen there lies at the same
    distance, the two agree: exp(-d^2 / (2 tolerance^2)) of the difference d of the logarithms.

    Args:
        inverse, other: 1 / range in the frame and in the other view; 0 where unknown.
        rotation, position: from the frame's camera to the other one.
        tolerance: difference at which agreement has fallen to 0.6.

    Returns:
        (agreement in [0, 1], d): d is positive where the other view sees something nearer.
    """
    height = inverse.shape[0]
    rays = jnp.moveaxis(sphere.ray_directions(height, 2 * height), -1, 0)
    towards = sampling.seen_from(rays, inverse, rotation, position)
    columns, rows = sampling.pixels(towards, height)
    columns = jnp.round(columns).astype(jnp.int32) % (2 * height)
    rows = jnp.clip(jnp.round(rows).astype(jnp.int32), 0, height - 1)
    seen = other.ravel()[rows * 2 * height + columns]
    # |towards| = distance * inverse, so that its inverse range there is inverse / |towards|.
    length = jnp.sqrt(sum(part * part for part in towards))
    expected = inverse / jnp.maximum(length, 1e-9)
    known = (seen > 0) & (inverse > 0)
    off = jnp.log(jnp.where(known, seen, 1.0) / jnp.where(known, expected, 1.0))
    return jnp.where(known, jnp.exp(-0.5 * (off / tolerance) ** 2), 0.0), off


def averaged(
    inverse: Float32[np.ndarray, 'height width'],
    agreements: Float32[np.ndarray, 'views height width'],
    differences: Float32[np.ndarray, 'views height width'],
) -> Float32[np.ndarray, 'height width']:
    """Inverse range as the mean of what the frame and the views that agree with it say.

    Args:
        inverse: 1 / range in the frame; 0 where unknown.
        agreements, differences: of `compare`, for each view.
    """
    total = (agreements * differences).sum(axis=0) / (1 + agreements.sum(axis=0))
    return (inverse * np.exp(total)).astype(np.float32)


@sampling.compiled
def precision(
    inverse: Float32[Array, 'height width'], centres: Float32[Array, 'sources 3']
) -> Float32[jax.Array, 'height width']:
    """Whether the parallax of the sources can tell depth to a few percent, in [0, 1].

    Args:
        inverse: 1 / range.
        centres: of the sources' cameras, in the camera frame.
    """
    height = inverse.shape[0]
    rays = jnp.moveaxis(sphere.ray_directions(height, 2 * height), -1, 0)

    def square(centre):
        """Of how far a camera lies aside of each ray."""
        return sum(
            (rays[i - 2] * centre[i - 1] - rays[i - 1] * centre[i - 2]) ** 2 for i in range(3)
        )

    aside = jnp.sqrt(functools.reduce(jnp.maximum, map(square, centres)))
    parallax = aside * inverse * (height / np.pi)
    return 1 / (1 + (_PRECISE / _RIGHT / jnp.maximum(parallax, 1e-6)) ** 2)


def spread_out(
    logs: Float32[np.ndarray, 'height width'], weight: Float32[np.ndarray, 'height width']
) -> Float32[np.ndarray, 'height width']:
    """Fills values where their weight is small from those around, near ones first.

    Values are averaged over ever larger blocks; each pixel takes the smallest that knows enough.

    Args:
        logs: values.
        weight: how much each is known, in [0, 1].
    """
    sums, weights = [logs * weight], [weight]
    while min(sums[-1].shape) > 1:
        sums.append(_halved(sums[-1]))
        weights.append(_halved(weights[-1]))
    total = weights[-1].sum()
    found = np.full(sums[-1].shape, sums[-1].sum() / total if total > 0 else 0.0, np.float32)
    for level in range(len(sums) - 1, -1, -1):
        height, width = sums[level].shape
        if found.shape != (height, width):
            found = _doubled(found)[:height, :width]
        found = (sums[level] + _TRUST * found) / (weights[level] + _TRUST)
    return found.astype(np.float32)


def only_confirmed(
    inverse: Float32[np.ndarray, 'height width'], sure: Float32[np.ndarray, 'height width']
) -> tuple[Float32[np.ndarray, 'height width'], Float32[np.ndarray, 'height width']]:
    """(depth, confidence) where other views confirm it, 0 elsewhere."""
    kept = (sure >= CONFIRMED) & (inverse > 0)
    depth = np.where(kept, 1 / np.where(kept, inverse, 1), 0)
    return depth.astype(np.float32), np.where(kept, sure, 0).astype(np.float32)


def filled(
    inverse: Float32[np.ndarray, 'height width'],
    sure: Float32[np.ndarray, 'height width'],
    prior: Float32[np.ndarray, 'height width'],
) -> tuple[Float32[np.ndarray, 'height width'], Float32[np.ndarray, 'height width']]:
    """(depth, confidence): where nothing confirms it the prior, scaled to what is around it.

    Args:
        inverse: 1 / range that was found; 0 where nothing was.
        sure: how well other views confirm it.
        prior: range to fill with; 0 where there is none.
    """
    found, confidence = only_confirmed(inverse, sure)
    kept, fills = found > 0, prior > 0
    both = kept & fills
    logs = np.log(np.where(both, found, 1) / np.where(both, prior, 1))
    scale = np.exp(spread_out(logs, both.astype(np.float32)))
    depth = np.where(kept, found, prior * scale)
    doubtful = np.where(fills, np.clip(sure, _LOWEST, UNKNOWN), 0)
    return depth, np.where(kept, confidence, doubtful)


def _halved(x):
    """Sums of blocks of four; a row or column more, of zeros, where they are odd in number."""
    x = np.pad(x, [(0, x.shape[0] % 2), (0, x.shape[1] % 2)])
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).sum(axis=(1, 3))


def _doubled(x):
    """[H, W] -> [2H, 2W], bilinear; around the seam, and the edge rows repeated."""
    x = np.concatenate([x[:1], x, x[-1:]])
    x = np.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
    rows = np.stack([0.75 * x[1:-1] + 0.25 * x[:-2], 0.75 * x[1:-1] + 0.25 * x[2:]], 1)
    rows = rows.reshape(-1, x.shape[1])
    found = np.stack(
        [0.75 * rows[:, 1:-1] + 0.25 * rows[:, :-2], 0.75 * rows[:, 1:-1] + 0.25 * rows[:, 2:]], 2
    )
    return found.reshape(rows.shape[0], -1)
