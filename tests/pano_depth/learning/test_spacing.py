"""Rotations of an analytic sphere and walks through an analytic room, fast and slow."""

import functools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.learning import spacing

HEIGHT = spacing.HEIGHT
ROOM = np.array([[-2.5, -1.6, -3.0], [3.0, 1.2, 2.5]])


@functools.cache
def _rays():
    return np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT), np.float64)


def _colours(points):
    """Smooth colours [..., 3] in [0, 1] of points."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack(
        [
            0.5 + 0.25 * np.sin(3 * x + 2) * np.cos(2 * y) + 0.2 * np.sin(4 * z),
            0.5 + 0.4 * np.sin(2 * x + 3 * y + z),
            0.5 + 0.3 * np.cos(4 * y + z) * np.sin(3 * x),
        ],
        axis=-1,
    )


def _room(rotation, position):
    """The room as a camera with this camera-to-world pose sees it, [H, 2H, 3]."""
    rays = _rays() @ rotation.T
    with np.errstate(divide='ignore'):
        walls = (ROOM[:, None] - position) / rays.reshape(1, -1, 3)
    depth = walls.max(axis=0).min(axis=-1).reshape(rays.shape[:-1])
    return _colours(position + depth[..., None] * rays)


def _walk(step, count=25):
    """uint8 frames of a walk by `step` metres a frame that turns at the same time."""
    return np.stack(
        [
            (
                _room(
                    Rotation.from_rotvec([0, 0.03 * i, 0.01 * i]).as_matrix(),
                    np.array([0.6, 0, 0.8]) * step * (i - count / 2),
                )
                * 255
            )
            .round()
            .astype(np.uint8)
            for i in range(count)
        ]
    )


@pytest.mark.parametrize('omega', [(0, 0.2, 0), (0.1, -0.15, 0.12), (-0.3, 0, 0.05), (0, 0, 0)])
def test_a_known_rotation_is_recovered(omega):
    turn = Rotation.from_rotvec(omega)
    # X_source = R X_target: the source camera is turned by R^T.
    target, source = _colours(1.2 * _rays()), _colours(1.2 * _rays() @ turn.as_matrix())
    found, left = spacing.rotation_between(target.astype(np.float32), source.astype(np.float32))
    error = (Rotation.from_rotvec(np.asarray(found, np.float64)) * turn.inv()).magnitude()
    assert np.degrees(error) < 0.5
    assert float(left) < 0.1


def test_translation_leaves_parallax_in_proportion_and_rotation_does_not():
    start, turned = np.eye(3), Rotation.from_rotvec([0.02, 0.25, -0.05]).as_matrix()
    still = _room(start, np.zeros(3))

    def parallax(rotation, step):
        other = _room(rotation, np.array([0.6, 0, 0.8]) * step)
        return float(
            spacing.rotation_between(still.astype(np.float32), other.astype(np.float32))[1]
        )

    assert parallax(turned, 0.0) < 0.1
    near, far, turning = parallax(start, 0.04), parallax(start, 0.08), parallax(turned, 0.08)
    # A point at range d moves by step / d radians, of which sin of the angle to the motion is seen;
    # walls are 1.2 to 3 m away.
    assert 0.04 / 3 * 20 * 0.3 < near < 0.04 / 1.2 * 20
    assert far == pytest.approx(2 * near, rel=0.3) and turning == pytest.approx(far, rel=0.3)


def test_slower_motion_gets_a_larger_stride():
    fast, shift = spacing.choose_stride(_walk(0.15), samples=3)
    assert fast == 2 and shift >= spacing.PARALLAX
    slow, shift = spacing.choose_stride(_walk(0.06), samples=3)
    assert slow == 3 and shift >= spacing.PARALLAX
    assert spacing.choose_stride(_walk(0.06), samples=3, parallax=0.3)[0] < slow
    still, shift = spacing.choose_stride(_walk(0.0), samples=3)
    assert still == 4 and shift < 0.1  # (25 - 1) // 6: triplets enough are left


def test_a_clip_of_three_frames_has_stride_one():
    assert spacing.choose_stride(_walk(0.0, 3), samples=3)[0] == 1
