"""One record for footage of every kind, read frame by frame: memory does not grow with its length."""

import contextlib
import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from absl import logging

from pano_depth import geometry, media
from pano_depth.datasets.clip import Clip
from pano_depth.rigid import Motion
from pano_depth.spherical import Spherical

STEREO = ('top_bottom', 'left_right')
ON_BAD = ('refuse', 'skip')
# More numbers than this for every file: they count something else than frames, such as nanoseconds.
_MAX_SPREAD = 100


class Frame(NamedTuple):
    """One frame.

    Attributes:
      index: number in the footage; other frames keep theirs where one is left out.
      name: its file, or 'video.mp4 frame 17'.
      image: [H, W, 3] uint8, equirectangular.
      depth: [H, W] float32 range in metres, 0 where invalid; or None.
    """

    index: int
    name: str
    image: np.ndarray
    depth: np.ndarray | None = None


class BadFrames:
    """What becomes of frames that cannot be used: an error, or a warning and an entry in a list.

    Attributes:
      skipped: list of (name, reason), each name once.
    """

    def __init__(self, on_bad):
        if on_bad not in ON_BAD:
            raise ValueError(f'on_bad is {on_bad!r}; accepted: {", ".join(ON_BAD)}')
        self.refuses = on_bad == 'refuse'
        self.skipped = []

    def report(self, name, reason):
        """Raises ValueError with the reason, which names the file, or notes it."""
        if self.refuses:
            raise ValueError(f'{reason} (on_bad=skip leaves it out)')
        if all(name != known for known, _ in self.skipped):
            self.skipped.append((name, reason))
            logging.warning('left out: %s', reason)


@dataclasses.dataclass(frozen=True, eq=False)
class Footage:
    """Equirectangular frames in order, with depth and poses where they are known.

    Attributes:
      name: what messages and files call it.
      height, width: of the frames in pixels, W = 2H; of one eye where the file stacks two.
      fps: frames a second.
      length: frames with those that turn out bad; for a video the header's estimate, 0 if unknown.
      read: function (size, start, stride) -> iterator of `Frame`; use `frames`.
      poses: `Motion` of [length, 3, 3] and [length, 3] numpy float64, camera to world, or None; the world is
        frame 0's camera.
      has_depth: whether frames carry depth.
      has_rotation: False where only positions are known; the rotations of `poses` are then the identity.
      ordered: False for unrelated images, which have no motion between them.
      spherical: `spherical.Spherical` of an mp4 or mov file that says it is a panorama, or None.
      skipped: list of (name, reason) of the frames left out; grows while reading.
    """

    name: str
    height: int
    width: int
    fps: float
    length: int
    read: Callable
    poses: Motion | None = None
    has_depth: bool = False
    has_rotation: bool = True
    ordered: bool = True
    spherical: Spherical | None = None
    skipped: list = dataclasses.field(default_factory=list)

    def frames(self, *, size=None, start=0, stride=1) -> Iterator[Frame]:
        """Reads the frames, from the beginning on each call.

        Args:
          size: (height, width) to resize to, or None for the footage's own. Depth takes the nearest pixel.
          start: index of the first frame.
          stride: every stride-th frame from there.

        Yields:
          `Frame`.

        Raises:
          ValueError: bad options; a frame that cannot be used, unless bad ones are skipped; not one frame
            could be read. The message names the file.
        """
        if size is not None:
            if len(size) != 2:
                raise ValueError(f'size is {size}; accepted: (height, width) or None')
            media.check_equirect(*size, 'size')
        if start < 0 or stride < 1:
            raise ValueError(f'start, stride are {start}, {stride}; accepted: start >= 0, stride >= 1')
        return self._frames(size, start, stride)

    def _frames(self, size, start, stride):
        """The frames; ValueError where there is none, so that nobody goes on with nothing."""
        empty = True
        with contextlib.closing(self.read(size, start, stride)) as stream:
            for frame in stream:
                empty = False
                yield frame
        if empty:
            reason = f'; the first reason: {self.skipped[0][1]}' if self.skipped else ''
            raise ValueError(f'{self.name} has no frame that can be read from frame {start} on{reason}')

    def clip(self, *, size=None, stride=1, max_frames=None):
        """Reads the frames into memory.

        Args:
          size, stride: as for `frames`.
          max_frames: at most so many are read, or None.

        Returns:
          `Clip` of the frames that could be used, with their poses expressed in the first of them.

        Raises:
          ValueError: as for `frames`.
        """
        if max_frames is not None and max_frames < 1:
            raise ValueError(f'max_frames is {max_frames}; accepted: at least 1, or None for all frames')
        kept, images, depths = [], [], []
        with contextlib.closing(self.frames(size=size, stride=stride)) as stream:
            for frame in itertools.islice(stream, max_frames):
                kept.append(frame.index)
                images.append(frame.image)
                depths.append(frame.depth)
        poses = self.poses
        if poses is not None:
            poses = geometry.from_first_frame(Motion(*(array[kept] for array in poses)))
        depth = _stack(depths) if self.has_depth else None
        return Clip(self.name, _stack(images), depth, poses, self.fps / stride)


