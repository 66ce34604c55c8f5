"""Reading video, frame by frame, each with its time."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pano_depth.footage.video import program
from pano_depth.footage.video.graph import frame_graph
from pano_depth.footage.video.messages import Messages
from pano_depth.footage.video.probe import VideoInfo, video_info

if TYPE_CHECKING:
    from pano_depth.footage.layouts.decision import Conversion

# From this alpha on, of 255, a pixel counts. In frames of another size or layout, whose pixels are
# averages, it must be nearly full, so that no pixel mixes with what does not count.
_OPAQUE, _ALL_OPAQUE = 128, 240
# A look at a file takes this many frames, at most so wide, pixels.
_LOOKS, _LOOK_WIDTH = 6, 1024


class CutShort(ValueError):
    """The end of a video is missing; what came before it is whole."""


class VideoFrame(NamedTuple):
    """One frame of a video.

    Attributes:
        index: its number among the frames of the file.
        image: [H, W, 3] uint8, RGB, read-only.
        valid: [H, W] bool, False where the frame is transparent; None: nowhere.
        time: seconds after frame 0 of the file; None if the file does not say.
    """

    index: int
    image: np.ndarray
    valid: np.ndarray | None = None
    time: float | None = None


def iter_video(path, *, size=None, start=0, stride=1, conversion=None):
    """Streams the images of a video; arguments and errors as for `iter_frames`.

    Yields:
        [height, width, 3] uint8, RGB, read-only.
    """
    frames = iter_frames(path, size=size, start=start, stride=stride, conversion=conversion)
    return _images(frames)


def _images(frames):
    with contextlib.closing(frames):
        for frame in frames:
            yield frame.image


def iter_frames(
    path,
    *,
    size=None,
    start=0,
    stride=1,
    conversion: 'Conversion | None' = None,
    info: VideoInfo | None = None,
) -> Iterator[VideoFrame]:
    """Streams the frames of a video: upright, with square pixels, in 8 bits of BT.709.

    Args:
        path: a video file.
        size: (height, width) to which ffmpeg reduces every frame by area averaging, or None for the
            file's own size as it is shown.
        start: index of the first frame.
        stride: every stride-th frame from there.
        conversion: `layouts.decision.Conversion` that turns the frames into panoramas, or None.
        info: `VideoInfo` of the file if it has been read already.

    Yields:
        `VideoFrame`.

    Raises:
        ValueError: bad `size`, `start` or `stride`; the file is missing, empty, damaged or cut
            short, or has no frame at `start`. A damaged file yields the frames that could be read
            first, and the message says how many. `CutShort` if only its end is missing.
    """
    program.check_file(path)
    if start < 0 or stride < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise ValueError(
            f'start, stride, size are {start}, {stride}, {size}; accepted: start >= 0, '
            'stride >= 1, (height, width) or None'
        )
    return _frames(path, info, conversion, size, start, stride)


def _inputs(path, info, conversion):
    """The options of ffmpeg that name the files to read."""
    # A packet that is cut is left out; decoders would make up the rest of its frame.
    options = ['-nostdin', '-v', 'repeat+error', '-fflags', '+discardcorrupt']
    stream = info.streams[0]
    if stream.alpha and stream.codec in ('vp8', 'vp9'):
        # ffmpeg's own decoders of these do not know their alpha.
        decoder = {'vp8': 'libvpx', 'vp9': 'libvpx-vp9'}[stream.codec]
        options += ['-c:v', decoder] if program.has('decoders', decoder) else []
    options += ['-i', program.url(path)]
    for other in () if conversion is None else conversion.others:
        options += ['-fflags', '+discardcorrupt', '-i', program.url(other)]
    return options


def _frames(path, info, conversion, size, start, stride):
    info = video_info(path) if info is None else info
    graph = frame_graph(info, size=size, start=start, stride=stride, conversion=conversion)
    inputs = _inputs(path, info, conversion)
    kind = 'rgba' if graph.channels == 4 else 'rgb24'
    target = ['-map', '[frames]', *program.every_frame(), '-f', 'rawvideo', '-pix_fmt', kind, '-']
    command = [program.program(), *inputs, '-filter_complex', graph.text, *target]
    shape, index = (graph.height, graph.width, graph.channels), start
    whole = size is None or tuple(size) == (info.height, info.width)
    opaque = _OPAQUE if whole and conversion is None else _ALL_OPAQUE
    # A file takes ffmpeg's messages: a full pipe that nobody reads would block ffmpeg.
    with tempfile.TemporaryDirectory() as folder, _messages(folder) as (written, messages):
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=written
        ) as process:
            try:
                while (pixels := _next(process.stdout, shape)) is not None:
                    yield _frame(index, pixels, messages.time(index), opaque)
                    index += stride
                status = process.wait()
            finally:
                process.kill()
        messages.finish()
    _judge(path, info, messages, (index - start) // stride, status)


@contextlib.contextmanager
def _messages(folder):
    """The file that ffmpeg writes messages to, and the `Messages` that follow it."""
    name = os.path.join(folder, 'messages')
    with open(name, 'ab') as written, open(name, 'rb') as read:
        yield written, Messages(read)


def _next(stream, shape):
    """The next array of uint8 of a stream; None at its end, also within an array."""
    pixels = np.empty(shape, np.uint8)
    return pixels if stream.readinto(pixels.reshape(-1)) == pixels.size else None


def _frame(index, pixels, time, opaque):
    valid, image = None, pixels
    if pixels.shape[2] == 4:
        valid, image = pixels[..., 3] >= opaque, np.ascontiguousarray(pixels[..., :3])
        valid = None if valid.all() else valid
    image.flags.writeable = False
    return VideoFrame(index, image, valid, time)


def _judge(path, info, messages, count, status):
    """Raises the ValueError that says what was wrong; none if a video was read to its end."""
    if not status and not messages.errors:
        if count == 0:
            raise ValueError(f'video {path} has no frame to read from the requested start on')
        return
    if messages.only_the_end_is_missing(info.container, count):
        read = max(count, messages.frames)
        expected = f' of about {info.frames}' if info.frames > read else ''
        raise CutShort(f'video {path} is cut short: its first {read}{expected} frames can be read')
    reason = (messages.errors or [f'exit status {status}'])[0]
    raise ValueError(
        f'video {path} is damaged or cut short: {count} frames could be read; ffmpeg says: {reason}'
    )


def look(path, info=None):
    """A few frames of a video, to see what it shows: as stored, but with square pixels.

    They are keyframes, which are found without decoding what lies between them.

    Args:
        path: a video file.
        info: `VideoInfo` of the file if it has been read already.

    Returns:
        List of [h, w, 3] uint8 RGB, at most 1024 pixels wide, spread over the first video track; at
        least one.

    Raises:
        ValueError: not one frame can be read.
    """
    info = video_info(path) if info is None else info
    height, width = info.height, info.width
    if width > _LOOK_WIDTH:
        height, width = max(1, round(height * _LOOK_WIDTH / width)), _LOOK_WIDTH
    found = []
    for position in range(_LOOKS if info.duration else 1):
        seconds = info.duration * position / _LOOKS
        frame = _keyframe(path, info, (height, width), seconds)
        if frame is not None and not any(np.array_equal(frame, other) for other in found):
            found.append(frame)
    if not found:
        found = [next(iter_video(path, size=(height, width)))]
    return found


def _keyframe(path, info, size, seconds):
    """The keyframe before a time, [h, w, 3]; None if there is none."""
    seek = ['-noaccurate_seek', '-ss', f'{seconds:.3f}'] if seconds else []
    graph = frame_graph(info, size=size)
    inputs = _inputs(path, info, None)
    place = inputs.index('-i')
    target = ['-map', '[frames]', '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
    command = [program.program(), *inputs[:place], *seek, *inputs[place:]]
    command += ['-filter_complex', graph.text, *target]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if len(run.stdout) != size[0] * size[1] * 3:
        return None
    return np.frombuffer(run.stdout, np.uint8).reshape(*size, 3)
