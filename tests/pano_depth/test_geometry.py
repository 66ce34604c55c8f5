"""Trajectory and point-cloud files, and fusion, against hand-written formulas."""

import os
import struct

import numpy as np
import pytest

from pano_depth import geometry, sphere
from pano_depth.rigid import Motion


def _from_quaternion(x, y, z, w):
    """The textbook matrix of a unit quaternion."""
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                     [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                     [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])


def _walk(n=7, seed=0):
    rng = np.random.default_rng(seed)
    quaternions = rng.normal(size=(n, 4))
    quaternions /= np.linalg.norm(quaternions, axis=-1, keepdims=True)
    return quaternions, Motion(np.stack([_from_quaternion(*q) for q in quaternions]), rng.normal(size=(n, 3)))


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


@pytest.mark.parametrize('line, word', [('0 1 2 3 0 0 0', '7 values'), ('0 1 2 3 0 0 0 x', "'x'"), ('0 1 2 3 0 0 0 2', 'length 2'),
                                        ('0 nan 2 3 0 0 0 1', 'finite')])
def test_tum_reader_names_file_and_line(tmp_path, line, word):
    path = tmp_path / 'poses.txt'
    path.write_text(f'# header\n0 0 0 0 0 0 0 1\n{line}\n')
    with pytest.raises(ValueError, match=rf'poses\.txt, line 3: .*{word}'):
        geometry.read_tum(path)


def test_bad_trajectories_are_refused_and_leave_no_file(tmp_path):
    _, motion = _walk()
    path = tmp_path / 'trajectory.txt'
    mirrored = Motion(motion.rotation * [-1, 1, 1], motion.translation)
    for times, bad, word in ((np.arange(6), motion, '7 poses'), (np.arange(7), mirrored, 'no rotation'),
                             (np.arange(7), Motion(motion.rotation, motion.translation * np.nan), 'finite')):
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
        np.testing.assert_allclose(np.c_[first.rotation[i], first.translation[i]], expected[:3], atol=1e-12)
    for i in range(6):
        expected = np.linalg.inv(matrices[i]) @ matrices[i + 1]
        np.testing.assert_allclose(np.c_[steps.rotation[i], steps.translation[i]], expected[:3], atol=1e-12)


@pytest.mark.parametrize('axes, up, forward', [('y_up', (0, 1, 0), (0, 0, -1)), ('z_up', (0, 0, 1), (0, 1, 0)),
                                               ('y_down', (0, -1, 0), (0, 0, 1))])
def test_ply_axes(tmp_path, axes, up, forward):
    camera_axes = np.array([[0, -1, 0], [0, 0, 1], [1, 0, 0]])
    geometry.write_ply(tmp_path / 'a.ply', camera_axes, np.zeros((3, 3), np.uint8), axes=axes)
    points, _ = geometry.read_ply(tmp_path / 'a.ply')
    np.testing.assert_array_equal(points, [up, forward, (1, 0, 0)])
    # A mirrored cloud would read every sign backwards.
    np.testing.assert_allclose(np.cross(points[2], points[0]), -points[1])


def test_ply_bytes(tmp_path):
    path = tmp_path / 'a.ply'
    points, colors = np.array([[1.5, 2.0, -3.0], [0.0, 0.25, 9.0]]), np.array([[1, 2, 255], [7, 8, 9]], np.uint8)
    geometry.write_ply(path, points, colors)
    head, body = path.read_bytes().split(b'end_header\n')
    assert head.startswith(b'ply\nformat binary_little_endian 1.0\n') and b'element vertex 2\n' in head
    assert struct.unpack('<3f3B3f3B', body) == (1.5, -2, 3, 1, 2, 255, 0, -0.25, -9, 7, 8, 9)
    np.testing.assert_array_equal(geometry.read_ply(path)[1], colors)


def test_ply_refuses_what_viewers_choke_on(tmp_path):
    path, colors = tmp_path / 'a.ply', np.zeros((1, 3), np.uint8)
    for points, word, options in (([[np.nan, 0, 0]], 'finite', {}), ([[0, 0, 0]], 'axes', {'axes': 'x_up'}),
                                  ([[0, 0]], r'\[N, 3\]', {})):
        with pytest.raises(ValueError, match=word):
            geometry.write_ply(path, np.array(points), colors, **options)
    assert os.listdir(tmp_path) == []
    geometry.write_ply(path, np.ones((4, 3)), np.zeros((4, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r'a\.ply'):
        geometry.read_ply(path)


def _box_depth(height, centre, half):
    """Range to the walls of the axis-aligned box [-half, half]^3 from a camera at `centre`, camera axes = box axes."""
    rays = np.asarray(sphere.ray_directions(height, 2 * height), np.float64)
    with np.errstate(divide='ignore'):
        return np.min((np.sign(rays) * half - centre) / rays, axis=-1, where=rays != 0, initial=np.inf)


def test_frames_fuse_onto_the_walls_of_one_room():
    half, centres = 2.0, np.array([[0, 0, 0], [0.5, -0.3, 0.8], [-0.7, 0.2, 0.1]])
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0.]])
    rotations = np.stack([np.eye(3), turn, turn.T])
    # A quarter turn maps the box to itself, so only the centre changes in the camera's axes.
    depth = np.stack([_box_depth(32, r.T @ c, half) for r, c in zip(rotations, centres, strict=True)])
    frames = np.full((3, 32, 64, 3), 77, np.uint8)
    points, colors = geometry.point_cloud(frames, depth, Motion(rotations, centres), voxel=0.05)
    assert len(points) > 1000 and (colors == 77).all() and points.dtype == np.float32
    # A voxel on an edge of the room holds the mean of two walls.
    off = np.abs(np.abs(points).max(axis=-1) - half)
    assert off.max() < 0.05 and np.mean(off < 1e-4) > 0.99


def test_voxels_hold_means_and_the_cloud_keeps_to_its_limit():
    frames = np.zeros((2, 16, 32, 3), np.uint8)
    frames[0], frames[1] = 10, 20
    depth = np.ones((2, 16, 32))
    depth[:, :2] = np.nan
    poses = Motion(np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 3)))
    points, colors = geometry.point_cloud(frames, depth, poses, voxel=1e-3)
    assert len(points) == 14 * 32 and (colors == 15).all()
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    limited, _ = geometry.point_cloud(frames, depth, poses, voxel=1e-3, max_points=60)
    assert 10 < len(limited) <= 60
    none, _ = geometry.point_cloud(frames, 0 * depth, poses)
    assert none.shape == (0, 3)
    with pytest.raises(ValueError, match='2 poses'):
        geometry.point_cloud(frames, depth[:, :8], poses)


def test_poles_are_no_denser_than_the_equator():
    frames, depth = np.zeros((1, 128, 256, 3), np.uint8), np.ones((1, 128, 256))
    poses = Motion(np.eye(3)[None], np.zeros((1, 3)))
    points, _ = geometry.point_cloud(frames, depth, poses, voxel=0.1)
    # Caps and a belt of equal area on the unit sphere (Archimedes).
    caps, belt = np.sum(np.abs(points[:, 1]) > 0.75), np.sum(np.abs(points[:, 1]) < 0.25)
    assert 0.6 < caps / belt < 1.6
