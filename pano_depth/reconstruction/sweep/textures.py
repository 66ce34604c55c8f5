"""What the sweep compares: colours and gradients of frames, packed so that looking up is cheap."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8, UInt32

from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction.pixels.gradients import (
    GREY,
    blurred,
    extended,
    interleaved,
    on_sphere,
    shrunk,
    tangents,
)

# On a CPU a gather of single words runs many times faster than one of rows of floats. A pixel is
# two words: 8 bits for each colour, 10 bits for each part of the gradient. The colour's spare
# byte tells whether the pixel counts.
STEEPEST = 0.25  # grey values per pixel at which gradients saturate
_FAINT = 1e-3  # grey values per pixel, in the mean, that make a texture: a quarter of a level
_WINDOW = 32.0  # part of the rows over which it is looked for
NOTHING = 1.0  # difference from what does not count
_LEVELS = 1023
_COUNTS = np.uint32(1 << 24)


@functools.partial(jax.jit, static_argnames=('height',))
def _features(frame, hidden, frame_tangents, height):
    small = [shrunk(frame[..., i].astype(jnp.float32) / 255, height) for i in range(3)]
    grey = sum(share * colour for share, colour in zip(GREY, small, strict=True))
    # Per pixel of the equator, as vectors: they do not depend on where the poles are.
    gradient = [part * (np.pi / height) for part in on_sphere(grey, frame_tangents)]
    shown = shrunk(jnp.broadcast_to(~hidden, frame.shape[:2]).astype(jnp.float32), height)
    return jnp.stack([*small, *gradient, (shown == 1).astype(jnp.float32)])


def features(
    frame: UInt8[Array, 'rows columns 3'], hidden: Bool[Array, '_ _'], height: Size
) -> Float32[jax.Array, '7 {height} 2*{height}']:
    """Colour (3), gradient of grey as a vector in the camera frame (3), and 1 where it counts.

    Args:
        frame: equirectangular.
        hidden: True where pixels do not count, [rows, columns] or [1, 1].
        height: rows of the result; those of the frame are a multiple of them.
    """
    return _features(jnp.asarray(frame), hidden, tangents(height), height)


def _finer(images):
    """[N, H, W] -> the four parts of [N, 2H, 2W], bilinear, around the seam and the poles."""
    around = jax.vmap(lambda image: extended(image, 1))(images)
    rows = [0.75 * around[:, 1:-1] + 0.25 * aside for aside in (around[:, :-2], around[:, 2:])]
    return [
        [0.75 * row[..., 1:-1] + 0.25 * aside for aside in (row[..., :-2], row[..., 2:])]
        for row in rows
    ]


def _slope(gradient):
    """Gradients as numbers of 10 bits."""
    numbers_of = (jnp.clip(gradient / STEEPEST, -1, 1) + 1) * (0.5 * _LEVELS)
    return jnp.round(numbers_of).astype(jnp.uint32)


@jax.jit
def _packed(found):
    """The words of the four parts of a finer image."""
    return [[jnp.stack(_words(part)) for part in columns] for columns in _finer(found)]


def _words(found):
    colour = jnp.round(jnp.clip(found[:3], 0, 1) * 255).astype(jnp.uint32)
    slope = _slope(found[3:6])
    counts = (found[6] > 0.99).astype(jnp.uint32) * _COUNTS
    return (
        colour[0] | colour[1] << 8 | colour[2] << 16 | counts,
        slope[0] | slope[1] << 10 | slope[2] << 20,
    )


@jax.jit
def _joined(parts):
    """One image with a border of one pixel, in one row."""
    words = jax.vmap(lambda image: extended(image, 1))(interleaved(parts))
    return words.reshape(len(words), -1)


def pack(found: Float32[Array, '7 height width']) -> UInt32[jax.Array, '2 padded_pixels']:
    """Packs `features` into words, in one row.

    They are packed at twice the resolution, so that the nearest pixel is near enough, and with a
    border of one pixel.
    """
    return _joined(_packed(found))


def numbers(
    found: Float32[Array, '6 height width'],
    rotation: Float32[Array, '3 3'],
    gain: Float32[Array, 'height width'],
) -> list[Int[jax.Array, 'height width']]:
    """The numbers in the words of a source that shows what a target shows.

    Args:
        found: colour and gradient of the target.
        rotation: from the target's camera to the source's.
        gain: factor from the source's brightness to the target's.
    """
    colour = jnp.round(jnp.clip(found[:3] / gain, 0, 1) * 255).astype(jnp.int32)
    turned = jnp.einsum('ij,jhw->ihw', rotation, found[3:6] / gain)
    return [*colour, *_slope(turned).astype(jnp.int32)]


def difference(
    colour: UInt32[Array, '*grid'],
    slope: UInt32[Array, '*grid'],
    expected: list[Int[Array, '*grid']],
) -> Float32[jax.Array, '*grid']:
    """How much a source differs from what it would have to show.

    Args:
        colour, slope: its words, see `pack`.
        expected: `numbers` of the target.

    Returns:
        Half the mean difference of the colours in [0, 1], and half the sum of the differences of
        the gradient's parts by pixel of the equator; `NOTHING` where the source does not count.
    """
    byte = lambda shift: ((colour >> shift) & 255).astype(jnp.int32)
    part = lambda shift: ((slope >> shift) & _LEVELS).astype(jnp.int32)
    off_colour = sum(abs(byte(8 * i) - expected[i]) for i in range(3)).astype(jnp.float32)
    off_slope = sum(abs(part(10 * i) - expected[3 + i]) for i in range(3)).astype(jnp.float32)
    found = off_colour * (0.5 / 3 / 255) + off_slope * (0.5 * 2 * STEEPEST / _LEVELS)
    return jnp.where(colour < _COUNTS, NOTHING, found)


@jax.jit
def textured(found: Float32[Array, '7 height width']) -> Float32[jax.Array, 'height width']:
    """Whether there is anything to see around pixels, in [0, 1].

    Views of a surface without any texture agree about whatever the networks say.

    Args:
        found: `features`.
    """
    strength = jnp.sqrt(jnp.sum(found[3:6] ** 2, axis=0)) * found[6]
    return jnp.clip(blurred(strength, found.shape[1] / _WINDOW) / _FAINT, 0.0, 1.0)
