"""Images and video: what is written is read back, and damage is reported with what could be read."""

import os

import numpy as np
import pytest
from PIL import Image

from pano_depth import media


def _frames(n=10, height=32, width=64):
    """Smooth frames, told apart by their brightness."""
    columns = np.cos(2 * np.pi * np.arange(width) / width)
    rows = np.linspace(-1, 1, height)[:, None]
    image = 120 + 30 * columns + 20 * rows
    channels = [np.stack([image + 8 * i, image - 4 * i, image], axis=-1) for i in range(n)]
    return np.clip(np.stack(channels), 0, 255).astype(np.uint8)


def _write(path, frames, fps=12):
    with media.write_video(path, fps) as append:
        for frame in frames:
            append(frame)
    return path


@pytest.mark.parametrize('height, width, word', [(32, 64, None), (64, 64, 'stereo'), (64, 96, 'twice'), (8, 16, '16'),
                                                 (33, 66, 'even')])
def test_check_equirect_says_what_is_wrong(height, width, word):
    if word is None:
        media.check_equirect(height, width, 'x.png')
        return
    with pytest.raises(ValueError, match=word) as error:
        media.check_equirect(height, width, 'x.png')
    assert f'x.png is {width}x{height}' in str(error.value)


def test_read_image_gives_rgb_whatever_the_file_holds(tmp_path):
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (4, 8, 4), np.uint8)
    gray16 = np.array([[0, 257, 65535, 128 * 257]], np.uint16)
    Image.fromarray(rgba).save(tmp_path / 'rgba.png')
    Image.fromarray(rgba[..., 0]).save(tmp_path / 'gray.png')
    media.write_png16(tmp_path / 'gray16.png', gray16)
    np.testing.assert_array_equal(media.read_image(tmp_path / 'rgba.png'), rgba[..., :3])
    np.testing.assert_array_equal(media.read_image(tmp_path / 'gray.png'), np.repeat(rgba[..., :1], 3, -1))
    np.testing.assert_array_equal(media.read_image(tmp_path / 'gray16.png')[..., 1], [[0, 1, 255, 128]])


def test_images_are_written_as_they_are_and_read_back(tmp_path):
    frame = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)
    depth = np.random.default_rng(1).integers(0, 65536, (16, 32), np.uint16)
    media.write_image(tmp_path / 'a.png', frame)
    media.write_png16(tmp_path / 'd.png', depth)
    np.testing.assert_array_equal(media.read_image(tmp_path / 'a.png'), frame)
    np.testing.assert_array_equal(media.read_png16(tmp_path / 'd.png'), depth)
    assert sorted(os.listdir(tmp_path)) == ['a.png', 'd.png']
    with pytest.raises(ValueError, match='mode RGB'):
        media.read_png16(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='uint16'):
        media.write_png16(tmp_path / 'e.png', depth.astype(np.float32))


