"""Writing video, frame by frame."""

import contextlib
import subprocess
import tempfile

import numpy as np

from common.run import atomic_path
from pano_depth.footage.video import timed
from pano_depth.footage.video.program import every_frame, program, url


def _write_command(path, fps, height, width, times):
    # Players read untagged colours as BT.601 or BT.709, depending on the size of the picture.
    tags = ['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709']
    tags += ['-color_range', 'tv']
    source, pace = [*timed.SOURCE, '-i', '-'], [*every_frame(), *timed.OPTIONS]
    if times is None:
        source, pace = ['-f', 'rawvideo', '-pix_fmt', 'rgb24'], []
        source += ['-s', f'{width}x{height}', '-r', f'{fps:.6f}', '-i', '-']
    filters = 'scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd'
    convert = ['-vf', filters, '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-crf', '18']
    target = ['-movflags', '+faststart', url(path)]
    return [program(), '-y', '-v', 'error', *source, *convert, *pace, *tags, *target]


class _VideoWriter:
    """Feeds frames to ffmpeg, which starts with the first frame, when the size is known."""

    def __init__(self, path, fps, times, name):
        self._path, self._fps, self._name = path, fps, name
        self._times, self._count = times, 0
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
            command = _write_command(self._path, self._fps, *frame.shape[:2], self._times)
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._messages
            )
            self._send(b'' if self._times is None else timed.header(*frame.shape[:2]))
        if frame.shape != self._shape:
            raise ValueError(
                f'frame for {self._name} is {frame.shape}, the first was {self._shape}; '
                'accepted: one size'
            )
        self._send(self._before(frame.nbytes))
        self._send(frame)
        self._count += 1

    def _before(self, size):
        """What stands before the bytes of a frame in the stream."""
        if self._times is None:
            return b''
        if self._count >= len(self._times):
            raise ValueError(f'video {self._name} got more frames than {len(self._times)} times')
        here, *after = self._times[self._count : self._count + 2]
        duration = after[0] - here if after else 1 / self._fps
        return timed.before_frame(here - self._times[0], duration, size)

    def _send(self, data):
        try:
            self._process.stdin.write(data)
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
def write_video(path, fps, *, times=None):
    """Writes a video frame by frame, atomically: H.264, yuv420p, of any even size.

        with write_video('depth.mp4', fps=24) as append:
            for frame in frames:
                append(frame)

    Args:
        path: destination, `.mp4`. An exception inside the block leaves no file.
        fps: frames a second.
        times: seconds at which the frames are shown, increasing, one for each; the first is the
            start of the video, and the last frame is shown for 1 / fps. None for one rate.

    Yields:
        A function that takes one [H, W, 3] uint8 frame.

    Raises:
        ValueError: `fps` is not positive, `times` do not increase or are too few, a frame has
            another type or size, no frame came, or ffmpeg failed.
    """
    if not 0 < fps < float('inf'):
        raise ValueError(f'fps is {fps}; accepted: a positive number')
    if times is not None:
        times = np.asarray(times, np.float64)
        if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise ValueError(f'times for {path} are {times}; accepted: seconds that increase')
    with atomic_path(path) as temporary:
        writer = _VideoWriter(temporary, fps, times, path)
        try:
            yield writer.append
            writer.finish()
        finally:
            writer.close()
