"""What of the frames of a take does not show the scene: what moves along with the camera, bars."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from pano_depth.footage import media
from pano_depth.kernels.shapes import Array
from pano_depth.learning import checkpoints
from pano_depth.learning.model import make_grid
from pano_depth.reconstruction import analysis, bars, infer, stationary, validity

LOOKED = 96  # frames in the middle of a take that are looked at


class Along(NamedTuple):
    """What was found.

    Attributes:
        mask: False where no frame of the take counts; None where all do.
        reason: one sentence for people; empty where nothing was found.
    """

    mask: Bool[np.ndarray, 'height width'] | None
    reason: str


@functools.cache
def _package():
    params, config = checkpoints.load_model('default')
    return params, config, make_grid(config)


def find(
    images: UInt8[Array, 'frames height width 3'],
    valid: Bool[Array, 'frames rows columns'] | None = None,
) -> Along:
    """Finds what a reconstruction with `--mask=auto` leaves out of all frames.

    The networks of the package tell path and depth; an estimate will do.

    Args:
        images: of a take of a moving camera, in memory or mapped from a file.
        valid: False for what is known not to count, of any size; None: everything counts.
    """
    start = max(0, (len(images) - LOOKED) // 2)
    part = slice(start, start + LOOKED)
    images, valid = images[part], None if valid is None else valid[part]
    black = bars.find(images)
    reasons = [black.reason] * (black.mask is not None)
    known = _known(black.mask, valid)
    params, config, grid = _package()
    rows = 2 * config.face_size
    small = [
        validity.filled(media.resize_equirect(image, rows, 2 * rows), validity.of_frame(known, i))
        for i, image in enumerate(images)
    ]
    seen = infer.analyse(params, np.stack(small), grid, config)
    depth = analysis.depth_of_all(seen, config)
    found = stationary.find(images, seen.poses, depth, mask=known)
    reasons += [found.reason] * (found.mask is not None)
    return Along(validity.both(black.mask, found.mask), '; '.join(reasons))


def _known(mask, valid):
    """A mask of all frames, and one for each, as one."""
    if mask is None or valid is None:
        return valid if mask is None else mask
    return np.stack([validity.both(mask, one) for one in valid])
