"""Where the pixels of a cropped photograph lie in the full panorama."""

import math
from typing import NamedTuple

import numpy as np

from common.images import MAX_PIXELS
from pano_depth.footage import media
from pano_depth.footage.photos.gpano import GPano

# Sizes after scaling are whole pixels, so that the two scales differ a little.
_SAME_SCALE = 0.02


class Placement(NamedTuple):
    """The place of an image in the full panorama, in pixels of the image.

    Attributes:
        height, width: of the full panorama, W = 2H.
        top, left: of the image in it; an image that reaches beyond the right edge goes on at the
            left one.
        rows, columns: of the image in it.
    """

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int


def place(tags: GPano, height: int, width: int) -> tuple[Placement | None, str | None]:
    """Finds the place of an image by its tags.

    Args:
        tags: of the image. They may speak of another size of the same picture: the image was scaled
            after they were written.
        height, width: of the image in pixels.

    Returns:
        (`Placement`, None); (None, None) where the image is the full panorama or the tags do not
        say; (None, what is wrong with the tags) where they cannot be.
    """
    part, full = (tags.crop_width, tags.crop_height), (tags.full_width, tags.full_height)
    if None in full:
        return None, None
    if None in part:
        part = (width, height)
    left, top = tags.left or 0.0, tags.top or 0.0
    sizes = (
        f'a part of {part[0]:.0f}x{part[1]:.0f} pixels at {left:.0f}, {top:.0f} of a panorama of'
        f' {full[0]:.0f}x{full[1]:.0f} (width x height)'
    )
    if min(*part, *full) < 1:
        return None, sizes
    scale = width / part[0]
    fits = (
        part[0] <= full[0] * 1.001
        and -1 <= left < full[0]
        and top >= -1
        and top + part[1] <= full[1] * 1.001 + 1
        and abs(height / part[1] / scale - 1) <= _SAME_SCALE
        and media.nearest_equirect(full[1], full[0]) is not None
    )
    if not fits:
        return None, f'{sizes}, but the image has {width}x{height}'
    if math.isclose(part[0], full[0], rel_tol=0.001) and part[1] >= full[1] * 0.999:
        return None, None
    return _in_pixels(full, part, left, top, scale), None


def _in_pixels(full, part, left, top, scale):
    """`Placement` of exact sizes in the pixels of the image, or of the most that is allowed."""
    scale = min(scale, math.sqrt(MAX_PIXELS / 4 / (full[0] * full[1])))
    rows = max(media.MIN_HEIGHT, 2 * round(full[0] * scale / 4))
    across, down = 2 * rows / full[0], rows / full[1]
    first, last = round(top * down), round((top + part[1]) * down)
    first = min(max(0, first), rows - 1)
    columns = min(2 * rows, max(1, round((left + part[0]) * across) - round(left * across)))
    return Placement(
        rows,
        2 * rows,
        first,
        round(left * across) % (2 * rows),
        max(1, min(rows, last) - first),
        columns,
    )


def at_size(placement: Placement, height: int) -> Placement:
    """The placement in a full panorama of another height."""
    scale = height / placement.height
    top, left = round(placement.top * scale), round(placement.left * scale)
    bottom = round((placement.top + placement.rows) * scale)
    right = round((placement.left + placement.columns) * scale)
    top, left = min(top, height - 1), min(left, 2 * height - 1)
    return Placement(
        height, 2 * height, top, left, max(1, bottom - top), min(2 * height, max(1, right - left))
    )


def fill(
    placement: Placement, image: np.ndarray, valid: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Puts an image into the full panorama, which is black elsewhere.

    Args:
        placement: where.
        image: [rows, columns, 3] uint8, of the size that the placement says.
        valid: [rows, columns] bool, or None where all of it counts.

    Returns:
        ([H, W, 3] uint8, [H, W] bool: where the panorama shows something that counts).
    """
    full = np.zeros((placement.height, placement.width, 3), np.uint8)
    known = np.zeros(full.shape[:2], bool)
    rows = slice(placement.top, placement.top + placement.rows)
    columns = (placement.left + np.arange(placement.columns)) % placement.width
    full[rows, columns] = image
    known[rows, columns] = True if valid is None else valid
    return full, known
