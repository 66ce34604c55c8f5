"""Which part of an image a network sees: boxes, and decoding no more than they need.

A box is (left, top, right, bottom) in pixels of the whole image, once its orientation is obeyed.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np

from common.images import WHITE, read_part

Box = tuple[float, float, float, float]

# ImageNet is scored on the middle 224 of 256 pixels, at any input size.
EVALUATION_SHARE = 224 / 256
# Decoded pixels for each pixel of an image that is scored, where the file has them: fewer would
# show in the result, and more take time alone.
_OVERSAMPLING = 2.0
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


def centre_box(width: int, height: int, share: float = EVALUATION_SHARE) -> Box:
    """The middle square, a share of the shorter side.

    224/256 of it is a resize to 256 and a crop of 224 in one.
    """
    side = share * min(width, height)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How an image file becomes what a network is scored on, the same for every reader.

    The orientation that a camera wrote (EXIF) is obeyed, 16 bits are rounded to 8, transparent
    pixels lie on the background, and the middle square is resized, bilinear and antialiased.

    Attributes:
        share: side of the middle square, in parts of the shorter side of the image.
        background: red, green and blue, 0 to 255, behind transparent pixels.
    """

    share: float = 1.0
    background: tuple[int, int, int] = WHITE

    def read(self, source, *, size: int | None, channels: int | None) -> np.ndarray:
        """[size, size, channels] uint8 of a file or its bytes, as for `decode`."""
        box_of = functools.partial(centre_box, share=self.share)
        return self.decode(source, box_of, size=size, channels=channels, fine=True)

    def decode(self, source, box_of, *, size, channels, fine=False) -> np.ndarray:
        """Decodes any box, see `decode`; `fine` as images are scored."""
        return decode(
            source,
            box_of,
            size=size,
            channels=channels,
            background=self.background,
            oversampling=_OVERSAMPLING if fine else 1.0,
        )

    def as_dict(self) -> dict:
        """Its attributes, for JSON; `from_dict` is the inverse."""
        return {'share': self.share, 'background': list(self.background)}

    @classmethod
    def from_dict(cls, record: dict) -> 'Preparation':
        """Reads what `as_dict` wrote. Raises KeyError, TypeError or ValueError for other things."""
        return cls(float(record['share']), tuple(map(int, record['background'])))

    def sentence(self, size: int, channels: int) -> str:
        """What has to be done to a photograph before a network of this size sees it."""
        part = 'middle square'
        if self.share != 1:
            part += f', {self.share:.4g} of the shorter side,'
        colour = {1: 'grey', 3: 'RGB'}[channels]
        behind = ','.join(map(str, self.background))
        return (
            f'{colour}, EXIF orientation obeyed, transparent pixels on ({behind}), 16 bits rounded'
            f' to 8, the {part} resized to {size} x {size} (bilinear, antialiased)'
        )


# The whole middle square, on white.
WHOLE = Preparation()


def decode(
    source,
    box_of: Callable[[int, int], Box],
    *,
    size: int | None,
    channels: int | None,
    background: tuple[int, int, int] = WHITE,
    oversampling: float = 1.0,
) -> np.ndarray:
    """Decodes a box of an image file, see `common.images.read_part`.

    Raises:
        ValueError: the file is damaged; the message has no name in it.
    """
    try:
        return read_part(
            source,
            box_of,
            size=size,
            channels=channels,
            background=background,
            oversampling=oversampling,
        )
    except ValueError as error:
        raise ValueError(str(error).removeprefix('image cannot be read: ')) from error
