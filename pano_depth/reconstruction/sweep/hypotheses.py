"""The hypotheses of a sweep: which distances are tried, and what the networks say of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from pano_depth.kernels.shapes import Array, Scalar, Size
from pano_depth.reconstruction.pixels import sampling

_POWER = 0.25  # hypotheses are even in this power of inverse range: finer where things are near
# Factors by which the nearest and the farthest one leave what the prior holds. Networks are
# furthest off where something is very near.
_NEARER, _FARTHER = 5.0, 2.0
_CLEAR = 0.01  # cost by which a hypothesis is clearly ahead of all others
_MOST = 0.5  # log range from the prior from which on the cost of leaving it grows no more


class Axis(NamedTuple):
    """Hypotheses that are even in a power of inverse range.

    Attributes:
        low, high: the power of the first and the last one.
        inverse: 1 / range.
    """

    low: float
    high: float
    inverse: Float32[np.ndarray, ' hypotheses']

    def at(self, number: Float[Array, '*grid']) -> Float[Array, '*grid']:
        """Inverse range at a number between hypotheses."""
        share = number / (len(self.inverse) - 1)
        return (self.low + (self.high - self.low) * share) ** (1 / _POWER)


def axis(depth: Float[np.ndarray, 'rows columns'], count: Size) -> Axis:
    """Hypotheses that reach beyond what a frame is thought to hold.

    Args:
        depth: coarse range of the frame, 0 where unknown.
        count: number of hypotheses.
    """
    known = depth[depth > 0]
    low, high = 1 / np.quantile(known, [0.99, 0.01]) if known.size else (0.1, 10.0)
    low, high = (low / _FARTHER) ** _POWER, (high * _NEARER) ** _POWER
    inverse = np.linspace(low, high, count) ** (1 / _POWER)
    return Axis(float(low), float(high), inverse.astype(np.float32))


@sampling.compiled
def told(costs: Float32[Array, 'hypotheses height width']) -> Float32[jax.Array, 'height width']:
    """How much the images tell, in [0, 1]: how far the cheapest hypothesis is ahead of others.

    It is near 0 on plain surfaces, on repeated patterns and where there is no parallax.
    """
    count = len(costs)
    at = jnp.argmin(costs, axis=0)
    apart = jnp.abs(jnp.arange(count)[:, None, None] - at[None]) > max(1, count // 16)
    second = jnp.min(jnp.where(apart, costs, jnp.inf), axis=0)
    return 1 - jnp.exp(-(second - jnp.min(costs, axis=0)) / _CLEAR)


@sampling.compiled
def pulled(
    costs: Float32[Array, 'hypotheses height width'],
    logs: Float32[Array, ' hypotheses'],
    prior: Float32[Array, 'height width'],
    weight: Scalar,
    clear: Float32[Array, 'height width'],
) -> Float32[jax.Array, 'hypotheses height width']:
    """Costs with that of leaving the prior, which counts where the images tell little.

    Args:
        costs: of the images alone.
        logs: logarithm of the hypotheses' inverse range.
        prior: logarithm of inverse range by the networks; NaN where unknown.
        weight: cost of leaving it by a factor of e.
        clear: `told`.
    """
    off = jnp.minimum(jnp.abs(logs[:, None, None] - prior[None]), _MOST)
    return costs + weight * (1 - clear) * jnp.where(jnp.isnan(off), 0.0, off)
