"""One record for footage of every kind.

Footage is read frame by frame, so that memory does not grow with its length.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from absl import logging

from pano_depth.footage import geometry, media
from pano_depth.footage.clip import Clip
from pano_depth.footage.spherical import Spherical
from pano_depth.footage.telemetry import Gravity
from pano_depth.kernels.rigid import Motion

ON_BAD = ('refuse', 'skip')


class Frame(NamedTuple):
    """One frame.

    Attributes:
        index: number in the footage; it does not change when other frames are left out.
        name: its file, or 'video.mp4 frame 17'.
        image: [H, W, 3] uint8, equirectangular.
        depth: [H, W] float32 range in metres, 0 where invalid; or None.
        valid: [H, W] bool, False where the image shows nothing that counts: transparent pixels,
            what lies outside a partial panorama, the frame's own mask; None: every pixel counts.
        time: when it is shown, in seconds after frame 0 of the footage; None: index / fps.
        confidence: [H, W] float32 in [0, 1] of a depth that a reconstruction found, in the unit of
            the poses; None where depth is the truth.
    """

    index: int
    name: str
    image: np.ndarray
    depth: np.ndarray | None = None
    valid: np.ndarray | None = None
    time: float | None = None
    confidence: np.ndarray | None = None


class BadFrames:
    """Decides about frames that cannot be used: an error, or a warning and an entry in a list.

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
            raise ValueError(f'{reason} (--on_bad_frame=skip leaves it out)')
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
        length: number of frames, bad ones included; for a video the header's estimate, 0 if
            unknown.
        read: function (size, start, stride) -> iterator of `Frame`; use `frames`.
        poses: `Motion` of [length, 3, 3] and [length, 3] numpy float64, camera to world, or None;
            the world is frame 0's camera.
        has_depth: whether frames carry depth.
        has_confidence: whether the depth is that of a reconstruction, with a confidence.
        has_rotation: False where only positions are known; the rotations of `poses` are then the
            identity.
        ordered: False for unrelated images, which have no motion between them.
        spherical: `spherical.Spherical` of an mp4 or mov file that says it is a panorama, or None.
        skipped: list of (name, reason) of the frames left out; grows while reading.
        down: [3] float64 unit vector, which way is down in the world, in the camera frame of frame
            0 (x right, y down, z forward); None where the files do not say.
        gravity: `telemetry.Gravity`, which way is down at the times of all frames; None where the
            files do not say.
        notes: sentences about what was guessed or converted, such as another projection.
    """

    name: str
    height: int
    width: int
    fps: float
    length: int
    read: Callable
    poses: Motion | None = None
    has_depth: bool = False
    has_confidence: bool = False
    has_rotation: bool = True
    ordered: bool = True
    spherical: Spherical | None = None
    skipped: list = dataclasses.field(default_factory=list)
    down: np.ndarray | None = None
    gravity: Gravity | None = None
    notes: tuple[str, ...] = ()

    def frames(self, *, size=None, start=0, stride=1) -> Iterator[Frame]:
        """Reads the frames, from the beginning on each call.

        Args:
            size: (height, width) to resize to, or None for the footage's own. Depth takes the
                nearest pixel.
            start: index of the first frame.
            stride: every stride-th frame from there.

        Yields:
            `Frame`.

        Raises:
            ValueError: bad options; a frame that cannot be used, unless bad ones are skipped; not
                one frame could be read. The message names the file.
        """
        if size is not None:
            if len(size) != 2:
                raise ValueError(f'size is {size}; accepted: (height, width) or None')
            media.check_equirect(*size, 'size')
        if start < 0 or stride < 1:
            raise ValueError(
                f'start, stride are {start}, {stride}; accepted: start >= 0, stride >= 1'
            )
        return self._frames(size, start, stride)

    def _frames(self, size, start, stride):
        """The frames; raises ValueError if there is none, since no caller can use that."""
        empty = True
        with contextlib.closing(self.read(size, start, stride)) as stream:
            for frame in stream:
                empty = False
                yield frame
        if empty:
            reason = f'; the first reason: {self.skipped[0][1]}' if self.skipped else ''
            raise ValueError(
                f'{self.name} has no frame that can be read from frame {start} on{reason}'
            )

    def clip(self, *, size=None, stride=1, max_frames=None):
        """Reads the frames into memory.

        Args:
            size, stride: as for `frames`.
            max_frames: largest number of frames to read, or None for all.

        Returns:
            `Clip` of the frames that could be used, with poses relative to the first of these
            frames.

        Raises:
            ValueError: as for `frames`.
        """
        if max_frames is not None and max_frames < 1:
            raise ValueError(
                f'max_frames is {max_frames}; accepted: at least 1, or None for all frames'
            )
        kept, images, depths = [], [], []
        if size is None and not self.ordered:
            # Unrelated images may have different sizes.
            size = (self.height, self.width)
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
    """np.stack that frees each array once it is copied: memory peaks at one copy."""
    stacked = np.empty((len(arrays), *arrays[0].shape), arrays[0].dtype)
    for i, array in enumerate(arrays):
        stacked[i] = array
        arrays[i] = array = None
    return stacked


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

    return Footage(
        clip.name,
        height,
        width,
        clip.fps,
        len(clip),
        read,
        poses=clip.poses,
        has_depth=clip.depth is not None,
    )
