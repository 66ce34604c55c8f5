"""Video whose frames come at times of their own: each is shown exactly then."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from pano_depth.footage import video
from pano_depth.footage.open_footage import open_footage

# Film, a pause, a time-lapse: in 1 / 90000 s, which the file counts in.
TICKS = np.array([0, 3003, 6006, 45000, 54000, 247500, 252000])


def times_of(path):
    """Times of the frames of a file in seconds, by ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', str(path), '-map', '0:v']
    command += ['-c', 'copy', '-f', 'framecrc', '-']
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    base = next(line.split()[2] for line in lines if line.startswith('#tb'))
    numerator, denominator = map(int, base.split('/'))
    rows = [line.split(',') for line in lines if not line.startswith('#')]
    times = np.array([int(row[2]) for row in rows]) * numerator / denominator
    return times, int(rows[-1][3]) * numerator / denominator


def write(path, frames, times, fps=10):
    with video.write_video(path, fps, times=times) as append:
        for frame in frames:
            append(frame)


def test_frames_are_shown_at_their_times(tmp_path):
    frames = [np.full((32, 64, 3), (200, 30 * i, 40), np.uint8) for i in range(len(TICKS))]
    # Times need not begin with 0; the video does.
    write(tmp_path / 'a.mp4', frames, 7.5 + TICKS / 90000)
    times, last = times_of(tmp_path / 'a.mp4')
    np.testing.assert_allclose(times, TICKS / 90000, atol=1e-9)
    assert last == pytest.approx(0.1, abs=1e-4)
    assert video.video_info(tmp_path / 'a.mp4').duration == pytest.approx(2.9, abs=0.01)
    back = np.stack(list(video.iter_video(tmp_path / 'a.mp4')))
    assert back.shape == (7, 32, 64, 3)
    assert np.abs(back.astype(int) - frames).max() <= 4


def test_odd_times_are_refused(tmp_path):
    frames = [np.zeros((32, 64, 3), np.uint8)] * 3
    with pytest.raises(ValueError, match='seconds that increase'):
        write(tmp_path / 'a.mp4', frames, [0, 1, 1])
    with pytest.raises(ValueError, match='got more frames than 2 times'):
        write(tmp_path / 'a.mp4', frames, [0, 1])
    assert not list(tmp_path.iterdir())


def test_the_reader_tells_the_times_that_were_written(tmp_path):
    frames = [np.full((32, 64, 3), 30 * i, np.uint8) for i in range(len(TICKS))]
    write(tmp_path / 'a.mp4', frames, TICKS / 90000)
    (footage,) = open_footage(tmp_path / 'a.mp4')
    found = {frame.index: frame.time for frame in footage.frames(stride=2)}
    expected = {index: TICKS[index] / 90000 for index in range(0, len(TICKS), 2)}
    assert found == pytest.approx(expected, abs=1e-6)
