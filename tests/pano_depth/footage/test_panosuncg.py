"""A made PanoSUNCG tree: trajectories in order, 8-bit depth, positions without rotations."""

import cv2
import numpy as np
import pytest

from pano_depth.footage import panosuncg


def _write(root, *, scenes=('room_b', 'room_a'), trajectories=(0, 10, 2), n=12, frames_in=''):
    """A tree in the layout; depth of frame i is 10 + i everywhere but for a row of zeros."""
    for scene in scenes:
        for k in trajectories:
            folder = root / frames_in / scene / f'{k}.txt'
            folder.mkdir(parents=True)
            for i in range(n):
                color = np.full((16, 32, 3), (i, k, len(scene)), np.uint8)
                cv2.imwrite(str(folder / f'{i}_color.png'), color)
                depth = np.full((16, 32, 3), 10 + i, np.uint8)
                depth[0] = 0
                cv2.imwrite(str(folder / f'{i}_depth.png'), depth)
            labels = root / 'labels' / scene
            labels.mkdir(parents=True, exist_ok=True)
            (labels / f'{k}.txt').write_text(
                ''.join(f'{5 + 0.1 * i} {1.5} {-i * k}\n' for i in range(n))
            )
    return root


@pytest.mark.parametrize('frames_in, given', [('', ''), ('rotated', ''), ('rotated', 'rotated')])
def test_frames_depth_and_positions(tmp_path, frames_in, given):
    folders = panosuncg.trajectories(_write(tmp_path, frames_in=frames_in) / given)
    assert [(folder.parent.name, folder.name) for folder in folders] == [
        (scene, f'{k}.txt') for scene in ('room_a', 'room_b') for k in (0, 2, 10)
    ]
    footage = panosuncg.open_trajectory(folders[1])
    assert (footage.name, footage.length) == ('room_a/2', 12)
    assert footage.has_depth and not footage.has_rotation
    frames = list(footage.frames())
    # Numbers, not names, give the order: 10 stands behind 9.
    assert [int(frame.image[0, 0, 2]) for frame in frames] == list(range(12))
    assert frames[0].image[0, 0, 1] == 2
    for i in (0, 11):
        np.testing.assert_allclose(frames[i].depth[1:], (10 + i) * 10 / 255, rtol=1e-6)
        assert (frames[i].depth[0] == 0).all()
    np.testing.assert_array_equal(footage.poses.rotation, np.broadcast_to(np.eye(3), (12, 3, 3)))
    np.testing.assert_allclose(footage.poses.translation[3], [0.3, 0, -6], atol=1e-12)


def test_depth_of_ten_metres(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.array([[0, 51, 255, 1]], np.uint8))
    np.testing.assert_allclose(
        panosuncg.read_depth(tmp_path / 'a.png'), [[0, 2, 10, 10 / 255]], rtol=1e-6
    )


def test_without_labels_there_are_no_poses(tmp_path):
    root = _write(tmp_path, scenes=('room',), trajectories=(3,), n=2)
    (root / 'labels/room/3.txt').unlink()
    assert panosuncg.open_trajectory(root / 'room/3.txt').poses is None


def test_what_is_missing_is_refused_or_left_out(tmp_path):
    root = _write(tmp_path, scenes=('room',), trajectories=(3,), n=6)
    folder = root / 'room/3.txt'
    (folder / '2_color.png').unlink()
    (folder / '4_depth.png').unlink()
    with pytest.raises(ValueError, match='2_color.png is missing'):
        panosuncg.open_trajectory(folder)
    footage = panosuncg.open_trajectory(folder, on_bad='skip')
    clip = footage.clip()
    assert (
        len(clip) == 4
        and len(footage.skipped) == 2
        and '4_depth.png is missing' in footage.skipped[1][1]
    )
    np.testing.assert_allclose(clip.poses.translation[:, 0], [0, 0.1, 0.3, 0.5], atol=1e-12)


@pytest.mark.parametrize(
    'text, words',
    [
        ('1 2 3\n', '1 positions for 6 frames'),
        ('1 2\n' * 6, r'\(6, 2\)'),
        ('a b c\n', 'cannot be read'),
        ('1 nan 3\n' * 6, 'finite'),
    ],
)
def test_labels_that_do_not_fit_are_named(tmp_path, text, words):
    root = _write(tmp_path, scenes=('room',), trajectories=(3,), n=6)
    (root / 'labels/room/3.txt').write_text(text)
    with pytest.raises(ValueError, match=f'labels/room/3.txt.*{words}'):
        panosuncg.open_trajectory(root / 'room/3.txt')
    footage = panosuncg.open_trajectory(root / 'room/3.txt', on_bad='skip')
    assert footage.poses is None and len(footage.skipped) == 1


def test_other_layouts_are_none_of_it(tmp_path):
    (tmp_path / 'scene').mkdir()
    (tmp_path / 'scene/0.txt').write_text('a file')
    assert panosuncg.trajectories(tmp_path) == []
    (tmp_path / 'scene/1.txt').mkdir()
    with pytest.raises(ValueError, match='1.txt has no frames'):
        panosuncg.open_trajectory(tmp_path / 'scene/1.txt')
