"""Reading and writing video, frame by frame.

Video goes through the ffmpeg of imageio-ffmpeg as a stream, so that a clip larger than memory can
be read.
"""

import contextlib
import dataclasses
import os
import re
import subprocess
import tempfile

import imageio_ffmpeg
import numpy as np

from common.run import atomic_path


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What the header of a video says.

    Attributes:
        height, width: frame size, pixels.
        fps: average frames a second, 0 if the file does not say.
        duration: seconds, 0 if the file does not say.
        frames: frames by duration and rate, an estimate; 0 if the file does not say.
    """

    height: int
    width: int
    fps: float
    duration: float
    frames: int


def video_info(path):
    """Reads a video's header.

    Args:
        path: a video file.

    Returns:
        `VideoInfo`.

    Raises:
        ValueError: the file is missing, empty, or no video that ffmpeg knows.
    """
    _check_file(path)
    # The readers of imageio-ffmpeg fork, which can deadlock under JAX's threads; a plain subprocess
    # does not.
    command = [_ffmpeg(), '-nostdin', '-hide_banner', '-i', str(path)]
    output = subprocess.run(command, capture_output=True).stderr.decode(errors='replace')
    lines = output.splitlines()
    streams = [line for line in lines if ' Video: ' in line and 'attached pic' not in line]
    size = None
    if streams:
        size = re.search(r'\b([1-9]\d*)x([1-9]\d*)\b', re.sub(r'\(.*?\)', '', streams[0]))
    if size is None:
        reason = [line.strip() for line in lines if line.strip() and 'output file must' not in line]
        raise ValueError(
            f'video {path} has no picture that can be read; ffmpeg says: '
            f'{(reason or ["nothing"])[-1]}'
        )
    width, height = map(int, size.groups())
    turn = re.search(r'rotation of (-?[\d.]+) degrees', '\n'.join(lines))
    if turn and round(float(turn[1])) % 180:
        width, height = height, width
    rate = re.search(r'([\d.]+)(k?) fps', streams[0])
    time = re.search(r'Duration: (\d+):(\d+):([\d.]+)', '\n'.join(lines))
    fps = float(rate[1]) * (1000 if rate[2] else 1) if rate else 0.0
    duration = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3]) if time else 0.0
    return VideoInfo(height, width, fps, duration, round(fps * duration))


def _ffmpeg():
    """Path of the ffmpeg program. Raises ValueError if there is none."""
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ValueError(f'video needs ffmpeg: {error}') from error


def _check_file(path):
    if not os.path.isfile(path):
        raise ValueError(f'video {path} does not exist')
    if os.path.getsize(path) == 0:
        raise ValueError(f'video {path} is an empty file')


def _read_ppm(stream):
    """The next frame of a stream of binary PPM images; None at the end, also within a frame."""
    header = [stream.readline() for _ in range(3)]
    if header[0] != b'P6\n' or not header[2].endswith(b'\n'):
        return None
    width, height = map(int, header[1].split())
    data = stream.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _every_frame():
    """The option that keeps ffmpeg from repeating or dropping frames where the rate varies."""
    version = re.search(r'(\d+)\.(\d+)', imageio_ffmpeg.get_ffmpeg_version())
    old = version is not None and tuple(map(int, version.groups())) < (5, 1)
    return ['-vsync', 'passthrough'] if old else ['-fps_mode', 'passthrough']


def _read_command(path, size, start, stride):
    filters = [f'select=gte(n\\,{start})*not(mod(n-{start}\\,{stride}))']
    if size is not None:
        filters.append(f'scale={size[1]}:{size[0]}:flags=area+accurate_rnd+full_chroma_int')
    # PPM frames carry their size: a rotated or cropped recording cannot be misread.
    source = ['-nostdin', '-v', 'error', '-i', str(path), '-map', '0:V:0']
    target = ['-pix_fmt', 'rgb24', '-c:v', 'ppm', '-f', 'image2pipe', '-']
    return [_ffmpeg(), *source, '-vf', ','.join(filters), *_every_frame(), *target]


def iter_video(path, *, size=None, start=0, stride=1):
    """Streams the frames of a video.

    Args:
        path: a video file.
        size: (height, width) to which ffmpeg reduces every frame by area averaging, or None for the
            file's own size.
        start: index of the first frame.
        stride: every stride-th frame from there.

    Yields:
        [height, width, 3] uint8, RGB, read-only.

    Raises:
        ValueError: bad `size`, `start` or `stride`; the file is missing, empty, damaged or cut
            short, or has no frame at `start`. A damaged file yields the frames that could be read
            first, and the message says how many.
    """
    _check_file(path)
    if start < 0 or stride < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise ValueError(
            f'start, stride, size are {start}, {stride}, {size}; accepted: start >= 0, '
            'stride >= 1, (height, width) or None'
        )
    return _frames(path, _read_command(path, size, start, stride))


def _frames(path, command):
    count = 0
    # A file takes ffmpeg's messages: a full pipe that nobody reads would block ffmpeg.
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        ) as process,
    ):
        try:
            while (frame := _read_ppm(process.stdout)) is not None:
                yield frame
                count += 1
            status = process.wait()
        finally:
            process.kill()
        messages.seek(0)
        reasons = messages.read().decode(errors='replace').strip().splitlines()
    if status or reasons:
        raise ValueError(
            f'video {path} is damaged or cut short: {count} frames could be read; '
            f'ffmpeg says: {(reasons or [status])[0]}'
        )
    if count == 0:
        raise ValueError(f'video {path} has no frame to read from the requested start on')


def _write_command(path, fps, height, width):
    # Players read untagged colours as BT.601 or BT.709, depending on the size of the picture.
    tags = ['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709']
    tags += ['-color_range', 'tv']
    source = ['-f', 'rawvideo', '-pix_fmt', 'rgb24']
    source += ['-s', f'{width}x{height}', '-r', f'{fps:.6f}', '-i', '-']
    filters = 'scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd'
    convert = ['-vf', filters, '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-crf', '18']
    target = ['-movflags', '+faststart', str(path)]
    return [_ffmpeg(), '-y', '-v', 'error', *source, *convert, *tags, *target]


class _VideoWriter:
    """Feeds frames to ffmpeg, which starts with the first frame, when the size is known."""

    def __init__(self, path, fps, name):
        self._path, self._fps, self._name = path, fps, name
        self._process = self._shape = None
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the writer

    def append(self, frame):
        """Adds one [H, W, 3] uint8 frame with even sides, all of one size."""
        frame = np.ascontiguousarray(frame)
        rgb = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[-1] == 3
        if not rgb or frame.shape[0] % 2 or frame.shape[1] % 2:
            raise ValueError(
                f'frame for {self._name} is {frame.dtype} {frame.shape}; accepted: '
                'uint8 [H, W, 3] with even H and W'
            )
        if self._process is None:
            self._shape = frame.shape
            command = _write_command(self._path, self._fps, *frame.shape[:2])
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._messages
            )
        if frame.shape != self._shape:
            raise ValueError(
                f'frame for {self._name} is {frame.shape}, the first was {self._shape}; '
                'accepted: one size'
            )
        try:
            self._process.stdin.write(frame)
        except BrokenPipeError:
            self._process.wait()
            self._fail()

    def finish(self):
        if self._process is None:
            raise ValueError(f'video {self._name} got no frames')
        self._process.stdin.close()
        if self._process.wait():
            self._fail()

    def _fail(self):
        self._messages.seek(0)
        reason = (
            self._messages.read().decode(errors='replace').strip()
            or f'exit status {self._process.returncode}'
        )
        raise ValueError(f'video {self._name} cannot be written; ffmpeg says: {reason}')

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._messages.close()


@contextlib.contextmanager
def write_video(path, fps):
    """Writes a video frame by frame, atomically: H.264, yuv420p, of any even size.

        with write_video('depth.mp4', fps=24) as append:
            for frame in frames:
                append(frame)

    Args:
        path: destination, `.mp4`. An exception inside the block leaves no file.
        fps: frames a second.

    Yields:
        A function that takes one [H, W, 3] uint8 frame.

    Raises:
        ValueError: `fps` is not positive, a frame has another type or size, no frame came, or
            ffmpeg failed.
    """
    if not 0 < fps < float('inf'):
        raise ValueError(f'fps is {fps}; accepted: a positive number')
    with atomic_path(path) as temporary:
        writer = _VideoWriter(temporary, fps, path)
        try:
            yield writer.append
            writer.finish()
        finally:
            writer.close()
