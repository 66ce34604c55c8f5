"""Frames of a video: which ones, their sizes, times, alpha, and what a look shows."""

import numpy as np
import pytest

from pano_depth.footage import media, video
from pano_depth.footage.layouts.decision import Conversion

X264 = ('-c:v', 'libx264', '-pix_fmt', 'yuv420p')


def _times(path, **options):
    return np.array([frame.time for frame in video.iter_frames(path, **options)])


def test_stride_and_start_pick_exactly_these_frames(written, smooth):
    path = written('a.mp4', smooth)
    every = list(video.iter_video(path))
    picked = list(video.iter_frames(path, start=2, stride=3))
    assert [frame.index for frame in picked] == [2, 5, 8]
    np.testing.assert_array_equal(np.stack([frame.image for frame in picked]), every[2::3])
    np.testing.assert_allclose(
        [frame.time for frame in picked], np.arange(2, 10, 3) / 12, atol=2e-6
    )


def test_ffmpeg_reduces_by_area(written, smooth):
    path = written('a.mp4', smooth[:3])
    small = np.stack(list(video.iter_video(path, size=(8, 16))))
    expected = np.stack([media.resize_equirect(frame, 8, 16) for frame in video.iter_video(path)])
    assert small.shape == (3, 8, 16, 3)
    assert np.abs(small.astype(int) - expected).max() <= 4


