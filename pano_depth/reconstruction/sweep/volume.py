"""What every hypothesis of depth costs: how badly the sources explain the target with it."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Float64, UInt32

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction.pixels import sampling
from pano_depth.reconstruction.sweep import textures

_BAND = 2**13  # half of the pixels of a band, at most
TRUNCATION = 0.1  # cost of a source that does not see the point, or not alike


class Sources(NamedTuple):
    """The frames with which a target is compared.

    Attributes:
        words: `textures.pack` of each.
        rotation, position: from the target's camera to each of theirs.
        gain: factor that brings each to the brightness of the target, by the target's pixels.
    """

    words: UInt32[Array, 'sources 2 pixels']
    rotation: Float32[Array, 'sources 3 3']
    position: Float32[Array, 'sources 3']
    gain: Float32[Array, 'sources height width']


@functools.lru_cache(maxsize=16)
def sorting_pairs(count: Size) -> tuple[tuple[int, int], ...]:
    """Comparisons that sort `count` values, lowest first (Batcher's merge exchange)."""
    pairs, size = [], 1
    while size < count:
        step = size
        while step >= 1:
            for start in range(step % size, count - step, 2 * step):
                for i in range(min(step, count - start - step)):
                    if (start + i) // (2 * size) == (start + i + step) // (2 * size):
                        pairs.append((start + i, start + i + step))
            step //= 2
        size *= 2
    return tuple(pairs)


def _better_half(costs):
    """Mean of the lower half of a list of arrays: what hides a point in some sources is left out.

    `jnp.sort` takes many times as long.
    """
    costs = list(costs)
    for low, high in sorting_pairs(len(costs)):
        costs[low], costs[high] = (
            jnp.minimum(costs[low], costs[high]),
            jnp.maximum(costs[low], costs[high]),
        )
    kept = (len(costs) + 1) // 2
    return sum(costs[:kept]) / kept


@sampling.compiled
def volume(
    target: Float32[Array, '7 height width'],
    sources: Sources,
    logs: Float32[Array, 'hypotheses ...'],
) -> Float32[jax.Array, 'hypotheses height width']:
    """Costs of hypotheses, each the mean over the half of the sources that explain it better.

    The cost of one source is `textures.difference` at the target's brightness, cut off at
    `TRUNCATION`.

    Args:
        target: its `textures.features`.
        sources: the others.
        logs: logarithm of inverse range, [D] for the whole image or [D, H, W].
    """
    height = target.shape[1]
    rays = jnp.moveaxis(sphere.ray_directions(height, 2 * height), -1, 0)
    # What a source would have to show, in its own numbers: its brightness, its camera's axes.
    expected = [
        textures.numbers(target[:6], rotation, gain)
        for rotation, gain in zip(sources.rotation, sources.gain)
    ]
    logs = logs.reshape(len(logs), *((1, 1) if logs.ndim == 1 else logs.shape[1:]))
    rows = band_of(height) if jax.default_backend() == 'cpu' else height

    def of_band(number):
        band = lambda images: jax.lax.dynamic_slice_in_dim(images, number * rows, rows, axis=-2)
        here, shown = band(rays), [list(map(band, parts)) for parts in expected]
        dimmed = sources._replace(gain=band(sources.gain))
        one = lambda log: _cost(jnp.exp(log), here, shown, dimmed, height)
        return jax.lax.map(one, logs if logs.shape[1] == 1 else band(logs))

    found = jax.lax.map(of_band, jnp.arange(height // rows))
    return found.swapaxes(0, 1).reshape(len(logs), height, 2 * height)


def _cost(inverse, rays, expected, sources, height):
    """Costs of one hypothesis in some rows; `expected` and the gain of the sources are theirs."""
    wide = 4 * height + 2

    def where(camera):
        columns, rows = sampling.pixels(sampling.seen_from(rays, inverse, *camera), height)
        # The finer image has its pixel 2 x + 0.5 where this one has x; 1 more for the border.
        return (2 * rows + 2).astype(jnp.int32) * wide + (2 * columns + 2).astype(jnp.int32)

    # As a loop of its own, or the compiler computes these once more for each word looked up.
    places = jax.lax.map(where, (sources.rotation, sources.position))
    costs = []
    for k, (place, words) in enumerate(zip(places, sources.words)):
        colour, slope = (word.at[place].get(mode='promise_in_bounds') for word in words)
        cost = textures.difference(colour, slope, expected[k]) * sources.gain[k]
        costs.append(jnp.minimum(cost, TRUNCATION))
    return _better_half(costs)


def band_of(height: Size) -> Size:
    """Rows that are compared at once on a CPU, with all hypotheses.

    What the sources show there stays in the cache; all rows at once take 1.7 times as long.

    Args:
        height: rows of the image; a band is a part of them.
    """
    fits = [rows for rows in range(4, height + 1) if height % rows == 0 and rows * height <= _BAND]
    return max(fits, default=height)


def columns_of(height: Size) -> Float64[np.ndarray, ' {height}']:
    """By row, pixels side by side that are as wide as one pixel of the equator, at least 1."""
    latitude = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    return 1 / np.maximum(np.cos(latitude), 1 / height)


@sampling.compiled
def pooled(
    costs: Float32[Array, 'hypotheses height width'],
) -> Float32[jax.Array, 'hypotheses height width']:
    """Mean over three rows and as wide a part of the sphere, around the seam and the poles.

    Near the poles this is many columns: what a pixel there sees is small.
    """
    height, width = costs.shape[1:]
    half = jnp.roll(costs, width // 2, axis=-1)
    rows = jnp.concatenate([half[:, :1], costs, half[:, -1:]], axis=1)
    rows = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    most = width // 8
    aside = np.clip(np.floor(1.5 * columns_of(height)), 1, most).astype(np.int32)
    wide = jnp.concatenate([rows[..., -most - 1 :], rows, rows[..., :most]], axis=-1)
    sums = jnp.cumsum(wide, axis=-1)
    centre = np.arange(width) + most + 1
    after = (centre[None] + aside[:, None]).astype(np.int32)
    before = (centre[None] - aside[:, None] - 1).astype(np.int32)
    take = lambda at: jnp.take_along_axis(
        sums, jnp.broadcast_to(at[None], (1, height, width)), axis=-1
    )
    return (take(after) - take(before)) / (3 * (2 * aside + 1))[None, :, None]