def _stack(arrays):
    """np.stack that lets go of each array once copied: memory peaks at one copy."""
    stacked = np.empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for i, array in enumerate(arrays):
        stacked[i] = array
        arrays[i] = array = None
    return stacked


def check_stereo(stereo):
    """Raises ValueError unless `stereo` is None or names a way of stacking two eyes."""
    if stereo is not None and stereo not in STEREO:
        raise ValueError(f'stereo is {stereo!r}; accepted: {", ".join(STEREO)}, or None for one eye a frame')


def eye_size(height, width, stereo, name):
    """Size of the equirectangular image inside a stored frame.

    Args:
      height, width: of the stored frame in pixels.
      stereo: None, 'top_bottom' (stored 1:1, the left eye is the upper half) or 'left_right' (stored 4:1, the
        left eye is the left half).
      name: the file that the message names.

    Returns:
      (height, width).

    Raises:
      ValueError: the stored frame has another aspect, or the eye is too small or of odd height.
    """
    aspect = {None: 2, 'top_bottom': 1, 'left_right': 4}[stereo]
    if stereo is not None and width != aspect * height:
        raise ValueError(f'{name} is {width}x{height} pixels (width x height); --stereo={stereo} takes one '
                         f'eye of frames with an aspect of {aspect}:1')
    eye = _left_eye(height, width, stereo)
    media.check_equirect(*eye, name if stereo is None else f'the left eye of {name}')
    return eye


def _left_eye(height, width, stereo):
    """(height, width) of one eye in a stored frame."""
    return height // (2 if stereo == 'top_bottom' else 1), width // (2 if stereo == 'left_right' else 1)


def stored_size(size, stereo):
    """(height, width) of the stored frame whose one eye has the size (height, width)."""
    return (size[0] * (2 if stereo == 'top_bottom' else 1), size[1] * (2 if stereo == 'left_right' else 1))


def take_eye(frame, stereo):
    """The left eye of a stored frame [H, W, ...]: its upper or left half, or all of it."""
    rows, columns = _left_eye(*frame.shape[:2], stereo)
    return np.ascontiguousarray(frame[:rows, :columns])


class FrameFiles(NamedTuple):
    """The files of one frame.

    Attributes:
      image: path of the image, there or not.
      depth: path of the depth file, or None.
      problem: why the frame cannot be used, or None.
    """

    image: str
    depth: str | None = None
    problem: str | None = None


def numbered_files(folder, pattern):
    """The files of a folder by their numbers.

    Args:
      folder: `pathlib.Path` of a folder.
      pattern: regular expression of the whole name; its first group is the number.

    Returns:
      dict of number -> path, by number.

    Raises:
      ValueError: two files have one number, or the numbers are too far apart to count frames.
    """
    found = {}
    for entry in sorted(folder.iterdir()):
        match = re.fullmatch(pattern, entry.name, re.IGNORECASE)
        if match and entry.is_file():
            number = int(match[1])
            if number in found:
                raise ValueError(f'{entry} and {found[number].name} are one frame; '
                                 'accepted: one file a frame')
            found[number] = entry
    if found and max(found) >= _MAX_SPREAD * len(found):
        raise ValueError(f'{folder} has {len(found)} files with numbers up to {max(found)}; '
                         'accepted: frames numbered from 0 on')
    return dict(sorted(found.items()))


