"""Images of every kind: right 8-bit values, alpha, orientation, sizes that are too large."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from common import images

RNG = np.random.default_rng(0)


def _stored(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _rounded(deep):
    return np.rint(deep / 257.0).astype(np.uint8)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_sixteen_bits_are_rounded(tmp_path, suffix, channels):
    deep = RNG.integers(0, 65536, (8, 16, channels), np.uint16)
    deep[0, :4, 0] = 0, 128, 129, 65535
    path = tmp_path / f'deep{suffix}'
    cv2.imwrite(str(path), deep)
    found = images.read_pixels(path)
    colour = np.repeat(deep, 3, -1) if channels == 1 else deep[..., 2::-1]
    np.testing.assert_array_equal(found.colour, _rounded(colour))
    if channels == 4:
        np.testing.assert_array_equal(found.alpha, _rounded(deep[..., 3]))
    else:
        assert found.alpha is None


def _png(width, height, colour_type, depth, rows, extra=b''):
    """A PNG written by hand; `rows` are its raw rows, `extra` chunks before the pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', width, height, depth, colour_type, 0, 0, 0)
    packed = zlib.compress(b''.join(b'\0' + row for row in rows))
    middle = b''.join(chunk(kind, data) for kind, data in extra) if extra else b''
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + middle
        + chunk(b'IDAT', packed)
        + chunk(b'IEND', b'')
    )


def test_sixteen_bits_of_gray_and_alpha_and_of_a_transparent_value():
    values = RNG.integers(0, 65536, (4, 6, 2), np.uint16)
    rows = [row.astype('>u2').tobytes() for row in values]
    found = images.read_pixels(_png(6, 4, 4, 16, rows))
    np.testing.assert_array_equal(found.colour[..., 1], _rounded(values[..., 0]))
    np.testing.assert_array_equal(found.alpha, _rounded(values[..., 1]))
    gray = values[..., 0]
    key = struct.pack('>H', gray[1, 2])
    rows = [row.astype('>u2').tobytes() for row in gray]
    found = images.read_pixels(_png(6, 4, 0, 16, rows, [(b'tRNS', key)]))
    np.testing.assert_array_equal(found.alpha, np.where(gray == gray[1, 2], 0, 255))


def test_palettes_bits_cmyk_and_transparent_colours():
    colour = RNG.integers(0, 256, (8, 16, 3), np.uint8)
    image = Image.fromarray(colour)
    palette = image.quantize(8)
    exact = np.asarray(palette.convert('RGB'))
    found = images.read_pixels(_stored(palette, 'PNG', transparency=3))
    np.testing.assert_array_equal(found.colour, exact)
    np.testing.assert_array_equal(found.alpha, np.where(np.asarray(palette) == 3, 0, 255))
    bits = Image.fromarray(colour[..., 0] > 127)
    for kind in ('PNG', 'TIFF', 'BMP'):
        found = images.read_pixels(_stored(bits, kind))
        np.testing.assert_array_equal(found.colour[..., 2], 255 * (colour[..., 0] > 127))
    cyan = Image.new('CMYK', (16, 8), (255, 0, 0, 0))
    for kind in ('TIFF', 'JPEG'):
        assert np.abs(images.read_pixels(_stored(cyan, kind)).colour - [0.0, 255, 255]).max() <= 2
    both = Image.fromarray(np.dstack([colour[..., 0], colour[..., 1]]), 'LA')
    found = images.read_pixels(_stored(both, 'PNG'))
    np.testing.assert_array_equal(found.colour[..., 0], colour[..., 0])
    np.testing.assert_array_equal(found.alpha, colour[..., 1])


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_orientation_is_obeyed(kind, orientation):
    upright = np.zeros((32, 64), np.uint8)
    upright[:16, :16], upright[:16, -16:] = 255, 128
    # EXIF 2.3: which way the stored rows and columns run.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = _stored(Image.fromarray(np.repeat(stored[..., None], 3, -1)), kind, exif=exif)
    assert images.read_header(file)[:2] == (32, 64)
    found = images.read_pixels(file)
    assert found.size == (32, 64) == found.colour.shape[:2]
    assert np.abs(found.colour[..., 0].astype(int) - upright).mean() < 4


def test_large_images_are_read_and_bombs_refused():
    # More pixels than Pillow accepts, 19,200 x 9,600 bits.
    rows = [b'\xff' * 2400 for _ in range(9600)]
    found = images.read_pixels(_png(19200, 9600, 0, 1, rows), least=(100, 200))
    assert found.size == (9600, 19200) and found.colour.shape == (100, 200, 3)
    assert found.colour[5, 5].tolist() == [255, 255, 255]
    with pytest.raises(ValueError, match='1000000x1000000 pixels .* too many') as caught:
        images.read_pixels(_png(10**6, 10**6, 2, 8, [b'\0']))
    assert 'attack' not in str(caught.value)


def test_less_than_all_pixels_suffice():
    ramp = np.repeat(np.linspace(0, 255, 512, dtype=np.uint8)[None], 256, 0)
    file = _stored(Image.fromarray(np.repeat(ramp[..., None], 3, -1)), 'JPEG', quality=95)
    found = images.read_pixels(file, least=(60, 120))
    assert found.colour.shape == (64, 128, 3) and found.size == (256, 512)
    blocks = ramp.reshape(64, 4, 128, 4).mean((1, 3))
    assert np.abs(found.colour[..., 0] - blocks).max() < 3


def test_what_cannot_be_decoded_is_said():
    with pytest.raises(ValueError, match='floating-point'):
        images.read_pixels(_stored(Image.new('F', (8, 8), 0.5), 'TIFF'))
    with pytest.raises(ValueError, match='32 bits'):
        images.read_pixels(_stored(Image.new('I', (8, 8), 70000), 'TIFF'))
    with pytest.raises(ValueError, match='no picture'):
        images.read_pixels(b'%!PS-Adobe-3.0')
