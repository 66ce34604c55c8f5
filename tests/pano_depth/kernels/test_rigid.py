"""Rotations and motions against scipy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import rigid
from pano_depth.kernels.rigid import Motion

# Compiled as a whole: operation by operation these tests would take ten times as long.
so3_exp, so3_log = jax.jit(rigid.so3_exp), jax.jit(rigid.so3_log)

ANGLES = [
    0.0,
    1e-12,
    1e-7,
    1e-4,
    9.9e-3,
    1.01e-2,
    0.3,
    1.5,
    np.pi / 2,
    2.5,
    3.0,
    np.pi - 1e-2,
    np.pi - 1e-3,
]


def _axes(seed, count=8):
    axes = np.random.default_rng(seed).normal(size=(count, 3))
    return np.concatenate(
        [np.eye(3), -np.eye(3), axes / np.linalg.norm(axes, axis=-1, keepdims=True)]
    )


def _motion(seed, shape=()):
    rng = np.random.default_rng(seed)
    rotation = (
        Rotation.random(int(np.prod(shape, dtype=int)), random_state=rng)
        .as_matrix()
        .reshape(shape + (3, 3))
    )
    return Motion(rotation.astype(np.float32), rng.normal(size=shape + (3,)).astype(np.float32))


def _matrix(motion):
    """4 x 4 homogeneous, float64."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = motion.rotation, motion.translation
    return matrix


@pytest.mark.parametrize('angle', ANGLES + [np.pi, 4.0, 9.0])
def test_exp_matches_scipy(angle):
    omega = (_axes(0) * angle).astype(np.float32)
    found = np.asarray(so3_exp(omega))
    np.testing.assert_allclose(
        found, Rotation.from_rotvec(omega.astype(np.float64)).as_matrix(), atol=1e-6
    )
    np.testing.assert_allclose(
        found @ np.swapaxes(found, -1, -2), np.broadcast_to(np.eye(3), found.shape), atol=2e-6
    )


def test_exp_keeps_tiny_angles():
    omega = jnp.array([1e-9, -2e-9, 3e-9])
    rotation = np.asarray(so3_exp(omega))
    np.testing.assert_allclose([rotation[2, 1], rotation[0, 2], rotation[1, 0]], omega, rtol=1e-6)


@pytest.mark.parametrize('angle', ANGLES)
def test_log_inverts_exp(angle):
    omega = _axes(1) * angle
    rotation = Rotation.from_rotvec(omega).as_matrix().astype(np.float32)
    np.testing.assert_allclose(so3_log(rotation), omega, atol=3e-6, rtol=1e-6)


def test_log_of_half_turns_is_one_of_the_two_vectors_of_length_pi():
    for axis in _axes(2):
        rotation = (2 * np.outer(axis, axis) - np.eye(3)).astype(np.float32)
        found = np.asarray(so3_log(rotation), np.float64)
        assert np.linalg.norm(found) == pytest.approx(np.pi, abs=1e-5)
        assert abs(found @ axis) == pytest.approx(np.pi, abs=1e-5)


def _differences(function, step=1e-5):
    """Central differences of a function of a 3-vector at zero, float64 [..., 3]."""
    return np.stack([(function(e) - function(-e)) / (2 * step) for e in step * np.eye(3)], axis=-1)


def test_gradient_of_exp_matches_central_differences():
    angles = [0.0, 1e-6, 5e-3, 0.0099, 0.0101, 0.5, 2.0, 3.0, np.pi - 1e-2, np.pi - 1e-3, np.pi]
    omegas = np.concatenate([_axes(3, 3) * angle for angle in angles])
    found = jax.jit(jax.vmap(jax.jacobian(rigid.so3_exp)))(jnp.asarray(omegas, jnp.float32))
    for omega, jacobian in zip(omegas, np.asarray(found)):
        expected = _differences(lambda e, w=omega: Rotation.from_rotvec(w + e).as_matrix())
        np.testing.assert_allclose(jacobian, expected, atol=1e-4)


def test_gradient_of_log_matches_central_differences():
    """Along the rotations: v -> log(R exp(v)) at v = 0, near the identity and near half turns."""
    angles = [0.0, 1e-6, 1e-3, 4e-3, 8e-3, 0.5, 2.0, 3.0, np.pi - 1e-2, np.pi - 2e-3]
    starts = Rotation.from_rotvec(np.concatenate([_axes(4, 3) * angle for angle in angles]))

    def moved(v, matrix):
        return rigid.so3_log(jnp.matmul(matrix, rigid.so3_exp(v), precision='highest'))

    found = jax.jit(jax.vmap(jax.jacobian(moved), in_axes=(None, 0)))(
        jnp.zeros(3), jnp.asarray(starts.as_matrix(), jnp.float32)
    )
    for start, jacobian in zip(starts, np.asarray(found)):
        expected = _differences(lambda e, r=start: (r * Rotation.from_rotvec(e)).as_rotvec())
        np.testing.assert_allclose(jacobian, expected, atol=3e-4)


def test_gradients_are_finite_at_the_identity_and_at_half_turns():
    weights = jnp.asarray(np.random.default_rng(5).normal(size=(3, 3)), jnp.float32)
    rotations = jnp.stack(
        [
            jnp.diag(jnp.array(d, jnp.float32))
            for d in ([1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1])
        ]
    )
    omegas = jnp.array([[0, 0, 0], [np.pi, 0, 0], [0, 0, 1e-30]], jnp.float32)
    of_log = jax.jit(jax.vmap(jax.grad(lambda r: (rigid.so3_log(r) * weights[0]).sum())))(rotations)
    of_exp = jax.jit(jax.vmap(jax.grad(lambda w: (rigid.so3_exp(w) * weights).sum())))(omegas)
    for gradients in (of_log, of_exp):
        assert np.isfinite(gradients).all()
        assert np.abs(gradients).reshape(len(gradients), -1).max(axis=1).min() > 0


def test_compose_applies_the_second_motion_first():
    a, b = _motion(6), _motion(7)
    found = rigid.compose(a, b)
    np.testing.assert_allclose(_matrix(found), _matrix(a) @ _matrix(b), atol=1e-6)
    point = np.array([0.3, -2.0, 1.1], np.float32)
    step = rigid.rotate(a.rotation, rigid.rotate(b.rotation, point) + b.translation) + a.translation
    np.testing.assert_allclose(
        rigid.rotate(found.rotation, point) + found.translation, step, atol=1e-6
    )


def test_compose_broadcasts_and_inverse_undoes():
    many, one = _motion(8, (4, 2)), _motion(9)
    both = rigid.compose(many, one)
    assert both.rotation.shape == (4, 2, 3, 3) and both.translation.shape == (4, 2, 3)
    back = rigid.compose(rigid.inverse(many), both)
    np.testing.assert_allclose(
        back.rotation, np.broadcast_to(one.rotation, (4, 2, 3, 3)), atol=2e-6
    )
    np.testing.assert_allclose(
        back.translation, np.broadcast_to(one.translation, (4, 2, 3)), atol=2e-6
    )
    np.testing.assert_allclose(
        _matrix(Motion(*(x[1, 1] for x in rigid.inverse(many)))),
        np.linalg.inv(_matrix(Motion(many.rotation[1, 1], many.translation[1, 1]))),
        atol=2e-6,
    )


def test_rotate_by_the_identity_changes_no_bit():
    vectors = np.random.default_rng(10).normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_array_equal(rigid.rotate(jnp.eye(3), vectors), vectors)
