"""Agreement of two views: of one room it is high, of wrong depth or hidden points it is low."""

import jax
import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import so3_exp
from pano_depth.reconstruction import consistency
from pano_depth.rooms import rooms

HEIGHT = 64


def _ball(position, radius=3.0):
    """Range of the inside of a ball around the origin, seen from a position."""
    rays = np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT), np.float64)
    along = rays @ position
    return (-along + np.sqrt(along**2 + radius**2 - position @ position)).astype(np.float32)


def test_two_views_of_a_ball_agree_where_the_camera_stands_and_however_it_turns():
    position = np.array([0.4, -0.2, 0.3])
    turn = np.asarray(so3_exp(np.array([0.3, -0.5, 0.2])), np.float64)
    rays = np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT), np.float64)
    # The other camera looks along turn: X_other = turn @ (X - position).
    along = rays @ turn @ position
    other = -along + np.sqrt(along**2 + 9 - position @ position)
    found = consistency.agreement(
        _ball(np.zeros(3)),
        other.astype(np.float32),
        turn.astype(np.float32),
        (-turn @ position).astype(np.float32),
    )
    assert found.shape == (HEIGHT, 2 * HEIGHT) and float(found.min()) > 0.8


@pytest.mark.parametrize('factor', [0.8, 1.3])
def test_depth_that_is_wrong_is_not_confirmed(factor):
    step = np.array([1.0, 0, 0])
    depth = _ball(np.zeros(3)).copy()
    depth[20:40] *= factor
    found = np.asarray(consistency.agreement(depth, _ball(step), np.eye(3), -step))
    assert found[20:40].mean() < 0.05 and found[:18].mean() > 0.9


def test_invalid_depth_and_identity():
    depth = np.asarray(rooms.sample_clip(frames=1, height=32, width=64).depth[0])
    depth = np.array(depth)
    depth[:3] = 0
    found = np.asarray(jax.jit(consistency.agreement)(depth, depth, np.eye(3), np.zeros(3)))
    assert (found[:3] == 0).all() and np.allclose(found[3:], 1)


def test_a_rendered_room_agrees_but_where_something_stands_in_the_way():
    clip = rooms.sample_clip(frames=4, height=HEIGHT, width=2 * HEIGHT)
    rotation = clip.poses.rotation[3].T @ clip.poses.rotation[0]
    translation = clip.poses.rotation[3].T @ (clip.poses.translation[0] - clip.poses.translation[3])
    found = np.asarray(consistency.agreement(clip.depth[0], clip.depth[3], rotation, translation))
    assert 0.75 < (found > 0.5).mean() < 1


def test_views_of_a_single_image_never_confirm_it():
    (found,) = consistency.of_views(np.array([[0.0, 0.03, 0.083, 0.11, 0.3]], np.float32))
    assert found[0] == 0.5 and 0.4 < found[1] < 0.45 and 0 < found[-1] < 0.06
    # Half of the chance to be within a tenth: where that is even, and at the least sure tenth.
    assert 2 * found[2:4] == pytest.approx([0.5, 0.39], abs=0.01)
