"""Semi-global aggregation on the sphere: neighbours of like colour lie at like depth."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int

from pano_depth.kernels.shapes import Array, Scalar
from pano_depth.reconstruction.pixels import sampling
from pano_depth.reconstruction.sweep.volume import columns_of

_CONTRAST = 15.0  # how fast the penalty of a jump falls with the step of grey
_FAR = 1e3
_BEYOND = 8  # a path starts an eighth of the circle before its first pixel


def _passed(costs, grey, step, jump):
    """Costs [length, D, lines] summed along axis 0 from the start; penalties are by line."""

    def one(carry, row):
        before, grey_before = carry
        cost, here = row
        best = before.min(axis=0, keepdims=True)
        allowed = jnp.maximum(jump * jnp.exp(-_CONTRAST * jnp.abs(here - grey_before)), step)
        edge = jnp.full_like(before[:1], _FAR)
        near = jnp.minimum(
            jnp.concatenate([before[1:], edge]), jnp.concatenate([edge, before[:-1]])
        )
        least = jnp.minimum(jnp.minimum(before, near + step), best + allowed)
        total = cost + least - best
        return (total, here), total

    _, found = jax.lax.scan(one, (costs[0], grey[0]), (costs, grey))
    return found


def _both_ways(costs, grey, step, jump):
    """Sum of the paths in both directions along axis 0, which is a circle."""
    extra = costs.shape[0] // _BEYOND
    ahead = lambda x: jnp.concatenate([x[-extra:], x])
    forth = _passed(ahead(costs), ahead(grey), step, jump)[extra:]
    back = _passed(ahead(costs[::-1]), ahead(grey[::-1]), step, jump)[extra:]
    return forth + back[::-1]


@sampling.compiled
def aggregate(
    costs: Float32[Array, 'hypotheses height width'],
    grey: Float32[Array, 'height width'],
    step: Scalar,
    jump: Scalar,
) -> Float32[jax.Array, 'hypotheses height width']:
    """Semi-global matching along rows and meridians (Hirschmueller, 2008), on the sphere.

    Rows are circles, and so are meridians: each goes over both poles. Near the poles neighbours
    in a row are close together, and a jump between them costs accordingly more. Every circle is
    walked in both directions, from an eighth of it ahead of its first pixel.

    Args:
        costs: of the hypotheses; neighbouring ones are one step apart.
        grey: of the target: a jump costs less where it has an edge.
        step, jump: penalties of one step and of more than one.

    Returns:
        The sum over the four directions, each up to a number that differs from pixel to pixel.
    """
    height, width = grey.shape
    half = width // 2
    # Meridian x goes down column x and up column x + W/2.
    circle = lambda x: jnp.concatenate([x[..., :half], x[..., ::-1, half:]], axis=-2)
    back = lambda x: jnp.concatenate([x[..., :height, :], x[..., height:, :][..., ::-1, :]], -1)
    along = _both_ways(circle(costs).transpose(1, 0, 2), circle(grey), step, jump)
    total = back(along.transpose(1, 0, 2))
    stiff = jnp.asarray(np.minimum(columns_of(height), 50), jnp.float32)
    around = _both_ways(costs.transpose(2, 0, 1), grey.T, step * stiff, jump * stiff)
    return total + around.transpose(1, 2, 0)


@sampling.compiled
def lowest(
    costs: Float32[Array, 'hypotheses height width'],
) -> tuple[Float32[jax.Array, 'height width'], Float32[jax.Array, 'height width']]:
    """(number of the cheapest hypothesis, made finer by a parabola; its cost).

    The first and the last one are never it: they have a neighbour on one side only.
    """
    count = len(costs)
    at = jnp.clip(jnp.argmin(costs, axis=0), 1, count - 2)
    below, here, above = (near(costs, at + move) for move in (-1, 0, 1))
    bend = jnp.maximum(below - 2 * here + above, 1e-9)
    part = jnp.clip(0.5 * (below - above) / bend, -0.5, 0.5)
    return at + part, here


def near(
    costs: Float32[Array, 'hypotheses height width'], at: Int[Array, 'height width']
) -> Float32[jax.Array, 'height width']:
    """Costs of one hypothesis by pixel: the one of number `at`, or the last one there is."""
    at = jnp.clip(at, 0, len(costs) - 1)
    return jnp.take_along_axis(costs, at[None], axis=0)[0]


@sampling.compiled
def bend(
    costs: Float32[Array, 'hypotheses height width'], at: Float32[Array, 'height width']
) -> Float32[jax.Array, 'height width']:
    """Second difference of the costs at a hypothesis: how sharply the images tell it."""
    at = jnp.clip(jnp.round(at).astype(jnp.int32), 1, len(costs) - 2)
    return near(costs, at - 1) - 2 * near(costs, at) + near(costs, at + 1)
