"""Masks: dark and transparent pixels, one for each frame, found by their names."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from pano_depth.footage import masks, media
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import from_clip
from pano_depth.footage.open_footage import open_footage

HEIGHT, WIDTH = 16, 32


def _bright(row):
    """[H, W] uint8, dark in one row."""
    image = np.full((HEIGHT, WIDTH), 255, np.uint8)
    image[row] = 0
    return image


def _dark_rows(footage, folder, **options):
    """The rows that do not count, of each frame."""
    frames = masks.with_masks(footage, folder).frames(**options)
    return [sorted(set(np.nonzero(~frame.valid)[0].tolist())) for frame in frames]


def test_dark_and_transparent_pixels_are_left_out(tmp_path):
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[5, :10] = 0
    Image.fromarray(np.dstack([_bright(3), alpha]), 'LA').save(tmp_path / 'a.png')
    expected = np.ones((HEIGHT, WIDTH), bool)
    expected[3], expected[5, :10] = False, False
    np.testing.assert_array_equal(masks.read_mask(tmp_path / 'a.png'), expected)
    # An image that is transparent all over alike says nothing by that.
    Image.fromarray(np.dstack([_bright(3), 0 * alpha]), 'LA').save(tmp_path / 'b.png')
    np.testing.assert_array_equal(masks.read_mask(tmp_path / 'b.png'), _bright(3) > 0)
    Image.fromarray(np.dstack([255 - alpha, alpha]), 'LA').save(tmp_path / 'c.png')
    with pytest.raises(ValueError, match='neither its dark nor its transparent'):
        masks.read_mask(tmp_path / 'c.png')


def test_a_mask_that_is_nearly_twice_as_wide_as_high(tmp_path):
    image = np.full((214, 426), 255, np.uint8)
    image[60:] = 0
    media.write_image(tmp_path / 'a.png', image)
    mask = masks.read_mask(tmp_path / 'a.png')
    assert mask.shape == (214, 428) and mask[:60].all() and not mask[60:].any()
    media.write_image(tmp_path / 'b.png', image[:100])
    with pytest.raises(ValueError, match='b.png is 100 x 426'):
        masks.read_mask(tmp_path / 'b.png')


NAMES = ['{}.png', '{}_mask.png', '{}.jpg.png', 'mask_{}.tif']


@pytest.mark.parametrize('name', NAMES)
def test_masks_are_found_by_the_names_of_the_frames(tmp_path, name):
    frames, folder = tmp_path / 'frames', tmp_path / 'masks'
    frames.mkdir(), folder.mkdir()
    for number in range(9, 12):
        media.write_image(frames / f'{number}.jpg', np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        media.write_image(folder / name.format(number), _bright(number))
    (footage,) = open_footage(frames)
    assert _dark_rows(footage, folder) == [[9], [10], [11]]
    assert _dark_rows(footage, folder, size=(32, 64), start=1) == [[20, 21], [22, 23]]
    media.write_image(folder / 'other.png', _bright(0))
    found = masks.with_masks(footage, folder)
    assert '1 of the masks' in found.notes[-1] and 'other.png' in found.notes[-1]
    (folder / name.format(10)).unlink()
    (folder / 'other.png').unlink()
    with pytest.raises(ValueError, match='no mask for 1 of 3 frames, the first is .*10.jpg'):
        masks.with_masks(footage, folder)


@pytest.mark.parametrize('names', [['{:06d}.png', 0], ['m{:d}.png', 1], ['{:c}.png', 97]])
def test_masks_of_frames_without_files_are_numbered_or_in_order(tmp_path, names):
    clip = from_clip(Clip('walk', np.full((3, HEIGHT, WIDTH, 3), 90, np.uint8)))
    (tmp_path / 'walk').mkdir()
    for i in range(3):
        media.write_image(tmp_path / 'walk' / names[0].format(names[1] + i), _bright(i))
    assert _dark_rows(clip, tmp_path / 'walk') == _dark_rows(clip, tmp_path) == [[0], [1], [2]]
    with pytest.raises(ValueError, match='holds no images'):
        masks.with_masks(clip, tmp_path / 'absent')


@pytest.mark.parametrize('estimate', [0, 28, 30, 32])
@pytest.mark.parametrize('first', [0, 1])
def test_the_length_of_a_video_is_an_estimate(tmp_path, estimate, first):
    clip = from_clip(Clip('walk', np.full((30, HEIGHT, WIDTH, 3), 90, np.uint8), fps=12))
    video = dataclasses.replace(clip, length=estimate)
    for i in range(30):
        media.write_image(tmp_path / f'{first + i:04d}.png', _bright(i % HEIGHT))
    assert _dark_rows(video, tmp_path) == [[i % HEIGHT] for i in range(30)]
    assert masks.with_masks(video, tmp_path).notes == ()
    (tmp_path / f'{first + 29:04d}.png').unlink()
    with pytest.raises(ValueError, match='walk frame 29 has no mask'):
        _dark_rows(video, tmp_path)
    for i in (9, 10):
        (tmp_path / f'{first + i:04d}.png').unlink()
    if estimate:
        with pytest.raises(ValueError, match='the first is frame'):
            masks.with_masks(video, tmp_path)


def test_masks_that_are_far_too_many_or_too_few(tmp_path):
    clip = from_clip(Clip('walk', np.full((3, HEIGHT, WIDTH, 3), 90, np.uint8), fps=2))
    for i in range(9):
        media.write_image(tmp_path / f'{i}.png', _bright(i))
    found = masks.with_masks(clip, tmp_path)
    assert len(list(found.frames())) == 3 and '5 of the masks' in found.notes[0]
    long = dataclasses.replace(clip, length=90)
    with pytest.raises(ValueError, match='no mask for 81 of 90 frames, the first is frame 9;'):
        masks.with_masks(long, tmp_path)


def test_masks_join_what_is_transparent_and_turn_with_the_photograph(tmp_path):
    image = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    image[:4, :, 3] = 0
    packet = '<x GPano:ProjectionType="equirectangular" GPano:PoseHeadingDegrees="90"/>'
    Image.fromarray(image).save(tmp_path / 'photo.webp', lossless=True, xmp=packet.encode())
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:, 0] = 0
    (tmp_path / 'masks').mkdir()
    media.write_image(tmp_path / 'masks/photo.png', mask)
    (footage,) = open_footage(tmp_path / 'photo.webp')
    (frame,) = masks.with_masks(footage, tmp_path / 'masks').frames()
    expected = np.ones((HEIGHT, WIDTH), bool)
    expected[:4], expected[:, WIDTH // 4] = False, False
    np.testing.assert_array_equal(frame.valid, expected)
