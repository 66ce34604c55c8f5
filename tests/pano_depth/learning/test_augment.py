"""Augmentation on the sphere: turned and mirrored views against explicit geometry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import rigid, sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.learning import augment

# Compiled as a whole: operation by operation these tests would take several times as long.
views = jax.jit(augment.views, static_argnames=('rotation', 'mirror'))
sample_equirect, reproject = jax.jit(sphere.sample_equirect), jax.jit(warp.reproject)
conjugate = jax.jit(augment.conjugate)
colours = jax.jit(augment.colours)
recolour = jax.jit(augment.recolour)


def _keys():
    return jax.random.split(jax.random.key(0), 400)


def _matrix(motion):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = motion.rotation, motion.translation
    return matrix


def _motion(seed=0):
    rng = np.random.default_rng(seed)
    return Motion(
        Rotation.from_rotvec(rng.normal(size=3)).as_matrix().astype(np.float32),
        rng.normal(size=3).astype(np.float32),
    )


@pytest.mark.parametrize('rotation, mirror', [('none', True), ('yaw', False), ('any', True)])
def test_views_are_orthogonal_and_mirrored_half_of_the_time(rotation, mirror):
    found = np.asarray(views(_keys(), rotation=rotation, mirror=mirror), np.float64)
    np.testing.assert_allclose(
        found @ np.swapaxes(found, -1, -2), np.broadcast_to(np.eye(3), found.shape), atol=3e-6
    )
    handedness = np.linalg.det(found)
    np.testing.assert_allclose(np.abs(handedness), 1, atol=1e-5)
    assert (0.4 < (handedness < 0).mean() < 0.6) if mirror else (handedness > 0).all()
    proper = found * np.stack([handedness, np.ones(400), np.ones(400)], axis=-1)[:, None]
    if rotation == 'none':
        np.testing.assert_allclose(proper, np.broadcast_to(np.eye(3), found.shape), atol=1e-6)
    if rotation == 'yaw':
        np.testing.assert_allclose(proper[:, 1], np.broadcast_to([0, 1, 0], (400, 3)), atol=1e-6)
        angles = np.arctan2(proper[:, 0, 2], proper[:, 2, 2])
        assert np.abs(np.histogram(angles, 4, (-np.pi, np.pi))[0] - 100).max() < 35
    if rotation == 'any':
        # Of a uniform rotation every column is uniform on the sphere: mean 0 and second moment 1/3.
        assert np.abs(proper.mean(axis=0)).max() < 0.12
        np.testing.assert_allclose((proper**2).mean(axis=0), 1 / 3, atol=0.08)


def test_views_depend_on_their_own_key_only():
    keys, found = _keys(), np.asarray(views(_keys(), rotation='any', mirror=True))
    np.testing.assert_allclose(
        found[2], views(keys[2:3], rotation='any', mirror=True)[0], atol=1e-6
    )
    assert np.abs(np.diff(found[:10], axis=0)).max(axis=(1, 2)).min() > 1e-3


@pytest.mark.parametrize('mirror', [False, True])
def test_conjugate_is_the_motion_between_turned_cameras(mirror):
    motion = _motion()
    turn = Rotation.from_rotvec([0.3, -1.0, 0.5]).as_matrix() @ np.diag(
        [-1.0 if mirror else 1.0, 1, 1]
    )
    found = conjugate(motion, turn.astype(np.float32))
    wide = np.eye(4)
    wide[:3, :3] = turn
    np.testing.assert_allclose(
        _matrix(found), np.linalg.inv(wide) @ _matrix(motion) @ wide, atol=1e-6
    )
    assert np.linalg.det(np.asarray(found.rotation, np.float64)) == pytest.approx(1, abs=1e-5)


def test_a_mirror_reverses_yaw_and_sideways_motion():
    motion = Motion(rigid.so3_exp(jnp.array([0.2, 0.3, -0.1])), jnp.array([0.5, 0.6, 0.7]))
    found = conjugate(motion, jnp.diag(jnp.array([-1.0, 1.0, 1.0])))
    np.testing.assert_allclose(rigid.so3_log(found.rotation), [0.2, -0.3, 0.1], atol=1e-6)
    np.testing.assert_allclose(found.translation, [-0.5, 0.6, 0.7], atol=1e-7)


def test_sampling_through_a_view_is_rotating_the_rays():
    rays = np.asarray(sphere.ray_directions(32, 64), np.float64)
    colour = lambda d: (
        0.5 + 0.3 * np.stack([d[..., 0], d[..., 1] * d[..., 2], np.sin(2 * d[..., 2])], axis=-1)
    )
    matrices = np.asarray(views(_keys(), rotation='any', mirror=True))[:6]
    through = np.einsum('bij,hwj->bhwi', matrices, rays).astype(np.float32)
    images = np.broadcast_to(colour(rays).astype(np.float32), (6, 32, 64, 3))
    np.testing.assert_allclose(
        sample_equirect(images, through), colour(through.astype(np.float64)), atol=5e-3
    )


def test_a_mirror_is_the_reversed_image_and_a_yaw_of_whole_pixels_a_rolled_one():
    image = np.random.default_rng(1).random((16, 32, 3), np.float32)
    rays = sphere.ray_directions(16, 32)
    mirrored = sample_equirect(image, rays * jnp.array([-1.0, 1.0, 1.0]))
    np.testing.assert_allclose(mirrored, image[:, ::-1], atol=1e-5)
    yaw = rigid.so3_exp(jnp.array([0.0, 2 * np.pi * 5 / 32, 0.0]))
    np.testing.assert_allclose(
        sample_equirect(image, rigid.rotate(yaw, rays)), np.roll(image, -5, axis=1), atol=1e-5
    )


def test_points_seen_through_views_move_by_the_conjugate():
    """Reprojection inside the views and a turn back equal reprojection in the cameras.

    Hence one motion answers for augmented pairs.
    """
    motion, rays = _motion(2), sphere.ray_directions(8, 16)
    depth = np.random.default_rng(3).uniform(1, 5, (8, 16)).astype(np.float32)
    for matrix in np.asarray(views(_keys(), rotation='any', mirror=True))[:4]:
        seen = conjugate(motion, matrix)
        inside = reproject(rays, depth, seen.rotation, seen.translation)
        outside = reproject(rigid.rotate(matrix, rays), depth, motion.rotation, motion.translation)
        np.testing.assert_allclose(rigid.rotate(matrix, inside), outside, atol=3e-6)


def test_colours_stay_in_range_and_differ():
    found = jax.tree.map(np.asarray, colours(_keys(), 0.2))
    assert found.gain.shape == (400, 3)
    assert found.gain.min() >= 0.8 * 0.95 and found.gain.max() <= 1.2 * 1.05
    common = found.gain.mean(axis=1)
    assert common.min() < 0.85 and common.max() > 1.15
    assert 0.02 < np.abs(found.gain / common[:, None] - 1).max() < 0.11
    assert 0.8 < found.gamma.min() < 0.85 and 1.18 < found.gamma.max() < 1.23
    assert 0.67 < found.saturation.min() < 0.72 and 1.4 < found.saturation.max() < 1.5
    assert all(np.all(part == 1) for part in jax.tree.map(np.asarray, colours(_keys(), 0.0)))


def test_recolour_is_saturation_gain_and_gamma_of_each_example():
    images = np.random.default_rng(0).random((2, 3, 6, 4, 4, 3), np.float32)
    one = np.ones(2, np.float32)
    same = augment.Colours(one, one, np.ones((2, 3), np.float32))
    np.testing.assert_allclose(recolour(images, same), images, atol=1e-6)
    gray = recolour(images, same._replace(saturation=np.array([0, 1], np.float32)))
    np.testing.assert_allclose(
        gray[0], np.repeat(images[0].mean(axis=-1, keepdims=True), 3, axis=-1), atol=1e-6
    )
    np.testing.assert_allclose(gray[1], images[1], atol=1e-6)
    brighter = recolour(images, same._replace(gain=np.array([[1, 1, 1], [2, 1, 0.5]], np.float32)))
    np.testing.assert_allclose(brighter[1], np.minimum(images[1] * [2, 1, 0.5], 1), atol=1e-6)
    np.testing.assert_allclose(
        recolour(images, same._replace(gamma=np.array([2, 1], np.float32)))[0],
        images[0] ** 2,
        atol=1e-5,
    )
