"""Every kind of footage opens into the same record; other paths give an error of one sentence."""

import subprocess
import tracemalloc

import imageio_ffmpeg
import numpy as np
import pytest

from pano_depth.footage import clip_folder, media, spherical, video
from pano_depth.footage.clip import Clip
from pano_depth.footage.open_footage import open_footage

N = 6


def _frames(n=N, height=32, width=64):
    """[n, height, width, 3] smooth images, which survive compression; each one is darker."""
    v, u = np.mgrid[:height, :width]
    wave = 40 * np.sin(2 * np.pi * u / width)
    frames = [np.stack([200 - 20 * i + wave, 3.0 * v, 90 + 0 * v], -1) for i in range(n)]
    return np.clip(frames, 0, 255).astype(np.uint8)


def _write_images(folder, frames, name='{:06d}.png', first=0, step=1):
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames):
        media.write_image(folder / name.format(first + step * i), frame)
    return folder


def _write_video(path, frames, fps=12):
    with video.write_video(path, fps) as append:
        for frame in frames:
            append(frame)
    return path


def _one(path, **options):
    (footage,) = open_footage(path, **options)
    return footage


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv', '.webm'])
def test_video(tmp_path, suffix):
    frames, path = _frames(), tmp_path / f'walk{suffix}'
    _write_video(tmp_path / 'made.mp4', frames)
    codec = (
        ['-c:v', 'libvpx-vp9', '-crf', '10', '-b:v', '0'] if suffix == '.webm' else ['-c', 'copy']
    )
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', tmp_path / 'made.mp4']
    subprocess.run([*ffmpeg, *codec, path], check=True)
    footage = _one(path)
    assert (footage.name, footage.height, footage.width, footage.length) == ('walk', 32, 64, N)
    assert footage.fps == pytest.approx(12) and footage.ordered
    assert not footage.has_depth and footage.poses is None
    read = list(footage.frames(start=1, stride=2))
    assert [frame.index for frame in read] == [1, 3, 5] and read[1].name == f'{path} frame 3'
    assert np.abs(np.stack([frame.image for frame in read]).astype(int) - frames[1::2]).mean() < 6
    clip = footage.clip(size=(16, 32), stride=4)
    assert clip.frames.shape == (2, 16, 32, 3) and clip.fps == pytest.approx(3)


@pytest.mark.parametrize('stereo, axis', [('top_bottom', 0), ('left_right', 1)])
def test_one_eye_of_a_stacked_video(tmp_path, stereo, axis):
    frames = _frames()
    stacked = [np.concatenate([frame, 255 - frame], axis) for frame in frames]
    path = _write_video(tmp_path / 'walk.mp4', stacked)
    with pytest.raises(ValueError, match=f'walk.mp4.*--stereo={stereo}'):
        open_footage(path)
    footage = _one(path, stereo=stereo)
    assert (footage.height, footage.width) == (32, 64)
    # Away from the border between the eyes, whose colours the codec mixes.
    full, small = next(footage.frames()).image, next(footage.frames(size=(16, 32))).image
    assert np.abs(full[2:-2, 2:-2].astype(int) - frames[0, 2:-2, 2:-2]).mean() < 6
    assert (
        np.abs(small.astype(int) - frames[0].reshape(16, 2, 32, 2, 3).mean((1, 3)))[
            2:-2, 2:-2
        ].mean()
        < 6
    )


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path):
    frames = (frame for _ in range(20) for frame in _frames(10, 64, 128))
    path = _write_video(tmp_path / 'long.mp4', frames, fps=30)
    footage = _one(path)
    tracemalloc.start()
    try:
        count = sum(1 for _ in footage.frames())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == footage.length == 200 and peak < 20 * 64 * 128 * 3


def test_a_video_that_is_cut_short(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 64, 3), np.uint8)
    whole = _write_video(tmp_path / 'whole.mp4', noise)
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(whole.read_bytes()[:-8000])
    # What is there is whole: it is used, and what is missing is said once.
    for on_bad in ('refuse', 'skip'):
        footage = _one(cut, on_bad=on_bad)
        for _ in range(2):
            assert 0 < len(list(footage.frames())) < 20
        assert len(footage.skipped) == 1 and 'cut.mp4 is cut short' in footage.skipped[0][1]


def test_spherical_metadata_stays_with_the_footage(tmp_path, monkeypatch):
    path = _write_video(tmp_path / 'walk.mp4', _frames())
    assert _one(path).spherical is None
    spherical.write_spherical(path, spherical.mono_equirect())
    found = _one(path)
    assert (
        found.spherical.stereo == 'mono' and found.spherical.full and len(list(found.frames())) == N
    )
    # Half of the sphere is put where it belongs; what is no cubemap cannot be read as one.
    half = spherical.Spherical(bounds=(0, 0, 0.25, 0.25))
    monkeypatch.setattr(spherical, 'read_spherical', lambda found: half)
    assert next(_one(path).frames()).valid.mean() == 0.5
    cube = spherical.Spherical('cubemap')
    monkeypatch.setattr(spherical, 'read_spherical', lambda found: cube)
    with pytest.raises(ValueError, match='walk.mp4.*cubemap'):
        open_footage(path)


def test_damaged_metadata_does_not_cost_the_pictures(tmp_path, monkeypatch):
    def damaged(path):
        raise ValueError(f'the boxes of video {path} are damaged')

    monkeypatch.setattr(spherical, 'read_spherical', damaged)
    footage = _one(_write_video(tmp_path / 'walk.mp4', _frames()))
    assert footage.spherical is None and len(list(footage.frames())) == N


