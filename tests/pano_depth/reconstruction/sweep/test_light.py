"""Brightness: what is brighter as a whole or in a band is found, what is alike is left alone."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.reconstruction.sweep import light

HEIGHT = light.ROWS
WAVES = np.random.default_rng(0).normal(0, 1.0, (6, 3))
TURN = Rotation.from_rotvec([0.2, 0.9, -0.3]).as_matrix()
PLACE, RADIUS = np.array([0.4, 0.1, -0.3]), 3.0


def _seen(rotation, place):
    """Grey values and range inside a ball; rotation and place: camera to world."""
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT) @ rotation.T
    along = rays @ place
    depth = np.sqrt(along**2 + RADIUS**2 - place @ place) - along
    points = place + depth[..., None] * rays
    grey = 0.45 + 0.06 * np.sin(points @ WAVES.T + np.arange(6)).sum(axis=-1)
    return grey.astype(np.float32), depth.astype(np.float32)


def _ratio(target, source, depth):
    rotation, position = TURN.T.astype(np.float32), (-TURN.T @ PLACE).astype(np.float32)
    return np.asarray(light.ratio(target, source, depth, rotation, position))


@pytest.fixture(scope='module')
def pair():
    target, depth = _seen(np.eye(3), np.zeros(3))
    source, _ = _seen(TURN, PLACE)
    return target, source, depth


def test_frames_that_are_alike_have_ratio_one(pair):
    np.testing.assert_array_equal(_ratio(*pair), 1)


@pytest.mark.parametrize('factor', [0.6, 0.9, 1.25])
def test_a_known_factor_is_found(pair, factor):
    target, source, depth = pair
    found = _ratio(target, source / np.float32(factor), depth)
    np.testing.assert_allclose(found, factor, rtol=0.02)


def test_a_dark_band_is_found_where_it_is(pair):
    target, source, depth = pair
    band = np.zeros(2 * HEIGHT, bool)
    band[20:36] = True
    found = _ratio(np.where(band, 0.7 * target, target).astype(np.float32), source, depth)
    assert np.abs(found[8:-8, 26:30] - 0.74).max() < 0.05
    assert np.abs(np.delete(found[8:-8], np.arange(10, 46), axis=1) - 1).max() < 0.02


def test_what_is_black_white_or_unknown_does_not_count(pair):
    target, source, depth = pair
    odd, unknown = target.copy(), depth.copy()
    odd[:8], odd[8:12], unknown[20:30] = 0.0, 1.0, 0.0
    odd[20:30] *= 0.5
    found = _ratio(odd, source, unknown)
    np.testing.assert_allclose(found, 1, atol=0.02)
    nothing = _ratio(target, np.zeros_like(source), depth)
    np.testing.assert_array_equal(nothing, 1)
    np.testing.assert_array_equal(_ratio(target, source, np.zeros_like(depth)), 1)


@pytest.mark.parametrize('height', [16, 32, 60, 64, 96, 100, 122])
def test_small_images_are_means_over_the_larger_one(height):
    colour = np.random.default_rng(1).uniform(0, 1, (3, height, 2 * height)).astype(np.float32)
    rows = min(height, light.ROWS)
    found = np.asarray(light.small_grey(jnp.asarray(colour)))
    grey = np.tensordot([0.299, 0.587, 0.114], colour.astype(np.float64), axes=1)
    # By pixels that are cut up so finely that none lies in two of the result.
    fine = grey.repeat(rows, axis=0).repeat(rows, axis=1)
    expected = fine.reshape(rows, height, 2 * rows, height).mean(axis=(1, 3))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    larger = np.asarray(light.larger(jnp.asarray(found), height))
    assert larger.shape == (height, 2 * height)
    v, u = ((np.arange(n) + 0.5) * rows / height for n in (height, 2 * height))
    np.testing.assert_array_equal(larger, found[v.astype(int)][:, u.astype(int)])
