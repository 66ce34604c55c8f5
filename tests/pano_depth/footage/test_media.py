"""Images: written and read back, resized without a seam; errors name damaged files."""

import os

import numpy as np
import pytest
from PIL import Image

from pano_depth.footage import media


@pytest.mark.parametrize(
    'height, width, word',
    [
        (32, 64, None),
        (64, 64, '--stereo=top_bottom'),
        (32, 128, '--stereo=left_right'),
        (64, 96, 'twice'),
        (8, 16, '16'),
        (33, 66, 'even'),
    ],
)
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
    np.testing.assert_array_equal(
        media.read_image(tmp_path / 'gray.png'), np.repeat(rgba[..., :1], 3, -1)
    )
    np.testing.assert_array_equal(
        media.read_image(tmp_path / 'gray16.png')[..., 1], [[0, 1, 255, 128]]
    )


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


def test_millimetres_round_saturate_and_keep_zero_for_invalid():
    depth = np.array([0, np.nan, -1, np.inf, 0.0001, 1.2346, 65.535, 80])
    np.testing.assert_array_equal(media.to_millimetres(depth), [0, 0, 0, 0, 1, 1235, 65535, 65535])


def test_resize_by_an_integer_factor_averages_blocks():
    frame = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    small = media.resize_equirect(frame, 16, 32)
    for v, u in ((0, 0), (7, 31), (15, 4)):
        block = frame[2 * v : 2 * v + 2, 2 * u : 2 * u + 2].reshape(4, 3).astype(float).mean(0)
        np.testing.assert_allclose(small[v, u], block, atol=0.5)


@pytest.mark.parametrize('height', [24, 48])
def test_resize_by_any_factor_has_no_seam(height):
    frame = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    half_turn = media.resize_equirect(np.roll(frame, 32, axis=1), height, 2 * height)
    np.testing.assert_array_equal(
        half_turn, np.roll(media.resize_equirect(frame, height, 2 * height), height, axis=1)
    )
    smooth = (
        120 + 30 * np.cos(2 * np.pi * np.arange(64) / 64) + 20 * np.linspace(-1, 1, 32)[:, None]
    )
    smooth = np.repeat(smooth.astype(np.uint8)[..., None], 3, axis=-1)
    resized = media.resize_equirect(smooth, height, 2 * height).astype(int)
    assert (
        np.abs(resized[:, 0] - resized[:, -1]).max() <= np.abs(np.diff(resized, axis=1)).max() + 1
    )


@pytest.mark.parametrize(
    'size, expected',
    [
        ((322, 640), (320, 640)),
        ((127, 254), (128, 256)),
        ((214, 426), (214, 428)),
        ((64, 128), (64, 128)),
        ((66, 128), None),
        ((64, 64), None),
    ],
)
def test_nearly_equirectangular_sizes(size, expected):
    assert media.nearest_equirect(*size) == expected


@pytest.mark.parametrize('height', [8, 12, 40])
def test_what_does_not_count_bleeds_into_nothing(height):
    frame = np.full((32, 64, 3), 100, np.uint8)
    valid = np.ones((32, 64), bool)
    valid[:11, 5:30] = False
    frame[~valid] = 255, 0, 255
    resized = media.resize_equirect(frame, height, 2 * height, valid)
    counts = media.resize_valid(valid, height, 2 * height)
    assert (np.abs(resized[counts].astype(int) - 100) <= 1).all()
    # Exactly the pixels all of whose area counts.
    edges = np.arange(2 * height + 1) * 64 / (2 * height)
    inside = (edges[:-1] < 11) & (np.arange(2 * height) < height)
    across = (edges[1:] > 5) & (edges[:-1] < 30)
    np.testing.assert_array_equal(~counts, inside[:height, None] & across)
