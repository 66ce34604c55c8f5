"""Files of cameras, written with ffmpeg and read as footage."""

import itertools
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from pano_depth.footage import video
from pano_depth.footage.config import FootageConfig
from pano_depth.footage.open_footage import open_footage
from tests.pano_depth.footage.layouts import drawn

HEIGHT = 128
FACE = HEIGHT // 2
COUNT = 3


@pytest.fixture(scope='module')
def panorama():
    # Pale colours: what is left of strong ones after encoding would hide other faults.
    return drawn.panorama(HEIGHT) // 2 + 64


def write(path, frame, *tracks):
    """Writes each track as a video of equal frames, one file of all tracks."""
    made = []
    for number, track in enumerate((frame, *tracks)):
        made.append(path.with_name(f'{path.stem}_track{number}.mp4'))
        with video.write_video(made[-1], 12) as append:
            for _ in range(COUNT):
                append(track)
    inputs = itertools.chain(*(('-i', one) for one in made))
    maps = itertools.chain(*(('-map', f'{i}:v') for i in range(len(made))))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-y', '-v', 'error', *inputs, *maps, '-c', 'copy']
    subprocess.run([*command, '-f', 'mp4', path], check=True)
    for one in made:
        one.unlink()
    return path


def read(path, wanted, limit, **options):
    (footage,) = open_footage(path, **options)
    frames = list(footage.frames(size=wanted.shape[:2]))
    assert [frame.index for frame in frames] == list(range(COUNT))
    for frame in frames:
        assert drawn.psnr(frame.image, wanted) > limit
    return footage


@pytest.mark.parametrize('strip', [0, 8])
def test_a_file_of_gopro_has_its_faces_in_two_tracks(tmp_path, panorama, strip):
    if strip:
        tracks = drawn.gopro_tracks(panorama, FACE, strip)
    else:
        tracks = np.split(drawn.eac(panorama, FACE), 2)
    footage = read(write(tmp_path / 'GS010001.360', *tracks), panorama, 36)
    assert (footage.height, footage.width) == (HEIGHT, 2 * HEIGHT)
    assert 'equi-angular cubemap' in footage.notes[0]


def lying(panorama):
    """The two pictures of an Insta360 camera: bright above, the tops towards each other."""
    rows = np.linspace(200, 60, HEIGHT)[:, None, None]
    scene = np.clip(rows + (panorama.astype(float) - 128) / 3, 0, 255).astype(np.uint8)
    frame = drawn.dual_fisheye(scene, HEIGHT, 200)
    return scene, np.rot90(frame[:, :HEIGHT], -1), np.rot90(frame[:, HEIGHT:], 1)


def test_insta360_holds_two_circles_in_one_two_or_three_ways(tmp_path, panorama):
    scene, rear, front = lying(panorama)
    both = write(tmp_path / 'one.insv', np.concatenate([rear, front], axis=1))
    two = write(tmp_path / 'two.insv', rear, front)
    names = [f'VID_20220110_121609_{lens}0_657.insv' for lens in '01']
    pair = [write(tmp_path / name, one) for name, one in zip(names, (rear, front))]
    for path in (both, two, *pair):
        footage = read(path, scene, 29)
        assert 'turned by 90 degrees' in footage.notes[0]
        assert '--fisheye_fov' in footage.notes[0]
    assert names[1] in footage.notes[0] and names[0] in footage.notes[0]


def test_a_lens_without_its_partner_is_half_of_the_sphere(tmp_path, panorama):
    rear = drawn.dual_fisheye(panorama, HEIGHT, 180)[:, HEIGHT:]
    path = write(tmp_path / 'VID_20220110_121609_10_657.insv', rear)
    (footage,) = open_footage(path)
    frame = next(footage.frames())
    assert 0.45 < frame.valid.mean() < 0.55 and 'one fisheye circle' in footage.notes[0]


def test_the_projection_of_a_run_is_checked_at_the_door():
    assert FootageConfig(projection='eac').projection == 'eac'
    with pytest.raises(ValueError, match="projection is 'cube'; accepted: auto, equirect, eac"):
        FootageConfig(projection='cube')
