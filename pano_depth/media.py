"""Reading and writing images and video.

Video goes through the ffmpeg of imageio-ffmpeg as a stream, so that a clip larger than memory can be read.
Every file is written under a temporary name beside its destination and then renamed: an interrupted run
leaves no half a file.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import subprocess
import tempfile

import imageio_ffmpeg
import numpy as np
from PIL import Image

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')
MIN_HEIGHT = 16


def check_equirect(height, width, name):
    """Raises ValueError unless a file's frames can be taken as equirectangular: W = 2H, H even and at least
    16.

    Args:
      height, width: size in pixels.
      name: the file or argument that the message names.
    """
    size = f'{name} is {width}x{height} pixels (width x height)'
    if width == height:
        raise ValueError(f'{size}: an aspect of 1:1 is a stacked stereo pair, which is not taken yet; '
                         'cut out one eye, 2:1')
    if width != 2 * height:
        raise ValueError(f'{size}; an equirectangular image is twice as wide as high')
    if height < MIN_HEIGHT or height % 2:
        raise ValueError(f'{size}; the height has to be even and at least {MIN_HEIGHT}')


@contextlib.contextmanager
def replacing(path):
    """A temporary sibling of `path` to write to; renamed to `path` on success, removed on an exception.

    Args:
      path: the destination. Its folder has to exist.

    Yields:
      `pathlib.Path` with the same suffix, in the same folder.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f'.{path.stem}.{os.getpid()}.tmp{path.suffix}')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _open_image(path):
    """The decoded PIL image of a file; ValueError if it is missing, damaged or no image."""
    if not os.path.isfile(path):
        raise ValueError(f'image {path} does not exist')
    try:
        image = Image.open(path)
        image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f'image {path} cannot be read: {error}') from error
    return image


