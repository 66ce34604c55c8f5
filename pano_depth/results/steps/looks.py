"""What footage shows, as far as it has to be known before anything is predicted."""

import dataclasses
from collections.abc import Callable

import numpy as np

from common.logs import Progress, say
from pano_depth.footage.config import AUTO
from pano_depth.footage.footage import Footage
from pano_depth.reconstruction import bars
from pano_depth.reconstruction.survey import Survey, survey

ROWS = 128  # of the images that are looked at


def rows_of(footage: Footage) -> int:
    """Rows of the images by which pieces and masks are found."""
    return min(ROWS, footage.height)


def bars_of(mask: str, images: np.ndarray) -> bars.Bars | None:
    """Finds black bars if masks are to be found, and says so.

    Args:
        mask: the option.
        images: [N, rows, 2 rows, 3] the frames.
    """
    if mask != AUTO:
        return None
    found = bars.find(images)
    if found.mask is not None:
        say(f'mask: {found.reason}')
    return found


def with_names(footage: Footage, names: dict[int, str]) -> Footage:
    """Footage that notes the name of each frame that is read.

    Args:
        footage: the footage.
        names: gets the names by the numbers of the frames.
    """

    def read(size, start, stride):
        for frame in footage.read(size, start, stride):
            names[frame.index] = frame.name
            yield frame

    return dataclasses.replace(footage, read=read)


def pieces_of(
    ordered: str,
    footage: Footage,
    indices: np.ndarray,
    images: Callable[[int], np.ndarray],
    *,
    known: bool,
) -> Survey:
    """Finds the pieces of footage, and which of them have a path.

    Args:
        ordered: 'yes' for one moving camera, 'no' for unrelated images, 'auto' to look.
        footage: the footage.
        indices: [N] numbers of the frames that are used.
        images: function of a number of rows that gives the frames [N, rows, 2 rows, 3].
        known: whether the poses are known: then there is nothing to find.
    """
    count = len(indices)
    whole = [(0, count)]
    if known or ordered == 'yes':
        return Survey('moving', whole, [True], '', {})
    if ordered == 'no' or not footage.ordered:
        why = (
            '--ordered=no says so' if ordered == 'no' else 'the footage is of a kind without order'
        )
        reason = (
            f'the images are unrelated, each has a depth of its own and there is no path: {why}'
        )
        return Survey('unrelated', whole, [False], reason, {})
    if count == 1:
        return Survey('moving', whole, [True], '', {})
    with Progress(count, unit='frame', description='looking for cuts') as progress:
        found = survey(images(rows_of(footage)), on_frames=progress.update)
    if len(found.pieces) > 1 and indices[-1] != count - 1:
        reason = f'{found.reason} (frames are counted without those that are left out)'
        found = found._replace(reason=reason)
    return found
