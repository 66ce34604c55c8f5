"""Known poses reach the frames they belong to, from trajectories and from COLMAP models."""

import contextlib
import json
import sqlite3

import numpy as np
import pytest

from pano_depth.footage import geometry
from pano_depth.footage.poses import known_poses
from pano_depth.kernels.rigid import Motion

FPS = 24.0


def turn(angle):
    """A rotation about the camera's down axis: forward goes to the right for angles above 0."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def matrices(frames):
    """The camera at frames, which may lie between whole ones: it turns and goes evenly."""
    poses = np.tile(np.eye(4), (len(frames), 1, 1))
    for pose, frame in zip(poses, frames, strict=True):
        pose[:3, :3], pose[:3, 3] = turn(0.3 + 0.1 * frame), [2 + 0.5 * frame, -frame, 3]
    return poses


def write(path, stamps, frames):
    """A TUM file of the camera at frames, one line at each stamp, in full precision."""
    lines = ['# timestamp tx ty tz qx qy qz qw']
    for stamp, frame, pose in zip(stamps, frames, matrices(frames), strict=True):
        half = (0.3 + 0.1 * frame) / 2
        values = [stamp, *pose[:3, 3], 0, np.sin(half), 0, np.cos(half)]
        lines.append(' '.join(repr(float(value)) for value in values))
    path.write_text('\n'.join(lines) + '\n')
    return path


def write_colmap(folder, names, frames):
    """A text model of panoramas, the camera at frames."""
    folder.mkdir(exist_ok=True)
    (folder / 'cameras.txt').write_text('1 EQUIRECTANGULAR 64 32 64 32\n')
    text = ''
    for i, (name, frame, pose) in enumerate(zip(names, frames, matrices(frames), strict=True)):
        half, back = -(0.3 + 0.1 * frame) / 2, np.linalg.inv(pose)[:3, 3]
        values = [np.cos(half), 0, np.sin(half), 0, *back]
        text += f'{i + 1} {" ".join(repr(float(value)) for value in values)} 1 {name}\n\n'
    (folder / 'images.txt').write_text(text)
    return folder


def check(found, frames):
    """The poses are those of the camera at frames, seen from the first of them."""
    poses = matrices(frames)
    expected = np.linalg.inv(poses[0]) @ poses
    np.testing.assert_allclose(found.poses.rotation, expected[:, :3, :3], atol=1e-9)
    np.testing.assert_allclose(found.poses.translation, expected[:, :3, 3], atol=1e-9)
    assert json.loads(json.dumps(found.facts)) == found.facts


def test_lines_are_matched_by_time(tmp_path):
    frames = np.arange(40)
    # In any order, and by a third of a frame beside the frames.
    shuffled = np.random.default_rng(0).permutation(frames)
    path = write(tmp_path / 'poses.txt', (shuffled + 0.33) / FPS, shuffled)
    for indices in (frames, frames[3::5]):
        found = known_poses.read_poses(path, indices, fps=FPS, total=40)
        check(found, indices)
        assert found.unit == 'metre' and found.known.all()
        assert found.facts == {
            'format': 'tum',
            'poses': 40,
            'matched_by': 'time',
            'frames': len(indices),
            'filled': 0,
        }


def test_a_written_trajectory_is_read_back(tmp_path):
    poses = matrices(range(5))
    motion = Motion(poses[:, :3, :3], poses[:, :3, 3])
    geometry.write_tum(tmp_path / 'poses.txt', np.arange(5) / FPS, motion)
    found = known_poses.read_poses(tmp_path / 'poses.txt', np.arange(5), fps=FPS)
    np.testing.assert_allclose(
        found.poses.translation, geometry.from_first_frame(motion).translation, atol=1e-8
    )


@pytest.mark.parametrize(
    'stamps, how',
    [
        (1.6e9 + np.arange(30) / FPS, 'order'),
        (np.zeros(30), 'order'),
        # The real rate is another one: at the end, times are more than a frame late.
        (np.arange(30) / (FPS * 0.95), 'order'),
        (np.arange(30) / (FPS * 1.05), 'order'),
        (np.arange(30), 'frame number'),
    ],
)
def test_one_line_a_frame_needs_no_times(tmp_path, stamps, how):
    path = write(tmp_path / 'poses.txt', stamps, np.arange(30))
    for indices in (np.arange(30), np.arange(0, 30, 4)):
        found = known_poses.read_poses(path, indices, fps=FPS, total=30)
        check(found, indices)
        assert found.facts['matched_by'] == how


def test_one_line_a_used_frame_needs_no_times(tmp_path):
    path = write(tmp_path / 'poses.txt', 1.6e9 + np.arange(6), np.arange(0, 30, 5))
    check(known_poses.read_poses(path, np.arange(0, 30, 5), fps=FPS, total=30), range(0, 30, 5))


def test_between_dense_lines_the_pose_is_interpolated(tmp_path):
    places = np.arange(0, 20, 0.37)
    path = write(tmp_path / 'poses.txt', places / FPS, places)
    found = known_poses.read_poses(path, np.arange(20), fps=FPS, total=20)
    check(found, np.arange(20))
    assert found.facts['matched_by'] == 'time, between lines'


def test_gaps_are_refused_or_filled_from_their_neighbours(tmp_path):
    frames = np.array([2, 3, 7, 8])
    path = write(tmp_path / 'poses.txt', frames / FPS, frames)
    words = 'has no pose for 6 of 10 frames: 0, 1, 4, 5, 6, ...; accepted.*refine_poses'
    with pytest.raises(ValueError, match=words):
        known_poses.read_poses(path, np.arange(10), fps=FPS, total=10)
    found = known_poses.read_poses(path, np.arange(10), fps=FPS, total=10, gaps=True)
    assert np.flatnonzero(found.known).tolist() == [2, 3, 7, 8] and found.facts['filled'] == 6
    # Between known frames evenly; before and behind them the nearest.
    check(found, [2, 2, 2, 3, 4, 5, 6, 7, 8, 8])
    write(path, [2 / FPS], [2])
    with pytest.raises(ValueError, match='a pose for 1 of 10 frames; accepted: at least 2'):
        known_poses.read_poses(path, np.arange(10), fps=FPS, gaps=True)
    check(known_poses.read_poses(path, [2], fps=FPS), [2])


@pytest.mark.parametrize(
    'text, words',
    [
        ('0 0 0 0 0 0 0 1\n0.04 0 0 zero 0 0 0 1\n', "poses.txt, line 2: .*'zero'"),
        ('0 0 0 0 0 0 0 1\n0.04 0 0 0 0 0 0 0\n', 'poses.txt, line 2: .*length 0'),
        ('0 0 0 nan 0 0 0 1\n', 'poses.txt, line 1: a value is not finite'),
        ('# nothing\n', 'poses.txt has no poses'),
        ('0 0 0 0 0 0 0 1\n' * 2, 'poses.txt has two poses at the time 0'),
        ('1e9 0 0 0 0 0 0 1\n2e9 0 0 0 0 0 0 1\n', 'none of which is at one of 3 frames from 0 to'),
    ],
)
def test_files_that_tell_no_poses_are_refused(tmp_path, text, words):
    (tmp_path / 'poses.txt').write_text(text)
    with pytest.raises(ValueError, match=words):
        known_poses.read_poses(tmp_path / 'poses.txt', np.arange(3), fps=FPS, gaps=True)


def test_a_path_without_poses_is_refused(tmp_path):
    for path, words in ((tmp_path / 'none', 'does not exist'), (tmp_path, 'is no COLMAP model')):
        with pytest.raises(ValueError, match=f'{words}; accepted: a'):
            known_poses.read_poses(path, np.arange(3), fps=FPS)
    with pytest.raises(ValueError, match='indices'):
        known_poses.read_poses(tmp_path, [1, 1], fps=FPS)


@pytest.mark.parametrize(
    'stored, how',
    [
        ([f'clip 2/frame_{i:04d}.png' for i in range(12)], 'numbers in the names'),
        ([f'{i + 1:04d}.jpg' for i in range(12)], 'numbers in the names, from 1'),
        ([f'IMG_{i + 77}.jpg' for i in range(12)], 'order of the names'),
        ([f'scan {chr(97 + i)}.jpg' for i in range(12)], 'order of the names'),
    ],
)
def test_images_of_colmap_are_matched_to_frames(tmp_path, stored, how):
    # The file lists them in another order.
    shuffled = np.random.default_rng(1).permutation(12)
    write_colmap(tmp_path, [stored[i] for i in shuffled], shuffled)
    for indices in (np.arange(12), np.arange(0, 12, 3)):
        names = [f'video.mp4 frame {i}' for i in indices]
        found = known_poses.read_poses(tmp_path, indices, names, fps=FPS, total=12)
        check(found, indices)
        assert found.facts['matched_by'] == how and found.unit == 'relative'
        assert found.facts['images'] == 'EQUIRECTANGULAR'


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
@pytest.mark.parametrize('space', [' ', '_'])
def test_names_of_files_go_before_numbers(tmp_path, suffix, space):
    names = [f'/some/folder/IMG{space}{2 + i}.png' for i in range(6)]
    write_colmap(tmp_path, [f'eye 0/IMG_{2 + i}.{suffix}' for i in range(6)], range(6))
    found = known_poses.read_poses(tmp_path / 'images.txt', np.arange(6), names, fps=FPS, total=6)
    check(found, range(6))
    assert found.facts['matched_by'] == 'file names'


def test_images_that_colmap_could_not_place_are_gaps(tmp_path):
    placed = [1, 2, 4, 5]
    write_colmap(tmp_path, [f'{i + 1:03d}.png' for i in placed], placed)
    with pytest.raises(ValueError, match='no pose for 2 of 6 frames: 0, 3;'):
        known_poses.read_poses(tmp_path, np.arange(6), fps=FPS, total=6)
    found = known_poses.read_poses(tmp_path, np.arange(6), fps=FPS, total=6, gaps=True)
    check(found, [1, 1, 2, 3, 4, 5])
    assert found.known.tolist() == [False, True, True, False, True, True]


@pytest.mark.parametrize(
    'stored, words',
    [
        (['a/0.png', 'b/0.png', '1.png', '2.png'], 'two images of one frame, a/0.png and b/0.png'),
        (['a.png', 'b.png'], r'has 2 panoramas \(a.png, b.png, ...\) that cannot be told'),
    ],
)
def test_images_that_fit_no_frame_or_two_are_refused(tmp_path, stored, words):
    write_colmap(tmp_path, stored, range(len(stored)))
    with pytest.raises(ValueError, match=words):
        known_poses.read_poses(tmp_path, np.arange(3), fps=FPS, total=3, gaps=True)


def images_beside(folder, names, in_database):
    """The images that a model was made from, as files or in COLMAP's database."""
    if in_database:
        with contextlib.closing(sqlite3.connect(folder / 'database.db')) as database, database:
            database.execute('CREATE TABLE images (image_id INTEGER PRIMARY KEY, name TEXT)')
            database.executemany('INSERT INTO images (name) VALUES (?)', [(n,) for n in names])
        return
    (folder / 'images').mkdir(parents=True)
    for name in names:
        (folder / 'images' / name).touch()


