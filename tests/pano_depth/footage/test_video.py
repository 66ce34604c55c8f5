"""Video: written and read back; an error about damage says how much could be read."""

import os

import numpy as np
import pytest

from pano_depth.footage import media, video


def _frames(n=10, height=32, width=64):
    """Smooth frames, told apart by their brightness."""
    columns = np.cos(2 * np.pi * np.arange(width) / width)
    rows = np.linspace(-1, 1, height)[:, None]
    image = 120 + 30 * columns + 20 * rows
    channels = [np.stack([image + 8 * i, image - 4 * i, image], axis=-1) for i in range(n)]
    return np.clip(np.stack(channels), 0, 255).astype(np.uint8)


def _write(path, frames, fps=12):
    with video.write_video(path, fps) as append:
        for frame in frames:
            append(frame)
    return path


def test_a_video_keeps_its_size_rate_count_and_colours(tmp_path):
    # 20 x 40 is no multiple of 16: encoders like to change such sizes.
    frames = _frames(9, 20, 40)
    path = _write(tmp_path / 'a.mp4', frames)
    info = video.video_info(path)
    assert (info.height, info.width, info.fps, info.frames) == (20, 40, 12, 9)
    back = np.stack(list(video.iter_video(path)))
    assert back.shape == frames.shape and back.dtype == np.uint8
    assert np.abs(back.astype(int) - frames).mean() < 3
    assert os.listdir(tmp_path) == ['a.mp4']


def test_stride_and_start_pick_exactly_these_frames(tmp_path):
    path = _write(tmp_path / 'a.mp4', _frames(10))
    every = list(video.iter_video(path))
    picked = list(video.iter_video(path, start=2, stride=3))
    np.testing.assert_array_equal(np.stack(picked), np.stack(every[2::3]))
    assert len(picked) == 3


def test_ffmpeg_reduces_by_area(tmp_path):
    path = _write(tmp_path / 'a.mp4', _frames(3))
    small = np.stack(list(video.iter_video(path, size=(8, 16))))
    expected = np.stack([media.resize_equirect(frame, 8, 16) for frame in video.iter_video(path)])
    assert small.shape == (3, 8, 16, 3)
    assert np.abs(small.astype(int) - expected).max() <= 4


def test_a_stream_can_be_left_early(tmp_path):
    stream = video.iter_video(_write(tmp_path / 'a.mp4', _frames(10)))
    assert next(stream).shape == (32, 64, 3)
    stream.close()


def test_a_video_cut_short_yields_its_frames_and_then_says_so(tmp_path):
    rng = np.random.default_rng(0)
    path = _write(tmp_path / 'a.mp4', rng.integers(0, 256, (20, 32, 64, 3), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    frames = []
    with pytest.raises(ValueError, match=r'a\.mp4 is damaged or cut short: \d+ frames') as error:
        for frame in video.iter_video(path):
            frames.append(frame)
    assert 0 < len(frames) < 20
    assert f' {len(frames)} frames' in str(error.value)


def test_what_is_no_video_is_refused_by_name(tmp_path):
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video at all' * 100)
    good = _write(tmp_path / 'good.mp4', _frames(2))
    for name in ('empty.mp4', 'text.mp4', 'absent.mp4'):
        with pytest.raises(ValueError, match=name):
            video.video_info(tmp_path / name)
        with pytest.raises(ValueError, match=name):
            list(video.iter_video(tmp_path / name))
    with pytest.raises(ValueError, match='no frame'):
        list(video.iter_video(good, start=5))
    with pytest.raises(ValueError, match='stride'):
        video.iter_video(good, stride=0)


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
