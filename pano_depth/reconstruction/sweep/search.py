"""The search for the depth of a frame, coarse to fine: everywhere first, then around the answer."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction.sweep import aggregate, hypotheses, planes, volume
from pano_depth.reconstruction.sweep.config import SweepConfig

FULL = 256  # rows of the level on which all hypotheses are tried
_NEAR = 13  # hypotheses around the answer of the level before
_AROUND = 0.05  # log range over which they lie, to either side
_CLOSE = 0.25  # penalties of neighbours' steps there, which are smaller
_OWN = 5e-4  # cost of taking a neighbour's plane on the next level
_STAY = 1e-5  # cost of leaving that answer by a factor of e: where all cost the same it stands


def levels(height: Size) -> list[int]:
    """Rows of the images on each level: from at most `FULL` rows to those of the frames.

    The first level has more if the rows of the frames cannot be halved often enough.
    """
    found = [int(height)]
    while found[0] > FULL and found[0] % 2 == 0:
        found.insert(0, found[0] // 2)
    return found


def anywhere(
    target: Float32[Array, '7 height width'],
    sources: volume.Sources,
    coarse: Float[np.ndarray, 'rows columns'],
    prior: Float32[np.ndarray, 'height width'],
    config: SweepConfig,
) -> Float32[jax.Array, '3 height width']:
    """Planes around all pixels, among all hypotheses.

    Args:
        target: `textures.features` of the frame.
        sources: what it is compared with.
        coarse: range of the frame, which tells what hypotheses there are; 0 where unknown.
        prior: range to hold to where the images tell little; 0 where unknown.
        config: how.

    Returns:
        `planes.fit`.
    """
    axis = hypotheses.axis(coarse, config.hypotheses)
    logs = jnp.log(axis.inverse)
    wanted = jnp.asarray(-np.log(np.where(prior > 0, prior, np.nan)), jnp.float32)
    costs = _costs(target, sources, logs)
    clear = hypotheses.told(costs)
    pulled = hypotheses.pulled(costs, logs, wanted, config.prior, clear)
    at = _cheapest(pulled, target, config.step, config.jump)
    return _planes(axis.at(at), costs, at, target)


def finer(
    target: Float32[Array, '7 height width'],
    sources: volume.Sources,
    plane: Float32[Array, '3 rows columns'],
) -> Float32[jax.Array, 'height width']:
    """Inverse range at twice the resolution: on the best of the planes near by.

    Args:
        target, sources: see `anywhere`, of the finer level.
        plane: what the coarser level found.
    """
    found = planes.finer(plane)
    costs = _costs(target, sources, jnp.log(found))
    best = jnp.argmin(costs.at[1:].add(_OWN), axis=0)
    return jnp.take_along_axis(found, best[None], axis=0)[0]


def closer(
    target: Float32[Array, '7 height width'],
    sources: volume.Sources,
    inverse: Float32[Array, 'height width'],
    config: SweepConfig,
) -> Float32[jax.Array, '3 height width']:
    """Planes around all pixels, among few hypotheses around an inverse range.

    Args:
        target, sources, config: see `anywhere`.
        inverse: 1 / range.

    Returns:
        `planes.fit`.
    """
    offsets = jnp.linspace(-_AROUND, _AROUND, _NEAR)
    logs = jnp.log(inverse)[None] + offsets[:, None, None]
    costs = _costs(target, sources, logs)
    costs = costs + _STAY * jnp.abs(offsets)[:, None, None]
    at = _cheapest(costs, target, _CLOSE * config.step, _CLOSE * config.jump)
    moved = inverse * jnp.exp((at / (_NEAR - 1) * 2 - 1) * _AROUND)
    return _planes(moved, costs, at, target)


def _costs(target, sources, logs):
    """Pooled costs; what the mask hides in the target costs nothing and so tells nothing."""
    return volume.pooled(volume.volume(target, sources, logs) * target[6])


def _cheapest(costs, target, step, jump):
    """Number of the hypothesis on which a pixel and its neighbours agree."""
    total = aggregate.aggregate(costs, target[:3].mean(axis=0), step, jump)
    return aggregate.lowest(total)[0]


def _planes(inverse, costs, at, target):
    """Planes through what was found; a pixel counts by how sharply the images tell it."""
    weight = jnp.maximum(aggregate.bend(costs, at), 1e-4) * target[6]
    return planes.fit(inverse, weight, target[:3])
