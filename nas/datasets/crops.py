"""Chooses the part of an image that a network sees, and decodes only what is needed for it.

A box is (left, top, right, bottom) in pixels of the whole image.
"""

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from nas.datasets.images import FORMATS

Box = tuple[float, float, float, float]

# The middle 224 of 256 pixels, for networks of any input size.
_EVALUATION_SHARE = 224 / 256
_AREA, _ASPECT, _ATTEMPTS = (0.08, 1.0), (3 / 4, 4 / 3), 10


def random_box(rng: np.random.Generator, width: int, height: int) -> Box:
    """A box of random area, shape and place, which is stretched to a square afterwards.

    Source: Szegedy et al., Going Deeper with Convolutions (CVPR 2015), section 6: 8 % to 100 % of
    the area, sides in a ratio of 3/4 to 4/3. The ratio is drawn uniformly in its logarithm.

    Args:
        rng: random generator.
        width, height: size of the image in pixels.

    Returns:
        Whole numbers; the largest box of an accepted shape in the middle if ten draws do not fit
        the image.
    """
    for _ in range(_ATTEMPTS):
        area = width * height * rng.uniform(*_AREA)
        aspect = math.exp(rng.uniform(*map(math.log, _ASPECT)))
        columns, rows = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < columns <= width and 0 < rows <= height:
            left, top = (
                int(rng.integers(0, room + 1)) for room in (width - columns, height - rows)
            )
            return left, top, left + columns, top + rows
    aspect = min(max(width / height, _ASPECT[0]), _ASPECT[1])
    columns, rows = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - columns) // 2, (height - rows) // 2
    return left, top, left + columns, top + rows


def centre_box(width: int, height: int) -> Box:
    """The middle square, 224/256 of the shorter side: a resize to 256 and a crop of 224 in one."""
    side = _EVALUATION_SHARE * min(width, height)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def decode(
    payload: bytes,
    box_of: Callable[[int, int], Box],
    *,
    size: int,
    channels: int,
    oversampling: float = 1.0,
) -> np.ndarray:
    """Decodes a box of an image file, bilinear and antialiased.

    If the box stays large enough, a JPEG is decoded at a half, a quarter or an eighth of its size,
    which takes a fraction of the time.

    Args:
        payload: the file.
        box_of: function of width and height that gives the box.
        size: side of the result, pixels.
        channels: 1 for grey, 3 for RGB.
        oversampling: least number of decoded pixels for each pixel of the result, along each axis,
            as far as the file has them.

    Returns:
        [size, size, channels] uint8.

    Raises:
        Exception: of many types, if the file is damaged.
    """
    with Image.open(io.BytesIO(payload), formats=FORMATS) as image:
        width, height = image.size
        left, top, right, bottom = box_of(width, height)
        smaller = image.draft(
            None,
            (
                math.ceil(oversampling * size * width / (right - left)),
                math.ceil(oversampling * size * height / (bottom - top)),
            ),
        )
        # The last pixel of a reduced image may extend past the edge of the whole image.
        columns, rows = smaller[1][2:] if smaller else image.size
        mode = 'L' if channels == 1 else 'RGB'
        image = image if image.mode == mode else image.convert(mode)
        box = (
            left * columns / width,
            top * rows / height,
            right * columns / width,
            bottom * rows / height,
        )
        square = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
        return np.asarray(square).reshape(size, size, channels)
