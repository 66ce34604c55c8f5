"""Frames of image files: streamed, resized, one eye of two; bad frames are named or left out."""

import gc
import logging as python_logging
import weakref

import cv2
import numpy as np
import pytest
from absl import logging
from scipy.spatial.transform import Rotation

from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.footage.eyes import eye_size
from pano_depth.footage.footage import BadFrames, from_clip
from pano_depth.footage.frame_files import FrameFiles, from_files, natural_order, numbered_files
from pano_depth.kernels.rigid import Motion


def _images(folder, n=6, shape=(32, 64), seed=0):
    """N noise images with their files and depths, [H, W] metres in thousandths."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (n, *shape, 3), np.uint8)
    depths = rng.integers(1, 9000, (n, *shape)).astype(np.uint16)
    files = []
    for i in range(n):
        media.write_image(folder / f'{i}.png', frames[i])
        media.write_png16(folder / f'd{i}.png', depths[i])
        files.append(FrameFiles(folder / f'{i}.png', folder / f'd{i}.png'))
    return frames, depths, files


def _read_depth(path):
    return media.read_png16(path).astype(np.float32) / 1000


def _open(files, on_bad='refuse', **options):
    return from_files('walk', files, bad=BadFrames(on_bad), **options)


def test_frames_come_in_order_with_start_and_stride_and_again(tmp_path):
    frames, depths, files = _images(tmp_path)
    footage = _open(files, read_depth=_read_depth)
    assert (footage.height, footage.width, footage.length, footage.has_depth) == (32, 64, 6, True)
    for _ in range(2):
        read = list(footage.frames(start=1, stride=2))
        assert [frame.index for frame in read] == [1, 3, 5]
        assert read[1].name == str(tmp_path / '3.png')
        np.testing.assert_array_equal([frame.image for frame in read], frames[1::2])
        np.testing.assert_allclose([frame.depth for frame in read], depths[1::2] / 1000, rtol=1e-6)


def test_frames_are_not_kept_and_not_read_ahead(tmp_path):
    _, _, files = _images(tmp_path)
    stream = _open(files).frames()
    first = weakref.ref(next(stream).image)
    files[3].image.write_bytes(b'damaged after the stream began')
    next(stream)
    gc.collect()
    assert first() is None
    with pytest.raises(ValueError, match='3.png'):
        list(stream)


def test_size_averages_images_and_picks_depth(tmp_path):
    frames, depths, files = _images(tmp_path)
    frame = next(_open(files, read_depth=_read_depth).frames(size=(16, 32)))
    np.testing.assert_allclose(
        frame.image, frames[0].reshape(16, 2, 32, 2, 3).mean((1, 3)), atol=0.51
    )
    blocks = depths[0].reshape(16, 2, 32, 2).transpose(0, 2, 1, 3).reshape(16, 32, 4) / 1000
    assert np.abs(blocks - frame.depth[..., None]).min(-1).max() < 1e-6


@pytest.mark.parametrize(
    'stereo, stored, eye',
    [('top_bottom', (64, 64), np.s_[:32]), ('left_right', (32, 128), np.s_[:, :64])],
)
def test_the_left_eye_is_taken_of_images_and_of_depth_stacked_alike(tmp_path, stereo, stored, eye):
    frames, depths, files = _images(tmp_path, 2, stored)
    footage = _open(files, stereo=stereo, read_depth=_read_depth)
    assert (footage.height, footage.width) == (32, 64)
    media.write_png16(files[1].depth, np.full((16, 32), 2500, np.uint16))
    stacked, single = footage.frames()
    np.testing.assert_array_equal(stacked.image, frames[0][eye])
    np.testing.assert_allclose(stacked.depth, depths[0][eye] / 1000, rtol=1e-6)
    assert single.depth.shape == (32, 64) and (single.depth == 2.5).all()
    assert next(footage.frames(size=(16, 32))).image.shape == (16, 32, 3)


def test_other_aspects_are_refused_with_the_flag_that_takes_them():
    assert eye_size(512, 1024, None, 'a.png') == (512, 1024)
    for size, stereo, words in (
        ((64, 64), None, 'a.png.*--stereo=top_bottom'),
        ((32, 128), None, 'a.png.*--stereo=left_right'),
        ((32, 64), 'top_bottom', 'a.png is 64x32.*1:1'),
        ((64, 64), 'left_right', 'a.png is 64x64.*4:1'),
        ((36, 64), None, 'a.png is 64x36'),
        ((12, 12), 'top_bottom', 'left eye of a.png is 12x6'),
    ):
        with pytest.raises(ValueError, match=words):
            eye_size(*size, stereo, 'a.png')


def test_every_kind_of_pixel_becomes_eight_bit_rgb(tmp_path):
    wide = np.random.default_rng(1).integers(0, 65536, (32, 64, 4)).astype(np.uint16)
    cases = {
        'rgb16.png': wide[..., :3],
        'rgba16.png': wide,
        'gray16.png': wide[..., 1],
        'rgba8.png': (wide >> 8).astype(np.uint8),
    }
    for name, pixels in cases.items():
        cv2.imwrite(str(tmp_path / name), pixels)
        expected = pixels / (257 if pixels.dtype == np.uint16 else 1)
        expected = (
            np.repeat(expected[..., None], 3, -1) if pixels.ndim == 2 else expected[..., 2::-1]
        )
        image = next(_open([FrameFiles(tmp_path / name)]).frames()).image
        assert image.dtype == np.uint8 and np.abs(image - expected).max() < 1


def _damage(files):
    """A corrupt image, another size, a missing and a corrupt depth file, a known problem."""
    files[1].image.write_bytes(files[1].image.read_bytes()[:700])
    media.write_image(files[2].image, np.zeros((16, 32, 3), np.uint8))
    files[3].depth.unlink()
    files[4].depth.write_bytes(b'no png')
    files[6] = FrameFiles('6.png', None, '6.png is missing')
    return {
        1: '1.png cannot be read',
        2: '2.png is 32x16',
        3: 'd3.png does not exist',
        4: 'd4.png cannot be read',
        6: '6.png is missing',
    }


def test_bad_frames_are_left_out_by_name_once(tmp_path, caplog):
    frames, _, files = _images(tmp_path, 8)
    reasons = _damage(files)
    turns = Rotation.from_rotvec(np.random.default_rng(0).normal(size=(8, 3))).as_matrix()
    poses = Motion(turns, np.random.default_rng(1).normal(size=(8, 3)))
    footage = _open(files, 'skip', read_depth=_read_depth, poses=poses)
    assert footage.length == 8 and footage.skipped == []
    logger = logging.get_absl_logger()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(python_logging.WARNING):
            for _ in range(2):
                assert [frame.index for frame in footage.frames()] == [0, 5, 7]
    finally:
        logger.removeHandler(caplog.handler)
    assert [name for name, _ in footage.skipped] == [str(files[i].image) for i in reasons]
    for (_, reason), words in zip(footage.skipped, reasons.values(), strict=True):
        assert words in reason and sum(reason in text for text in set(caplog.messages)) == 1
    clip = footage.clip(stride=1, max_frames=2)
    np.testing.assert_array_equal(clip.frames, frames[[0, 5]])
    # inverse(T_0) o T_5
    np.testing.assert_allclose(clip.poses.rotation[1], turns[0].T @ turns[5], atol=1e-12)
    step = turns[0].T @ (poses.translation[5] - poses.translation[0])
    np.testing.assert_allclose(clip.poses.translation, [[0, 0, 0], step], atol=1e-12)


@pytest.mark.parametrize('bad', [1, 2, 3, 4, 6])
def test_bad_frames_are_refused_by_name(tmp_path, bad):
    _, _, files = _images(tmp_path, 8)
    good = list(files)
    words = _damage(files)[bad]
    with pytest.raises(ValueError, match=f'{words}.*--on_bad_frame=skip'):
        list(_open([good[0], files[bad]], read_depth=_read_depth).frames())


def test_the_first_readable_frame_gives_the_size(tmp_path):
    _, _, files = _images(tmp_path, 3)
    files[0].image.write_bytes(b'')
    with pytest.raises(ValueError, match='0.png'):
        _open(files)
    footage = _open(files, 'skip')
    assert [frame.index for frame in footage.frames()] == [1, 2] and len(footage.skipped) == 1


def test_nothing_to_read_is_an_error_even_where_bad_frames_are_skipped(tmp_path):
    _, _, files = _images(tmp_path, 2)
    for entry in files:
        entry.depth.unlink()
    with pytest.raises(ValueError, match='no frame that can be read.*d0.png'):
        list(_open(files, 'skip', read_depth=_read_depth).frames())
    with pytest.raises(ValueError, match='from frame 2 on'):
        list(_open(files).frames(start=2))
    for entry in files:
        entry.image.unlink()
    with pytest.raises(ValueError, match='not one frame can be read.*0.png'):
        _open(files, 'skip')


def test_options_are_checked_before_anything_is_read(tmp_path):
    footage = _open(_images(tmp_path, 2)[2])
    for options, word in (
        ({'size': (16, 16)}, 'size'),
        ({'size': (16,)}, 'size'),
        ({'stride': 0}, 'stride'),
        ({'start': -1}, 'start'),
    ):
        with pytest.raises(ValueError, match=word):
            footage.frames(**options)
    with pytest.raises(ValueError, match='max_frames'):
        footage.clip(max_frames=0)
    with pytest.raises(ValueError, match='on_bad'):
        BadFrames('ignore')


def test_numbers_order_and_name_files(tmp_path):
    for name in ('10_a.png', '9_a.png', '2_a.png', '7_b.png', 'a.png'):
        (tmp_path / name).touch()
    (tmp_path / '3_a.png').mkdir()
    assert {
        number: path.name for number, path in numbered_files(tmp_path, r'(\d+)_a[.]png').items()
    } == {2: '2_a.png', 9: '9_a.png', 10: '10_a.png'}
    assert [path.name for path in natural_order(tmp_path.glob('*_a.png'))] == [
        '2_a.png',
        '3_a.png',
        '9_a.png',
        '10_a.png',
    ]
    (tmp_path / '09_a.png').touch()
    with pytest.raises(ValueError, match='one frame'):
        numbered_files(tmp_path, r'(\d+)_a[.]png')
    (tmp_path / '1403636579763555584_b.png').touch()
    with pytest.raises(ValueError, match='numbers up to 1403636579763555584'):
        numbered_files(tmp_path, r'(\d+)_b[.]png')


def test_a_clip_in_memory_is_footage_too():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 32, 64, 3), np.uint8)
    depth = rng.uniform(1, 9, (5, 32, 64)).astype(np.float32)
    poses = Motion(np.tile(np.eye(3), (5, 1, 1)), np.arange(15.0).reshape(5, 3))
    footage = from_clip(Clip('room', frames, depth, poses, 12.0))
    assert (footage.name, footage.height, footage.width) == ('room', 32, 64)
    assert (footage.length, footage.fps) == (5, 12.0)
    back = footage.clip(stride=2)
    np.testing.assert_array_equal(back.frames, frames[::2])
    np.testing.assert_array_equal(back.depth, depth[::2])
    np.testing.assert_allclose(back.poses.translation, [[0, 0, 0], [6, 6, 6], [12, 12, 12]])
    small = next(footage.frames(size=(16, 32), start=3))
    assert small.image.shape == (16, 32, 3) and np.isin(small.depth, depth[3]).all()