def test_one_image(tmp_path):
    frame = _frames(1)[0]
    media.write_image(tmp_path / 'pano.png', frame)
    footage = _one(tmp_path / 'pano.png')
    assert (footage.name, footage.length) == ('pano', 1)
    np.testing.assert_array_equal(footage.clip().frames, frame[None])


def test_a_folder_of_images_in_the_order_of_their_numbers(tmp_path):
    frames = _frames()
    footage = _one(_write_images(tmp_path / 'walk', frames, 'frame_{}.png', first=7))
    (tmp_path / 'walk/.hidden.png').touch()
    assert (footage.name, footage.length, footage.fps) == ('walk', N, Clip.fps)
    np.testing.assert_array_equal(footage.clip(stride=2).frames, frames[::2])


@pytest.mark.parametrize('name, first, step', [('{:06d}.png', 0, 1), ('walk_{}_left.jpg', 8, 5)])
def test_a_gap_in_the_numbers_of_a_folder(tmp_path, name, first, step):
    folder = _write_images(tmp_path / 'walk', _frames(), name, first, step)
    gone = folder / name.format(first + 2 * step)
    gone.unlink()
    with pytest.raises(ValueError, match=f'{gone} is missing'):
        open_footage(folder)
    footage = _one(folder, on_bad='skip')
    assert [frame.index for frame in footage.frames()] == [0, 1, 3, 4, 5]
    assert [skipped for skipped, _ in footage.skipped] == [str(gone)]


def test_names_that_are_no_numbering_are_taken_as_they_come(tmp_path):
    for i, names in enumerate(
        (
            ('1700000000.png', '1700000123.png', '1700000410.png'),
            ('kitchen.png', 'a2.png', 'b7.png'),
        )
    ):
        folder = tmp_path / str(i)
        for name, frame in zip(names, _frames(3), strict=True):
            _write_images(folder, [frame], name)
        assert len(list(_one(folder).frames())) == 3


def test_scenes_of_a_root_and_a_root_of_one(tmp_path):
    for name in ('hall', 'attic'):
        clip_folder.write_clip_folder(
            tmp_path, Clip(name, _frames(), np.full((N, 32, 64), 1.5, np.float32))
        )
    footages = open_footage(tmp_path)
    assert [(footage.name, footage.has_depth) for footage in footages] == [
        ('attic', True),
        ('hall', True),
    ]
    assert _one(tmp_path / 'hall').name == 'hall'
    assert next(_one(tmp_path / 'hall', depth_scale=0.01).frames()).depth[0, 0] == pytest.approx(15)


def test_depth_pairs_and_panosuncg_are_recognised(tmp_path):
    frames, depth = _frames(2), np.full((32, 64), 25, np.uint8)
    _write_images(tmp_path / 'pairs', frames, '{}-rgb.png')
    _write_images(tmp_path / 'suncg/house/4.txt', frames, '{}_color.png')
    for i in range(2):
        np.save(tmp_path / f'pairs/{i}-depth.npy', depth / np.float32(10))
        media.write_image(
            tmp_path / f'suncg/house/4.txt/{i}_depth.png', np.repeat(depth[..., None], 3, -1)
        )
    for name in ('pairs', 'suncg'):
        assert _one(tmp_path / name, projection='equirect').has_depth
        with pytest.raises(ValueError, match=f"projection is 'eac', but .*{name}.*depth and poses"):
            open_footage(tmp_path / name, projection='eac')
    pairs, trajectory = _one(tmp_path / 'pairs'), _one(tmp_path / 'suncg')
    assert (pairs.name, pairs.ordered) == ('pairs', False)
    assert (trajectory.name, trajectory.has_rotation) == ('house/4', False)
    assert next(pairs.frames()).depth[3, 3] == 2.5
    assert next(trajectory.frames()).depth[3, 3] == pytest.approx(250 / 255)


def _refused(tmp_path):
    """Paths that are no footage, and a word of what is said of each."""
    (tmp_path / 'text.mp4').write_text('not a video')
    (tmp_path / 'text.png').write_text('not an image')
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'empty.png').touch()
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'folder.mp4').mkdir()
    (tmp_path / 'scene/rgb').mkdir(parents=True)
    (tmp_path / 'images/000000.png').mkdir(parents=True)
    _write_video(tmp_path / 'flat.mp4', _frames(2, 36, 64))
    for name, shape in (
        ('square', (32, 32)),
        ('wide', (16, 64)),
        ('flat', (36, 64)),
        ('tiny', (8, 16)),
    ):
        media.write_image(tmp_path / f'{name}.png', np.zeros((*shape, 3), np.uint8))
    return {
        'absent': 'does not exist',
        'text.mp4': 'no picture',
        'text.png': 'cannot be read',
        'empty.mp4': 'empty file',
        'empty.png': 'cannot be read',
        'empty': 'neither rgb/ nor images',
        'folder.mp4': 'neither rgb/ nor images',
        'scene': 'rgb has no frames',
        'images': 'neither rgb/ nor images',
        'flat.mp4': '64x36',
        'flat.png': '64x36',
        'square.png': '--stereo=top_bottom',
        'wide.png': '--stereo=left_right',
        'tiny.png': 'at least 16',
    }


@pytest.mark.parametrize('on_bad', ['refuse', 'skip'])
def test_what_is_no_footage_is_refused_in_one_sentence(tmp_path, on_bad):
    for name, words in _refused(tmp_path).items():
        with pytest.raises(ValueError, match=f'{name}.*{words}') as caught:
            open_footage(tmp_path / name, on_bad=on_bad)
        assert '\n' not in str(caught.value)
    for options, word in (({'stereo': 'mono'}, 'stereo'), ({'on_bad': 'ignore'}, 'on_bad')):
        with pytest.raises(ValueError, match=word):
            open_footage(tmp_path / 'square.png', **options)