@pytest.mark.parametrize('in_database', [False, True])
@pytest.mark.parametrize('first', [0, 1])
def test_numbers_count_from_where_the_images_beside_the_model_do(tmp_path, first, in_database):
    # COLMAP placed frames 1 to 4 of 6: the lowest and the highest number are both possible.
    placed, model = [1, 2, 3, 4], tmp_path / 'sparse' / '0'
    model.mkdir(parents=True)
    write_colmap(model, [f'{i + first:03d}.png' for i in placed], placed)
    read = lambda: known_poses.read_poses(tmp_path, np.arange(6), fps=FPS, total=6, gaps=True)
    if first:
        with pytest.raises(ValueError, match='numbers 2 to 5, which may count .* from 0 or from 1'):
            read()
    images_beside(tmp_path, [f'{i + first:03d}.png' for i in range(6)], in_database)
    check(read(), [1, 1, 2, 3, 4, 4])
    assert read().known.tolist() == [False, True, True, True, True, False]


def test_numbers_from_1_whose_last_is_missing(tmp_path):
    write_colmap(tmp_path, [f'{i + 1:03d}.png' for i in range(5)], range(5))
    # Every second frame: counted from 1 all have a pose, counted from 0 the first has none.
    found = known_poses.read_poses(tmp_path, [0, 2, 4], fps=FPS, total=6)
    check(found, [0, 2, 4])
    assert found.facts['matched_by'] == 'numbers in the names, from 1'
    images_beside(tmp_path, [f'{i + 1:03d}.png' for i in range(6)], False)
    found = known_poses.read_poses(tmp_path, np.arange(6), fps=FPS, total=6, gaps=True)
    check(found, [0, 1, 2, 3, 4, 4])


def test_of_several_models_the_largest_is_taken_and_said(tmp_path, capsys):
    for number, frames in enumerate(([0, 1], [2, 3, 4, 5])):
        (tmp_path / 'sparse').mkdir(exist_ok=True)
        names = [f'{i:03d}.png' for i in frames]
        write_colmap(tmp_path / 'sparse' / str(number), names, frames)
    found = known_poses.read_poses(tmp_path, [2, 3, 4, 5], fps=FPS, total=6)
    check(found, [2, 3, 4, 5])
    assert found.facts['model'] == '1, the one with the most images of 2 models'
    assert '2 models; taken is 1' in capsys.readouterr().out
