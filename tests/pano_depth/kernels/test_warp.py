"""View synthesis against float64 geometry and second views of a room rendered ray by ray."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import cube, rigid, sphere, warp

# Compiled as a whole: operation by operation these tests would take several times as long.
synthesize, reproject = jax.jit(warp.synthesize), jax.jit(warp.reproject)

ROOM = np.array([[-2.5, -1.6, -3.0], [3.0, 1.2, 2.5]])
CUPBOARD = np.array([[0.8, -0.2, 0.6], [1.8, 1.2, 1.9]])


def _box_crossings(origin, rays, box):
    """Distances at which rays enter and leave an axis-aligned box."""
    with np.errstate(divide='ignore'):
        ends = (box[:, None] - origin) / rays.reshape(1, -1, 3)
    return ends.min(axis=0).max(axis=-1), ends.max(axis=0).min(axis=-1)


def _trace(origin, rays):
    """Range [...] along world rays to the walls or the cupboard."""
    enter, leave = _box_crossings(origin, rays, CUPBOARD)
    wall = _box_crossings(origin, rays, ROOM)[1]
    return np.where((enter > 0) & (enter < leave), np.minimum(enter, wall), wall).reshape(
        rays.shape[:-1]
    )


def _texture(points):
    """Colours [..., 3] in [0, 1]: waves along the surfaces down to 0.35 m."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack(
        [
            0.5 + 0.25 * np.sin(9 * x + 2) * np.cos(7 * y) + 0.2 * np.sin(11 * z),
            0.5 + 0.4 * np.sin(6 * x + 5 * y + 8 * z),
            0.5 + 0.3 * np.cos(18 * y + z) * np.sin(14 * x) + 0.1 * np.cos(5 * z),
        ],
        axis=-1,
    )


def _render(rotation, position, rays):
    """Image and range of a camera with this camera-to-world pose."""
    world = rays @ rotation.T
    depth = _trace(position, world)
    return _texture(position + world * depth[..., None]), depth


def _rays(height):
    lon = ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5) * 2 * np.pi
    lat = ((0.5 - (np.arange(height) + 0.5) / height) * np.pi)[:, None]
    return np.stack(
        [np.cos(lat) * np.sin(lon), -np.sin(lat) + 0 * lon, np.cos(lat) * np.cos(lon)], axis=-1
    )


def _room_pair(rays):
    """(target image, target range, source image, R, t, visible).

    `visible` is True where nothing hides the point of the target from the source.
    """
    poses = [
        (Rotation.from_rotvec([0.05, 0.4, -0.03]).as_matrix(), np.array([-0.3, -0.1, 0.2])),
        (Rotation.from_rotvec([-0.02, 0.1, 0.06]).as_matrix(), np.array([0.1, 0.05, -0.15])),
    ]
    (target, depth), (source, _) = (_render(*pose, r) for pose, r in zip(poses, (rays, _rays(256))))
    (rotation_t, position_t), (rotation_s, position_s) = poses
    offset = position_t + (rays @ rotation_t.T) * depth[..., None] - position_s
    reach = np.linalg.norm(offset, axis=-1)
    visible = _trace(position_s, offset / reach[..., None]) > 0.995 * reach
    return (
        target,
        depth,
        source,
        rotation_s.T @ rotation_t,
        rotation_s.T @ (position_t - position_s),
        visible,
    )


@pytest.mark.parametrize('grid', ['equirect', 'cube'])
def test_a_second_view_of_a_room_is_reproduced_with_true_depth_and_motion(grid):
    rays = _rays(256) if grid == 'equirect' else np.asarray(cube.face_directions(64), np.float64)
    target, depth, source, rotation, translation, visible = _room_pair(rays)
    found = synthesize(
        source.astype(np.float32),
        *(np.asarray(x, np.float32) for x in (rays, depth, rotation, translation)),
    )
    error = np.abs(np.asarray(found) - target).max(axis=-1)[visible]
    assert 0.8 < visible.mean() < 0.999
    assert np.median(error) <= 0.01 and np.quantile(error, 0.95) <= 0.05
    still = np.abs(
        np.asarray(sphere.sample_equirect(source.astype(np.float32), rays.astype(np.float32)))
        - target
    ).max(axis=-1)
    assert np.median(still) > 0.2


