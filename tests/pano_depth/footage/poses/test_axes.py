"""Paths in files: turned into other axes and back, with their unit."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage import geometry
from pano_depth.footage.poses import axes, known_poses
from pano_depth.kernels.rigid import Motion

TIMES = np.array([0.0, 0.1, 0.5, 0.6])
POSES = Motion(
    Rotation.random(4, random_state=0).as_matrix(), np.random.default_rng(0).normal(size=(4, 3))
)
# Where up, forward and right of the world lie in a file.
DIRECTIONS = {
    'y_down': ([0, -1, 0], [0, 0, 1], [1, 0, 0]),
    'y_up': ([0, 1, 0], [0, 0, -1], [1, 0, 0]),
    'z_up': ([0, 0, 1], [0, 1, 0], [1, 0, 0]),
}


@pytest.mark.parametrize('name', axes.AXES)
def test_axes_are_what_their_names_say(name):
    up, forward, right = DIRECTIONS[name]
    turn = axes.matrix(name)
    np.testing.assert_array_equal(
        turn @ [[0, 0, 1], [-1, 0, 0], [0, 1, 0]], np.transpose([up, forward, right])
    )
    assert np.linalg.det(turn) == pytest.approx(1)


@pytest.mark.parametrize('name', axes.AXES)
@pytest.mark.parametrize('unit', ['metre', 'relative', None])
def test_a_path_comes_back_from_any_axes(tmp_path, name, unit):
    path = tmp_path / 'trajectory.txt'
    axes.write_path(path, TIMES, POSES, axes=name, unit=unit)
    found = axes.read_path(path)
    assert (found.axes, found.unit) == (name, unit)
    np.testing.assert_allclose(found.times, TIMES)
    np.testing.assert_allclose(found.poses.rotation, POSES.rotation, atol=1e-7)
    np.testing.assert_allclose(found.poses.translation, POSES.translation, atol=1e-8)


@pytest.mark.parametrize('name', axes.AXES)
def test_a_point_that_a_camera_sees_lies_in_the_axes_of_the_file(tmp_path, name):
    """What a reader does who knows nothing of axes: the pose turns camera axes into the file's."""
    axes.write_path(tmp_path / 'path.txt', TIMES, POSES, axes=name)
    _, stored = geometry.read_tum(tmp_path / 'path.txt')
    seen = np.array([0.3, -0.4, 2.0])
    world = POSES.rotation[2] @ seen + POSES.translation[2]
    in_file = stored.rotation[2] @ seen + stored.translation[2]
    np.testing.assert_allclose(in_file, axes.matrix(name) @ world, atol=1e-7)


def test_unknown_axes_are_refused_and_foreign_comments_say_nothing(tmp_path):
    with pytest.raises(ValueError, match="axes is 'x_up'; accepted: y_up, z_up, y_down"):
        axes.turned(POSES, 'x_up')
    path = tmp_path / 'other.txt'
    path.write_text('# ground truth\n# axes: odd\n# unit: m\n# file: a.bag\n1 0 0 0 0 0 0 1\n')
    found = axes.read_path(path)
    assert (found.axes, found.unit) == ('y_down', None)


@pytest.mark.parametrize('unit', ['metre', 'relative', None])
def test_known_poses_have_the_unit_and_the_axes_of_their_file(tmp_path, unit):
    path = tmp_path / 'trajectory.txt'
    axes.write_path(path, TIMES, POSES, axes='z_up', unit=unit)
    found = known_poses.read_poses(path, np.arange(4), fps=10, times=TIMES)
    assert found.unit == (unit or 'metre') and found.facts['matched_by'] == 'time'
    expected = geometry.from_first_frame(POSES)
    np.testing.assert_allclose(found.poses.rotation, expected.rotation, atol=1e-7)
    np.testing.assert_allclose(found.poses.translation, expected.translation, atol=1e-7)


def test_lines_are_matched_by_the_true_times_of_frames(tmp_path):
    """Frames at 0, 0.1, 0.5 and 0.6 s; at 10 frames a second 0.5 s would be frame 5."""
    path = tmp_path / 'poses.txt'
    stamps = np.array([0.62, 0.01, 0.49, 0.11])
    rows = [3, 0, 2, 1]
    order = Motion(POSES.rotation[rows], POSES.translation[rows])
    geometry.write_tum(path, stamps, order)
    found = known_poses.read_poses(path, [0, 2, 3], fps=10, times=TIMES[[0, 2, 3]], total=9)
    expected = geometry.from_first_frame(
        Motion(POSES.rotation[[0, 2, 3]], POSES.translation[[0, 2, 3]])
    )
    np.testing.assert_allclose(found.poses.translation, expected.translation, atol=1e-7)
    with pytest.raises(ValueError, match='no pose for 2 of 3 frames: 2, 3'):
        known_poses.read_poses(path, [0, 2, 3], fps=0.1, total=9)


def test_dense_lines_are_interpolated_at_true_times(tmp_path):
    path = tmp_path / 'poses.txt'
    stamps = np.arange(0, 0.7, 0.01)
    places = np.stack([stamps, 0 * stamps, stamps**2], axis=-1)
    geometry.write_tum(path, stamps, Motion(np.tile(np.eye(3), (len(stamps), 1, 1)), places))
    times = np.array([0, 0.105, 0.333, 0.61])
    found = known_poses.read_poses(path, np.arange(4), fps=10, times=times)
    assert found.facts['matched_by'] == 'time, between lines'
    np.testing.assert_allclose(found.poses.translation[:, 0], times, atol=1e-6)
