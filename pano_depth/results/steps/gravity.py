"""Down in the world of a path by the gravity that the footage says, compared with the path."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from pano_depth.footage.telemetry import Gravity
from pano_depth.reconstruction import level

_MOST = np.sin(np.radians(6))  # by which gravity may usually leave its mean
# Axes are possible with which it leaves the mean less than so many times as the best, or this more.
_TIMES, _SLACK = 2, np.sin(np.radians(0.5))
_APART = np.cos(np.radians(2))  # between what possible axes say
_ODD = 4  # what leaves the mean by so many times as usual does not count
_STEP = 1.0  # seconds over which the push of steps cancels in an accelerometer


class Found(NamedTuple):
    """What gravity says.

    Attributes:
        direction: unit vector that points down in the world; None where it does not count.
        words: what it was found from, or why it does not count.
    """

    direction: Float64[np.ndarray, '3'] | None
    words: str


def find_down(
    gravity: Gravity,
    times: Float64[np.ndarray, ' frames'],
    rotations: Float64[np.ndarray, 'frames 3 3'],
) -> Found:
    """Down as the mean of the gravity of all frames, each turned into the world.

    What shakes a camera is not gravity, and cancels in the mean. If gravity is in the frame of the
    frames it is the same in the world all along the path. Where it is not, something turned the
    frames without it: a program that levelled them or held them still. Where its axes are not
    certain, those with which it stays the same are right; a camera that turns too little cannot
    tell them, and then it must not matter. If any axis may be any other, the one that could as well
    be up is down where the frames have it within `level.WIDEST` degrees, as for floors.

    Args:
        gravity: of the footage.
        times: of the frames, seconds after frame 0 of the footage, increasing.
        rotations: of the frames, camera to world.
    """
    seen = gravity.at(times)
    known = np.isfinite(seen).all(axis=1)
    if not known.any():
        return Found(None, f'{gravity.source} has none at the times of these frames')
    turned = np.einsum('fij,ajk,fk->afi', rotations[known], gravity.axes, seen[known])
    if raw := (gravity.axes[:, 1, 1] < 1).any():
        turned = _means(turned, times[known], _STEP)
    mean, usual = _mean(turned)
    if raw:
        own = rotations[known, :, 1].mean(axis=0)
        usual[mean @ own < np.cos(np.radians(level.WIDEST))] = np.inf
    best = usual.min()
    if not best <= _MOST:
        return Found(None, f'{gravity.source} does not turn as the frames do')
    directions = mean[usual <= max(_TIMES * best, best + _SLACK)]
    if (directions @ directions.T).min() < _APART:
        return Found(
            None, f'{gravity.source} has axes that the camera, which turns too little, cannot tell'
        )
    direction = directions.mean(axis=0)
    return Found(
        direction / np.linalg.norm(direction), f'{gravity.source}, in {known.sum()} frames'
    )


def _means(turned, times, step):
    """Means of [axes, frames, 3] over steps of time."""
    _, part = np.unique(np.floor((times - times[0]) / step), return_inverse=True)
    sums = np.zeros((len(turned), part.max() + 1, 3))
    np.add.at(sums, (slice(None), part), turned)
    return sums / np.bincount(part)[:, None]


def _mean(turned):
    """Means of [axes, frames, 3] without what is far off: unit vectors [axes, 3], and [axes] how
    far from each its frames usually are, as the sine of an angle.
    """
    counts = np.ones(turned.shape[:2])
    for _ in range(3):
        mean = (counts[..., None] * turned).sum(axis=1) / counts.sum(axis=1)[:, None]
        length = np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)
        mean /= length
        along = np.einsum('afi,ai->af', turned, mean)
        # How long it is does not matter, but that it does not point the other way.
        away = np.linalg.norm(turned - np.maximum(along, 0)[..., None] * mean[:, None], axis=-1)
        usual = np.median(away, axis=1)
        counts = (away <= _ODD * usual[:, None] + 1e-9).astype(np.float64)
    return mean, usual / length[:, 0]
