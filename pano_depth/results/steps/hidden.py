"""What of the images does not count: masks, what frames do not show, bars, what moves along."""

import pathlib
from collections.abc import Callable

import numpy as np

from common.logs import say
from pano_depth.reconstruction import validity
from pano_depth.reconstruction.bars import Bars
from pano_depth.reconstruction.stationary import Stationary


class Hidden:
    """What of the images of footage does not count, at every size."""

    def __init__(
        self,
        fixed: np.ndarray | None,
        own: Callable[[int], np.ndarray | None],
        folder: pathlib.Path,
        bars: Bars | None = None,
    ):
        """Keeps the parts.

        Args:
            fixed: [h, w] bool of any size, False where no frame counts, or None.
            own: function of a number of rows that gives [N, rows, 2 rows] bool, what of each frame
                counts; or None where all of every frame does.
            folder: for masks of many frames.
            bars: what was found of black bars, which `fixed` hides; None where none were sought.
        """
        self._fixed, self._own, self._folder, self._bars = fixed, own, folder, bars

    def of_piece(self, part: slice, along: Stationary | None = None) -> 'HiddenPart':
        """What does not count in some of the frames.

        Args:
            part: their positions.
            along: what moves along with the camera in them, or None where it was not sought.
        """
        fixed = validity.both(self._fixed, None if along is None else along.mask)
        own = lambda rows: None if self._own(rows) is None else self._own(rows)[part]
        return HiddenPart(fixed, own, self._folder / f'mask_{part.start}', self._bars, along)


class HiddenPart:
    """What does not count in the frames of a piece."""

    def __init__(self, fixed, own, path, bars, along):
        self._fixed, self._own, self._path, self._bars = fixed, own, path, bars
        self._along, self._made = along, {}

    def mask(self, rows: int) -> validity.Mask:
        """For images of so many rows; a mask of all frames has the size at which it was found."""
        if rows not in self._made:
            # Another mask of the same frames may still be mapped from a file of that name.
            path = self._path.with_name(f'{self._path.name}_{rows}')
            path.unlink(missing_ok=True)
            self._made[rows] = validity.combined(self._fixed, self._own(rows), path)
        return self._made[rows]

    def facts(self, rows: int) -> dict:
        """What `run.json` says, {} where nothing was sought and frames have no masks of their own.

        Args:
            rows: of the images by which shares are measured.
        """
        own, along, bars = self._own(rows), self._along, self._bars
        if own is None and along is None and bars is None:
            return {}
        reasons = []
        if bars is not None and bars.mask is not None:
            reasons.append(bars.reason)
        if own is not None:
            reasons.append(_of_frames(own))
        if along is not None and (along.share > 0 or not reasons):
            reasons.append(along.reason)
        if not reasons:
            return {}
        alone = len(reasons) == 1 and along is not None and along.share > 0
        share = along.share if alone else validity.hidden_share(self.mask(rows))
        return {'mask': {'share': share, 'reason': '; '.join(reasons)}}


def _of_frames(own):
    """One sentence about what frames do not show."""
    share, blank = validity.hidden_share(own), validity.blank(own)
    text = f'{share:.1%} of the sphere, in the mean, show nothing and are left out'
    if blank:
        text += f' ({blank} of {len(own)} frames show nothing at all)'
    return text


def say_of_frames(own: np.ndarray | None) -> None:
    """Says how much of the frames does not count by their own masks."""
    if own is not None:
        say(f'mask: {_of_frames(own)}')