def natural_order(files):
    """Paths sorted by name, with numbers by their value: frame_10 stands behind frame_9."""
    def key(file):
        parts = re.split(r'(\d+)', file.name)
        return [(int(part), '') if part.isdigit() else (-1, part.lower()) for part in parts]
    return sorted(files, key=key)


def from_files(name, files, *, bad, stereo=None, read_depth=None, fps=Clip.fps, poses=None, has_rotation=True,
               ordered=True):
    """Footage whose frames are image files.

    Args:
      name: name of the footage.
      files: sequence of `FrameFiles`, one for each index.
      bad: `BadFrames`. Missing files are refused here, before any work is spent; the rest is found out while
        reading.
      stereo: see `eye_size`.
      read_depth: function of a depth path -> [H, W] float32 range in metres; None for footage without depth.
      fps, poses, has_rotation, ordered: see `Footage`.

    Returns:
      `Footage` of the size of the first image that can be read.

    Raises:
      ValueError: no image can be read, the first is not equirectangular, or a frame is bad and `bad` refuses.
    """
    if bad.refuses:
        for entry in files:
            if entry.problem:
                bad.report(str(entry.image), entry.problem)
    first, stored = _first_size(files, bad)
    height, width = eye_size(*stored, stereo, first)
    load = functools.partial(_load, stored=stored, first=first, eye=(height, width), stereo=stereo,
                             read_depth=read_depth)
    read = functools.partial(_read_files, files, load, bad)
    return Footage(name, height, width, fps, len(files), read, poses=poses, has_depth=read_depth is not None,
                   has_rotation=has_rotation, ordered=ordered, skipped=bad.skipped)


def _first_size(files, bad):
    """(path, (height, width)) of the first image that can be read."""
    for entry in files:
        if entry.problem:
            continue
        try:
            return str(entry.image), media.read_image(entry.image).shape[:2]
        except ValueError as error:
            bad.report(str(entry.image), str(error))
    reason = next((entry.problem for entry in files if entry.problem), None) or bad.skipped[0][1]
    raise ValueError(f'not one frame can be read: {reason}')


def _read_files(files, load, bad, size, start, stride):
    for index in range(start, len(files), stride):
        entry = files[index]
        try:
            if entry.problem:
                raise ValueError(entry.problem)
            frame = Frame(index, str(entry.image), *load(entry, size))
        except ValueError as error:
            bad.report(str(entry.image), str(error))
        else:
            yield frame


def _load(entry, size, *, stored, first, eye, stereo, read_depth):
    """(image, depth or None) of one frame at `size`, or at that of the eye."""
    image = media.read_image(entry.image)
    if image.shape[:2] != stored:
        raise ValueError(f'{entry.image} is {image.shape[1]}x{image.shape[0]} pixels, {first} is '
                         f'{stored[1]}x{stored[0]}; accepted: one size')
    size = size or eye
    image = media.resize_equirect(take_eye(image, stereo), *size)
    if read_depth is None:
        return image, None
    depth = read_depth(entry.depth)
    if depth.shape[1] != 2 * depth.shape[0]:
        # Stacked like the images, or not usable.
        eye_size(*depth.shape, stereo, str(entry.depth))
        depth = take_eye(depth, stereo)
    return image, media.nearest(depth, size[0])


def from_clip(clip):
    """A `Clip` in memory as `Footage`."""
    height, width = clip.frames.shape[1:3]

    def read(size, start, stride):
        for index in range(start, len(clip), stride):
            image, depth = clip.frames[index], None if clip.depth is None else clip.depth[index]
            if size is not None:
                image = media.resize_equirect(image, *size)
                depth = None if depth is None else media.nearest(depth, size[0])
            yield Frame(index, f'{clip.name} frame {index}', image, depth)
    return Footage(clip.name, height, width, clip.fps, len(clip), read, poses=clip.poses,
                   has_depth=clip.depth is not None)
