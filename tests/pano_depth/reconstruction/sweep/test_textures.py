"""What the sweep compares: features of frames, and how much of them is left in packed words."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.reconstruction.sweep import textures

HEIGHT = 32
EVERYTHING = np.zeros((1, 1), bool)
TURN = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()


def _slanted(height, axis, strength=0.4):
    """A frame whose colours are linear in the direction, and those colours."""
    rays = sphere.pixel_rays(height, 2 * height)
    grey = 0.5 + strength * (rays @ axis)
    return np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, axis=-1)


def _unpacked(words, height):
    """Colour [H', W', 3], gradient [H', W', 3] and what counts, with the border taken off."""
    colour, slope = np.asarray(words).astype(np.int64).reshape(2, 2 * height + 2, 4 * height + 2)
    bits = lambda word, shift, size: (word >> shift) & ((1 << size) - 1)
    colours = np.stack([bits(colour, 8 * i, 8) for i in range(3)], axis=-1) / 255
    slopes = np.stack([bits(slope, 10 * i, 10) for i in range(3)], axis=-1)
    gradient = (slopes / 1023 * 2 - 1) * textures.STEEPEST
    inside = np.s_[1:-1, 1:-1]
    return colours[inside], gradient[inside], (colour >> 24)[inside]


def _pixels(rays):
    """Continuous rows and columns of unit rays."""
    x, y, z = np.moveaxis(rays, -1, 0)
    return np.arcsin(y) / np.pi * HEIGHT + HEIGHT / 2 - 0.5, (
        np.arctan2(x, z) / np.pi * HEIGHT + HEIGHT - 0.5
    )


def _interpolated(images, v, u):
    """Images [C, H, 2H] at continuous rows and columns."""
    indices, weights = sphere.equirect_taps(u, v, HEIGHT, 2 * HEIGHT, 'bilinear', xp=np)
    flat = images.reshape(len(images), -1)
    return sum(weight * flat[:, index] for index, weight in zip(indices, weights))


def test_the_gradient_is_that_on_the_sphere():
    axis = np.array([0.5, -0.7, 0.5])
    found = np.asarray(textures.features(_slanted(4 * HEIGHT, axis), EVERYTHING, HEIGHT))
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT)
    np.testing.assert_allclose(found[0], 0.5 + 0.4 * (rays @ axis), atol=4e-3)
    # The part of the axis across the ray, by pixel of the equator.
    expected = 0.4 * (axis - (rays @ axis)[..., None] * rays) * (np.pi / HEIGHT)
    error = np.linalg.norm(np.moveaxis(found[3:6], 0, -1) - expected, axis=-1)
    # Rows at the poles hold pixels so narrow that 8 bits tell their differences badly.
    assert error[3:-3].max() < 4e-3 and np.median(error) < 1e-3
    assert np.median(np.linalg.norm(expected, axis=-1)) > 0.02
    assert (found[6] == 1).all()


def test_a_gradient_turns_with_the_camera():
    """Two cameras at one place see the same gradient, each in its own frame."""
    axis = np.array([0.5, -0.7, 0.5])
    one, other = (
        textures.features(_slanted(8 * HEIGHT, a), EVERYTHING, HEIGHT) for a in (axis, TURN @ axis)
    )
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT) @ TURN.T
    v, u = _pixels(rays)
    seen = _interpolated(np.asarray(other), v, u)
    steady = jnp.ones((HEIGHT, 2 * HEIGHT))
    numbers = np.stack(textures.numbers(one[:6], jnp.asarray(TURN, jnp.float32), steady))
    expected = [*seen[:3] * 255, *(seen[3:6] / textures.STEEPEST + 1) * 511.5]
    off = np.abs(numbers - np.stack(expected))
    # Of 255 and of 1023; what is straight above or below either camera is told badly.
    assert np.quantile(off[:3], 0.99) < 2 and np.quantile(off[3:], 0.9) < 8
    assert np.ptp(numbers[3:], axis=(1, 2)).min() > 60


def test_words_hold_features_at_twice_the_size():
    frame = _slanted(HEIGHT, np.array([0.9, 0.2, -0.3]))
    found = textures.features(frame, EVERYTHING, HEIGHT)
    colour, gradient, counts = _unpacked(textures.pack(found), HEIGHT)
    here = (np.arange(2 * HEIGHT) + 0.5) / 2 - 0.5, (np.arange(4 * HEIGHT) + 0.5) / 2 - 0.5
    v, u = np.meshgrid(*here, indexing='ij')
    expected = _interpolated(np.asarray(found), v, u)
    np.testing.assert_allclose(colour, np.moveaxis(expected[:3], 0, -1), atol=0.51 / 255)
    steps = np.clip(np.moveaxis(expected[3:6], 0, -1), -textures.STEEPEST, textures.STEEPEST)
    np.testing.assert_allclose(gradient, steps, atol=0.51 * 2 * textures.STEEPEST / 1023)
    assert (counts == 1).all()


def test_the_border_goes_around_the_seam_and_across_the_poles():
    frame = np.random.default_rng(0).integers(0, 255, (HEIGHT, 2 * HEIGHT, 3), np.uint8)
    words = textures.pack(textures.features(frame, EVERYTHING, HEIGHT))
    words = np.asarray(words).reshape(2, 2 * HEIGHT + 2, 4 * HEIGHT + 2)
    np.testing.assert_array_equal(words[:, :, 0], words[:, :, -2])
    np.testing.assert_array_equal(words[:, :, -1], words[:, :, 1])
    for edge, inner in ((0, 1), (-1, -2)):
        across = np.roll(words[:, inner, 1:-1], 2 * HEIGHT, axis=-1)
        np.testing.assert_array_equal(words[:, edge, 1:-1], across)


def test_what_the_mask_hides_never_fits():
    frame = np.full((HEIGHT, 2 * HEIGHT, 3), 128, np.uint8)
    hidden = np.zeros((HEIGHT, 2 * HEIGHT), bool)
    hidden[20:28, 10:20] = True
    words = textures.pack(textures.features(frame, hidden, HEIGHT))
    _, _, counts = _unpacked(words, HEIGHT)
    blocks = counts.reshape(HEIGHT, 2, 2 * HEIGHT, 2)
    assert not blocks.max(axis=(1, 3))[hidden].any()
    assert blocks.min(axis=(1, 3))[:19].all() and blocks.min(axis=(1, 3))[:, 21:].all()
    target = textures.features(frame, EVERYTHING, HEIGHT)
    steady = jnp.ones((HEIGHT, 2 * HEIGHT))
    expected = textures.numbers(target[:6], jnp.eye(3), steady)
    inside = words.reshape(2, 2 * HEIGHT + 2, 4 * HEIGHT + 2)[:, 1:-1:2, 1:-1:2]
    off = np.asarray(textures.difference(inside[0], inside[1], expected))
    assert (off[hidden] == textures.NOTHING).all()
    assert off[:19].max() < 1e-3


def test_what_covers_a_hidden_pixel_does_not_count():
    frame = np.full((2 * HEIGHT, 4 * HEIGHT, 3), 128, np.uint8)
    hidden = np.zeros(frame.shape[:2], bool)
    hidden[21, 30] = True
    found = np.asarray(textures.features(frame, hidden, HEIGHT))[6]
    assert found[10, 15] == 0 and found.sum() == found.size - 1


def test_differences_are_half_of_colour_and_half_of_gradient():
    rng = np.random.default_rng(1)
    height = 16
    target = rng.uniform(0, 1, (6, height, 2 * height)).astype(np.float32)
    source = rng.uniform(0, 1, (6, height, 2 * height)).astype(np.float32)
    for features in (target, source):
        features[3:] = 0.2 * features[3:] - 0.1
    numbers = [
        np.stack(textures.numbers(jnp.asarray(x), jnp.eye(3), jnp.ones(x.shape[1:])))
        for x in (target, source)
    ]
    colour = sum(numbers[1][i].astype(np.uint32) << (8 * i) for i in range(3)) | (1 << 24)
    slope = sum(numbers[1][3 + i].astype(np.uint32) << (10 * i) for i in range(3))
    found = textures.difference(
        jnp.asarray(colour, jnp.uint32), jnp.asarray(slope, jnp.uint32), list(numbers[0])
    )
    off = np.abs(target - source)
    expected = 0.5 * off[:3].mean(axis=0) + 0.5 * off[3:].sum(axis=0)
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert np.ptp(expected) > 0.3


@pytest.mark.parametrize('gain', [0.5, 2.0])
def test_a_gain_divides_what_a_source_has_to_show(gain):
    target = jnp.full((6, 4, 8), 0.2, jnp.float32)
    found = textures.numbers(target, jnp.eye(3), jnp.full((4, 8), gain, jnp.float32))
    assert int(found[0][0, 0]) == round(0.2 / gain * 255)
    slope = min(0.2 / gain, textures.STEEPEST)
    assert int(found[3][0, 0]) == round((slope / textures.STEEPEST + 1) * 511.5)


def test_texture_counts_around_it_but_not_under_the_mask():
    frame = np.full((64, 128, 3), 90, np.uint8)
    frame[28:36, 60:68] = np.random.default_rng(4).integers(0, 256, (8, 8, 3))
    hidden = np.zeros((64, 128), bool)
    seen = np.asarray(textures.textured(textures.features(frame, hidden, 64)))
    assert seen[32, 64] == 1 and seen[32, 10] == 0 and not seen[:10].any()
    hidden[26:38, 58:70] = True
    assert not np.asarray(textures.textured(textures.features(frame, hidden, 64))).any()
