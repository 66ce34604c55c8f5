"""The equirectangular sphere: rays, projection, sampling and solid angles.

Pixel (row v, column u) of an H x W image, W = 2H, integers at pixel centres, looks along

    lon = ((u + 0.5) / W - 0.5) * 2 pi,   lat = (0.5 - (v + 0.5) / H) * pi,
    direction = (cos lat * sin lon, -sin lat, cos lat * cos lon)

in the camera frame x right, y down, z forward. Columns wrap around; a row beyond a pole is the row
on the near side of it, shifted by half the width.
"""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from pano_depth.kernels import remap
from pano_depth.kernels.remap import Method
from pano_depth.kernels.shapes import Array, Real, Size


def check_equirect(height: Size, width: Size, name: str = 'image') -> None:
    """Raises ValueError about `name` unless `height` x `width` is equirectangular, W = 2H."""
    if (
        not all(isinstance(size, (int, np.integer)) for size in (height, width))
        or height < 1
        or width != 2 * height
    ):
        raise ValueError(
            f'{name} is {height} x {width} pixels; an equirectangular image is H x W with W = 2H'
        )


@functools.lru_cache(maxsize=8)
def pixel_rays(height: Size, width: Size) -> Float64[np.ndarray, '{height} {width} 3']:
    """Unit rays of the pixel centres of a height x width image, on the host in float64."""
    lon = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    lat = ((0.5 - (np.arange(height) + 0.5) / height) * np.pi)[:, None]
    rays = np.stack(
        [
            np.cos(lat) * np.sin(lon),
            np.broadcast_to(-np.sin(lat), (height, width)),
            np.cos(lat) * np.cos(lon),
        ],
        axis=-1,
    )
    rays.setflags(write=False)
    return rays


def ray_directions(height: Size, width: Size) -> Float32[jax.Array, '{height} {width} 3']:
    """Unit viewing rays of the pixel centres of an equirectangular image.

    Args:
        height, width: image size in pixels, width = 2 * height.

    Returns:
        Unit vectors in the camera frame.

    Raises:
        ValueError: the size is not 2:1.
    """
    check_equirect(height, width, 'ray_directions')
    return jnp.asarray(pixel_rays(height, width), jnp.float32)


# Powers of two that keep the squares of directions of any length within the range of float32,
# without rounding.
_LONG, _SHRINK = 2.0**40, 2.0**-70

# Longitude has no derivative at the poles and latitude has a kink there. The image that they
# address is smooth there. The derivatives below stay finite: they treat everything within 1e-6 rad
# of a pole, far less than a pixel, as 1e-6 rad away.
_POLE = 1e-6


