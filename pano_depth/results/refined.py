"""Refined depth of all frames in files: what the sweep found takes too long to find twice."""

import hashlib
import json
import os
import pathlib

import numpy as np

from common.logs import Progress
from common.run import atomic_path, write_json
from common.stopping import Stop
from pano_depth.reconstruction import sweep
from pano_depth.reconstruction.sweep.confirm import CONFIRMED

_WIDEST = np.log(1000.0)  # log range from the reference that 16 bits hold
_STEP = 2 * _WIDEST / 65534  # 0.02 % of the depth


class Refined:
    """Depth and confidence of frames in two files that are mapped into memory.

    They take 3 bytes a pixel: the logarithm of depth in 16 bits, confidence in 8.

    Attributes:
        height: rows.
        unit: factor from the unit in which depth was stored to that in which it is given.
    """

    def __init__(
        self, folder: str | pathlib.Path, key: dict, count: int, height: int, middle: float
    ):
        """Opens the files of the same key, or makes new ones.

        Args:
            folder: a directory, made if it is missing.
            key: what tells whether frames that are there already are those that are wanted.
            count: number of frames.
            height: rows of the depth maps.
            middle: typical depth.

        Raises:
            OSError: there is no room on the disk.
        """
        self._folder, self._middle, self.unit = pathlib.Path(folder), middle, 1.0
        self.height = height
        self._folder.mkdir(parents=True, exist_ok=True)
        known = self._folder / 'key.json'
        if not known.exists() or json.loads(known.read_text()) != key:
            known.unlink(missing_ok=True)
            for name in ('depth', 'confidence', 'done'):
                (self._folder / name).unlink(missing_ok=True)
        shape = (count, height, 2 * height)
        self._depth = _mapped(self._folder / 'depth', np.uint16, shape)
        self._confidence = _mapped(self._folder / 'confidence', np.uint8, shape)
        self._done = _mapped(self._folder / 'done', np.uint8, (count,))
        write_json(known, key)

    def has(self, index: int) -> bool:
        """Whether a frame is there."""
        return bool(self._done[index])

    def put(self, index: int, depth: np.ndarray, confidence: np.ndarray) -> None:
        """Stores a frame: depth [H, 2H] in the unit of `middle`, 0 where invalid; confidence."""
        valid = depth > 0
        log = np.log(np.where(valid, depth, self._middle) / self._middle)
        code = np.rint((np.clip(log, -_WIDEST, _WIDEST) + _WIDEST) / _STEP) + 1
        self._depth[index] = np.where(valid, code, 0)
        grey = np.clip(np.rint(confidence * 255), 1, 255)
        self._confidence[index] = np.where(valid, grey, 0)
        self._done[index] = 1

    def depth(self, index: int) -> np.ndarray:
        """[H, 2H] float32, 0 where invalid."""
        code = self._depth[index].astype(np.float32)
        found = self._middle * self.unit * np.exp((code - 1) * np.float32(_STEP) - _WIDEST)
        return np.where(code > 0, found, 0).astype(np.float32)

    def confidence(self, index: int) -> np.ndarray:
        """[H, 2H] float32 in [0, 1], 0 exactly where depth is 0."""
        return self._confidence[index].astype(np.float32) / 255

    def confirmed(self) -> float:
        """Part of the pixels with depth that other views confirm, over at most 64 frames."""
        shown = np.unique(np.linspace(0, len(self._done) - 1, 64).astype(int))
        sure = sum(int((self._confidence[i] >= CONFIRMED * 255).sum()) for i in shown)
        return sure / max(1, sum(int((self._depth[i] > 0).sum()) for i in shown))

    def forget(self) -> None:
        """Takes the files away; what is mapped stays as long as this object."""
        for path in sorted(self._folder.iterdir()):
            path.unlink()
        self._folder.rmdir()


def _mapped(path, kind, shape):
    """An array in a file, which is made of zeros if it is missing.

    Its space is reserved now: a mapped page that finds the disk full ends the process without a
    message.
    """
    if not path.exists():
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        # A file that has its name is whole.
        with atomic_path(path) as temporary, open(temporary, 'wb') as file:
            if hasattr(os, 'posix_fallocate'):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    return np.memmap(path, kind, 'r+', shape=shape)


def refine_all(
    found: sweep.Sweep, folder: str | pathlib.Path, key: dict, count: int, middle: float, stop: Stop
) -> Refined:
    """Refines all frames, or those that an earlier run of the same key left out.

    Args:
        found: the sweep over the frames.
        folder: of the files.
        key: see `Refined`.
        count: number of frames.
        middle: typical depth.
        stop: request to stop.

    Raises:
        Stopped: there was a request to stop; the same command goes on from there.
    """
    refined = Refined(folder, key, count, found.height, middle)
    with Progress(count, unit='frame', description='refining') as progress, stop.held('this frame'):
        for index in range(count):
            if not refined.has(index):
                refined.put(index, *found.refined(index))
            progress.update()
            stop.kept = f'{index + 1} of {count} frames are refined; the same command goes on'
            stop.check()
    return refined


def key_of(poses, depth, settings: str) -> dict:
    """What refined frames depend on: a digest of path, prior depth and settings."""
    digest = hashlib.sha256(settings.encode())
    for array in (*poses, depth):
        digest.update(np.ascontiguousarray(array).tobytes())
    return {'sha256': digest.hexdigest()}