def test_the_inverse_motion_or_face_z_depth_does_not_reproduce_it():
    rays = _rays(256)
    target, depth, source, rotation, translation, visible = _room_pair(rays)
    z_depth = depth * np.abs(rays).max(axis=-1)
    for wrong in [(depth, rotation.T, -rotation.T @ translation), (z_depth, rotation, translation)]:
        found = synthesize(
            source.astype(np.float32),
            rays.astype(np.float32),
            *(np.asarray(x, np.float32) for x in wrong),
        )
        assert np.median(np.abs(np.asarray(found) - target).max(axis=-1)[visible]) > 0.03


def test_reproject_is_the_direction_of_the_moved_point():
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(2, 5, 7, 3))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    depth, translation = rng.uniform(0.3, 9, (2, 5, 7)), rng.normal(size=(2, 3))
    rotation = Rotation.random(2, random_state=1).as_matrix()
    points = (
        np.einsum('bij,bhwj->bhwi', rotation, rays * depth[..., None]) + translation[:, None, None]
    )
    found = reproject(*(x.astype(np.float32) for x in (rays, depth, rotation, translation)))
    np.testing.assert_allclose(
        found, points / np.linalg.norm(points, axis=-1, keepdims=True), atol=2e-6
    )


@pytest.mark.parametrize('scale', [1e-25, 1e-6, 1e6, 1e25])
def test_reproject_does_not_depend_on_the_scale(scale):
    rays = sphere.ray_directions(8, 16)
    depth = np.random.default_rng(2).uniform(1, 4, (8, 16)).astype(np.float32)
    rotation, translation = rigid.so3_exp(jnp.array([0.1, -0.3, 0.2])), jnp.array([0.4, -0.2, 0.3])
    found = reproject(rays, depth * np.float32(scale), rotation, translation * scale)
    np.testing.assert_allclose(found, reproject(rays, depth, rotation, translation), atol=1e-6)


def test_motions_align_with_the_first_axes_of_the_depth():
    rng = np.random.default_rng(3)
    depth = rng.uniform(1, 5, (2, 6, 4, 4)).astype(np.float32)
    rays = np.asarray(cube.face_directions(4))
    rotation = (
        Rotation.random(12, random_state=4).as_matrix().reshape(2, 6, 3, 3).astype(np.float32)
    )
    translation = rng.normal(size=(2, 6, 3)).astype(np.float32)
    per_face, per_image = (
        reproject(rays, depth, *m)
        for m in ((rotation, translation), (rotation[:, 2], translation[:, 2]))
    )
    per_face, per_image = np.asarray(per_face), np.asarray(per_image)
    for b, f in np.ndindex(2, 6):
        for found, face in ((per_face, f), (per_image, 2)):
            one = reproject(rays[f], depth[b, f], rotation[b, face], translation[b, face])
            np.testing.assert_allclose(found[b, f], one, atol=1e-6)


def test_no_motion_returns_white_noise():
    image = np.random.default_rng(4).random((2, 64, 128, 3), np.float32)
    depth = np.random.default_rng(5).uniform(0.1, 20, (2, 64, 128)).astype(np.float32)
    eye = np.broadcast_to(np.eye(3, dtype=np.float32), (2, 3, 3))
    zero = np.zeros((2, 3), np.float32)
    found = synthesize(image, sphere.ray_directions(64, 128), depth, eye, zero)
    assert np.abs(np.asarray(found) - image).max() <= 2e-7 * 128


