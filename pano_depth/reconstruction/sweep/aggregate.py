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


def _walked(costs, grey, places, step, jump):
    """The sum of the paths in both directions along circles of pixels.

    Both are walked in one loop, which reads and writes the volume in its own order: copies of it,
    turned or reversed, would take most of the time.

    Args:
        costs: [D, rows, sides, lines]; lines are walked side by side.
        grey: [rows, sides, lines].
        places: (row, side) of each pixel of a circle.
        step, jump: penalties, by line or for all.
    """
    count, lines = len(costs), costs.shape[-1]
    rows, sides = (jnp.asarray(part, jnp.int32) for part in places)
    length = len(places[0])
    ahead = length - length // _BEYOND
    start = lambda i: (0, rows[i], sides[i], 0)
    at = lambda volume, i: jax.lax.dynamic_slice(volume, start(i), (count, 1, 1, lines))
    first = lambda i: (at(costs, i)[:, 0, 0], grey[rows[i], sides[i]])

    def onward(state, i):
        (before, grey_before), (cost, here) = state, first(i)
        best = before.min(axis=0, keepdims=True)
        allowed = jnp.maximum(jump * jnp.exp(-_CONTRAST * jnp.abs(here - grey_before)), step)
        edge = jnp.full_like(before[:1], _FAR)
        near = jnp.minimum(
            jnp.concatenate([before[1:], edge]), jnp.concatenate([edge, before[:-1]])
        )
        least = jnp.minimum(jnp.minimum(before, near + step), best + allowed)
        return cost + least - best, here

    def both(i, states):
        return onward(states[0], i), onward(states[1], length - 1 - i)

    def noted(i, carry):
        states, total = carry
        states = both(i, states)
        for (found, _), j in zip(states, (i, length - 1 - i), strict=True):
            total = jax.lax.dynamic_update_slice(
                total, at(total, j) + found[:, None, None], start(j)
            )
        return states, total

    states = first(ahead), first(length - 1 - ahead)
    states = jax.lax.fori_loop(ahead, length, both, states)
    return jax.lax.fori_loop(0, length, noted, (states, jnp.zeros_like(costs)))[1]


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
    # Meridian x goes down column x and up column x + W/2.
    halves = lambda x: x.reshape(*x.shape[:-1], 2, width // 2)
    down = np.arange(height)
    meridian = np.concatenate([down, down[::-1]]), np.repeat([0, 1], height)
    along = _walked(halves(costs), halves(grey), meridian, step, jump).reshape(costs.shape)
    stiff = jnp.asarray(np.minimum(columns_of(height), 50), jnp.float32)
    row = np.arange(width), np.zeros(width, int)
    turned = costs.swapaxes(1, 2)[:, :, None]
    around = _walked(turned, grey.T[:, None], row, step * stiff, jump * stiff)
    return along + around[:, :, 0].swapaxes(1, 2)


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