def test_damaged_images_are_named(tmp_path):
    path = tmp_path / 'cut.png'
    media.write_image(path, np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:5000])
    (tmp_path / 'empty.png').touch()
    for name in ('cut.png', 'empty.png', 'absent.png'):
        with pytest.raises(ValueError, match=name):
            media.read_image(tmp_path / name)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(RuntimeError), media.replacing(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['a.txt']
    with media.replacing(path) as temporary:
        temporary.write_text('new')
    assert path.read_text() == 'new' and os.listdir(tmp_path) == ['a.txt']


def test_millimetres_round_saturate_and_keep_zero_for_invalid():
    depth = np.array([0, np.nan, -1, np.inf, 0.0001, 1.2346, 65.535, 80])
    np.testing.assert_array_equal(media.to_millimetres(depth), [0, 0, 0, 0, 1, 1235, 65535, 65535])


def test_resize_by_an_integer_factor_averages_blocks():
    frame = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    small = media.resize_equirect(frame, 16, 32)
    for v, u in ((0, 0), (7, 31), (15, 4)):
        block = frame[2 * v:2 * v + 2, 2 * u:2 * u + 2].reshape(4, 3).astype(float).mean(0)
        np.testing.assert_allclose(small[v, u], block, atol=0.5)


@pytest.mark.parametrize('height', [24, 48])
def test_resize_by_any_factor_has_no_seam(height):
    frame = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    half_turn = media.resize_equirect(np.roll(frame, 32, axis=1), height, 2 * height)
    np.testing.assert_array_equal(half_turn, np.roll(media.resize_equirect(frame, height, 2 * height), height, axis=1))
    smooth = _frames(1)[0]
    resized = media.resize_equirect(smooth, height, 2 * height).astype(int)
    assert np.abs(resized[:, 0] - resized[:, -1]).max() <= np.abs(np.diff(resized, axis=1)).max() + 1


def test_a_video_keeps_its_size_rate_count_and_colours(tmp_path):
    # 20 x 40 is no multiple of 16: encoders like to change such sizes.
    frames = _frames(9, 20, 40)
    path = _write(tmp_path / 'a.mp4', frames)
    info = media.video_info(path)
    assert (info.height, info.width, info.fps, info.frames) == (20, 40, 12, 9)
    back = np.stack(list(media.iter_video(path)))
    assert back.shape == frames.shape and back.dtype == np.uint8
    assert np.abs(back.astype(int) - frames).mean() < 3
    assert os.listdir(tmp_path) == ['a.mp4']


def test_stride_and_start_pick_exactly_these_frames(tmp_path):
    path = _write(tmp_path / 'a.mp4', _frames(10))
    every = list(media.iter_video(path))
    picked = list(media.iter_video(path, start=2, stride=3))
    np.testing.assert_array_equal(np.stack(picked), np.stack(every[2::3]))
    assert len(picked) == 3


def test_ffmpeg_reduces_by_area(tmp_path):
    path = _write(tmp_path / 'a.mp4', _frames(3))
    small = np.stack(list(media.iter_video(path, size=(8, 16))))
    expected = np.stack([media.resize_equirect(frame, 8, 16) for frame in media.iter_video(path)])
    assert small.shape == (3, 8, 16, 3)
    assert np.abs(small.astype(int) - expected).max() <= 4


def test_a_stream_can_be_left_early(tmp_path):
    stream = media.iter_video(_write(tmp_path / 'a.mp4', _frames(10)))
    assert next(stream).shape == (32, 64, 3)
    stream.close()


def test_a_video_cut_short_yields_its_frames_and_then_says_so(tmp_path):
    rng = np.random.default_rng(0)
    path = _write(tmp_path / 'a.mp4', rng.integers(0, 256, (20, 32, 64, 3), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[:len(data) * 2 // 3])
    frames = []
    with pytest.raises(ValueError, match=r'a\.mp4 is damaged or cut short: \d+ frames') as error:
        for frame in media.iter_video(path):
            frames.append(frame)
    assert 0 < len(frames) < 20
    assert f' {len(frames)} frames' in str(error.value)


def test_what_is_no_video_is_refused_by_name(tmp_path):
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video at all' * 100)
    good = _write(tmp_path / 'good.mp4', _frames(2))
    for name in ('empty.mp4', 'text.mp4', 'absent.mp4'):
        with pytest.raises(ValueError, match=name):
            media.video_info(tmp_path / name)
        with pytest.raises(ValueError, match=name):
            list(media.iter_video(tmp_path / name))
    with pytest.raises(ValueError, match='no frame'):
        list(media.iter_video(good, start=5))
    with pytest.raises(ValueError, match='stride'):
        media.iter_video(good, stride=0)


def test_a_video_that_fails_leaves_no_file(tmp_path):
    path = tmp_path / 'a.mp4'
    with pytest.raises(ValueError, match='even'), media.write_video(path, 12) as append:
        append(np.zeros((15, 30, 3), np.uint8))
    with pytest.raises(ValueError, match='one size'), media.write_video(path, 12) as append:
        append(np.zeros((16, 32, 3), np.uint8))
        append(np.zeros((32, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='no frames'), media.write_video(path, 12):
        pass
    with pytest.raises(ValueError, match='fps'), media.write_video(path, 0):
        pass
    assert os.listdir(tmp_path) == []