@pytest.mark.parametrize('omega', [[0.0, 2.0, 0.0], [1.3, 0.0, 0.0], [0.4, -1.1, 2.0]])
def test_pure_rotation_of_a_smooth_image(omega):
    rays, rotation = _rays(64), Rotation.from_rotvec(omega).as_matrix()
    smooth = lambda d: (
        0.5
        + 0.2
        * np.stack(
            [d[..., 0] + d[..., 1] * d[..., 2], np.sin(d[..., 1] + d[..., 2]), d[..., 2]], axis=-1
        )
    )
    depth = np.random.default_rng(6).uniform(0.5, 5, (64, 128)).astype(np.float32)
    found = synthesize(
        smooth(rays).astype(np.float32),
        sphere.ray_directions(64, 128),
        depth,
        rotation.astype(np.float32),
        np.zeros(3, np.float32),
    )
    assert np.abs(found - smooth(rays @ rotation.T)).max() <= 1e-3


def test_gradients_are_finite_at_zero_motion_zero_depth_poles_seam_and_the_camera_centre():
    image = jnp.asarray(np.random.default_rng(7).random((8, 16, 1), np.float32))
    rays = jnp.array(
        [
            [0, -1, 0],
            [0, 1, 0],
            [0, 0, -1],
            [0, 0, 1],
            [1, 0, 0],
            [0.70710678, 0, 0.70710678],
            [0.57735, 0.57735, 0.57735],
        ],
        jnp.float32,
    )

    def loss(depth, omega, translation):
        return warp.synthesize(image, rays, depth, rigid.so3_exp(omega), translation).sum()

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    # The last motion takes the point two metres ahead to the source camera's centre.
    for depth in (2.0, 0.0, 1e-30, 1e30):
        for translation in ([0.0, 0, 0], [0, 0, -2], [1e-30, 0, 0]):
            found = gradient(jnp.full(7, depth), jnp.zeros(3), jnp.array(translation, jnp.float32))
            assert all(np.isfinite(x).all() for x in found)
    assert all(
        np.abs(x).max() > 0
        for x in gradient(jnp.full(7, 2.0), jnp.zeros(3), jnp.array([0.1, 0.2, 0.3]))
    )


def test_gradients_of_the_direction_match_central_differences():
    rng = np.random.default_rng(8)
    ray = np.array([0.6, -0.48, 0.64])
    depth = 2.0
    omega = rng.normal(size=3)
    translation = rng.normal(size=3)

    def direction(x):
        point = Rotation.from_rotvec(x[1:4]).apply(ray * x[0]) + x[4:]
        return point / np.linalg.norm(point)

    at = np.concatenate([[depth], omega, translation])
    expected = np.stack(
        [(direction(at + e) - direction(at - e)) / 2e-6 for e in 1e-6 * np.eye(7)], axis=-1
    )
    moved = lambda x: warp.reproject(
        jnp.asarray(ray, jnp.float32), x[0], rigid.so3_exp(x[1:4]), x[4:]
    )
    found = jax.jit(jax.jacobian(moved))(jnp.asarray(at, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_uint8_views_are_the_rounded_float_views():
    image = np.random.default_rng(9).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    motion = rigid.so3_exp(jnp.array([0.1, 0.2, 0.3])), jnp.array([0.1, 0.0, 0.2])
    view = lambda x: synthesize(x, sphere.ray_directions(8, 16), jnp.ones((8, 16)), *motion)
    assert view(image).dtype == jnp.uint8
    np.testing.assert_array_equal(view(image), np.round(np.asarray(view(image.astype(np.float32)))))


def test_one_view_serves_a_batch_of_sources():
    sources = np.random.default_rng(0).random((3, 8, 16, 2), np.float32)
    view = (
        sphere.ray_directions(8, 16),
        np.ones((8, 16), np.float32),
        rigid.so3_exp(np.array([0.1, 0.4, 0.0])),
        np.array([0.2, 0.0, 0.1]),
    )
    found = synthesize(sources, *view)
    np.testing.assert_allclose(
        found, np.stack([synthesize(source, *view) for source in sources]), atol=1e-6
    )


def test_a_motion_that_does_not_fit_the_depth_is_named():
    rays, depth = sphere.ray_directions(4, 8), np.ones((2, 4, 8), np.float32)
    with pytest.raises(ValueError, match='rotation has shape'):
        reproject(rays, depth, np.zeros((3, 3, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match='translation has shape'):
        reproject(rays, depth, np.zeros((2, 3, 3)), np.zeros((3, 3)))
