"""The image-blind predictor: the same depth map for every image, learned from rooms.

Networks that are not better than it have learned nothing from images.
"""

import functools
import pathlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32

from pano_depth.footage import media
from pano_depth.kernels.shapes import Array

# Written by experiments/benchmarks/depth/blind_rooms.py.
_FILE = pathlib.Path(__file__).parents[1] / 'weights' / 'blind.npz'


def blind_prior(
    truths: Iterable[Float[Array, '_ _']], height: int
) -> Float32[np.ndarray, '{height} 2*{height}']:
    """Per pixel the median range over training frames.

    Args:
        truths: training depths, equirectangular of any size, 0 where invalid.
        height: rows of the result.

    Returns:
        Range; pixels that no frame knows take the median of the others.
    """
    frames = np.stack([media.nearest(truth, height) for truth in truths])
    known = np.where(frames > 0, frames, np.nan)
    unknown = np.isnan(known).all(axis=0)
    known[0, unknown] = np.nanmedian(known) if (frames > 0).any() else 1.0
    return np.nanmedian(known, axis=0).astype(np.float32)


@functools.cache
def training_prior() -> Float32[np.ndarray, '64 128']:
    """`blind_prior` of the rooms on which the networks of the package were trained, in metres.

    Raises:
        ValueError: the installation lacks the file.
    """
    if not _FILE.exists():
        raise ValueError(f'{_FILE} is missing; it is a part of the package: install it again')
    with np.load(_FILE) as file:
        return file['depth'].astype(np.float32)


def write_prior(path: str | pathlib.Path, prior: Float[np.ndarray, 'height width']) -> None:
    """Writes what `training_prior` reads.

    Args:
        path: a name that ends in .npz.
        prior: range in metres, of 64 x 128 pixels.
    """
    np.savez_compressed(path, depth=prior.astype(np.float16))
