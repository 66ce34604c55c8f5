"""Textures: grey values and their gradient by the viewing direction, everywhere on the sphere."""

import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.reconstruction.bundle.textures import Textures

HEIGHT = 64
WAVES = np.array([[2.0, -1.0, 0.5], [0.3, 1.7, -0.8], [-1.0, 0.4, 1.9]])


def _value(directions):
    """A smooth function of direction, and of nothing else."""
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return 0.5 + 0.1 * np.sin(unit @ WAVES.T).sum(axis=-1)


def _frame(height):
    grey = np.rint(_value(sphere.pixel_rays(height, 2 * height)) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def test_the_gradient_is_that_of_the_function_of_direction():
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT)
    found = np.asarray(Textures(_frame(4 * HEIGHT)[None]).texture(0, HEIGHT, 0.0))
    np.testing.assert_allclose(found[:, 0], _value(rays).ravel(), atol=3e-3)
    step = 1e-4
    expected = np.stack(
        [
            (_value(rays + step * axis) - _value(rays - step * axis)) / (2 * step)
            for axis in np.eye(3)
        ],
        axis=-1,
    )
    error = np.linalg.norm(found[:, 1:].reshape(expected.shape) - expected, axis=-1)
    # The rows at the poles hold pixels so narrow that 8 bits tell their differences badly.
    assert error[4:-4].max() < 0.08 and np.median(error) < 0.02
    assert np.linalg.norm(expected, axis=-1).max() > 0.25


def test_a_blur_keeps_what_is_smooth_and_takes_noise():
    rng = np.random.default_rng(0)
    noisy = np.clip(_frame(HEIGHT) + rng.normal(0, 20, (HEIGHT, 2 * HEIGHT, 1)), 0, 255)
    frames = noisy.astype(np.uint8)[None]
    expected = _value(sphere.pixel_rays(HEIGHT, 2 * HEIGHT)).ravel()
    error = [
        np.std(np.asarray(Textures(frames).texture(0, HEIGHT, sigma))[:, 0] - expected)
        for sigma in (0.0, 1.0, 2.0)
    ]
    assert error[2] < 0.6 * error[1] < 0.36 * error[0]


def test_what_a_mask_hides_is_not_a_number_and_nothing_else():
    mask = np.ones((HEIGHT, 2 * HEIGHT), bool)
    mask[50:] = False
    found = np.asarray(Textures(_frame(HEIGHT)[None], mask).texture(0, HEIGHT, 0.6))
    grey = found[:, 0].reshape(HEIGHT, 2 * HEIGHT)
    assert np.isnan(grey[50:]).all() and not np.isnan(grey[:45]).any()
    # A pixel has both, a value and a gradient, or neither.
    np.testing.assert_array_equal(np.isnan(found[:, 0]), np.isnan(found[:, 1:]).any(axis=1))


@pytest.mark.parametrize('height', [32, 16])
def test_smaller_textures_average(height):
    whole = Textures(_frame(HEIGHT)[None])
    small = np.asarray(whole.texture(0, height, 0.0))[:, 0]
    expected = np.asarray(whole.texture(0, HEIGHT, 0.0))[:, 0]
    block = HEIGHT // height
    expected = expected.reshape(height, block, 2 * height, block).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(small, expected, atol=1e-5)
