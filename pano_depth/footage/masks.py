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
# Seconds, and part of a video, for which the sound may go on: by both its length is estimated.
_LEFT_OVER, _LEFT_OVER_PART = 0.5, 0.05
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
    files = natural_order(files)
    if names := getattr(footage.read, 'names', None):
        found = _by_name(files, names, folder)
    else:
        found = _by_number(files, footage, folder)
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


def _by_name(files: Sequence[pathlib.Path], names: Sequence[str], folder) -> dict:
    """{index of a frame: file of its mask}, for frames with files.

    Args:
        files: in natural order.
        names: of the frames' files.
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
    missing = [name for i, name in enumerate(names) if i not in best]
    raise _too_few(folder, len(missing), len(names), missing[0])


def _by_number(files: Sequence[pathlib.Path], footage: Footage, folder) -> dict:
    """The same for frames without files, such as those of a video, whose number is an estimate."""
    numbers = [_number(file.stem) for file in files]
    counted = len(set(numbers)) == len(files) and all(isinstance(one, int) for one in numbers)
    # From 0, or from 1 as ffmpeg counts images.
    whole = numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(files)))
    in_order = whole or not counted or len(files) == footage.length
    found = dict(enumerate(files) if in_order else zip(numbers, files, strict=True))
    missing = [i for i in range(footage.length) if i not in found]
    # A video may end before its header says; a frame without a mask is refused when it is read.
    some = max(_LEFT_OVER * footage.fps, _LEFT_OVER_PART * footage.length)
    if missing and (missing[0] < max(found) or len(missing) > some):
        raise _too_few(folder, len(missing), footage.length, f'frame {missing[0]}')
    end = footage.length + some if footage.length else float('inf')
    return {i: file for i, file in found.items() if i < end}


def _too_few(folder, missing, count, first):
    return ValueError(
        f'--mask={folder} has no mask for {missing} of {count} frames, the first is {first};'
        ' accepted: one for each, named as the frame, or as many as there are frames'
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
