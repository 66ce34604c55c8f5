"""The input of a job: footage as a path, as arrays or as `Footage`; names and checks of paths."""

import os
import pathlib

import numpy as np

from pano_depth.footage import footage as footages
from pano_depth.footage import open_footage
from pano_depth.footage.clip import Clip
from pano_depth.footage.config import FootageConfig
from pano_depth.footage.footage import Footage
from pano_depth.rooms import rooms

SAMPLE = 'sample'
SAMPLE_ROWS = 256


def open_input(footage, config: FootageConfig, *, sample_rows: int = 0) -> list[Footage]:
    """Opens footage in any form.

    Args:
        footage: a path as for `open_footage.open_footage`, 'sample' for the rendered sample clip, a
            `Footage`, or frames [N, H, 2H, 3] or one frame [H, 2H, 3], uint8.
        config: how files are read.
        sample_rows: rows of the sample clip, or 0 for 256.

    Returns:
        The pieces: one, or one for each scene or trajectory of a folder.

    Raises:
        ValueError: nothing there, nothing that can be read, or not equirectangular.
    """
    if isinstance(footage, Footage):
        return [footage]
    if isinstance(footage, (str, os.PathLike)):
        if footage == SAMPLE:
            height = sample_rows or SAMPLE_ROWS
            return [footages.from_clip(rooms.sample_clip(height=height, width=2 * height))]
        return open_footage.open_footage(
            pathlib.Path(footage).expanduser(),
            stereo=config.stereo,
            on_bad=config.on_bad_frame,
            depth_scale=config.depth_scale,
        )
    return [footages.from_clip(Clip('frames', _frames(footage)))]


def _frames(array) -> np.ndarray:
    """Frames in memory as [N, H, 2H, 3]. Raises ValueError for anything else."""
    array = np.asarray(array)
    if array.ndim == 3:
        array = array[None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or not len(array):
        raise ValueError(
            f'footage is an array of {array.dtype} {array.shape}; accepted: a path, a Footage, or'
            ' uint8 [N, H, 2H, 3]'
        )
    if array.shape[2] != 2 * array.shape[1]:
        raise ValueError(
            f'footage has frames of {array.shape[1]} x {array.shape[2]} pixels; an equirectangular'
            ' frame is H x 2H'
        )
    return array


def name_of(footage) -> str | None:
    """The --input that means the same footage; None if a command line cannot name it."""
    return os.fspath(footage) if isinstance(footage, (str, os.PathLike)) else None


def check_weights_path(path: str | None) -> None:
    """Refuses a `save_weights` that could not be written, before anything is trained.

    Raises:
        ValueError: the name does not end in .npz, or its directory does not exist.
    """
    if path is None:
        return
    found = pathlib.Path(path)
    if found.suffix != '.npz' or not found.parent.is_dir():
        raise ValueError(
            f'--save_weights is {path}; accepted is a name that ends in .npz, in a directory that'
            ' exists'
        )
