"""Boxes of images, and decoding a part of a file."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from nas.datasets import crops


def boxes(width, height, count=2000):
    return np.array(
        [crops.random_box(np.random.default_rng(seed), width, height) for seed in range(count)]
    )


def test_random_boxes_have_the_published_areas_and_shapes_and_reach_everywhere():
    left, top, right, bottom = boxes(400, 300).T
    assert (left >= 0).all() and (top >= 0).all() and (right <= 400).all() and (bottom <= 300).all()
    columns, rows = right - left, bottom - top
    area, aspect = columns * rows / (400 * 300), columns / rows
    assert 0.078 < area.min() < 0.1 and 0.9 < area.max() <= 1
    assert 0.745 < aspect.min() < 0.76 and 1.32 < aspect.max() < 1.35
    # Uniform in the logarithm: as often wide as high; and on average in the middle.
    assert abs(np.log(aspect[area < 0.3]).mean()) < 0.02
    assert (left == 0).any() and (top == 0).any() and (right == 400).any() and (bottom == 300).any()
    np.testing.assert_allclose(
        ((left + right).mean() / 2, (top + bottom).mean() / 2), (200, 150), atol=4
    )


def test_areas_are_uniform_where_every_box_fits():
    # Of small areas none is refused.
    left, top, right, bottom = boxes(300, 300).T
    area = (right - left) * (bottom - top) / 300**2
    small = area[area < 0.5]
    counts = np.histogram(small, bins=3, range=(0.08, 0.5))[0]
    assert counts.min() > 0.8 * counts.max()


@pytest.mark.parametrize(
    'width, height, expected',
    [(400, 4, (197, 0, 202, 4)), (3, 300, (0, 148, 3, 152)), (1, 1, (0, 0, 1, 1))],
)
def test_images_that_no_box_fits_give_their_middle(width, height, expected):
    box = crops.random_box(np.random.default_rng(0), width, height)
    assert box == expected


@pytest.mark.parametrize(
    'width, height, expected',
    [(256, 256, (16, 16, 240, 240)), (320, 256, (48, 16, 272, 240)), (64, 128, (4, 36, 60, 92))],
)
def test_the_centre_box_is_a_resize_to_256_and_a_crop_of_224(width, height, expected):
    assert crops.centre_box(width, height) == expected


def ramp(width, height, kind):
    """An image file whose red is the column and green the row, both scaled to 0..250."""
    columns, rows = 250 * np.arange(width) / (width - 1), 250 * np.arange(height) / (height - 1)
    pixels = np.stack([*np.meshgrid(columns, rows), np.full((height, width), 100)], axis=-1)
    buffer = io.BytesIO()
    options = {'quality': 98, 'subsampling': 0} if kind == 'jpeg' else {}
    Image.fromarray(pixels.round().astype(np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    'kind, width, height, box',
    [
        ('png', 60, 50, (10, 5, 50, 45)),
        ('png', 60, 50, (0, 0, 60, 50)),
        ('png', 60, 50, (20, 20, 25, 24)),
        ('jpeg', 64, 48, (10, 5, 50, 45)),
        ('jpeg', 801, 603, (11, 7, 799, 601)),
        ('jpeg', 801, 603, (300, 200, 500, 400)),
        ('jpeg', 801, 603, (0, 0, 801, 603)),
    ],
)
def test_a_box_is_sampled_without_a_shift(kind, width, height, box):
    found = crops.decode(ramp(width, height, kind), lambda *size: box, size=16, channels=3)
    assert found.shape == (16, 16, 3) and found.dtype == np.uint8
    left, top, right, bottom = box
    middles = (np.arange(16) + 0.5) / 16
    red = 250 * (left + middles * (right - left) - 0.5) / (width - 1)
    green = 250 * (top + middles * (bottom - top) - 0.5) / (height - 1)
    # At the ends of the image, filters lack one half.
    inner = slice(1, -1)
    for channel, expected in ((0, np.tile(red, (16, 1))), (1, np.tile(green[:, None], 16))):
        np.testing.assert_allclose(found[inner, inner, channel], expected[inner, inner], atol=2.5)
    assert abs(found[..., 2].astype(int) - 100).max() <= 3


@pytest.mark.parametrize('oversampling, columns', [(1.0, 200), (2.0, 400), (8.0, 1600)])
def test_a_large_jpeg_is_not_decoded_whole(monkeypatch, oversampling, columns):
    sizes, resize = [], Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        'resize',
        lambda image, *given, **options: (
            sizes.append(image.size),
            resize(image, *given, **options),
        )[1],
    )
    crops.decode(
        ramp(1600, 1200, 'jpeg'),
        lambda *size: (0, 0, *size),
        size=120,
        channels=3,
        oversampling=oversampling,
    )
    assert sizes == [(columns, math.ceil(columns * 3 / 4))]


@pytest.mark.parametrize(
    'mode, kind',
    [
        ('RGB', 'png'),
        ('L', 'png'),
        ('P', 'png'),
        ('RGBA', 'png'),
        ('CMYK', 'jpeg'),
        ('L', 'jpeg'),
        ('1', 'png'),
        ('I;16', 'png'),
    ],
)
@pytest.mark.parametrize('channels', [1, 3])
def test_images_of_all_modes_are_brought_to_the_channels(mode, kind, channels):
    buffer = io.BytesIO()
    Image.new(mode, (20, 30)).save(buffer, kind)
    found = crops.decode(buffer.getvalue(), crops.centre_box, size=8, channels=channels)
    assert found.shape == (8, 8, channels) and found.dtype == np.uint8
