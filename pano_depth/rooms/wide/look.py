"""What a 360 camera makes of a scene: exposure, response, lenses, seams, noise, blocks, tripod.

A `Look` is drawn once for a clip. `photograph` applies it in JAX, to images as `render` gives them.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth.kernels import sphere
from pano_depth.rooms.materials import between
from pano_depth.rooms.render import EXPOSURE
from pano_depth.rooms.wide import blocks

MIDDLE = 0.2  # linear brightness to which a camera exposes the mean
SEAM = 0.1  # radians: half width of the seam between two lenses


class Look(NamedTuple):
    """A camera and its settings; float32 numbers, arrays where a shape is given.

    Attributes:
        stops: exposure beside the automatic one, in stops.
        automatic: how much of the brightness of a scene the automatic exposure evens out, 0 to 1.
        flicker: change of the exposure from frame to frame, in stops.
        white: [3] gains of the colours.
        hard: 0 for highlights that roll off, 1 for ones that are cut off.
        contrast: strength of the S-curve of the response.
        haze: brightness of black.
        saturation: 1 leaves colours as they are.
        axis: longitude of the first lens, radians; the second looks the other way.
        vignette: loss of light at the edge of a lens.
        unequal: difference in gain of the two lenses.
        misfit: displacement at the seams, radians.
        blur: weight of each neighbour of a pixel, 0 to 1/3.
        noise: standard deviation at middle brightness.
        blocks: quantisation step of the transform of blocks of 8 x 8 pixels; 0: none.
        cap: radius of the disc around the nadir that hides the tripod, radians; 0: none.
        cap_colours: [2, 3] of the rings of the disc.
        legs: radius within which the legs of a tripod are seen, radians; 0: none.
        leg_width: half the thickness of a leg, radians.
        leg_turn: longitude of the first leg, radians.
        seed: of the noise, int32.
    """

    stops: np.ndarray
    automatic: np.ndarray
    flicker: np.ndarray
    white: np.ndarray
    hard: np.ndarray
    contrast: np.ndarray
    haze: np.ndarray
    saturation: np.ndarray
    axis: np.ndarray
    vignette: np.ndarray
    unequal: np.ndarray
    misfit: np.ndarray
    blur: np.ndarray
    noise: np.ndarray
    blocks: np.ndarray
    cap: np.ndarray
    cap_colours: np.ndarray
    legs: np.ndarray
    leg_width: np.ndarray
    leg_turn: np.ndarray
    seed: np.ndarray


def draw_look(rng, *, dark=0.0):
    """Draws a camera.

    Args:
        rng: numpy `Generator`.
        dark: how dark the place is, 0 to 1: less is evened out, and there is more noise.

    Returns:
        `Look` of numpy arrays.
    """
    some = lambda chance, low, high: between(rng, low, high) if rng.random() < chance else 0.0
    warmth, green = between(rng, -0.12, 0.12), between(rng, -0.04, 0.04)
    grey = between(rng, 0.0, 0.8)
    values = {
        'stops': between(rng, -0.7, 0.7) - 0.3 * dark,
        'automatic': between(rng, 0.65, 1.0) - 0.1 * dark,
        'flicker': some(0.3, 0.01, 0.06),
        'white': (1 + warmth, 1 + green, 1 - warmth),
        'hard': rng.random() ** 2,
        'contrast': some(0.7, 0.0, 0.5),
        'haze': some(0.3, 0.0, 0.06),
        'saturation': between(rng, 0.6, 1.25),
        'axis': between(rng, -math.pi, math.pi),
        'vignette': some(0.5, 0.05, 0.3),
        'unequal': some(0.35, -0.07, 0.07),
        'misfit': some(0.35, -0.03, 0.03),
        'blur': some(0.4, 0.0, 0.2),
        'noise': some(0.7, 0.002, 0.012) * (1 + dark),
        'blocks': some(0.5, 0.01, 0.06),
        'cap': some(0.2, 0.12, 0.4),
        'cap_colours': ((0.02 + grey,) * 3, (rng.random() ** 2,) * 3),
        'legs': some(0.08, 0.3, 0.8),
        'leg_width': between(rng, 0.015, 0.05),
        'leg_turn': between(rng, -math.pi, math.pi),
    }
    arrays = {name: np.asarray(value, np.float32) for name, value in values.items()}
    return Look(**arrays, seed=np.asarray(int(rng.random() * 2**31), np.int32))


# From here to `photograph`, images have their three colours first, which XLA vectorises.


def _shifted(image, columns):
    """An image whose columns are taken from fractional `columns` [W], the turn closed."""
    width = image.shape[-1]
    left = jnp.floor(columns)
    part = columns - left
    left = left.astype(jnp.int32)
    return image[..., left % width] * (1 - part) + image[..., (left + 1) % width] * part


def _lens(look, height, width):
    """Gain [H, W] of the lenses at each pixel, and the columns [W] that are seen."""
    rays = sphere.ray_directions(height, width)
    inwards = rays[..., 0] * jnp.sin(look.axis) + rays[..., 2] * jnp.cos(look.axis)
    gain = 1 - look.vignette * (1 - jnp.abs(inwards)) ** 2
    gain = gain * (1 + look.unequal * jnp.tanh(inwards / 0.05))
    turn = (jnp.arange(width) + 0.5) / width * 2 * jnp.pi - jnp.pi - look.axis
    # At the two seams, a quarter turn from the axis, what is near is seen twice or not at all.
    amount = jnp.exp(-((jnp.cos(turn) / SEAM) ** 2)) * look.misfit
    return gain, jnp.arange(width) + amount * width / (2 * jnp.pi)


def _response(look, light):
    """Displayed colours of linear light."""
    soft = 1 - jnp.exp(-EXPOSURE * light)
    shown = jnp.sqrt(soft + look.hard * (jnp.clip(1.1 * light, 0, 1) - soft))
    shown = shown + look.contrast * (shown * shown * (3 - 2 * shown) - shown)
    grey = shown.mean(axis=0)
    shown = grey + look.saturation * (shown - grey)
    return look.haze + (1 - look.haze) * jnp.clip(shown, 0, 1)


def _tripod(look, height, width):
    """Where the cap or a leg hides the scene [H, W], and its colours [3, H, W]."""
    angle = np.float32((1 - (np.arange(height)[:, None] + 0.5) / height) * np.pi)
    turn = np.float32((np.arange(width) + 0.5) / width * 2 * np.pi - np.pi) - look.leg_turn
    disc = jnp.broadcast_to(angle < look.cap, (height, width))
    # Three legs, equally thick: the angle from a ray to the middle of the nearest leg.
    third = 2 * jnp.pi / 3
    aside = jnp.abs((turn + third / 2) % third - third / 2)
    leg = (angle < look.legs) & (aside * np.sin(angle) < look.leg_width)
    ring = 0.5 + 0.5 * jnp.cos(3 * jnp.pi * angle / jnp.maximum(look.cap, 1e-3))
    first, second = look.cap_colours[..., None, None]
    return disc | leg, jnp.where(
        disc, first + (second - first) * ring, 0.03 + 0.1 * second * (1 - aside / third)
    )


def hidden_by_tripod(look, height, width):
    """[H, W] bool: where the tripod hides the scene, the same in all frames of a clip."""
    return _tripod(look, height, width)[0]


def _blurred(image, weight):
    """Each pixel mixed with its neighbours."""
    wide = jnp.roll(image, 1, axis=-1) + jnp.roll(image, -1, axis=-1)
    image = (1 - 2 * weight) * image + weight * wide
    above = jnp.concatenate([image[:, :1], image[:, :-1]], axis=1)
    below = jnp.concatenate([image[:, 1:], image[:, -1:]], axis=1)
    return (1 - 2 * weight) * image + weight * (above + below)


def _grain(height, width, seed):
    """Noise [3, H, W] of unit variance: the sums of two uniform draws from hashes of the pixel.

    Far cheaper than the generators of JAX, and nothing here has to be more random than this.
    """
    row, column = (np.asarray(axis, np.uint32) for axis in np.mgrid[:height, :width])
    total = 0.0
    for salt in (0x27D4EB2F, 0x165667B1):
        bits = column * np.uint32(0x9E3779B1) + row * np.uint32(0x85EBCA77)
        bits = (bits ^ (seed * jnp.uint32(0xC2B2AE3D))) * jnp.uint32(salt)
        bits = (bits ^ (bits >> 15)) * jnp.uint32(0x85EBCA6B)
        bits = bits ^ (bits >> 13)
        parts = jnp.stack([bits, bits >> 10, bits >> 20]) & 1023
        total = total + parts.astype(jnp.int32).astype(jnp.float32)
    return (total - 1023) * (math.sqrt(6) / 1024)


def _one(look, image, depth, frame):
    """One frame [H, W, 3] and its depth [H, W] as the camera gives them."""
    # The barriers keep XLA from computing a stage anew for every pixel that reads it.
    keep = jax.lax.optimization_barrier
    height, width = depth.shape
    seed = look.seed.astype(jnp.uint32) + frame.astype(jnp.uint32) * jnp.uint32(0x9E3779B1)
    gain, columns = _lens(look, height, width)
    image = _shifted(keep(jnp.moveaxis(image, -1, 0)), columns)
    light = keep(-jnp.log(1 - jnp.clip(image**2, 0.0, 0.9999)) / EXPOSURE)
    weights = sphere.solid_angles(height, width)
    mean = keep(jnp.exp((weights * jnp.log(light.mean(axis=0) + 0.005)).sum() / weights.sum()))
    stops = look.stops + look.flicker * _grain(1, 1, seed + 1)[0, 0, 0]
    exposure = 2.0**stops * (MIDDLE / mean) ** look.automatic
    shown = _response(look, light * (exposure * gain) * look.white[:, None, None])
    hidden, colour = keep(_tripod(look, height, width))
    shown = keep(_blurred(keep(jnp.where(hidden, colour, shown)), look.blur))
    # Shot noise, evened out by the response, and the noise of the dark.
    grain = look.noise * (1.4 - shown) * _grain(height, width, seed)
    shown = blocks.compressed(keep(jnp.clip(shown + grain, 0, 1)), look.blocks)
    return jnp.moveaxis(keep(jnp.clip(shown, 0, 1)), 0, -1), jnp.where(hidden, 0.0, depth)


def photograph(look, images, depth, frames):
    """Images as a camera gives them.

    Args:
        look: `Look`.
        images: [N, H, W, 3] float32 in [0, 1], as `render` gives them.
        depth: [N, H, W] range in metres.
        frames: [N] numbers of the frames in their clip; equal ones get equal noise.

    Returns:
        `(images, depth)` of the same shapes; depth is 0 where the tripod hides the scene.
    """
    look = Look(*map(jnp.asarray, look))
    # A loop is three times as fast on a CPU as all frames at once.
    return jax.lax.map(lambda frame: _one(look, *frame), (images, depth, jnp.asarray(frames)))
