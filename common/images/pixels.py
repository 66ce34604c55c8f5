"""Decodes image files of every kind to 8-bit colour and alpha."""

import sys
from typing import NamedTuple

import numpy as np
from PIL import Image

from common.images.header import orientation_of, size_of
from common.images.opening import Source, open_image

# What undoes the EXIF orientations 2 to 8.
TURNS = ('FLIP_LEFT_RIGHT', 'ROTATE_180', 'FLIP_TOP_BOTTOM', 'TRANSPOSE')
TURNS += ('ROTATE_270', 'TRANSVERSE', 'ROTATE_90')
# From here on an image is reduced before it is copied, if a smaller one is asked for.
_LARGE = 2**24
_PHOTOMETRIC = 262
# How pixels of 16 bits a channel are stored of which Pillow keeps the upper 8 bits alone.
_CUT = {'LA;16B', *(f'{mode};16{order}' for mode in ('RGB', 'RGBA') for order in 'BLN')}


class Pixels(NamedTuple):
    """A decoded image.

    Attributes:
        colour: [H, W, 3] uint8; gray is repeated.
        alpha: [H, W] uint8, 0 = transparent; None where every pixel is opaque.
        size: (height, width) of the image in the file, larger than [H, W] if it was reduced.
    """

    colour: np.ndarray
    alpha: np.ndarray | None
    size: tuple[int, int]


def read_pixels(source: Source, *, least: tuple[int, int] | None = None) -> Pixels:
    """Reads an image as 8-bit colour and alpha, turned as its EXIF orientation says.

    Args:
        source: the path of a BMP, GIF, JPEG, PNG, PPM, TIFF or WebP file, or its bytes. 1, 8 and 16
            bits a channel, palettes, gray, CMYK and YCbCr become RGB.
        least: (height, width) that suffices: a larger image may be reduced by a whole factor, which
            saves time for JPEGs and memory for all. None reads every pixel.

    Returns:
        `Pixels`.

    Raises:
        ValueError: the file is missing, damaged, too large, or holds 32-bit or floating-point
            pixels.
    """
    with open_image(source) as image:
        orientation = orientation_of(image)
        size = size_of(image, orientation)
        if least is not None and image.format == 'JPEG':
            image.draft(None, tuple(least if orientation >= 5 else least[::-1]))
        raw = sixteen_bits(image)
        if raw is None:
            colour, alpha = _eight_bits(_reduced(_loaded(image, orientation), least))
        else:
            deep = _deep(image, source, raw, orientation)
            colour, alpha = _rounded(deep, image.info.get('transparency'))
    if alpha is not None and (alpha == 255).all():
        alpha = None
    return Pixels(np.ascontiguousarray(colour), alpha, size)


def _loaded(image, orientation):
    """The decoded image, turned by an EXIF orientation."""
    if image.format == 'TIFF' and image.size[0] * image.size[1] > (Image.MAX_IMAGE_PIXELS or 0):
        # TIFF files are held against Pillow's limit once more, unless they have memory already.
        image.im = Image.core.new(image.mode, getattr(image, '_tile_size', image.size))
    image.load()
    if image.format == 'TIFF':
        orientation = orientation_of(image)  # 1 where Pillow has obeyed it.
    if orientation == 1:
        return image
    return image.transpose(Image.Transpose[TURNS[orientation - 2]])


def _reduced(image, least):
    """A large image as averages of blocks, no smaller than `least` (height, width)."""
    if least is None or image.width * image.height < _LARGE or image.has_transparency_data:
        return image
    if image.mode in ('1', 'P'):
        image = image.convert('L' if image.mode == '1' else 'RGB')
    if image.mode not in ('L', 'RGB', 'CMYK'):
        return image
    most = min(image.height // least[0], image.width // least[1])
    whole = (f for f in range(most, 1, -1) if not (image.height % f or image.width % f))
    return image.reduce(max(1, next(whole, most)))


def _eight_bits(image):
    """(colour [H, W, 3], alpha [H, W] or None), uint8, of a decoded image."""
    if image.mode == 'F':
        raise ValueError('floating-point pixels; accepted: 8 or 16 bits a channel')
    if image.mode.startswith('I'):
        gray = np.asarray(image).astype(np.int64)
        if gray.max() > 65535:
            raise ValueError('pixels of 32 bits; accepted: 8 or 16 bits a channel')
        if image.format == 'TIFF' and image.tag_v2.get(_PHOTOMETRIC) == 0:
            gray = 65535 - gray  # White is zero, which Pillow obeys for 8 bits alone.
        return _rounded(np.maximum(gray, 0)[..., None], image.info.get('transparency'))
    if not image.has_transparency_data:
        return np.array(image.convert('RGB')), None
    both = np.asarray(image.convert('RGBA'))
    return both[..., :3], both[..., 3].copy()


def _rounded(deep, key):
    """(colour, alpha or None), uint8, of [H, W, 1, 3 or 4] of 16 bits.

    Args:
        deep: 16-bit values.
        key: the value or values of a pixel that is transparent, or None.
    """
    eight = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)
    colour = np.repeat(eight, 3, axis=-1) if eight.shape[-1] == 1 else eight[..., :3]
    if eight.shape[-1] == 4:
        return colour, eight[..., 3].copy()
    if key is None:
        return colour, None
    return colour, np.where((deep == np.asarray(key)).all(axis=-1), 0, 255).astype(np.uint8)


def sixteen_bits(image):
    """How the pixels of an image with 16 bits a channel are stored, if Pillow would cut them."""
    raw = {args if isinstance(args, str) else args[0] for *_, args in image.tile if args}
    return raw.pop() if len(raw) == 1 and raw <= _CUT else None


def _deep(image, source, raw, orientation):
    """[H, W, 3 or 4] uint16 of an image with 16 bits a channel.

    Pillow keeps the upper byte of each channel. Decoded once more, with the other order of bytes,
    the file gives the lower one.
    """
    if raw == 'LA;16B':
        # Four bytes a pixel: gray and alpha, the upper byte first.
        found = np.asarray(_loaded(_stored_as(image, 'RGBA'), orientation)).astype(np.uint16)
        gray, alpha = found[..., 0] * 256 + found[..., 1], found[..., 2] * 256 + found[..., 3]
        return np.stack([gray, gray, gray, alpha], axis=-1)
    order = sys.byteorder[0].upper() if raw[-1] == 'N' else raw[-1]
    upper = np.asarray(_loaded(image, orientation)).astype(np.uint16)
    with open_image(source) as again:
        other = raw[:-1] + ('L' if order == 'B' else 'B')
        lower = np.asarray(_loaded(_stored_as(again, other), orientation))
    return upper * 256 + lower


def _stored_as(image, raw):
    """An image that is not loaded yet, with another way in which its pixels are stored."""
    tiles = []
    for *tile, args in image.tile:
        args = raw if isinstance(args, str) else (raw, *args[1:])
        tiles.append(type(image.tile[0])(*tile, args))
    image.tile = tiles
    return image
