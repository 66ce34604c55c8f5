"""Masks of footage: which pixels count, for all frames or frame by frame."""

import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from common import images
from pano_depth.footage import media
from pano_depth.footage.footage import Footage
from pano_depth.footage.frame_files import natural_order

_HALF = 128
# What people add to the name of a frame: 7_mask.png, 7.jpg.png; and to that of an image with depth.
_ADDED = re.compile(r'([-_.](mask|rgb|color))?(\.(png|jpe?g|tiff?|webp|bmp))?$', re.IGNORECASE)


def read_mask(path: str | pathlib.Path) -> Bool[np.ndarray, 'height width']:
    """A mask image as [H, W] bool: True where it is bright, False where it is dark.

    Dark pixels do not count: the tripod, the photographer. Transparent ones do not count either,
    in an image that is not transparent all over alike. An image that is nearly twice as wide as
    high is resampled.

    Raises:
        ValueError: the image cannot be read, is not 2:1, or leaves nothing that counts.
    """
    mask = _bright(path)
    size = media.nearest_equirect(*mask.shape)
    if size is None:
        raise ValueError(
            f'mask {path} is {mask.shape[0]} x {mask.shape[1]} pixels; an equirectangular mask is'
            ' H x W with W = 2H'
        )
    return mask if mask.shape[1] == 2 * mask.shape[0] else media.resize_valid(mask, *size)


def _bright(path):
    """[H, W] bool of a mask image of any aspect; ValueError if nothing counts."""
    pixels = images.read_pixels(path)
    mask = pixels.colour.mean(axis=-1) > _HALF - 1
    if not mask.any():
        raise ValueError(f'mask {path} is dark everywhere: bright pixels are those that count')
    alpha = pixels.alpha
    if alpha is not None and alpha.min() != alpha.max():
        mask &= alpha >= _HALF
    if not mask.any():
        raise ValueError(
            f'mask {path} leaves nothing: neither its dark nor its transparent pixels count'
        )
    return mask


def with_masks(footage: Footage, folder: str | pathlib.Path) -> Footage:
    """Footage of which each frame has a mask of its own.

    Args:
        footage: any footage.
        folder: the folder of the mask images (see `read_mask`), one for each frame: of the same
            name as the frame's file, also with an ending such as `_mask`; with the same number; or
            as many as there are frames, in their order. If it has a folder of the name of the
            footage, that one counts.

    Returns:
        The footage, whose frames are `valid` where their masks are bright, too. Masks of
        photographs that are turned or completed while reading are those of the photographs as they
        are stored. Masks that belong to no frame are named in `Footage.notes`.

    Raises:
        ValueError: no folder, no images, or a frame without a mask.
    """
    folder = pathlib.Path(folder)
    folder = folder / footage.name if (folder / footage.name).is_dir() else folder
    files = [
        file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.suffix.lower() in media.IMAGE_SUFFIXES and file.name[0] != '.' and file.is_file()
    ]
    if not files:
        raise ValueError(
            f'--mask is {folder}, which holds no images; accepted: an image, or a folder with one'
            ' for each frame'
        )
    names = getattr(footage.read, 'names', None)
    numbers = range(footage.length)
    found = _match(natural_order(files), names or [str(number) for number in numbers], folder)
    extra = sorted({file.name for file in files} - {file.name for file in found.values()})
    notes = footage.notes
    if extra:
        notes += (f'{len(extra)} of the masks in {folder} belong to no frame, such as {extra[0]}',)

    def read(size, start, stride):
        with contextlib.closing(footage.read(size, start, stride)) as stream:
            for frame in stream:
                if frame.index not in found:
                    raise ValueError(f'{frame.name} has no mask in {folder}')
                mask = _fitted(footage, frame, found[frame.index])
                valid = mask if frame.valid is None else frame.valid & mask
                yield frame._replace(valid=None if valid.all() else valid)

    return dataclasses.replace(footage, read=read, notes=notes)


def _fitted(footage, frame, file):
    """[H, W] bool: the mask of a file at the place and size of a frame."""
    size = frame.image.shape[:2]
    mask = None
    if hasattr(footage.read, 'placed'):
        mask = footage.read.placed(frame.index, lambda: _bright(file), size)
    return media.resize_valid(read_mask(file), *size) if mask is None else mask


def _match(files: Sequence[pathlib.Path], names: Sequence[str], folder) -> dict:
    """{index of a frame: file of its mask}.

    Args:
        files: in natural order.
        names: of the frames' files, or their numbers.
        folder: what the message names.
    """
    best = {}
    for key in (lambda name: name, _plain, _number):
        wanted = [key(pathlib.PurePath(name).stem) for name in names]
        keys = [key(file.stem) for file in files]
        if len(set(keys)) < len(keys) or len(set(wanted)) < len(wanted):
            continue
        masks = dict(zip(keys, files, strict=True))
        found = {i: masks[one] for i, one in enumerate(wanted) if one in masks}
        best = max(best, found, key=len)
        if len(found) == len(names) > 0:
            return found
    if len(files) == len(names):
        return dict(enumerate(files))
    if not names:
        # The length of the footage is not known: masks are numbered or in order.
        return best or dict(enumerate(files))
    missing = [name for i, name in enumerate(names) if i not in best]
    raise ValueError(
        f'--mask={folder} has no mask for {len(missing)} of {len(names)} frames, the first is'
        f' {missing[0]}; accepted: one for each, named as the frame, or as many as there are frames'
    )


def _plain(stem):
    """The name of a frame without what people add to it."""
    return _ADDED.sub('', _ADDED.sub('', stem)).lower()


def _number(stem):
    """The last number in a name, or the name."""
    numbers = re.findall(r'\d+', stem)
    return int(numbers[-1]) if numbers else stem


def mask_of_rows(
    mask: Bool[np.ndarray, 'h w'] | None, height: int
) -> Float32[np.ndarray, 'height width'] | None:
    """A mask at another size as float, for losses; None stays None.

    Args:
        mask: True where images count.
        height: rows of the result.
    """
    return None if mask is None else media.nearest(mask, height).astype(np.float32)
