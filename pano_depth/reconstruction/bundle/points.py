"""Which pixels the adjustment follows: strong gradients, spread evenly over the sphere."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64

from pano_depth.reconstruction.bundle import terms

# A pattern of pixels around each point, which all have its depth (Engel et al., "Direct Sparse
# Odometry", 2018, figure 4: spread over two pixels, so that few pixels tell much).
PATTERN = np.array(
    [(0, 0), (0, -2), (-1, -1), (1, -1), (-2, 0), (2, 0), (-1, 1), (0, 2)], np.float64
)
DENSE = 128  # rows of pixels that are enough to choose from
ROOM = 100  # room is made for multiples of so many points, so that few programs are compiled
POLE = 0.97  # |sin latitude| beyond which no point lies: pixels there are copies of each other


@functools.lru_cache(maxsize=4)
def cells_of(height: int, count: int) -> np.ndarray:
    """Cells of about equal solid angle: the number of the cell of every pixel, [H, 2H] int.

    Args:
        height: rows of the image.
        count: about how many cells there are.
    """
    # Bands of equal latitude, as high as the cells are wide.
    bands = max(2, round(np.sqrt(np.pi * count) / 2))
    edges = np.linspace(0, np.pi, bands + 1)
    middle = 0.5 * (edges[1:] + edges[:-1])
    widths = np.maximum(1, np.round(np.sin(middle) / np.sin(middle).sum() * count)).astype(int)
    first = np.concatenate([[0], np.cumsum(widths)[:-1]])
    rows = (np.arange(height) + 0.5) / height * np.pi
    band = np.minimum(np.searchsorted(edges, rows, side='right') - 1, bands - 1)
    columns = np.arange(2 * height) / (2 * height)
    return first[band][:, None] + (columns * widths[band][:, None]).astype(int)


def choose(
    gradient: Float[np.ndarray, 'height width 3'],
    count: int,
    *,
    mask: Bool[np.ndarray, 'height width'] | None = None,
    rng: np.random.Generator,
    least: float = 0.02,
) -> np.ndarray:
    """Draws pixels with strong gradients, at most one in each of about `count` cells.

    Args:
        gradient: of the grey value by the unit direction.
        count: cells on the sphere.
        mask: False where no point may lie, or None.
        rng: source of chance: which of several strong pixels is taken.
        least: gradient per radian below which nothing is taken.

    Returns:
        Flat pixel numbers [P] int64, P <= count.
    """
    height, width = gradient.shape[:2]
    # Large images hold many more pixels than points: every second one and so on is looked at.
    step = max(1, height // DENSE)
    down, right = rng.integers(step), rng.integers(step)
    rows, columns = np.arange(down, height, step), np.arange(right, width, step)
    some = np.ix_(rows, columns)
    strength = np.sqrt(np.einsum('ijk,ijk->ij', gradient[some], gradient[some]))
    steep = np.abs(np.cos((rows + 0.5) / height * np.pi)) >= POLE
    usable = (strength > least) & ~steep[:, None]
    if mask is not None:
        usable &= mask[some]
    row, column = np.nonzero(usable)
    score = strength[row, column] * rng.uniform(0.3, 1.0, len(row)).astype(np.float32)
    cell = cells_of(height, count)[some][row, column]
    order = np.lexsort((-score, cell))
    _, first = np.unique(cell[order], return_index=True)
    best = order[first]
    return rows[row[best]] * width + columns[column[best]]


def pattern_rays(
    pixels: np.ndarray, height: int, *, spread: float = 1.0
) -> Float64[np.ndarray, 'points taps 3']:
    """Unit rays of the pattern around pixels: equally far apart on the sphere in both directions.

    Args:
        pixels: flat numbers [P] in an image of `height` rows.
        height: rows of the image.
        spread: pixels between neighbours of the pattern.
    """
    width = 2 * height
    row, column = np.divmod(np.asarray(pixels), width)
    lat = ((0.5 - (row + 0.5) / height) * np.pi)[:, None]
    step = np.pi / height * spread
    up = lat - PATTERN[:, 1] * step
    lon = ((column + 0.5) / width - 0.5)[:, None] * 2 * np.pi + PATTERN[:, 0] * step / np.cos(lat)
    return np.stack([np.cos(up) * np.sin(lon), -np.sin(up), np.cos(up) * np.cos(lon)], axis=-1)


class Pattern(NamedTuple):
    """Points of a keyframe as they look in their own frame, on one level.

    Attributes:
        rays, values, valid: as of `terms.Points`.
    """

    rays: jax.Array
    values: jax.Array
    valid: jax.Array


class Followed:
    """The points of all keyframes, filled up to a common number: one program serves them all.

    Attributes:
        pixels: by keyframe, flat numbers in the image.
        inverse: by keyframe, the inverse ranges they start with.
        room: the common number.
    """

    def __init__(self, height: int, pixels: list[np.ndarray], inverse: list[np.ndarray]):
        """Holds points that were chosen in images of `height` rows."""
        self._height, self.pixels, self.inverse = height, pixels, inverse
        self.room = -(-max(1, *map(len, pixels)) // ROOM) * ROOM

    def pattern(
        self, keyframe: int, maps: Float[jax.Array, 'slots pixels 4'], slot: int, height: int
    ) -> Pattern:
        """What the points of a keyframe look like in its texture of `height` rows."""
        pixels = self.pixels[keyframe]
        rays = np.zeros((self.room, len(PATTERN), 3), np.float32)
        rays[..., 2] = 1
        rays[: len(pixels)] = pattern_rays(pixels, self._height, spread=self._height / height)
        values = terms.look(maps, jnp.asarray(slot), jnp.asarray(rays), height)
        valid = np.isfinite(np.asarray(values)).all(axis=-1)
        valid[len(pixels) :] = False
        return Pattern(jnp.asarray(rays), values, jnp.asarray(valid))

    def at(self, keyframe: int, pattern: Pattern, inverse: np.ndarray) -> terms.Points:
        """The points of a keyframe at inverse ranges."""
        room = np.ones(self.room, np.float32)
        room[: len(inverse)] = inverse
        return terms.Points(pattern.rays, pattern.values, room, pattern.valid)
