"""Which pixels count: one mask for all frames, or a mask of its own for each frame.

A mask is True where pixels count. It is None where all do, [h, w] where it is the same in all
frames, or [frames, h, w], which may be a file that is mapped into memory: only the frames that are
worked on are read.
"""

import hashlib
import pathlib

import numpy as np
from jaxtyping import Bool, UInt8

from pano_depth.footage import media
from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction.sweep import confirm

_SAMPLES = 64  # frames, at most, over which a share is averaged

Mask = Bool[Array, 'h w'] | Bool[Array, 'frames h w'] | None


def check(mask: Bool[Array, '...'] | None, frames: Size) -> None:
    """Refuses a mask that does not fit so many frames.

    Raises:
        ValueError: it is not bool, not equirectangular, or has another number of frames.
    """
    if mask is None:
        return
    if mask.ndim not in (2, 3) or mask.dtype != bool:
        raise ValueError(
            f'mask is {mask.dtype} of shape {mask.shape}; accepted: bool [h, 2h], or [frames, h,'
            ' 2h] with a mask of its own for each frame'
        )
    if mask.ndim == 3 and len(mask) != frames:
        raise ValueError(f'mask has {len(mask)} frames; accepted: one mask, or {frames} of them')
    sphere.check_equirect(*mask.shape[-2:], 'mask')


def of_frame(mask: Mask, index: Size, height: Size | None = None) -> Bool[np.ndarray, '_ _'] | None:
    """The mask of one frame; None where every pixel counts.

    Args:
        mask: of the frames.
        index: of the frame.
        height: rows of the result, whose pixels take the nearest ones; None: as many as the mask.
    """
    if mask is None:
        return None
    found = np.asarray(mask if mask.ndim == 2 else mask[index])
    return found if height is None else media.nearest(found, height)


def both(
    one: Bool[Array, 'h w'] | None, other: Bool[Array, '_ _'] | None
) -> Bool[Array, '_ _'] | None:
    """What two masks leave, at the size of the larger one.

    Args:
        one, other: each the same in all frames.
    """
    if one is None or other is None:
        return other if one is None else one
    height = max(len(one), len(other))
    return media.nearest(np.asarray(one), height) & media.nearest(np.asarray(other), height)


def combined(
    fixed: Bool[Array, '_ _'] | None,
    own: Bool[Array, 'frames h w'] | None,
    path: str | pathlib.Path,
) -> Mask:
    """What a mask of all frames and the frames' own masks leave.

    Args:
        fixed: the same in all frames, of any size, or None.
        own: one for each frame, or None.
        path: of a file, which is written if there are both.

    Returns:
        One of the two if the other one is None; else [frames, h, w], mapped from the file.
    """
    if fixed is None or own is None:
        return own if fixed is None else fixed
    fixed = media.nearest(np.asarray(fixed), own.shape[1])
    with open(path, 'wb') as file:
        for mask in own:
            file.write((mask & fixed).tobytes())
    return np.memmap(path, bool, 'r', shape=own.shape)


def filled(
    image: UInt8[Array, 'height width 3'], valid: Bool[Array, '_ _'] | None
) -> UInt8[Array, 'height width 3']:
    """An image whose hidden pixels look like what is around them.

    What a file holds there is arbitrary, and black or noise would mislead networks and the search
    for motion: measured on rendered walks with a hole that moves, motions are two to seven times as
    wrong with a black hole as with one that is filled.

    Args:
        image: equirectangular.
        valid: False where it is hidden, of any size; None: nowhere.
    """
    if valid is None or valid.all():
        return image
    valid = media.nearest(np.asarray(valid), len(image))
    weight = valid.astype(np.float32)
    parts = [confirm.spread_out(image[..., i].astype(np.float32), weight) for i in range(3)]
    smooth = np.clip(np.rint(np.stack(parts, axis=-1)), 0, 255).astype(np.uint8)
    return np.where(valid[..., None], image, smooth)


def hidden_share(mask: Mask) -> float:
    """Share of the sphere that a mask hides, in the mean over at most 64 frames."""
    if mask is None:
        return 0.0
    area = np.asarray(sphere.solid_angles(*mask.shape[-2:]), np.float64) / (4 * np.pi)
    count = 1 if mask.ndim == 2 else len(mask)
    shown = np.unique(np.linspace(0, count - 1, min(_SAMPLES, count)).astype(int))
    return float(np.mean([area[~of_frame(mask, i)].sum() for i in shown]))


def blank(own: Bool[Array, 'frames h w']) -> int:
    """How many frames show nothing at all."""
    return sum(not np.asarray(mask).any() for mask in own)


def any_left(fixed: Bool[Array, '_ _'] | None, own: Bool[Array, 'frames h w'] | None) -> bool:
    """Whether a mask of all frames and the frames' own masks leave any pixel of any frame.

    Args:
        fixed: the same in all frames, or None.
        own: one for each frame, or None.
    """
    if own is None:
        return fixed is None or bool(fixed.any())
    return any(bool(both(fixed, np.asarray(mask)).any()) for mask in own)


def digest(mask: Mask) -> str:
    """A hash of a mask; empty where every pixel counts."""
    if mask is None:
        return ''
    found = hashlib.sha256()
    for frame in [mask] if mask.ndim == 2 else mask:
        found.update(np.packbits(frame).tobytes())
    return found.hexdigest()
