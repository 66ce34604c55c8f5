"""Video that is written: sizes, rates and colours as asked for, and no file if it fails."""

import os

import numpy as np
import pytest

from pano_depth.footage import video


def test_a_video_keeps_its_size_rate_count_and_colours(tmp_path, written, smooth):
    # 20 x 40 is no multiple of 16: encoders like to change such sizes.
    frames = smooth[:9, :20, :40]
    path = written('a.mp4', frames)
    info = video.video_info(path)
    assert (info.height, info.width, info.fps, info.frames) == (20, 40, 12, 9)
    back = np.stack(list(video.iter_video(path)))
    assert back.shape == frames.shape and back.dtype == np.uint8
    assert np.abs(back.astype(int) - frames).mean() < 3
    assert os.listdir(tmp_path) == ['a.mp4']


def test_a_video_that_fails_leaves_no_file(tmp_path):
    path = tmp_path / 'a.mp4'
    with pytest.raises(ValueError, match='even'), video.write_video(path, 12) as append:
        append(np.zeros((15, 30, 3), np.uint8))
    with pytest.raises(ValueError, match='one size'), video.write_video(path, 12) as append:
        append(np.zeros((16, 32, 3), np.uint8))
        append(np.zeros((32, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='no frames'), video.write_video(path, 12):
        pass
    with pytest.raises(ValueError, match='fps'), video.write_video(path, 0):
        pass
    assert os.listdir(tmp_path) == []
