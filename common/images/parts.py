"""Decodes the part of an image file that is wanted, at the size that is wanted.

A network sees a small square of a photograph. Of a JPEG no more is decoded than that square needs,
and only the square is turned as EXIF says. Pixels are those of `read_pixels`, with transparent ones
laid on a background.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, JpegImagePlugin

from common.images.header import orientation_of, size_of
from common.images.opening import Source, open_image
from common.images.pixels import TURNS, Pixels, read_pixels, sixteen_bits

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]

WHITE = (255, 255, 255)
# Where the axes of the turned image lie in the stored one, by EXIF orientation: whether they are
# exchanged, and whether the stored column and row run backwards.
_AXES = {1: (0, 0, 0), 2: (0, 1, 0), 3: (0, 1, 1), 4: (0, 0, 1)}
_AXES |= {5: (1, 0, 0), 6: (1, 0, 1), 7: (1, 1, 1), 8: (1, 1, 0)}
_GREY_MODES = ('1', 'L', 'LA', 'La', 'F')


def read_part(
    source: Source,
    box_of: Callable[[int, int], Box],
    *,
    size: int | None,
    channels: int | None = None,
    background: Colour = WHITE,
    oversampling: float = 1.0,
) -> np.ndarray:
    """Reads a box of an image as a square, bilinear and antialiased.

    If the box stays large enough, a JPEG is decoded at a half, a quarter or an eighth of its size,
    which takes a fraction of the time.

    Args:
        source: the path of an image file, or its bytes, as for `read_pixels`.
        box_of: function of width and height, in pixels of the turned image, that gives the box
            (left, top, right, bottom).
        size: side of the result, pixels. None gives the whole image at its own size.
        channels: 1 for grey, 3 for RGB; None for grey only if the file is grey.
        background: red, green and blue, 0 to 255, behind transparent pixels.
        oversampling: least number of decoded pixels for each pixel of the result, along each axis,
            as far as the file has them.

    Returns:
        [size, size, channels] uint8, or [H, W, channels] without a size.

    Raises:
        ValueError: as for `read_pixels`.
    """
    with open_image(source) as image:
        orientation = orientation_of(image)
        height, width = size_of(image, orientation)
        channels = channels or (1 if is_grey(image) else 3)
        box = box_of(width, height) if size else (0, 0, width, height)
        if not _is_plain(image):
            image, orientation = _flat(read_pixels(source), background), 1
        box, scale = _stored_box(box, width, height, orientation), (1.0, 1.0)
        if size:
            scale = _draft(image, box, size * oversampling)
        mode = 'L' if channels == 1 else 'RGB'
        image = image if image.mode == mode else image.convert(mode)
        if size:
            inside = tuple(edge * scale[place % 2] for place, edge in enumerate(box))
            image = image.resize((size, size), Image.Resampling.BILINEAR, box=inside)
        if orientation > 1:
            image = image.transpose(Image.Transpose[TURNS[orientation - 2]])
        return np.asarray(image).reshape(image.height, image.width, channels)


def composite(pixels: Pixels, background: Colour = WHITE) -> np.ndarray:
    """Lays an image on a background.

    Args:
        pixels: by `read_pixels`.
        background: red, green and blue, 0 to 255.

    Returns:
        [H, W, 3] uint8; the colour itself where every pixel is opaque.
    """
    if pixels.alpha is None:
        return pixels.colour
    alpha = pixels.alpha[..., None].astype(np.uint16)
    behind = np.array(background, np.uint16) * (255 - alpha)
    return ((pixels.colour * alpha + behind + 127) // 255).astype(np.uint8)


def is_grey(image: Image.Image) -> bool:
    """Whether an open image holds grey values alone, with or without alpha."""
    # Pillow calls grey with alpha of 16 bits RGBA.
    return image.mode in _GREY_MODES or image.mode[0] == 'I' or sixteen_bits(image) == 'LA;16B'


def _is_plain(image):
    """Whether Pillow itself decodes an image to what `read_pixels` gives, but for its turn."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return True
    # Pillow obeys the orientation of a TIFF and the rest does not.
    return (
        image.mode in ('L', 'RGB')
        and image.format != 'TIFF'
        and not image.has_transparency_data
        and sixteen_bits(image) is None
    )


def _flat(pixels, background):
    """A PIL image of decoded pixels on a background."""
    return Image.fromarray(composite(pixels, background))


def _stored_box(box, width, height, orientation):
    """A box of the turned image, width x height, as a box of the image as it is stored."""
    swapped, columns_back, rows_back = _AXES[orientation]
    left, top, right, bottom = box
    if swapped:
        left, top, right, bottom, width, height = top, left, bottom, right, height, width
    if columns_back:
        left, right = width - right, width - left
    if rows_back:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _draft(image, box, side):
    """Has a JPEG decoded smaller, with `side` pixels in the box; (x, y) pixels left of each."""
    width, height = image.size
    left, top, right, bottom = box
    wanted = math.ceil(side * width / (right - left)), math.ceil(side * height / (bottom - top))
    drafted = image.draft(None, wanted) if hasattr(image, 'draft') else None
    if not drafted:
        return 1.0, 1.0
    # The last pixel of a reduced image may extend past the edge of the whole image, so that its
    # number of pixels does not tell the scale.
    columns, rows = drafted[1][2:]
    return columns / width, rows / height
