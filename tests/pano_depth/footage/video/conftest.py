"""Small videos of many kinds, made by ffmpeg."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from pano_depth.footage import video


def _ffmpeg(*arguments, data=None):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-y', *map(str, arguments)]
    subprocess.run(command, input=b'' if data is None else data, check=True)


@pytest.fixture
def ffmpeg():
    """A function (*arguments, data=None) that runs ffmpeg; the test fails if it fails."""
    return _ffmpeg


@pytest.fixture
def made(tmp_path):
    """A function (name, *options of the output, source=...) -> path of a video of a test card."""

    def make(name, *options, source='testsrc2=s=64x32:r=10:d=2'):
        path = tmp_path / name
        _ffmpeg('-f', 'lavfi', '-i', source, *options, f'file:{path}')
        return path

    return make


@pytest.fixture
def smooth():
    """[10, 32, 64, 3] uint8, smooth frames, told apart by their brightness."""
    columns = np.cos(2 * np.pi * np.arange(64) / 64)
    rows = np.linspace(-1, 1, 32)[:, None]
    image = 120 + 30 * columns + 20 * rows
    channels = [np.stack([image + 8 * i, image - 4 * i, image], axis=-1) for i in range(10)]
    return np.clip(np.stack(channels), 0, 255).astype(np.uint8)


@pytest.fixture
def written(tmp_path):
    """A function (name, frames, fps) -> path of a video of these frames."""

    def write(name, frames, fps=12):
        with video.write_video(tmp_path / name, fps) as append:
            for frame in frames:
                append(frame)
        return tmp_path / name

    return write
