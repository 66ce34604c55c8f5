"""Files in one set of axes, with the true times of the frames."""

import dataclasses
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from common.report.page import Report
from pano_depth import ReconstructConfig
from pano_depth.footage.clip import Clip
from pano_depth.footage.config import FootageConfig
from pano_depth.footage.footage import Footage, Frame
from pano_depth.footage.poses import axes
from pano_depth.footage.telemetry import Gravity
from pano_depth.footage.telemetry.gravity import CERTAIN
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer
from pano_depth.reconstruction.analysis import read_frames
from pano_depth.reconstruction.trajectory import UnitStep
from pano_depth.results import inputs, ply, predict
from pano_depth.results.files import timing
from pano_depth.results.pieces import Piece
from pano_depth.results.reconstruction import Reconstruction
from pano_depth.results.report import scene

MODEL = ModelConfig(face_size=8, padding='equirect', depth_channels=(4, 4), pose_channels=(4,))
TIMES = np.array([0, 0.1, 0.2, 0.7, 0.8])
FRAMES = len(TIMES)
# A camera that climbs: x right, y down, z forward.
STEP = np.array([0.1, -0.2, 0.3])


def footage(times=TIMES):
    """Grey frames with times."""

    def read(size, start, stride):
        height, width = size or (16, 32)
        for index in range(start, FRAMES, stride):
            image = np.full((height, width, 3), 20 + 30 * index, np.uint8)
            time = None if times is None else times[index]
            yield Frame(index, f'frame {index}', image, time=time)

    return Footage('grays', 16, 32, 10.0, FRAMES, read)


def result_of(source, tmp_path, **options):
    """A room of radius 3 along a path of steps `STEP`."""
    frames = read_frames(source, 16, tmp_path / 'rows')
    poses = Motion(np.tile(np.eye(3), (FRAMES, 1, 1)), np.arange(FRAMES)[:, None] * STEP)
    steps = UnitStep(np.zeros(FRAMES - 1), np.full(FRAMES - 1, 0.01))
    disparity = np.ones((FRAMES, 1, 16, 32), np.float32)
    analysis = infer.Analysis(disparity, np.full(FRAMES, 3.0), poses, steps)
    pieces = [Piece(0, FRAMES, analysis)]
    return Reconstruction(source, frames, pieces, MODEL, height=16, **options)


