"""Planes through depth: inverse range is linear in the ray on every plane, exactly.

A plane n . X = d is seen at inverse range n . ray / d. So a pixel's surroundings are fitted by a
function a . ray, whatever the slant and wherever the poles are.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction.pixels import sampling
from pano_depth.reconstruction.pixels.gradients import extended, interleaved

_LIKE = 0.03  # difference of colour at which a neighbour counts e times less
_DEPTH = 0.1  # log range from which on a neighbour counts less at first
_OFF = 0.02  # log range off the plane from which on it counts less in the end
_TURNS = 2  # times that the plane is fitted again
_ASIDE = 2  # pixels to the neighbours whose planes are tried


class Around(NamedTuple):
    """The neighbours of all pixels of an image, a table for each neighbour.

    Attributes:
        index: flat number of the pixel.
        right, down: where its ray meets the plane that touches the sphere at the pixel.
        along: cosine of the angle between the two rays.
    """

    index: np.ndarray
    right: np.ndarray
    down: np.ndarray
    along: np.ndarray


@functools.lru_cache(maxsize=4)
def around(height: Size, radius: Size, step: Size) -> Around:
    """Neighbours in a disc on the sphere.

    Args:
        height: rows of the image.
        radius: neighbours on each side.
        step: pixels of the equator between them.
    """
    width = 2 * height
    rays = sphere.pixel_rays(height, width)
    latitude = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    reach = [step * i for i in range(-radius, radius + 1)]
    moves = [(i, j) for i in reach for j in reach if i * i + j * j <= (radius * step + 0.5) ** 2]
    tables = []
    # The position of a neighbour relative to its pixel depends on the row alone.
    centre = rays[:, width // 2]
    east, south = _axes(centre)
    for down, right in moves:
        aside = np.round(right / np.maximum(np.cos(latitude), 1e-3)).astype(int)
        aside = np.clip(aside, -width // 4, width // 4)
        rows = np.broadcast_to(np.arange(height)[:, None] + down, (height, width))
        columns = np.arange(width)[None] + aside[:, None]
        index = sphere.wrap_pixels(rows, columns, height, width, xp=np)
        seen = rays.reshape(-1, 3)[index[:, width // 2]]
        along = np.sum(seen * centre, axis=-1)
        tables.append(
            (
                index.ravel(),
                np.sum(seen * east, axis=-1) / along,
                np.sum(seen * south, axis=-1) / along,
                along,
            )
        )
    index, right, down, along = (np.stack(parts) for parts in zip(*tables, strict=True))
    cast = lambda x: x.astype(np.float32)[..., None]
    return Around(index.astype(np.int32), cast(right), cast(down), cast(along))


def _axes(rays):
    """Unit vectors to the right and downwards in the image, across rays [..., 3]."""
    right = np.stack([rays[..., 2], 0 * rays[..., 0], -rays[..., 0]], axis=-1)
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    return right, np.cross(rays, right)


@sampling.compiled
def _fit(inverse, weight, image, tables):
    shape = inverse.shape
    flat, weights = inverse.ravel(), weight.ravel()
    colours = image.reshape(3, -1)

    def fit(plane, tolerance):
        middle, right, down = plane

        def add(sums, table):
            index, a, b, along = table
            look = lambda x: x.at[index].get(mode='promise_in_bounds')
            there = look(flat).reshape(shape) / along
            unlike = sum(jnp.abs(look(colour) - colour) for colour in colours).reshape(shape) / 3
            off = jnp.log(there / jnp.maximum(middle + a * right + b * down, 1e-9))
            like = jnp.exp(-unlike / _LIKE) / (1 + (off / tolerance) ** 2) ** 2
            w = look(weights).reshape(shape) * like
            terms = (w, w * a, w * b, w * a * a, w * a * b, w * b * b)
            terms += (w * there, w * there * a, w * there * b)
            return tuple(total + term for total, term in zip(sums, terms, strict=True)), None

        zero = jnp.zeros(shape)
        sums, _ = jax.lax.scan(add, (zero,) * 9, tables)
        return _solved(sums, inverse)

    zero = jnp.zeros(shape)
    plane = (inverse, zero, zero)
    for turn in range(_TURNS + 1):
        plane = fit(plane, _DEPTH if turn == 0 else _OFF * (2 if turn < _TURNS else 1))
    return jnp.stack(plane)


def _solved(sums, inverse):
    """The plane of least squares, [inverse range, slope right, slope down], by its sums."""
    total, a, b, aa, ab, bb, w, wa, wb = sums
    total = total + 1e-9
    a, b, w = a / total, b / total, w / total
    # A little stiffness: surroundings without width do not tell the slant.
    stiff = 1e-3 * total * (np.pi / inverse.shape[0]) ** 2 + 1e-12
    aa, ab, bb = aa - total * a * a + stiff, ab - total * a * b, bb - total * b * b + stiff
    wa, wb = wa - total * a * w, wb - total * b * w
    determinant = aa * bb - ab * ab
    right, down = (bb * wa - ab * wb) / determinant, (aa * wb - ab * wa) / determinant
    middle = jnp.clip(w - right * a - down * b, 0.7 * inverse, 1.4 * inverse)
    known = total > 1e-4
    return (
        jnp.where(known, middle, inverse),
        jnp.where(known, right, 0.0),
        jnp.where(known, down, 0.0),
    )


def fit(
    inverse: Float32[Array, 'height width'],
    weight: Float32[Array, 'height width'],
    image: Float32[Array, '3 height width'],
    *,
    radius: Size = 3,
    step: Size = 2,
) -> Float32[jax.Array, '3 height width']:
    """Planes around all pixels, by neighbours of like colour and depth.

    Args:
        inverse: 1 / range.
        weight: how much a pixel counts.
        image: colours of the pixels.
        radius, step: of the disc of neighbours, see `around`.

    Returns:
        Inverse range on the plane at the pixel, and its change to the right and downwards by the
        tangent of the angle.
    """
    return _fit(inverse, weight, image, around(inverse.shape[0], radius, step))


def finer(
    plane: Float32[Array, '3 height width'],
) -> Float32[jax.Array, 'candidates 2*height 2*width']:
    """Inverse range at twice the resolution by the planes of pixels near by.

    The first candidate is the plane of the pixel itself, the others are those of pixels two above,
    below and aside: where an edge of depth was put wrong, one of them is right.

    Args:
        plane: what `fit` gives.
    """
    return _joined(_candidates(plane))


@sampling.compiled
def _candidates(plane):
    """The four parts of the candidates, see `interleaved`."""
    height, width = plane.shape[1:]
    rays = sphere.pixel_rays(height, width)
    axes = [jnp.asarray(np.moveaxis(axis, -1, 0), jnp.float32) for axis in (rays, *_axes(rays))]
    linear = [sum(part * axis[i] for part, axis in zip(plane, axes, strict=True)) for i in range(3)]
    around = [extended(x, _ASIDE) for x in (plane[0], *linear)]
    fine = jnp.moveaxis(sphere.ray_directions(2 * height, 2 * width), -1, 0)

    def of(down, right, towards):
        rows, columns = (
            slice(_ASIDE + move, _ASIDE + move + n) for move, n in ((down, height), (right, width))
        )
        near, *there = (x[rows, columns] for x in around)
        on_plane = sum(part * ray for part, ray in zip(there, towards, strict=True))
        return jnp.clip(on_plane, 0.7 * near, 1.4 * near)

    moves = [(0, 0), (0, _ASIDE), (0, -_ASIDE), (_ASIDE, 0), (-_ASIDE, 0)]
    return [
        [jnp.stack([of(*move, fine[:, p::2, q::2]) for move in moves]) for q in range(2)]
        for p in range(2)
    ]


@sampling.compiled
def _joined(parts):
    return interleaved(parts)
