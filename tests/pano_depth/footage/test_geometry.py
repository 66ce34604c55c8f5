"""Trajectory files and motions between frames against hand-written formulas."""

import os

import numpy as np
import pytest

from pano_depth.footage import geometry
from pano_depth.kernels.rigid import Motion


def _from_quaternion(x, y, z, w):
    """The textbook matrix of a unit quaternion."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _walk(n=7, seed=0):
    rng = np.random.default_rng(seed)
    quaternions = rng.normal(size=(n, 4))
    quaternions /= np.linalg.norm(quaternions, axis=-1, keepdims=True)
    return quaternions, Motion(
        np.stack([_from_quaternion(*q) for q in quaternions]), rng.normal(size=(n, 3))
    )


def test_tum_files_hold_the_textbook_quaternion(tmp_path):
    quaternions, motion = _walk()
    path = tmp_path / 'trajectory.txt'
    geometry.write_tum(path, np.arange(7) / 24, motion)
    rows = np.loadtxt(path)
    assert rows.shape == (7, 8)
    np.testing.assert_allclose(rows[:, 0], np.arange(7) / 24, atol=1e-6)
    np.testing.assert_allclose(rows[:, 1:4], motion.translation, atol=1e-8)
    # q and -q are one rotation.
    np.testing.assert_allclose(np.abs(np.sum(rows[:, 4:] * quaternions, axis=-1)), 1, atol=1e-8)
    times, back = geometry.read_tum(path)
    np.testing.assert_allclose(times, rows[:, 0])
    np.testing.assert_allclose(back.rotation, motion.rotation, atol=1e-8)
    np.testing.assert_allclose(back.translation, motion.translation, atol=1e-8)


def test_tum_reader_skips_comments_and_knows_a_quarter_turn(tmp_path):
    path = tmp_path / 'poses.txt'
    path.write_text('# timestamp tx ty tz qx qy qz qw\n\n0.5 1 2 3 0 0.70710678 0 0.70710678\n')
    times, motion = geometry.read_tum(path)
    # A quarter turn about y (down) brings forward to the right.
    np.testing.assert_allclose(motion.rotation[0] @ [0, 0, 1], [1, 0, 0], atol=1e-7)
    assert times.tolist() == [0.5] and motion.translation.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    'line, word',
    [
        ('0 1 2 3 0 0 0', '7 values'),
        ('0 1 2 3 0 0 0 x', "'x'"),
        ('0 1 2 3 0 0 0 2', 'length 2'),
        ('0 nan 2 3 0 0 0 1', 'finite'),
    ],
)
def test_tum_reader_names_file_and_line(tmp_path, line, word):
    path = tmp_path / 'poses.txt'
    path.write_text(f'# header\n0 0 0 0 0 0 0 1\n{line}\n')
    with pytest.raises(ValueError, match=rf'poses\.txt, line 3: .*{word}'):
        geometry.read_tum(path)


def test_bad_trajectories_are_refused_and_leave_no_file(tmp_path):
    _, motion = _walk()
    path = tmp_path / 'trajectory.txt'
    mirrored = Motion(motion.rotation * [-1, 1, 1], motion.translation)
    for times, bad, word in (
        (np.arange(6), motion, '7 poses'),
        (np.arange(7), mirrored, 'no rotation'),
        (np.arange(7), Motion(motion.rotation, motion.translation * np.nan), 'finite'),
    ):
        with pytest.raises(ValueError, match=word):
            geometry.write_tum(path, times, bad)
    path.write_text('# nothing\n')
    with pytest.raises(ValueError, match='no poses'):
        geometry.read_tum(path)
    assert os.listdir(tmp_path) == ['trajectory.txt']


def test_from_first_frame_and_relative_motions_match_matrix_products():
    _, motion = _walk()
    matrices = np.tile(np.eye(4), (7, 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = motion
    first, steps = geometry.from_first_frame(motion), geometry.relative_motions(motion)
    for i in range(7):
        expected = np.linalg.inv(matrices[0]) @ matrices[i]
        np.testing.assert_allclose(
            np.c_[first.rotation[i], first.translation[i]], expected[:3], atol=1e-12
        )
    for i in range(6):
        expected = np.linalg.inv(matrices[i]) @ matrices[i + 1]
        np.testing.assert_allclose(
            np.c_[steps.rotation[i], steps.translation[i]], expected[:3], atol=1e-12
        )