def video_times(path):
    """Times of the frames of a video, by ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', str(path), '-map', '0:v']
    command += ['-c', 'copy', '-f', 'framecrc', '-']
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    base = next(line.split()[2] for line in lines if line.startswith('#tb')).split('/')
    ticks = [int(line.split(',')[2]) for line in lines if not line.startswith('#')]
    return np.sort(ticks) * int(base[0]) / int(base[1])


def test_true_times_reach_the_trajectory_and_the_video(tmp_path):
    result = result_of(footage(), tmp_path)
    np.testing.assert_array_equal(result.times, TIMES)
    facts = predict.write_all(tmp_path / 'run', result)
    np.testing.assert_allclose(axes.read_path(tmp_path / 'run/trajectory.txt').times, TIMES)
    np.testing.assert_allclose(video_times(tmp_path / 'run/depth.mp4'), TIMES, atol=1e-5)
    assert facts['fps'] == pytest.approx(10)
    assert facts['frame_times'].startswith('variable: 0.1 to 0.5 s between frames')


def test_without_times_frames_are_even(tmp_path):
    facts = predict.write_all(tmp_path / 'run', result_of(footage(None), tmp_path))
    even = np.arange(FRAMES) / 10
    np.testing.assert_allclose(axes.read_path(tmp_path / 'run/trajectory.txt').times, even)
    np.testing.assert_allclose(video_times(tmp_path / 'run/depth.mp4'), even, atol=1e-5)
    assert facts['fps'] == 10 and facts['frame_times'] == 'even'


def test_a_rate_that_is_given_is_believed(tmp_path):
    (source,) = inputs.open_input(footage(), FootageConfig(fps=4))
    frames = read_frames(source, 16, tmp_path / 'rows', stride=2)
    np.testing.assert_allclose(frames.times, [0, 0.5, 1])
    assert source.fps == 4 and inputs.open_input(footage(), FootageConfig())[0].fps == 10
    images = np.zeros((2, 16, 32, 3), np.uint8)
    assert inputs.open_input(images, FootageConfig())[0].fps == Clip.fps
    assert inputs.open_input(images, FootageConfig(fps=0.5))[0].fps == 0.5


def test_gravity_keeps_pace_with_a_rate_that_is_given():
    vectors = np.random.default_rng(0).normal(size=(4, 3))
    said = Gravity(np.arange(4) / 10, vectors, 'it', CERTAIN)
    whole = dataclasses.replace(footage(), gravity=said)
    (slower,) = inputs.open_input(whole, FootageConfig(fps=4))
    np.testing.assert_allclose(slower.gravity.at(np.arange(4) / 4), vectors)


def test_times_that_do_not_increase_are_not_believed(tmp_path, capsys):
    source = footage(np.array([0, 0.1, 0.1, 0.2, 0.3]))
    frames = read_frames(source, 16, tmp_path / 'rows')
    np.testing.assert_allclose(frames.times, np.arange(FRAMES) / 10)
    assert 'grays has frames whose times do not increase' in ''.join(capsys.readouterr())


@pytest.mark.parametrize(
    'times, even',
    [
        (np.round(np.arange(50) / 23.976, 3), True),  # whole milliseconds
        (np.arange(5) * 1001 / 30000, True),
        (np.cumsum([0, 1, 1, 2, 1]) / 30, False),  # one frame was dropped
        (np.array([0.0]), True),
    ],
)
def test_the_ticks_of_a_file_do_not_make_it_variable(times, even):
    assert timing.are_even(times) == even
    assert ('variable' in timing.facts_of(times, 30)['frame_times']) != even


@pytest.mark.parametrize('name', ['y_down', 'y_up', 'z_up'])
def test_one_set_of_axes_overlays_path_and_cloud(tmp_path, name):
    """The cloud is symmetric around the path: its middle is the middle of the path."""
    result = result_of(footage(), tmp_path, axes={'trajectory': name, 'cloud': name})
    facts = predict.write_all(tmp_path / 'run', result)
    assert facts['axes'] == {'trajectory': name, 'cloud': name}
    lines = (tmp_path / 'run/trajectory.txt').read_text().splitlines()
    assert lines[0].startswith(f'# axes: {name} (x right,') and lines[1] == '# unit: relative'
    stored = np.array([line.split()[1:4] for line in lines if line[0] != '#'], float)
    np.testing.assert_allclose(stored[-1], axes.matrix(name) @ (4 * STEP), atol=1e-6)
    points, _ = ply.read_ply(tmp_path / 'run/cloud.ply')
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    np.testing.assert_allclose(middle, stored.mean(axis=0), atol=0.2)


def test_by_default_the_path_is_as_cameras_and_the_cloud_has_y_up(tmp_path):
    facts = predict.write_all(tmp_path / 'run', result_of(footage(), tmp_path))
    assert facts['axes'] == {'trajectory': 'y_down', 'cloud': 'y_up'}
    assert axes.read_path(tmp_path / 'run/trajectory.txt').axes == 'y_down'
    assert ply.axes_of(tmp_path / 'run/cloud.ply') == 'y_up'


@pytest.mark.parametrize('path, cloud', [('y_down', 'y_up'), ('z_up', 'z_up'), ('y_up', 'y_down')])
def test_the_report_overlays_whatever_the_axes(tmp_path, monkeypatch, path, cloud):
    result = result_of(footage(), tmp_path, axes={'trajectory': path, 'cloud': cloud})
    predict.write_all(tmp_path / 'run', result)
    shown = {}
    monkeypatch.setattr(
        Report, 'point_cloud', lambda self, points, colours, **more: shown.update(more, all=points)
    )
    attempt = lambda file, part: part(file)
    scene._add_cloud(Report(''), tmp_path / 'run/cloud.ply', {}, attempt)
    np.testing.assert_allclose(shown['path'][-1], axes.matrix('y_up') @ (4 * STEP), atol=1e-6)
    middle = (shown['all'].min(axis=0) + shown['all'].max(axis=0)) / 2
    np.testing.assert_allclose(middle, shown['path'].mean(axis=0), atol=0.2)


def test_two_sets_of_axes_for_the_cloud_are_refused():
    with pytest.raises(ValueError, match='--axes=z_up and --cloud_axes=y_down both give the axes'):
        ReconstructConfig(axes='z_up', cloud_axes='y_down')
    assert ReconstructConfig(axes='z_up').axes == 'z_up'
