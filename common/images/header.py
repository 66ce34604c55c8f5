"""What an image file says before its pixels are decoded: its size, orientation and XMP."""

import io
import struct
import zlib
from typing import NamedTuple

from PIL import Image

from common.images.opening import Source, open_image

_XMP_OF_JPEG = b'http://ns.adobe.com/xap/1.0/\0'
_XMP_OF_PNG, _XMP_OF_TIFF = b'XML:com.adobe.xmp', 700


class Header(NamedTuple):
    """What a file says before its pixels are decoded.

    Attributes:
        height, width: in pixels, once the orientation is obeyed.
        xmp: its XMP packet, or b''.
    """

    height: int
    width: int
    xmp: bytes


def read_header(source: Source) -> Header:
    """Reads size and XMP of an image without decoding it.

    Raises:
        ValueError: as for `open_image`.
    """
    with open_image(source) as image:
        height, width = size_of(image, orientation_of(image))
        return Header(height, width, _xmp(image))


def size_of(image, orientation):
    """(height, width) of an open image once its orientation is obeyed."""
    width, height = image.size
    # Pillow itself obeys the orientation of a TIFF.
    swapped = orientation >= 5 and image.format != 'TIFF'
    return (width, height) if swapped else (height, width)


def orientation_of(image):
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
