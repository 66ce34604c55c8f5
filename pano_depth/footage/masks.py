"""Masks of footage: which pixels count."""

import pathlib

import numpy as np
from jaxtyping import Bool, Float32

from pano_depth.footage import media


def read_mask(path: str | pathlib.Path) -> Bool[np.ndarray, 'height width']:
    """A mask image as [H, W] bool: True where it is bright, False where it is dark.

    Dark pixels do not count: the tripod, the photographer.

    Raises:
        ValueError: the image cannot be read, is not 2:1, or is dark everywhere.
    """
    image = media.read_image(path)
    if image.shape[1] != 2 * image.shape[0]:
        raise ValueError(
            f'mask {path} is {image.shape[0]} x {image.shape[1]} pixels; an equirectangular mask is'
            ' H x W with W = 2H'
        )
    mask = image.mean(axis=-1) > 127
    if not mask.any():
        raise ValueError(f'mask {path} is dark everywhere: bright pixels are those that count')
    return mask


def mask_of_rows(
    mask: Bool[np.ndarray, 'h w'] | None, height: int
) -> Float32[np.ndarray, 'height width'] | None:
    """A mask at another size as float, for losses; None stays None.

    Args:
        mask: True where images count.
        height: rows of the result.
    """
    return None if mask is None else media.nearest(mask, height).astype(np.float32)
