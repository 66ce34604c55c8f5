"""The equirectangular sphere against analytic functions of direction and float64 loops."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import sphere

# Compiled as a whole: operation by operation these tests would take several times as long.
sample_equirect = jax.jit(sphere.sample_equirect, static_argnames='method')
project = jax.jit(sphere.project, static_argnums=(1, 2))


def _rays(height, width):
    """The pixel convention, written out in Python floats."""
    rays = np.zeros((height, width, 3))
    for row in range(height):
        for column in range(width):
            lon = ((column + 0.5) / width - 0.5) * 2 * math.pi
            lat = (0.5 - (row + 0.5) / height) * math.pi
            rays[row, column] = (
                math.cos(lat) * math.sin(lon),
                -math.sin(lat),
                math.cos(lat) * math.cos(lon),
            )
    return rays


def _bilinear(image, rays):
    """float64 interpolation of an image, extended by one pixel over the seam and the poles."""
    height, width = image.shape[:2]
    rows = np.concatenate(
        [np.roll(image[:1], width // 2, axis=1), image, np.roll(image[-1:], width // 2, axis=1)]
    )
    extended = np.concatenate([rows[:, -1:], rows, rows[:, :1]], axis=1).astype(np.float64)
    lon = np.arctan2(rays[..., 0], rays[..., 2])
    lat = np.arctan2(-rays[..., 1], np.hypot(rays[..., 0], rays[..., 2]))
    x, y = (lon / (2 * np.pi) + 0.5) * width + 0.5, (0.5 - lat / np.pi) * height + 0.5
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = (y - i)[..., None], (x - j)[..., None]
    i1, j1 = np.minimum(i + 1, height + 1), np.minimum(j + 1, width + 1)
    return (extended[i, j] * (1 - fx) + extended[i, j1] * fx) * (1 - fy) + (
        extended[i1, j] * (1 - fx) + extended[i1, j1] * fx
    ) * fy


def _random_rays(seed, count):
    rays = np.random.default_rng(seed).normal(size=(count, 3))
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def test_rays_follow_the_pixel_convention():
    rays = np.asarray(sphere.ray_directions(16, 32))
    np.testing.assert_allclose(rays, _rays(16, 32), atol=1e-7)
    # The four pixels around the image centre surround z forward; the top row looks up, which is -y;
    # columns grow to the right, x.
    np.testing.assert_allclose(
        rays[7:9, 15:17].mean(axis=(0, 1)) / [1, 1, np.abs(rays[7, 15, 2])], [0, 0, 1], atol=1e-6
    )
    assert rays[0, :, 1].max() < -0.99 and rays[8, 16, 0] > 0


@pytest.mark.parametrize('height', [2, 17, 256])
def test_project_inverts_the_rays_of_any_length(height):
    width = 2 * height
    u, v = project(3.5 * sphere.ray_directions(height, width), height, width)
    np.testing.assert_allclose(
        u, np.broadcast_to(np.arange(width), (height, width)), atol=3e-7 * width
    )
    np.testing.assert_allclose(
        v, np.broadcast_to(np.arange(height)[:, None], (height, width)), atol=3e-7 * width
    )


def test_project_keeps_its_accuracy_close_to_the_poles():
    offset = np.array([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    rays = np.stack([np.zeros(5), -np.cos(offset), np.sin(offset)], axis=-1).astype(np.float32)
    _, v = project(rays, 1024, 2048)
    np.testing.assert_allclose((np.asarray(v) + 0.5) / 1024 * np.pi, offset, atol=2e-7, rtol=0)
    assert np.asarray(project(jnp.array([0.0, -1.0, 0.0]), 8, 16)[1]) == pytest.approx(
        -0.5, abs=1e-6
    )
    assert np.asarray(project(jnp.array([0.0, 1.0, 0.0]), 8, 16)[1]) == pytest.approx(7.5, abs=1e-6)


def test_sampling_matches_a_float64_oracle_over_seam_and_poles():
    image = np.random.default_rng(0).random((32, 64, 3), np.float32)
    rays = _random_rays(1, 4000)
    rays[:500, :2] *= 0.03  # towards front and back: the seam lies behind
    rays[500:1000, ::2] *= 0.03  # towards both poles
    rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)
    found = sample_equirect(image, rays)
    np.testing.assert_allclose(found, _bilinear(image, rays.astype(np.float64)), atol=2e-5)


@pytest.mark.parametrize('width', [128, 1024])
def test_identity_returns_white_noise(width):
    image = np.random.default_rng(width).random((width // 2, width, 3), np.float32)
    found = np.asarray(sample_equirect(image, sphere.ray_directions(width // 2, width)))
    assert np.abs(found - image).max() <= 2e-7 * width


def test_nearest_copies_the_pixel_that_holds_the_ray():
    height, width = 24, 48
    labels = np.arange(height * width, dtype=np.float32).reshape(height, width, 1)
    rays = _random_rays(2, 3000).astype(np.float32)
    lon = np.arctan2(rays[:, 0], rays[:, 2].astype(np.float64))
    lat = np.arctan2(-rays[:, 1], np.hypot(rays[:, 0], rays[:, 2]).astype(np.float64))
    column = np.floor((lon / (2 * np.pi) + 0.5) * width).astype(int) % width
    row = np.clip(np.floor((0.5 - lat / np.pi) * height).astype(int), 0, height - 1)
    found = sample_equirect(labels, rays, method='nearest')
    np.testing.assert_array_equal(found[:, 0], row * width + column)


def test_nearest_does_not_mix_invalid_zeros_into_depth():
    depth = np.where(np.random.default_rng(3).random((16, 32, 1)) < 0.5, 0, 5).astype(np.float32)
    found = np.asarray(sample_equirect(depth, _random_rays(4, 500), method='nearest'))
    assert set(np.unique(found)) == {0.0, 5.0}


def test_uint8_is_interpolated_in_float_and_rounded():
    image = np.random.default_rng(5).integers(0, 256, (16, 32, 3), dtype=np.uint8)
    rays = _random_rays(6, 2000).astype(np.float32)
    found = sample_equirect(image, rays)
    assert found.dtype == jnp.uint8
    np.testing.assert_array_equal(
        found, np.round(np.asarray(sample_equirect(image.astype(np.float32), rays)))
    )


def test_leading_axes_of_directions_are_shared_or_the_images_own():
    rng = np.random.default_rng(7)
    images = rng.random((2, 3, 8, 16, 1), np.float32)
    rays = _random_rays(8, 2 * 3 * 5).reshape(2, 3, 5, 3)
    own = sample_equirect(images, rays)
    common = sample_equirect(images, rays[0, 0])
    assert own.shape == common.shape == (2, 3, 5, 1)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(
            own[index], sample_equirect(images[index], rays[index]), atol=1e-6
        )
        np.testing.assert_allclose(
            common[index], sample_equirect(images[index], rays[0, 0]), atol=1e-6
        )


def test_gradients_are_finite_at_poles_and_seam():
    image = jnp.asarray(np.random.default_rng(9).random((16, 32, 1), np.float32))
    rays = jnp.array(
        [
            (0, -1, 0),
            (0, 1, 0),
            (0, 0, -1),
            (1e-20, 0, -1),
            (0, 0, 1),
            (1e-9, -1, 1e-9),
            (1e-4, 1, 0),
            (0, 0, 0),
        ],
        jnp.float32,
    )
    sampled = jax.jit(jax.vmap(jax.grad(lambda d: sphere.sample_equirect(image, d)[0])))(rays)
    projected = jax.jit(jax.vmap(jax.jacobian(lambda d: jnp.stack(sphere.project(d, 16, 32)))))(
        rays
    )
    assert np.isfinite(sampled).all() and np.isfinite(projected).all()
    # Bounded, not cut off: anywhere but on the pole itself, turning the ray moves the pixel.
    assert np.abs(projected[2:7]).reshape(5, -1).max(axis=1).min() > 1


def test_gradient_of_project_matches_central_differences():
    rays = _random_rays(10, 50)
    found = jax.jit(jax.vmap(jax.jacobian(lambda d: jnp.stack(sphere.project(d, 32, 64)))))(
        jnp.asarray(rays, jnp.float32)
    )

    def pixel(d):
        return np.array(
            [
                math.atan2(d[0], d[2]) * 64 / (2 * math.pi),
                math.atan2(d[1], math.hypot(d[0], d[2])) * 32 / math.pi,
            ]
        )

    for ray, jacobian in zip(rays, np.asarray(found)):
        expected = np.stack(
            [(pixel(ray + e) - pixel(ray - e)) / 2e-6 for e in 1e-6 * np.eye(3)], axis=-1
        )
        np.testing.assert_allclose(jacobian, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize('height', [1, 64, 1024])
def test_solid_angles_are_exact_per_pixel(height):
    found = np.asarray(sphere.solid_angles(height, 2 * height), np.float64)
    # cos of the polar angle at the row borders; the bands next to the poles as 2 sin^2 of half the
    # angle.
    for row in {0, height // 3, height // 2, height - 1}:
        top, bottom = (math.pi * k / height for k in (row, row + 1))
        exact = (
            2 * (math.sin(bottom / 2) ** 2 - math.sin(top / 2) ** 2) * 2 * math.pi / (2 * height)
        )
        np.testing.assert_allclose(found[row], exact, rtol=1e-5)
    assert found.sum() == pytest.approx(4 * math.pi, rel=1e-6)


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: sphere.ray_directions(10, 21), 'W = 2H'),
        (lambda: sphere.solid_angles(0, 0), 'W = 2H'),
        (lambda: sphere.sample_equirect(np.zeros((4, 9, 3)), np.zeros((5, 3))), '4 x 9'),
        (lambda: sphere.sample_equirect(np.zeros((4, 8)), np.zeros((5, 3))), r'\[..., H, W, C\]'),
        (lambda: sphere.sample_equirect(np.zeros((4, 8, 3)), np.zeros((5, 2))), r'\[..., 3\]'),
        (
            lambda: sphere.sample_equirect(np.zeros((4, 8, 3)), np.zeros((5, 3)), method='cubic'),
            "'cubic'",
        ),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
