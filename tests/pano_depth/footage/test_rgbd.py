"""Pairs of image and depth found by their names."""

import struct

import cv2
import numpy as np
import pytest

from pano_depth.footage import rgbd


def _write(folder, image, depth, value):
    """One pair whose image is gray `value` and whose depth is value / 10 metres."""
    cv2.imwrite(str(folder / image), np.full((16, 32, 3), value, np.uint8))
    metres = np.full((16, 32), value / 10, np.float32)
    if depth.endswith('.dpt'):
        (folder / depth).write_bytes(
            b'PIEH' + struct.pack('<ii', 32, 16) + metres.astype('<f4').tobytes()
        )
    elif depth.endswith('.npy'):
        np.save(folder / depth, metres)
    else:
        cv2.imwrite(str(folder / depth), np.rint(metres * 1000).astype(np.uint16))


NAMES = [
    ('a-rgb.png', 'a-depth.dpt'),
    ('b_color.jpg', 'b_depth.npy'),
    ('c.rgb.jpeg', 'c.depth.png'),
    ('d_2.jpg', 'd_2.depth.png'),
    ('d_10.png', 'd_10-depth.npy'),
]


@pytest.fixture
def pairs(tmp_path):
    for i, (image, depth) in enumerate(NAMES):
        _write(tmp_path, image, depth, 20 + 10 * i)
    (tmp_path / 'notes.txt').write_text('not a frame')
    return tmp_path


def test_pairs_of_every_naming(pairs):
    assert rgbd.is_pairs(pairs)
    footage = rgbd.open_pairs(pairs)
    assert (footage.length, footage.has_depth, footage.ordered, footage.poses) == (
        5,
        True,
        False,
        None,
    )
    for i, frame in enumerate(footage.frames()):
        assert frame.name == str(pairs / NAMES[i][0])
        np.testing.assert_allclose(frame.depth, 2 + i, rtol=1e-6)
        assert np.abs(frame.image.astype(int) - (20 + 10 * i)).max() <= 2


def test_the_scale_of_depth(tmp_path):
    _write(tmp_path, 'a-rgb.png', 'a-depth.png', 20)
    frame = next(rgbd.open_pairs(tmp_path, depth_scale=1 / 512).frames())
    assert frame.depth[0, 0] == pytest.approx(2000 / 512)


@pytest.mark.parametrize(
    'gone, words',
    [(0, 'b_depth.npy has no image b-rgb'), (1, 'b_color.jpg has no depth file b-depth')],
)
def test_a_file_without_its_partner_is_refused_or_left_out(pairs, gone, words):
    (pairs / NAMES[1][gone]).unlink()
    with pytest.raises(ValueError, match=words):
        rgbd.open_pairs(pairs)
    footage = rgbd.open_pairs(pairs, on_bad='skip')
    assert len(list(footage.frames())) == 4
    assert [name for name, _ in footage.skipped] == [str(pairs / NAMES[1][1 - gone])]


def test_two_files_of_one_place_are_refused(pairs):
    _write(pairs, 'a_color.png', 'a.depth.png', 9)
    with pytest.raises(ValueError, match="both of 'a'"):
        rgbd.open_pairs(pairs)


def test_folders_without_pairs(tmp_path):
    cv2.imwrite(str(tmp_path / 'depth.png'), np.zeros((16, 32, 3), np.uint8))
    assert not rgbd.is_pairs(tmp_path)
    np.save(tmp_path / 'a-depth.npy', np.ones((16, 32)))
    (tmp_path / 'depth.png').unlink()
    with pytest.raises(ValueError, match='without images'):
        rgbd.open_pairs(tmp_path)


def test_pairs_of_different_sizes_are_read_at_their_own(pairs):
    cv2.imwrite(str(pairs / 'big-rgb.png'), np.full((32, 64, 3), 80, np.uint8))
    np.save(pairs / 'big-depth.npy', np.full((32, 64), 9, np.float32))
    footage = rgbd.open_pairs(pairs)
    assert (footage.height, footage.width) == (32, 64) and 'different sizes' in footage.notes[-1]
    shapes = {frame.name: (frame.image.shape[0], frame.depth.shape) for frame in footage.frames()}
    assert shapes.pop(str(pairs / 'big-rgb.png')) == (32, (32, 64))
    assert set(shapes.values()) == {(16, (16, 32))} and len(shapes) == 5
    assert footage.clip().depth.shape == (6, 32, 64)
