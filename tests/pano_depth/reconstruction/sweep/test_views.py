"""Which frames a frame is compared with."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction.sweep import views

RADIUS = 8.0
FRAMES, MIDDLE = 41, 20


def _poses(places, seed=0):
    turns = Rotation.random(len(places), random_state=seed).as_matrix()
    return Motion(turns, np.asarray(places, np.float64))


def _depth(poses, height=16):
    """Range inside a ball around the origin."""
    rays = sphere.pixel_rays(height, 2 * height) @ poses.rotation.swapaxes(1, 2)[:, None]
    along = (rays * poses.translation[:, None, None]).sum(axis=-1)
    apart = (poses.translation**2).sum(axis=-1)[:, None, None]
    return (np.sqrt(along**2 + RADIUS**2 - apart) - along).astype(np.float32)


def _line(steps):
    return np.asarray(steps)[:, None] * np.array([[0.2, 0, 0.1]])


@pytest.fixture(scope='module')
def walk():
    poses = _poses(_line(np.arange(FRAMES) - MIDDLE))
    return poses, _depth(poses)


def test_sources_lie_on_both_sides_at_parallaxes_that_double(walk):
    chosen = np.array(views.choose(*walk, MIDDLE, 8))
    np.testing.assert_array_equal(chosen - MIDDLE, [-20, -10, -5, -3, 3, 5, 10, 20])


@pytest.mark.parametrize('count', [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize('index', [0, 3, MIDDLE, FRAMES - 1])
def test_there_are_as_many_as_wanted_if_there_are_enough(walk, index, count):
    chosen = views.choose(*walk, index, count)
    assert len(chosen) == len(set(chosen)) == count and index not in chosen
    assert chosen == sorted(chosen) and chosen[0] >= 0 and chosen[-1] < FRAMES
    if count > 1 and index == MIDDLE:
        assert chosen[0] < index < chosen[-1]


def test_sources_are_not_so_far_that_they_see_something_else():
    depth = np.ones((9, 16, 32), np.float32)
    places = 0.3 * np.arange(9)[:, None] * np.array([[0.6, 0, 0.8]])
    assert views.choose(_poses(places), depth, 4, 8) == [1, 2, 3, 5, 6, 7]
    # However far the nearest ones are, there are none better.
    assert views.choose(_poses(5 * places), depth, 4, 8) == [3, 5]


def test_frames_behind_a_wall_are_left_out(walk):
    poses, depth = walk
    depth = depth.copy()
    depth[MIDDLE + 4 :] = 0.5
    chosen = views.choose(poses, depth, MIDDLE, 8)
    assert max(chosen) == MIDDLE + 3 and min(chosen) == 0 and len(chosen) == 8
    # The nearest one on a side is better than none.
    depth[MIDDLE + 1 :] = 0.5
    assert views.choose(poses, depth, MIDDLE, 8)[-1] == MIDDLE + 1


def test_a_camera_that_comes_back_is_no_source_of_its_own_place():
    steps = np.minimum(np.arange(21), 20 - np.arange(21))
    poses = _poses(_line(steps))
    chosen = views.choose(poses, _depth(poses), 5, 8)
    assert 15 not in chosen and len(chosen) == 8 and min(chosen) < 5 < max(chosen)


def test_two_frames_see_each_other_and_one_sees_none():
    poses = _poses(_line([0, 1]))
    depth = _depth(poses)
    assert [views.choose(poses, depth, i, 8) for i in (0, 1)] == [[1], [0]]
    alone = Motion(poses.rotation[:1], poses.translation[:1])
    assert views.choose(alone, depth[:1], 0, 8) == []


def test_a_camera_that_stands_has_no_source():
    poses = _poses(np.ones((5, 3)))
    assert views.choose(poses, _depth(poses), 2, 8) == []
    poses = _poses(_line(np.arange(3)))
    assert views.choose(poses, np.zeros((3, 4, 8), np.float32), 1, 8) == []


def test_relative_takes_points_from_one_camera_to_the_other(walk):
    poses, _ = walk
    motion = views.relative(poses, 3, 30)
    point = np.array([0.3, -2.0, 1.5])
    world = poses.rotation[3] @ point + poses.translation[3]
    there = poses.rotation[30].T @ (world - poses.translation[30])
    np.testing.assert_allclose(motion.rotation @ point + motion.translation, there, atol=1e-5)


def test_overlap_is_the_part_of_the_sphere_that_is_alike(walk):
    poses, depth = walk
    assert views.overlap(depth[0], depth[8], views.relative(poses, 0, 8)) > 0.98
    still = Motion(np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    other = depth[0].copy()
    other[:6] *= 2
    above = (1 - np.cos(6 / 16 * np.pi)) / 2
    assert views.overlap(depth[0], other, still) == pytest.approx(1 - above, abs=0.01)
    other[:6] = 0
    assert views.overlap(depth[0], other, still) == pytest.approx(1 - above, abs=0.01)
    # What the target does not know does not count.
    assert views.overlap(other, depth[0], still) == pytest.approx(1)
    assert views.overlap(np.zeros_like(other), depth[0], still) == 0


def test_coarse_depth_has_no_other_numbers():
    depth = np.arange(64 * 128, dtype=np.float64).reshape(64, 128)
    found = views.coarse(depth)
    np.testing.assert_array_equal(found, depth[2::4, 2::4])
    odd = views.coarse(np.array([[np.nan, -1.0], [np.inf, 2.0]]))
    np.testing.assert_array_equal(odd, [[0, 0], [0, 2]])
