"""The input of a job: footage as a path, as arrays or as `Footage`; names and checks of paths."""

import contextlib
import dataclasses
import os
import pathlib

import numpy as np

from common.logs import say
from common.run import Digest, digest_of, digest_of_path
from pano_depth.footage import footage as footages
from pano_depth.footage import masks, open_footage
from pano_depth.footage.clip import Clip
from pano_depth.footage.config import FootageConfig, ReadingConfig
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
    pieces = _opened(footage, config, sample_rows)
    for note in dict.fromkeys(note for piece in pieces for note in piece.notes):
        say(note)
    if config.mask_folder is not None:
        folder = pathlib.Path(config.mask_folder).expanduser()
        pieces = [masks.with_masks(piece, folder) for piece in pieces]
    return pieces if config.fps is None else [_at_rate(piece, config.fps) for piece in pieces]


def _opened(footage, config, sample_rows):
    """The pieces with the times that they have by themselves."""
    if isinstance(footage, Footage):
        return [footage]
    if isinstance(footage, (str, os.PathLike)):
        if footage == SAMPLE:
            height = sample_rows or SAMPLE_ROWS
            return [footages.from_clip(rooms.sample_clip(height=height, width=2 * height))]
        return open_path(pathlib.Path(footage).expanduser(), config)
    return [footages.from_clip(Clip('frames', _frames(footage)))]


def open_path(path: pathlib.Path, reading: ReadingConfig) -> list[Footage]:
    """Opens the footage of a path, see `open_footage.open_footage`.

    Args:
        path: a file or folder.
        reading: how files are read.

    Raises:
        ValueError: as `open_footage`.
    """
    return open_footage.open_footage(
        path,
        stereo=reading.stereo,
        on_bad=reading.on_bad_frame,
        depth_scale=reading.depth_scale,
        projection=reading.projection,
        fisheye_fov=reading.fisheye_fov,
        fps=reading.fps,
    )


def _at_rate(footage, fps):
    """Footage whose frames follow each other at a rate, whatever its files say of times."""

    def read(size, start, stride):
        with contextlib.closing(footage.read(size, start, stride)) as stream:
            for frame in stream:
                yield frame._replace(time=None)

    gravity = footage.gravity
    if gravity is not None:
        gravity = gravity.paced(footage.fps / fps)
    return dataclasses.replace(footage, fps=fps, read=read, gravity=gravity)


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
    if found.suffix != '.npz' or not found.parent.is_dir() or found.is_dir():
        raise ValueError(
            f'--save_weights is {path}; accepted is a name that ends in .npz, in a directory that'
            ' exists'
        )
    if not os.access(found.parent, os.W_OK | os.X_OK):
        raise ValueError(f'--save_weights is {path}, and {found.parent} is read-only')


class Content:
    """What footage holds, as digests, from the first time that its frames are read.

    Attributes:
        footage: the footage, whose frames are noted as they pass.
    """

    def __init__(self, footage: Footage):
        """Wraps footage.

        Args:
            footage: what is read.
        """
        self.footage = dataclasses.replace(footage, read=self._read)
        self._source, self._passes, self._noted = footage, 0, None
        self._images, self._depth, self._times = Digest(), Digest(), Digest()

    def _read(self, size, start, stride):
        self._passes += 1
        first = self._passes == 1
        with contextlib.closing(self._source.read(size, start, stride)) as stream:
            for frame in stream:
                if first:
                    self._images.add(frame.index, frame.image, frame.valid)
                    self._depth.add(frame.depth)
                    self._times.add(frame.time)
                yield frame

    def read(self, size: tuple[int, int]) -> None:
        """Reads the frames at a size, unless they have been read."""
        for _ in self.footage.frames(size=size) if not self._passes else ():
            pass

    def digests(self, *, images: str | None = None) -> dict[str, str | None]:
        """Digests by what people call the input, once the frames have been read.

        Args:
            images: the digest of the images if it is known already.
        """
        if self._noted is None:
            self._times.add(self._source.fps, self._source.ordered)
            self._noted = self._digests(images)
        return self._noted

    def _digests(self, images):
        footage, poses = self._source, self._source.poses
        return {
            '--input (images)': images or self._images.text(),
            '--input (times)': self._times.text(),
            '--input (depth)': self._depth.text() if footage.has_depth else None,
            '--input (poses)': digest_of(*(poses or (None,))),
            '--input (which way is down)': digest_of(footage.down),
        }


def joined(digests: list[dict[str, str | None]]) -> dict[str, str | None]:
    """The digests of several pieces of footage as those of one; that of one stays as it is."""
    if len(digests) == 1:
        return digests[0]
    return {name: digest_of(*(each[name] for each in digests)) for name in digests[0]}


def digest_of_mask(config: FootageConfig) -> dict[str, str | None]:
    """The digest of the mask of a configuration, if it names one."""
    return {'--mask': digest_of_path(config.mask_path or config.mask_folder)}