def _moderate(directions):
    """Scales directions [..., 3] whose squared length would not be a normal float32 number."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(directions), axis=-1, keepdims=True))
    return directions * jnp.where(
        largest > _LONG, _SHRINK, jnp.where(largest < 1 / _LONG, 1 / _SHRINK, 1.0)
    )


@jax.custom_jvp
def _longitude(x, z):
    return jnp.arctan2(x, z)


@_longitude.defjvp
def _longitude_jvp(primals, tangents):
    (x, z), (dx, dz) = primals, tangents
    return _longitude(x, z), (z * dx - x * dz) / jnp.maximum(x * x + z * z, _POLE**2)


@jax.custom_jvp
def _latitude(x, y, z):
    # atan2 keeps its accuracy up to the poles, where asin(y) loses half of the digits.
    return jnp.arctan2(-y, jnp.sqrt(x * x + z * z))


@_latitude.defjvp
def _latitude_jvp(primals, tangents):
    (x, y, z), (dx, dy, dz) = primals, tangents
    horizontal = jnp.sqrt(x * x + z * z)
    radial = (x * dx + z * dz) / jnp.maximum(horizontal, _POLE)
    return _latitude(x, y, z), (y * radial - horizontal * dy) / jnp.maximum(
        x * x + y * y + z * z, _POLE**2
    )


def project(
    directions: Real[Array, '*batch 3'], height: Size, width: Size
) -> tuple[Float[jax.Array, '*batch'], Float[jax.Array, '*batch']]:
    """Continuous pixel coordinates of viewing directions in an equirectangular image.

    Args:
        directions: vectors in the camera frame, of any positive length. They are computed in
            float32, or in their own type if it is wider.
        height, width: image size in pixels, width = 2 * height.

    Returns:
        (u, v): column and row; integers are pixel centres, u in [-0.5, width - 0.5], v in [-0.5,
        height - 0.5]. Gradients are finite everywhere, the poles included.

    Raises:
        ValueError: the directions are not [..., 3] or the image is not 2:1.
    """
    directions = jnp.asarray(directions)
    check_equirect(height, width)
    if directions.shape[-1:] != (3,):
        raise ValueError(f'directions have shape {directions.shape}; expected [..., 3]')
    directions = _moderate(directions.astype(jnp.promote_types(directions.dtype, jnp.float32)))
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    # One multiply-add each: dividing by 2 pi before scaling would cost two more roundings.
    u = _longitude(x, z) * (width / (2 * np.pi)) + (width / 2 - 0.5)
    v = _latitude(x, y, z) * (-height / np.pi) + (height / 2 - 0.5)
    return u, v


def wrap_pixels(
    rows: Int[Array, '*#batch'],
    columns: Int[Array, '*#batch'],
    height: Size,
    width: Size,
    *,
    xp: types.ModuleType = jnp,
) -> Int[Array, '*#batch']:
    """Flat indices of integer pixels on the sphere, where columns wrap and rows cross the poles.

    Args:
        rows, columns: of the pixels; rows in [-height, 2 * height).
        height, width: image size, width even.
        xp: the array module, `jax.numpy` or `numpy`.

    Returns:
        row * width + column of the pixel inside the image.
    """
    crossed = (rows < 0) | (rows >= height)
    rows = xp.where(rows < 0, -1 - rows, xp.where(rows >= height, 2 * height - 1 - rows, rows))
    columns = (columns + xp.where(crossed, width // 2, 0)) % width
    return rows * width + columns


def equirect_taps(
    u: Float[Array, '*grid'],
    v: Float[Array, '*grid'],
    height: Size,
    width: Size,
    method: Method,
    *,
    xp: types.ModuleType = jnp,
) -> tuple[list[Int[Array, '*grid']], list[Float[Array, '*grid']] | None]:
    """Pixels and weights that interpolate an equirectangular image at continuous coordinates.

    Args:
        u, v: columns and rows as `project` gives them.
        height, width: image size.
        method: 'bilinear' (four taps) or 'nearest' (one).
        xp: the array module, `jax.numpy` or `numpy`.

    Returns:
        (indices, weights): flat pixel indices and weights by tap, the weights differentiable in u
        and v; nearest has weights None.
    """
    if method == 'nearest':
        rows, columns = (xp.floor(x + 0.5).astype(np.int32) for x in (v, u))
        return [wrap_pixels(rows, columns, height, width, xp=xp)], None
    if method != 'bilinear':
        raise ValueError(f"method is {method!r}; accepted are 'bilinear' and 'nearest'")
    row, column = xp.floor(v), xp.floor(u)
    right, down = u - column, v - row
    rows, columns = row.astype(np.int32), column.astype(np.int32)
    indices = [
        wrap_pixels(rows + i, columns + j, height, width, xp=xp) for i in (0, 1) for j in (0, 1)
    ]
    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
    return indices, weights


def sample_equirect(
    image: Real[Array, '*batch height width channels'],
    directions: Real[Array, '*grid 3'],
    *,
    method: Method = 'bilinear',
) -> Real[jax.Array, '... channels']:
    """Looks an equirectangular image up along viewing directions.

    Args:
        image: equirectangular, W = 2H; other types than floats are interpolated in float32 and
            rounded.
        directions: vectors in the camera frame. Where their first axes equal the leading axes of
            the image, each image is sampled along its own directions; otherwise all images are
            sampled along the same ones.
        method: 'bilinear' or 'nearest' (depth and masks, so that invalid zeros never mix).

    Returns:
        Samples in the type of the image. Their axes are the leading axes of the image, then the
        axes of the directions that the image does not share, then the channels.

    Raises:
        ValueError: the image is not 2:1, has no channel axis, or the method is unknown.
    """
    image, directions = jnp.asarray(image), jnp.asarray(directions)
    if image.ndim < 3 or directions.ndim < 1 or directions.shape[-1] != 3:
        raise ValueError(
            f'image {image.shape} and directions {directions.shape}; expected [..., H, W, C] and'
            ' [..., 3]'
        )
    height, width, channels = image.shape[-3:]
    check_equirect(height, width)
    batch = image.shape[:-3]
    shared = directions.shape[: len(batch)] != batch or directions.ndim - 1 < len(batch)
    grid = directions.shape[:-1] if shared else directions.shape[len(batch) : -1]
    indices, weights = equirect_taps(*project(directions, height, width), height, width, method)
    source = image.reshape(batch + (height * width, channels))
    return remap.gather(source, indices, weights, grid=grid)


def solid_angles(height: Size, width: Size) -> Float32[jax.Array, '{height} {width}']:
    """Exact solid angle of every pixel of an equirectangular image.

    Args:
        height, width: image size in pixels, width = 2 * height.

    Returns:
        Steradians, which sum to 4 pi.
    """
    check_equirect(height, width, 'solid_angles')
    lat = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    # sin(top) - sin(bottom) without the cancellation.
    rows = 2 * np.cos(lat) * np.sin(np.pi / (2 * height)) * (2 * np.pi / width)
    return jnp.asarray(np.broadcast_to(rows[:, None], (height, width)), jnp.float32)
