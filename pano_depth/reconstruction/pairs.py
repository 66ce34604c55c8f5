"""How two panoramas differ: by a turn of the camera, by small shifts beyond it, or altogether.

Images of 32 x 64 are enough, and cheap: first the turn is found, from a search over the yaw on;
then each place may shift a little by itself, as far as the places around it agree (Lucas and
Kanade, 1981). Two views of one place are alike after that in their fine structure and in their
colours; views of two places are not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, UInt8

from pano_depth.footage import media
from pano_depth.kernels import remap, rigid, sphere
from pano_depth.kernels.shapes import Array
from pano_depth.reconstruction.bundle.textures import Textures

HEIGHT = 32  # rows at which images are compared
BLURS = (4.0, 2.0, 1.0)  # pixels, coarse to fine
SEARCHED = 0.15  # radians, yaw from which the search starts there too
STEPS = 4  # on each level
WINDOW = 9  # pixels that shift together
FARTHEST = 0.6  # most that a place may shift, radians
BLANK = 1e-4  # mean square of the structure of an image below which there is none
COLOUR = 0.3  # weight of the colours beside the fine structure


class Look(NamedTuple):
    """A panorama, ready to be compared.

    Attributes:
        textures: grey value and its gradient by the unit direction, coarse to fine.
        colours: the shrunk image in [0, 1].
    """

    textures: Float32[Array, 'levels pixels 4']
    colours: Float32[Array, 'height width 3']


class Comparison(NamedTuple):
    """What two panoramas have in common.

    Attributes:
        rotation: target to source camera.
        likeness: correlation of fine structure and colours after turn and shift, at most 1.
    """

    rotation: Float[Array, '3 3']
    likeness: Float[Array, '']


def look(frame: UInt8[Array, 'height width 3']) -> Look:
    """Prepares a panorama.

    Args:
        frame: equirectangular, of any size.
    """
    small = media.resize_equirect(frame, HEIGHT, 2 * HEIGHT)
    found = Textures(small[None])
    textures = jnp.stack([found.texture(0, HEIGHT, blur) for blur in BLURS])
    return Look(textures, jnp.asarray(small, jnp.float32) / 255)


def _means(length, size, *, around):
    """Matrix [length, length] that averages `size` neighbours, around the end or up to it."""
    reached = np.arange(length)[:, None] + np.arange(size) - size // 2
    reached = reached % length if around else np.clip(reached, 0, length - 1)
    matrix = np.zeros((length, length), np.float32)
    np.add.at(matrix, (np.arange(length)[:, None], reached), 1 / size)
    return matrix


def _box(image, size):
    """Means of [H, W, C] over size x size pixels, around the seam; rows end at the poles."""
    rows = _means(image.shape[0], size, around=False)
    columns = _means(image.shape[1], size, around=True)
    # Two small products take a third of the time of sums over shifted images.
    return jnp.einsum('hi,wj,ijc->hwc', rows, columns, image)


def _sampled(pixels, directions):
    """Flattened pixels [P, C] of a 32 x 64 image, looked up along directions."""
    u, v = sphere.project(directions, HEIGHT, 2 * HEIGHT)
    taps = sphere.equirect_taps(u, v, HEIGHT, 2 * HEIGHT, 'bilinear')
    return remap.gather(pixels, *taps, grid=directions.shape[:-1])


def _standard(textures, area):
    """Textures whose grey values have the mean 0 and the deviation 1: exposure does not count."""
    grey, area = textures[..., :1], area.reshape(-1, 1)
    mean = jnp.sum(area * grey, axis=1, keepdims=True)
    deviation = jnp.sqrt(jnp.sum(area * (grey - mean) ** 2, axis=1, keepdims=True))
    return (textures - mean * jnp.array([1.0, 0, 0, 0])) / (deviation + 1e-3)


def _yaw(target, source, area):
    """The turn about the vertical axis that fits best, in radians."""

    def waves(textures):
        grey = textures[0, :, 0].reshape(area.shape)
        return jnp.fft.rfft(grey - jnp.mean(grey, axis=1, keepdims=True))

    product = jnp.conj(waves(target)) * waves(source) * area[:, :1]
    width = area.shape[1]
    best = jnp.argmax(jnp.fft.irfft(jnp.sum(product, axis=0), n=width))
    return jnp.where(best > width // 2, best - width, best) * (2 * jnp.pi / width)


def _trust(error, level):
    """Weights of residuals; on the finest level what moves by itself does not count at all."""
    size = jnp.abs(error)
    if level < len(BLURS) - 1:
        scale = 1.5 * jnp.mean(size) + 1e-6
        return scale / (scale + size)
    return 1 / (1 + (error / (2 * jnp.median(size) + 1e-6)) ** 2) ** 2


def _turned(rotation, target, source, rays, area):
    """(rotation, misfit) after robust Gauss-Newton steps, coarse to fine."""

    def residual(rotation, level):
        directions = rigid.rotate(rotation, rays)
        seen = _sampled(source[level], directions)
        return directions, seen, seen[..., 0] - target[level, :, 0].reshape(area.shape)

    for level in range(len(BLURS)):

        def improve(_, rotation, level=level):
            directions, seen, error = residual(rotation, level)
            slope = jnp.cross(directions, seen[..., 1:])
            weight = area * _trust(error, level)
            normal = jnp.einsum('hwi,hwj,hw->ij', slope, slope, weight) + 1e-6 * jnp.eye(3)
            step = -jnp.linalg.solve(normal, jnp.einsum('hwi,hw->i', slope, weight * error))
            # A step of more than 0.3 radians leaves what the gradient knows.
            step = step * jnp.minimum(1, 0.3 / (jnp.linalg.norm(step) + 1e-9))
            return rigid.so3_exp(step) @ rotation

        rotation = jax.lax.fori_loop(0, STEPS, improve, rotation)
    return rotation, jnp.sum(area * jnp.abs(residual(rotation, 1)[2]))


def _solved(normal, right):
    """Solutions of symmetric 3 x 3 systems: [..., 6] as xx xy xz yy yz zz, and [..., 3]."""
    a, b, c, d, e, f = jnp.moveaxis(normal, -1, 0)
    x, y, z = jnp.moveaxis(right, -1, 0)
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    fourth, fifth, sixth = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * first + b * second + c * third
    found = [
        first * x + second * y + third * z,
        second * x + fourth * y + fifth * z,
        third * x + fifth * y + sixth * z,
    ]
    return jnp.stack(found, axis=-1) / determinant[..., None]


def _shifted(rotation, target, source, rays, area):
    """Directions in the source: each place shifts with those around it."""
    base = rigid.rotate(rotation, rays)
    weight = area[..., None]
    share = _box(weight, WINDOW)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))

    def moved(offset):
        directions = base + offset
        return directions / jnp.linalg.norm(directions, axis=-1, keepdims=True)

    offset = jnp.zeros_like(base)
    for level in range(len(BLURS)):

        def equations(offset, level=level):
            seen = _sampled(source[level], moved(offset))
            slope = seen[..., 1:]
            error = seen[..., 0] - target[level, :, 0].reshape(area.shape)
            products = [slope[..., i] * slope[..., j] for i, j in pairs]
            products += [slope[..., i] * error for i in range(3)]
            means = _box(weight * jnp.stack(products, axis=-1), WINDOW) / share
            return means[..., :6], means[..., 6:]

        def improve(_, offset, equations=equations):
            normal, right = equations(offset)
            diagonal = jnp.array([1.0, 0, 0, 1, 0, 1])
            damping = 0.05 * jnp.mean(normal @ diagonal) + 1e-6
            offset = _box(offset - _solved(normal + damping * diagonal, right), 3)
            length = jnp.linalg.norm(offset, axis=-1, keepdims=True)
            return offset * jnp.minimum(1, FARTHEST / (length + 1e-9))

        offset = jax.lax.fori_loop(0, STEPS, improve, offset)
    return moved(offset)


def _likeness(target, source, directions, area):
    """Correlation of what is finer than 5 pixels, and of the colours whatever their brightness."""
    seen = _sampled(source.reshape(-1, 3), directions)

    def features(image):
        image = image / (jnp.sum(area[..., None] * image) / 3 + 1e-3)
        colour = image / (jnp.mean(image, axis=-1, keepdims=True) + 0.1)
        colour = colour - jnp.sum(area[..., None] * colour, axis=(0, 1))
        return jnp.concatenate([image - _box(image, 5), COLOUR * colour], axis=-1)

    one, other, weight = features(target), features(seen), area[..., None]
    first, second = jnp.sum(weight * one**2), jnp.sum(weight * other**2)
    found = jnp.sum(weight * one * other) / jnp.sqrt(first * second + 1e-12)
    # Nothing tells two blank frames apart.
    return jnp.where(jnp.maximum(first, second) < BLANK, 1.0, found)


@jax.jit
def compare(target: Look, source: Look) -> Comparison:
    """Compares two panoramas.

    Args:
        target, source: from `look`.
    """
    rays = sphere.ray_directions(HEIGHT, 2 * HEIGHT)
    area = sphere.solid_angles(HEIGHT, 2 * HEIGHT) / (4 * np.pi)
    one, other = _standard(target.textures, area), _standard(source.textures, area)
    rotation, misfit = _turned(jnp.eye(3), one, other, rays, area)
    yaw = _yaw(one, other, area)

    def from_yaw():
        start = rigid.so3_exp(jnp.array([0.0, 1, 0]) * yaw)
        found, its_misfit = _turned(start, one, other, rays, area)
        return jnp.where(its_misfit < misfit, found, rotation)

    # Small turns are found without a search.
    rotation = jax.lax.cond(jnp.abs(yaw) > SEARCHED, from_yaw, lambda: rotation)
    directions = _shifted(rotation, one, other, rays, area)
    return Comparison(rotation, _likeness(target.colours, source.colours, directions, area))
