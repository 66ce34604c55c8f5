"""What a header says is read from what is machine-readable, never from what people wrote."""

import dataclasses
from fractions import Fraction

import pytest

from pano_depth.footage import spherical, video

X264 = ('-c:v', 'libx264', '-pix_fmt', 'yuv420p')


def test_a_header_is_read(made):
    info = video.video_info(made('a.mp4', *X264))
    assert (info.height, info.width, info.fps, info.duration) == (32, 64, 10, 2)
    assert info.frames == 20 and info.container == 'mov,mp4,m4a,3gp,3g2,mj2'
    (stream,) = info.streams
    assert (stream.codec, stream.pixel_format, stream.sar) == ('h264', 'yuv420p', 1)
    assert (stream.turn, stream.alpha, stream.hdr) == (0, False, None)
    assert info.spherical_text is None and info.stereo_text is None


@pytest.mark.parametrize(
    'text',
    [
        '360 Video: old town',
        'Video: 5760x2880, 60 fps',
        '\n  Stream #0:0: Video: h264, yuv420p, 5760x2880 [SAR 1:1 DAR 2:1], 60 fps',
        '\n  Duration: 01:00:00.00, start: 0\nInput #0, mkv, from "x":\n  Stream #0:0: Video: a',
        '\n    Side data:\n      Display Matrix: rotation of 90.00 degrees\n'
        '      Spherical Mapping: cubemap',
        '\n  displaymatrix: rotation of -90.00 degrees',
    ],
)
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_what_people_write_is_text(ffmpeg, made, tmp_path, text, suffix):
    plain = made(f'a{suffix}', *X264)
    path = tmp_path / f'told{suffix}'
    tags = [f'-metadata{place}' for place in ('', ':s:v')]
    texts = [
        word for tag in tags for key in ('title', 'comment') for word in (tag, f'{key}={text}')
    ]
    ffmpeg('-i', plain, *texts, '-c', 'copy', path)
    told, info = video.video_info(path), video.video_info(plain)
    assert told == info


def test_a_name_is_no_description(made, tmp_path):
    info = video.video_info(made('a.mp4', *X264))
    name = (
        "x'\n  Duration: 01:00:00.00, start: 0\n  Stream #0:0: Video: vp9, 5760x2880, 60 fps\n"
        '    Side data:\n      Display Matrix: rotation of 90.00 degrees.mp4'
    )
    (tmp_path / 'a.mp4').rename(tmp_path / name)
    assert video.video_info(tmp_path / name) == info


def test_pixels_that_are_not_square_and_a_turn(ffmpeg, made, tmp_path):
    info = video.video_info(made('wide.mp4', *X264, source='testsrc2=s=48x48:d=1,setsar=2'))
    assert (info.height, info.width, info.streams[0].sar) == (48, 96, Fraction(2))
    high = made('high.mp4', *X264, source='testsrc2=s=64x16:d=1,setsar=1/2')
    assert video.video_info(high).height == 32 and video.video_info(high).width == 64
    ffmpeg('-display_rotation', '90', '-i', tmp_path / 'wide.mp4', '-c', 'copy', tmp_path / 't.mp4')
    turned = video.video_info(tmp_path / 't.mp4')
    assert (turned.height, turned.width, turned.streams[0].turn) == (96, 48, 90)
    assert next(video.iter_video(tmp_path / 't.mp4')).shape == (96, 48, 3)


def test_all_video_tracks_and_no_cover(ffmpeg, made, tmp_path):
    first, cover = made('a.mp4', *X264), made('cover.png', '-frames:v', '1')
    second = made('b.mp4', *X264, source='testsrc2=s=96x48:r=25:d=2')
    both = tmp_path / 'both.mp4'
    inputs = ['-i', cover, '-i', first, '-i', second]
    maps = ['-map', '0', '-map', '1', '-map', '2', '-c', 'copy', '-disposition:0', 'attached_pic']
    ffmpeg(*inputs, *maps, both)
    info = video.video_info(both)
    assert [(one.height, one.width, one.fps) for one in info.streams] == [
        (32, 64, 10),
        (48, 96, 25),
    ]
    assert next(video.iter_video(both)).shape == (32, 64, 3)


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_what_is_said_of_the_sphere(ffmpeg, made, tmp_path, suffix):
    path = made('a.mp4', *X264)
    marked = dataclasses.replace(spherical.mono_equirect(), stereo='top-bottom')
    spherical.write_spherical(path, marked)
    if suffix == '.mkv':
        ffmpeg('-i', path, '-c', 'copy', tmp_path / 'a.mkv')
    info = video.video_info(tmp_path / f'a{suffix}')
    assert info.spherical_text.startswith('equirectangular')
    assert info.stereo_text.startswith('top and bottom')


def test_rates_of_television_are_exact(made):
    info = video.video_info(made('a.mp4', *X264, source='testsrc2=s=64x32:r=30000/1001:d=1'))
    assert info.fps == pytest.approx(30000 / 1001, abs=1e-9)


def test_colours_and_alpha(made):
    tags = 'setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc'
    hlg = made('hlg.mov', '-vf', tags, '-c:v', 'prores_ks')
    assert video.video_info(hlg).streams[0].hdr == 'arib-std-b67'
    assert not video.video_info(hlg).streams[0].alpha
    clear = made('clear.mov', '-vf', 'format=yuva444p10le', '-c:v', 'prores_ks')
    assert video.video_info(clear).streams[0].alpha


def test_what_is_no_video_is_said_in_one_sentence(made, tmp_path):
    (tmp_path / 'text.mp4').write_text('no video at all' * 100)
    (tmp_path / 'empty.mp4').touch()
    sound = made('sound.mp4', '-vn', source='sine=d=1')
    for name, words in {
        'text.mp4': 'Invalid data',
        'empty.mp4': 'empty file',
        'absent.mp4': 'does not exist',
        sound.name: 'holds no video track',
    }.items():
        with pytest.raises(ValueError, match=f'{name}.*{words}') as error:
            video.video_info(tmp_path / name)
        assert '\n' not in str(error.value)
