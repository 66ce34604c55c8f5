"""A video file as footage: sizes nearly right, shapes of pixels, times, and what is refused."""

import numpy as np
import pytest

from pano_depth.footage.open_footage import open_footage

X264 = ('-c:v', 'libx264', '-pix_fmt', 'yuv420p')
YUV444 = ('-c:v', 'libx264', '-pix_fmt', 'yuv444p')


def _one(path, **options):
    (footage,) = open_footage(path, **options)
    return footage


@pytest.mark.parametrize(
    'stored, size', [('640x322', (320, 640)), ('426x214', (214, 428)), ('254x127', (128, 256))]
)
def test_nearly_twice_as_wide_is_resampled_and_said(made, stored, size):
    footage = _one(made('a.mp4', *YUV444, '-frames:v', '2', source=f'testsrc=s={stored}'))
    assert (footage.height, footage.width) == size
    (note,) = [note for note in footage.notes if 'resampled' in note]
    assert stored in note and f'{size[1]}x{size[0]}' in note
    assert next(footage.frames()).image.shape == (*size, 3)
    assert next(footage.frames(size=(32, 64))).image.shape == (32, 64, 3)


def test_exactly_twice_as_wide_is_left_alone(made):
    footage = _one(made('a.mp4', *X264, source='testsrc=s=64x32:d=0.2'))
    assert (footage.height, footage.width) == (32, 64) and footage.notes == ()


def test_nearly_right_pairs_of_eyes(made):
    footage = _one(made('a.mp4', *YUV444, source='testsrc=s=640x644:d=0.1'), stereo='top_bottom')
    assert (footage.height, footage.width) == (320, 640)
    assert next(footage.frames()).image.shape == (320, 640, 3)


def test_pixels_that_are_not_square_are_obeyed(made):
    card = 'testsrc=s=96x96:d=0.2,setsar=2'
    footage = _one(made('a.mp4', *X264, source=card))
    assert (footage.height, footage.width) == (96, 192)
    image = next(footage.frames()).image
    plain = next(_one(made('b.mp4', *X264, source='testsrc=s=192x96:d=0.2')).frames()).image
    assert image.shape == plain.shape == (96, 192, 3)
    assert [note for note in footage.notes if '2:1' in note and '192x96' in note]


def test_a_ratio_that_would_spoil_a_panorama_is_not_believed(made):
    # What ffmpeg makes of a frame of 16:9 that is scaled to 2:1.
    footage = _one(made('a.mp4', *X264, source='testsrc=s=128x72:d=0.2,scale=128:64'))
    assert (footage.height, footage.width) == (64, 128)
    assert [note for note in footage.notes if '8:9' in note]
    assert next(footage.frames()).image.shape == (64, 128, 3)


@pytest.mark.parametrize(
    'card, words',
    [
        ('s=128x72:d=0.2', ['128x72', '--projection']),
        ('s=100x100:d=0.2', ['100x100', '--stereo=top_bottom', '--projection']),
        ('s=256x64:d=0.2', ['256x64', '--stereo=left_right', '--projection']),
        ('s=64x64:d=0.2,setsar=3', ['192x64', '--projection']),
    ],
)
def test_what_is_not_as_wide_is_refused_with_what_could_be_meant(made, card, words):
    path = made('a.mp4', *X264, source=f'testsrc={card}')
    with pytest.raises(ValueError, match=r'a\.mp4') as error:
        open_footage(path)
    text = str(error.value)
    assert all(word in text for word in words) and '\n' not in text
    assert ('--stereo' in text) == ('--stereo' in ' '.join(words))


def test_what_is_called_a_panorama_may_be_stretched(made):
    path = made('a.mp4', *X264, source='testsrc=s=128x72:d=0.2')
    with pytest.raises(ValueError, match='128x72'):
        _one(path)
    footage = _one(path, projection='equirect')
    assert (footage.height, footage.width) == (72, 144)
    assert [note for note in footage.notes if 'resampled to 144x72' in note]


def test_frames_have_their_times(made):
    pace = "settb=1/1000,setpts='(N+2*floor(N/4))/10/TB'"
    options = ['-vf', pace, '-fps_mode', 'passthrough', '-enc_time_base', '1/1000']
    footage = _one(made('a.mp4', *options, *X264, '-bf', '2'))
    expected = [(i + 2 * (i // 4)) / 10 for i in range(20)]
    frames = list(footage.frames(start=1, stride=3))
    assert [frame.index for frame in frames][:6] == [1, 4, 7, 10, 13, 16]
    times = [frame.time for frame in frames]
    np.testing.assert_allclose(times, expected[1::3][: len(times)], atol=2e-3)


def test_alpha_of_one_eye(made):
    card = "testsrc=s=64x64:d=0.1,format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)'"
    path = made('a.mov', '-c:v', 'qtrle', source=card + ":a='if(lt(Y,10),0,255)'")
    frame = next(_one(path, stereo='top_bottom').frames())
    assert frame.valid.shape == (32, 64)
    assert not frame.valid[:10].any() and frame.valid[10:].all()


def test_a_file_turned_by_its_header_is_upright(ffmpeg, made, tmp_path):
    path = made('a.mp4', *X264, source='testsrc=s=32x64:d=0.2')
    ffmpeg('-display_rotation', '90', '-i', path, '-c', 'copy', tmp_path / 'turned.mp4')
    footage = _one(tmp_path / 'turned.mp4')
    assert (footage.height, footage.width) == (32, 64)
    assert next(footage.frames()).image.shape == (32, 64, 3)