def test_a_stream_can_be_left_early(written, smooth):
    stream = video.iter_video(written('a.mp4', smooth))
    first = next(stream)
    assert first.shape == (32, 64, 3) and not first.flags.writeable
    stream.close()


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.mov'])
def test_times_of_a_variable_rate(made, suffix):
    # Three frames in 0.1 s, then a pause of 0.5 s, and so on; with B-frames.
    pace = "setpts='(floor(N/3)*0.6+mod(N,3)*0.05)/TB'"
    options = [
        '-vf',
        f'settb=1/1000,{pace}',
        '-fps_mode',
        'passthrough',
        '-enc_time_base',
        '1/1000',
    ]
    path = made(f'a{suffix}', *options, *X264, '-bf', '3')
    expected = np.array([0.6 * (i // 3) + 0.05 * (i % 3) for i in range(20)])
    times = _times(path)
    # Some versions of ffmpeg write a file that ends before its last frame.
    assert len(times) >= 19
    np.testing.assert_allclose(times, expected[: len(times)], atol=1.1e-3)
    some = _times(path, start=4, stride=5)
    np.testing.assert_allclose(some, expected[4 : len(times) : 5], atol=1.1e-3)


def test_times_count_from_the_first_frame_whatever_came_before(ffmpeg, made, tmp_path):
    path, late = made('a.mp4', *X264, '-bf', '2', '-g', '20'), tmp_path / 'late.mkv'
    sound = made('sound.wav', source='sine=d=3')
    ffmpeg(
        '-itsoffset', '0.7', '-i', path, '-i', sound, '-map', '0', '-map', '1', '-c', 'copy', late
    )
    np.testing.assert_allclose(_times(late), np.arange(20) / 10, atol=1.1e-3)
    # A copy from within a group of pictures starts with an edit list.
    ffmpeg('-ss', '0.55', '-i', path, '-c', 'copy', tmp_path / 'edited.mp4')
    edited = _times(tmp_path / 'edited.mp4')
    np.testing.assert_allclose(edited, np.arange(len(edited)) / 10, atol=1e-3)
    assert 14 <= len(edited) <= 15


def test_many_small_frames_neither_block_nor_lose_their_times(made):
    path = made('a.mp4', *X264, '-preset', 'ultrafast', source='testsrc2=s=64x32:r=100:d=60')
    stream = video.iter_frames(path, size=(16, 32))
    next(stream)
    times = [frame.time for frame in stream]
    np.testing.assert_allclose(times, np.arange(1, 6000) / 100, atol=1e-4)


def test_transparent_pixels_do_not_count(made):
    card = "testsrc2=s=64x32:r=10:d=1,format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)'"
    card += ":a='if(lt(X,24),0,255)'"
    for name, options in {
        'a.mov': ['-c:v', 'prores_ks', '-pix_fmt', 'yuva444p10le'],
        'b.mov': ['-c:v', 'qtrle'],
        'c.webm': ['-c:v', 'libvpx-vp9', '-pix_fmt', 'yuva420p', '-b:v', '0', '-crf', '20'],
    }.items():
        path = made(name, *options, source=card)
        frame = next(video.iter_frames(path))
        assert frame.image.shape == (32, 64, 3)
        assert not frame.valid[:, :22].any() and frame.valid[:, 26:].all()
        small = next(video.iter_frames(path, size=(16, 32)))
        assert not small.valid[:, :11].any() and small.valid[:, 14:].all()
        # A layout mixes pixels: what is half transparent does not count.
        half = Conversion('[v0]format=rgba,colorchannelmixer=aa=0.8[out]', 32, 64)
        converted = next(video.iter_frames(path, conversion=half))
        assert not converted.valid.any()
    full = made('full.mov', '-c:v', 'qtrle', '-pix_fmt', 'argb')
    assert next(video.iter_frames(full)).valid is None


def test_a_conversion_takes_tracks_by_number(ffmpeg, made, tmp_path):
    left, right = (
        made(f'{c}.mp4', *X264, source=f'color={c}:s=32x32:r=10:d=1') for c in ('red', 'blue')
    )
    both = tmp_path / 'both.mp4'
    # The second track starts a little later, as the tracks of cameras do.
    ffmpeg(
        '-i', left, '-itsoffset', '0.013', '-i', right, '-map', '0', '-map', '1', '-c', 'copy', both
    )
    graph = Conversion('[v0][v1]hstack[out]', 32, 64, streams=(1, 0))
    frames = list(video.iter_frames(both, conversion=graph, start=1, stride=2))
    assert [frame.index for frame in frames] == [1, 3, 5, 7, 9]
    assert frames[0].image.shape == (32, 64, 3)
    assert frames[0].image[16, 8, 2] > 200 and frames[0].image[16, 48, 0] > 200
    np.testing.assert_allclose(
        [frame.time for frame in frames], np.arange(1, 10, 2) / 10, atol=1e-3
    )
    apart = Conversion('[v0][v1]hstack[out]', 32, 64, streams=(0, 100), others=(str(right),))
    small = list(video.iter_frames(left, conversion=apart, size=(16, 32)))
    assert len(small) == 10 and small[0].image.shape == (16, 32, 3)
    assert small[0].image[8, 4, 0] > 200 and small[0].image[8, 24, 2] > 200


def test_a_conversion_gets_square_pixels(made):
    path = made('a.mp4', *X264, source='testsrc2=s=32x32:d=1,setsar=2')
    same = Conversion('[v0]null[out]', 32, 64)
    (frame,) = list(video.iter_video(path, conversion=same, stride=100))
    plain = next(video.iter_video(path))
    assert frame.shape == plain.shape == (32, 64, 3)
    assert np.abs(frame.astype(int) - plain).mean() < 4


def test_a_look_is_spread_over_the_file(made):
    path = made('a.mp4', *X264, '-g', '5', source='testsrc2=s=64x32:r=10:d=6')
    every = [frame.astype(int) for frame in video.iter_video(path)]
    found = video.look(path)
    assert 4 <= len(found) <= 8
    places = [min(range(60), key=lambda i: np.abs(every[i] - one).sum()) for one in found]
    assert places == sorted(places) and places[0] == 0 and places[-1] >= 40
    wide = made('b.mp4', *X264, '-frames:v', '1', source='testsrc2=s=2048x1024')
    assert [one.shape for one in video.look(wide)] == [(512, 1024, 3)]


def test_bad_arguments_are_refused_at_once(written, smooth):
    path = written('a.mp4', smooth)
    for options in ({'stride': 0}, {'start': -1}, {'size': (0, 4)}):
        with pytest.raises(ValueError, match='stride'):
            video.iter_video(path, **options)
    with pytest.raises(ValueError, match='no frame'):
        list(video.iter_video(path, start=10))
