"""Parts of images: the pixels of the whole decoder, turned, laid on a background, resized."""

import io

import numpy as np
import pytest
from PIL import Image

from common.images import composite, read_part, read_pixels

WHOLE = lambda width, height: (0, 0, width, height)


def encoded(pixels, kind='png', orientation=1, **options):
    """An image file of an array or a PIL image, with an EXIF orientation."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(buffer, kind, **({'exif': exif} if orientation > 1 else {}), **options)
    return buffer.getvalue()


def noise(*shape, seed=0, high=256, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


@pytest.mark.parametrize('kind', ['png', 'jpeg', 'tiff'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_boxes_lie_in_the_turned_image(kind, orientation):
    payload = encoded(noise(9, 14, 3), kind, orientation)
    whole = read_pixels(payload).colour
    np.testing.assert_array_equal(read_part(payload, WHOLE, size=None), whole)
    # A box of as many pixels as the result is cut out, not resampled.
    found = read_part(payload, lambda width, height: (1, 2, 7, 8), size=6, channels=3)
    np.testing.assert_array_equal(found, whole[2:8, 1:7])
    given = []
    read_part(payload, lambda *size: (given.append(size), (0, 0, *size))[1], size=4)
    assert given == [whole.shape[1::-1]]


@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_a_reduced_photograph_is_turned_without_a_shift(orientation):
    columns = np.linspace(0, 250, 804)
    ramp = np.stack([*np.meshgrid(columns, columns[:600]), np.full((600, 804), 90.0)], axis=-1)
    payload = encoded(ramp.astype(np.uint8), 'jpeg', orientation, quality=95, subsampling=0)
    whole = read_pixels(payload).colour
    small = read_part(payload, WHOLE, size=30, channels=3, oversampling=2)
    expected = np.asarray(Image.fromarray(whole).resize((30, 30), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(small.astype(int), expected, atol=3)


def test_sixteen_bits_are_rounded_and_not_cut_off():
    deep = noise(8, 8, high=65536, dtype=np.uint16)
    expected = np.rint(deep / 257).astype(np.uint8)
    for channels in (1, 3):
        found = read_part(encoded(deep), WHOLE, size=8, channels=channels)
        np.testing.assert_array_equal(found, np.repeat(expected[..., None], channels, axis=-1))
    assert read_part(encoded(deep), WHOLE, size=8).shape == (8, 8, 1)


@pytest.mark.parametrize('background', [(255, 255, 255), (0, 0, 0), (10, 200, 30)])
def test_transparent_pixels_show_the_background(background):
    icon = np.zeros((8, 8, 4), np.uint8)
    icon[2:6, 2:6] = 0, 0, 0, 255
    icon[0, 0] = 200, 100, 50, 128
    found = read_part(encoded(icon), WHOLE, size=8, channels=3, background=background)
    assert (found[2:6, 2:6] == 0).all() and (found[7] == background).all()
    half = (np.array([200, 100, 50]) * 128 + np.array(background) * 127) / 255
    np.testing.assert_allclose(found[0, 0], half, atol=0.5)
    grey = read_part(encoded(icon), WHOLE, size=8, channels=1, background=background)
    expected = np.asarray(Image.fromarray(found).convert('L'))
    np.testing.assert_array_equal(grey[..., 0], expected)


def test_transparency_of_palettes_and_of_grey_values_counts():
    palette = Image.new('P', (8, 8), 1)
    palette.putpalette([0, 0, 0, 40, 50, 60])
    assert (read_part(encoded(palette, transparency=1), WHOLE, size=8) == 255).all()
    assert (read_part(encoded(palette), WHOLE, size=8) == (40, 50, 60)).all()
    grey = encoded(Image.new('LA', (8, 8), (7, 0)))
    assert (read_part(grey, WHOLE, size=8) == np.full((8, 8, 1), 255)).all()
    opaque = read_pixels(encoded(noise(4, 4, 3)))
    assert composite(opaque) is opaque.colour


@pytest.mark.parametrize(
    'mode, kind, grey',
    [
        ('L', 'png', True),
        ('LA', 'png', True),
        ('1', 'png', True),
        ('I;16', 'png', True),
        ('L', 'jpeg', True),
        ('RGB', 'png', False),
        ('RGBA', 'png', False),
        ('P', 'png', False),
        ('CMYK', 'jpeg', False),
    ],
)
def test_files_tell_whether_they_are_grey(mode, kind, grey):
    found = read_part(encoded(Image.new(mode, (6, 6)), kind), WHOLE, size=4)
    assert found.shape == (4, 4, 1 if grey else 3)


@pytest.mark.parametrize('payload', [b'', b'no image', encoded(noise(30, 30, 3))[:80]])
def test_damaged_files_are_one_sentence(payload):
    with pytest.raises(ValueError, match='^image cannot be read: .') as caught:
        read_part(payload, WHOLE, size=4)
    assert '\n' not in str(caught.value)
