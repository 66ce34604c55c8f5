"""Opening image files: which formats, how large; whatever is wrong with a file is one sentence."""

import contextlib
import io
import os
import struct
from collections.abc import Iterator

from PIL import Image

# The formats that are decoded, whatever the name of a file. Pillow knows more, among them
# PostScript, for which it starts another program.
FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
# A panorama of 30,000 x 15,000 pixels is honest. This many pixels take 3 GiB as RGB.
MAX_PIXELS = 2**30
_DAMAGED = (SyntaxError, IndexError, TypeError, struct.error)

Source = str | os.PathLike | bytes


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