def read_image(path):
    """Reads an image as 8-bit RGB.

    Alpha is dropped, gray becomes RGB, 16 bits are scaled to 8.

    Args:
      path: a file that Pillow reads.

    Returns:
      [H, W, 3] uint8.

    Raises:
      ValueError: the file is missing, damaged, or holds floating-point pixels.
    """
    image = _open_image(path)
    if image.mode.startswith('I'):
        gray = np.asarray(image).astype(np.int64)
        return np.repeat(((np.clip(gray, 0, 65535) + 128) // 257).astype(np.uint8)[..., None], 3, axis=-1)
    if image.mode == 'F':
        raise ValueError(f'image {path} holds floating-point pixels; accepted: 8 or 16 bits a channel')
    return np.array(image.convert('RGB'))


def write_image(path, array):
    """Writes an image, atomically; the suffix chooses the format.

    Args:
      path: destination, e.g. `.png` or `.jpg` (quality 95).
      array: [H, W, 3] uint8.

    Raises:
      ValueError: the array is not [H, W, 3] uint8.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(f'array for {path} is {array.dtype} {array.shape}; accepted: uint8 [H, W, 3]')
    with replacing(path) as temporary:
        Image.fromarray(array).save(temporary, **({} if temporary.suffix == '.png' else {'quality': 95}))


def write_png16(path, array):
    """Writes a 16-bit gray PNG, atomically.

    Args:
      path: destination.
      array: [H, W] uint16.

    Raises:
      ValueError: the array is not [H, W] uint16.
    """
    array = np.asarray(array)
    if array.dtype != np.uint16 or array.ndim != 2:
        raise ValueError(f'array for {path} is {array.dtype} {array.shape}; accepted: uint16 [H, W]')
    with replacing(path) as temporary:
        Image.fromarray(array).save(temporary, format='PNG')


def read_png16(path):
    """Reads a 16-bit gray PNG.

    Args:
      path: the file.

    Returns:
      [H, W] uint16.

    Raises:
      ValueError: the file is missing, damaged, or not 16-bit gray.
    """
    image = _open_image(path)
    if not image.mode.startswith('I'):
        raise ValueError(f'image {path} has mode {image.mode}; accepted: one channel of 16 bits')
    return np.asarray(image).astype(np.uint16)


def to_millimetres(depth):
    """Depth as the 16 bits of a depth PNG.

    Args:
      depth: [...] range in metres; 0, negative or non-finite where invalid.

    Returns:
      [...] uint16 millimetres, rounded; 0 only where invalid; from 65.535 m on 65535.
    """
    depth = np.asarray(depth, np.float64)
    valid = np.isfinite(depth) & (depth > 0)
    return np.where(valid, np.clip(np.rint(np.where(valid, depth, 0) * 1000), 1, 65535), 0).astype(np.uint16)


def resize_equirect(frame, height, width):
    """Resizes an equirectangular frame; the seam and the poles stay continuous.

    Integer reductions average whole blocks; anything else is Lanczos over a frame extended across the seam
    and the poles.

    Args:
      frame: [H, W, 3] uint8, W = 2H.
      height, width: new size in pixels.

    Returns:
      [height, width, 3] uint8.
    """
    frame = np.asarray(frame)
    rows, columns = frame.shape[:2]
    if (rows, columns) == (height, width):
        return frame
    if rows % height == 0 and columns % width == 0:
        blocks = frame.reshape(height, rows // height, width, columns // width, 3)
        return (blocks.mean(axis=(1, 3), dtype=np.float32) + 0.5).astype(np.uint8)
    # Lanczos reaches three pixels of the coarser image.
    pad = min(rows, 3 * max(1, -(-rows // height)) + 1)
    half = np.roll(frame, columns // 2, axis=1)
    tall = np.concatenate([half[pad - 1::-1], frame, half[:-pad - 1:-1]])
    image = Image.fromarray(np.pad(tall, ((0, 0), (pad, pad), (0, 0)), mode='wrap'))
    box = (pad, pad, pad + columns, pad + rows)
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS, box=box))


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
    # The readers of imageio-ffmpeg fork, which can deadlock under JAX's threads; a plain subprocess does not.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-nostdin', '-hide_banner', '-i', str(path)]
    lines = subprocess.run(command, capture_output=True).stderr.decode(errors='replace').splitlines()
    streams = [line for line in lines if ' Video: ' in line and 'attached pic' not in line]
    size = re.search(r'\b([1-9]\d*)x([1-9]\d*)\b', re.sub(r'\(.*?\)', '', streams[0])) if streams else None
    if size is None:
        reason = [line.strip() for line in lines if line.strip() and 'output file must' not in line]
        raise ValueError(f'video {path} has no picture that can be read; ffmpeg says: {(reason or ["nothing"])[-1]}')
    width, height = map(int, size.groups())
    turn = re.search(r'rotation of (-?[\d.]+) degrees', '\n'.join(lines))
    if turn and round(float(turn[1])) % 180:
        width, height = height, width
    rate = re.search(r'([\d.]+)(k?) fps', streams[0])
    time = re.search(r'Duration: (\d+):(\d+):([\d.]+)', '\n'.join(lines))
    fps = float(rate[1]) * (1000 if rate[2] else 1) if rate else 0.0
    duration = int(time[1]) * 3600 + int(time[2]) * 60 + float(time[3]) if time else 0.0
    return VideoInfo(height, width, fps, duration, round(fps * duration))


def _check_file(path):
    if not os.path.isfile(path):
        raise ValueError(f'video {path} does not exist')
    if os.path.getsize(path) == 0:
        raise ValueError(f'video {path} is an empty file')


def _read_ppm(stream):
    """The next frame of a stream of binary PPM images, or None where it ends, half a frame included."""
    header = [stream.readline() for _ in range(3)]
    if header[0] != b'P6\n' or not header[2].endswith(b'\n'):
        return None
    width, height = map(int, header[1].split())
    data = stream.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


def _every_frame():
    """The option with which ffmpeg neither repeats nor drops frames where a recording's rate varies."""
    version = re.search(r'(\d+)\.(\d+)', imageio_ffmpeg.get_ffmpeg_version())
    old = version is not None and tuple(map(int, version.groups())) < (5, 1)
    return ['-vsync', 'passthrough'] if old else ['-fps_mode', 'passthrough']


def _read_command(path, size, start, stride):
    filters = [f'select=gte(n\\,{start})*not(mod(n-{start}\\,{stride}))']
    if size is not None:
        filters.append(f'scale={size[1]}:{size[0]}:flags=area+accurate_rnd+full_chroma_int')
    # PPM frames carry their size: a rotated or cropped recording cannot be misread.
    return [imageio_ffmpeg.get_ffmpeg_exe(), '-nostdin', '-v', 'error', '-i', str(path), '-map', '0:V:0',
            '-vf', ','.join(filters), *_every_frame(),
            '-pix_fmt', 'rgb24', '-c:v', 'ppm', '-f', 'image2pipe', '-']


def iter_video(path, *, size=None, start=0, stride=1):
    """Streams the frames of a video.

    Args:
      path: a video file.
      size: (height, width) to which ffmpeg reduces every frame by area averaging, or None for the file's own
        size.
      start: index of the first frame.
      stride: every stride-th frame from there.

    Yields:
      [height, width, 3] uint8, RGB, read-only.

    Raises:
      ValueError: bad `size`, `start` or `stride`; the file is missing, empty, damaged or cut short, or has no
        frame at `start`. A damaged file yields the frames that could be read first, and the message says how
        many.
    """
    _check_file(path)
    if start < 0 or stride < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise ValueError(f'start, stride, size are {start}, {stride}, {size}; accepted: start >= 0, '
                         'stride >= 1, (height, width) or None')
    return _frames(path, _read_command(path, size, start, stride))


def _frames(path, command):
    count = 0
    # A file takes ffmpeg's messages: a pipe that nobody reads would block it once full.
    with tempfile.TemporaryFile() as messages, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages) as process:
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
        raise ValueError(f'video {path} is damaged or cut short: {count} frames could be read; '
                         f'ffmpeg says: {(reasons or [status])[0]}')
    if count == 0:
        raise ValueError(f'video {path} has no frame to read from the requested start on')


def _write_command(path, fps, height, width):
    # Untagged colours would be read as BT.601 or BT.709 by the size of the picture.
    tags = ['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709', '-color_range', 'tv']
    source = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{width}x{height}', '-r', f'{fps:.6f}', '-i', '-']
    convert = ['-vf', 'scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd', '-pix_fmt', 'yuv420p']
    return [imageio_ffmpeg.get_ffmpeg_exe(), '-y', '-v', 'error', *source, *convert, '-c:v', 'libx264',
            '-crf', '18', *tags, '-movflags', '+faststart', str(path)]


class _VideoWriter:
    """Feeds frames to ffmpeg, which starts at the first of them, when the size is known."""

    def __init__(self, path, fps, name):
        self._path, self._fps, self._name = path, fps, name
        self._process = self._shape = None
        self._messages = tempfile.TemporaryFile()

    def append(self, frame):
        """Adds one [H, W, 3] uint8 frame with even sides, all of one size."""
        frame = np.ascontiguousarray(frame)
        rgb = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[-1] == 3
        if not rgb or frame.shape[0] % 2 or frame.shape[1] % 2:
            raise ValueError(f'frame for {self._name} is {frame.dtype} {frame.shape}; accepted: '
                             'uint8 [H, W, 3] with even H and W')
        if self._process is None:
            self._shape = frame.shape
            command = _write_command(self._path, self._fps, *frame.shape[:2])
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                             stderr=self._messages)
        if frame.shape != self._shape:
            raise ValueError(f'frame for {self._name} is {frame.shape}, the first was {self._shape}; '
                             'accepted: one size')
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
        reason = self._messages.read().decode(errors='replace').strip()
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
    """Writes a video frame by frame, atomically: H.264, yuv420p, every even size as it is.

        with write_video('depth.mp4', fps=24) as append:
            for frame in frames:
                append(frame)

    Args:
      path: destination, `.mp4`. An exception inside the block leaves no file.
      fps: frames a second.

    Yields:
      A function that takes one [H, W, 3] uint8 frame.

    Raises:
      ValueError: `fps` is not positive, a frame has another type or size, no frame came, or ffmpeg failed.
    """
    if not 0 < fps < float('inf'):
        raise ValueError(f'fps is {fps}; accepted: a positive number')
    with replacing(path) as temporary:
        writer = _VideoWriter(temporary, fps, path)
        try:
            yield writer.append
            writer.finish()
        finally:
            writer.close()
