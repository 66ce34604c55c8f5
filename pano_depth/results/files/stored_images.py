"""The frames of a run as its video has them, one after the other or at any place."""

import collections
import itertools
import pathlib
import subprocess
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from pano_depth.footage import video
from pano_depth.footage.video import program

_KEPT = 16  # images in memory; a neighbour of the last one is mostly asked for next
_AHEAD = 8  # images that are decoded at once


class StoredImages:
    """The upper halves of depth.mp4, which holds each frame above its depth."""

    def __init__(self, path: pathlib.Path, fps: float | None):
        """Opens nothing yet.

        Args:
            path: of the video, which a run in progress has not written yet.
            fps: its rate if that is even: then any frame is found at once. Else None.
        """
        self._path, self._fps = path, fps
        self._kept = collections.OrderedDict()

    def every(
        self, *, start: int = 0, stride: int = 1
    ) -> Iterator[tuple[int, UInt8[np.ndarray, 'height width 3']]]:
        """Decodes the video once: (position, frame); nothing as long as it is not written.

        Args:
            start: position of the first frame.
            stride: every stride-th frame from there.

        Raises:
            ValueError: the video is damaged, or was not written by a reconstruction.
        """
        if not self._path.is_file():
            return
        frames = video.iter_video(self._path, start=start, stride=stride)
        for position, both in zip(itertools.count(start, stride), frames, strict=False):
            yield position, self._upper(both)

    def one(self, position: int) -> UInt8[np.ndarray, 'height width 3'] | None:
        """One frame, or None as long as the video is not written.

        Raises:
            ValueError: as for `every`.
        """
        if position not in self._kept:
            for number, image in self._from(position):
                self._kept[number] = image
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept.get(position)

    def _from(self, position):
        """(position, frame) of a few frames, without decoding all that come before."""
        if position and self._fps and self._path.is_file():
            found = self._sought(position)
            if found is not None:
                return list(enumerate(found, position))
        return list(itertools.islice(self.every(start=position), _AHEAD))

    def _sought(self, position):
        """A few frames from a position on; None where ffmpeg finds none."""
        info = video.video_info(self._path)
        seconds = (position - 0.5) / self._fps
        command = [program.program(), '-nostdin', '-v', 'error', '-ss', f'{seconds:.6f}']
        command += ['-i', program.url(self._path), '-map', '0:V:0', '-frames:v', str(_AHEAD)]
        command += [*program.every_frame(), '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
        data = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).stdout
        size = info.height * info.width * 3
        if not data or len(data) % size:
            return None
        return map(
            self._upper, np.frombuffer(data, np.uint8).reshape(-1, info.height, info.width, 3)
        )

    def _upper(self, both):
        if both.shape[0] != both.shape[1]:
            raise ValueError(
                f'{self._path} is {both.shape[1]} x {both.shape[0]} pixels; accepted: a square, the'
                ' frame above its depth'
            )
        return both[: both.shape[0] // 2]
