"""One decoder of image files: 8-bit colour and alpha of whatever a file holds.

Orientations of cameras (EXIF) are obeyed, 16 bits are rounded to 8, and images larger than Pillow's
own limit are read as long as they hold at most `MAX_PIXELS`.
"""

import contextlib
import io
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

# The formats that are decoded, whatever the name of a file. Pillow knows more, among them
# PostScript, for which it starts another program.
FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
# A panorama of 30,000 x 15,000 pixels is honest. This many pixels take 3 GiB as RGB.
MAX_PIXELS = 2**30
# What undoes the EXIF orientations 2 to 8.
_TURNS = ('FLIP_LEFT_RIGHT', 'ROTATE_180', 'FLIP_TOP_BOTTOM', 'TRANSPOSE')
_TURNS += ('ROTATE_270', 'TRANSVERSE', 'ROTATE_90')
# From here on an image is reduced before it is copied, if a smaller one is asked for.
_LARGE = 2**24
_XMP_OF_JPEG = b'http://ns.adobe.com/xap/1.0/\0'
_XMP_OF_PNG, _XMP_OF_TIFF, _PHOTOMETRIC = b'XML:com.adobe.xmp', 700, 262
_CUT = {'LA;16B', *(f'{mode};16{order}' for mode in ('RGB', 'RGBA') for order in 'BLN')}
_DAMAGED = (SyntaxError, IndexError, TypeError, struct.error)

Source = str | os.PathLike | bytes


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


class Header(NamedTuple):
    """What a file says before its pixels are decoded.

    Attributes:
        height, width: in pixels, once the orientation is obeyed.
        xmp: its XMP packet, or b''.
    """

    height: int
    width: int
    xmp: bytes


@contextlib.contextmanager
def open_image(source: Source) -> Iterator[Image.Image]:
    """Opens an image; it is decoded when it is loaded.

    Args:
        source: the path of a file, or its bytes. Of several pictures the first counts.

    Yields:
        A PIL image, which is closed at the end.

    Raises:
        ValueError: the file is missing, damaged, no image or too large. What goes wrong inside of
            the `with` is raised as ValueError, too.
    """
    name = 'image' if isinstance(source, bytes) else f'image {os.fspath(source)}'
    if not isinstance(source, bytes) and not os.path.isfile(source):
        raise ValueError(f'{name} {"is a folder" if os.path.isdir(source) else "does not exist"}')
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, 'rb') as file:
            image = _identified(file)
            _check_size(*image.size)
            yield image
    except Exception as error:  # Damaged images raise almost anything.
        text = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(f'{name} cannot be read: {text}') from error


def _identified(file):
    """The PIL image of an open file; `Image.open` itself calls large panoramas attacks."""
    if not set(FORMATS) <= set(Image.OPEN):
        Image.init()
    prefix, reason = file.read(16), None
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        # A text instead of True says that this build of Pillow lacks the format.
        if accept is not None and accept(prefix) is not True:
            continue
        file.seek(0)
        try:
            return factory(file, '')
        except _DAMAGED as error:
            reason = f'damaged {name}: {error}'
    raise ValueError(reason or f'no picture; accepted: {", ".join(FORMATS)}')


def _check_size(width, height):
    if width * height > MAX_PIXELS:
        raise ValueError(
            f'{width}x{height} pixels (width x height) are too many; accepted: up to {MAX_PIXELS:,}'
            ' pixels, for example 46340x23170'
        )


def read_header(source: Source) -> Header:
    """Reads size and XMP of an image without decoding it.

    Raises:
        ValueError: as for `open_image`.
    """
    with open_image(source) as image:
        height, width = _size(image, _orientation(image))
        return Header(height, width, _xmp(image))


def _size(image, orientation):
    """(height, width) of an open image once its orientation is obeyed."""
    width, height = image.size
    # Pillow itself obeys the orientation of a TIFF.
    swapped = orientation >= 5 and image.format != 'TIFF'
    return (width, height) if swapped else (height, width)


def _orientation(image):
    """The EXIF orientation, 1 to 8; 1 where the file says none, or nothing that can be read."""
    try:
        if image.format == 'PNG' and 'exif' not in image.info:
            # Pillow would decode all pixels to look for it behind them.
            exif = Image.Exif()
            exif.load(next(_chunks_of_png(image.fp, b'eXIf'), b''))
        else:
            exif = image.getexif()
        found = exif.get(0x0112, 1)
    except Exception:  # Damaged metadata does not cost the pixels.
        return 1
    return found if found in range(1, 9) else 1


def _xmp(image):
    """The XMP packet of an open image, or b''."""
    for marker, content in getattr(image, 'applist', ()):
        if marker == 'APP1' and content.startswith(_XMP_OF_JPEG):
            return content[len(_XMP_OF_JPEG) :]
    if image.format == 'PNG':
        for chunk in _chunks_of_png(image.fp, b'iTXt'):
            keyword, _, rest = chunk.partition(b'\0')
            if keyword == _XMP_OF_PNG and len(rest) > 2:
                text = rest[2:].split(b'\0', 2)[-1]
                return _inflated(text) if rest[0] else text
        return b''
    found = image.info.get('xmp', b'')
    if image.format == 'TIFF':
        found = image.tag_v2.get(_XMP_OF_TIFF, b'')
    return found.encode() if isinstance(found, str) else bytes(found)


def _chunks_of_png(file, wanted):
    """Yields the contents of the chunks of one kind, also of those that stand behind the pixels."""
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack('>I4s', head)
            if kind == wanted:
                yield file.read(length)
                length = 0
            file.seek(length + 4, io.SEEK_CUR)
    finally:
        file.seek(place)


def _inflated(data):
    """Inflated text of at most 16 MiB; b'' if it is damaged."""
    try:
        return zlib.decompressobj().decompress(data, 2**24)
    except zlib.error:
        return b''


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
        orientation = _orientation(image)
        size = _size(image, orientation)
        if least is not None and image.format == 'JPEG':
            image.draft(None, tuple(least if orientation >= 5 else least[::-1]))
        raw = _sixteen_bits(image)
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
        orientation = _orientation(image)  # 1 where Pillow has obeyed it.
    if orientation == 1:
        return image
    return image.transpose(Image.Transpose[_TURNS[orientation - 2]])


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


def _sixteen_bits(image):
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
