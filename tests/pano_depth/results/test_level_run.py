"""A whole run of a tilted camera with times of its own; its path is given back as known poses."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pano_depth import ReconstructConfig, reconstruct
from pano_depth.footage.config import FootageConfig
from pano_depth.footage.footage import from_clip
from pano_depth.footage.poses import axes
from pano_depth.footage.telemetry import Gravity
from pano_depth.footage.telemetry import gravity as telemetry
from pano_depth.kernels import sphere
from pano_depth.rooms import rooms

TIMES = np.array([0, 0.1, 0.3, 1.0])
DOWN = np.array([0.0, 0.8, 0.6])
CONFIG = ReconstructConfig(
    ordered='yes', adjust=False, refine='off', footage=FootageConfig(mask='none'), output_height=32
)


@pytest.fixture(scope='module')
def source():
    clip = rooms.sample_clip(frames=len(TIMES), height=64, width=128)
    whole = from_clip(dataclasses.replace(clip, depth=None, poses=None))

    def read(size, start, stride):
        for frame in whole.read(size, start, stride):
            yield frame._replace(time=TIMES[frame.index])

    return dataclasses.replace(whole, read=read, down=DOWN)


@pytest.fixture(scope='module')
def level(source, tmp_path_factory):
    workdir = tmp_path_factory.mktemp('level') / 'run'
    config = dataclasses.replace(CONFIG, world='level', axes='z_up')
    return reconstruct(source, workdir, config), workdir


def test_run_json_says_world_axes_and_times(level):
    _, workdir = level
    said = json.loads((workdir / 'run.json').read_text())['prediction']
    assert said['axes'] == {'trajectory': 'z_up', 'cloud': 'z_up'}
    assert said['world']['world'] == 'level' and 'metadata' in said['world']['down_from']
    assert said['world']['tilt_deg'] == pytest.approx(36.87, abs=0.01)
    assert said['frame_times'].startswith('variable') and said['fps'] == pytest.approx(5)


def test_path_and_cloud_are_in_the_level_world(level):
    result, workdir = level
    np.testing.assert_allclose(result.poses.rotation[0] @ DOWN, [0, 1, 0], atol=1e-9)
    # What a frame sees lies in the cloud, with the pose that the result has.
    points, depth = result.cloud()[0], result.depth(2)[::4, ::4, None]
    rays = np.asarray(sphere.ray_directions(32, 64))[::4, ::4]
    seen = (depth * rays).reshape(-1, 3) @ result.poses.rotation[2].T + result.poses.translation[2]
    near = seen[depth.ravel() < 4]
    assert np.median(cKDTree(points).query(near)[0]) < 0.05
    assert np.median(cKDTree(points * [1, -1, -1]).query(near)[0]) > 0.1
    stored = axes.read_path(workdir / 'trajectory.txt')
    np.testing.assert_allclose(stored.poses.translation, result.poses.translation, atol=1e-6)
    np.testing.assert_allclose(stored.times, TIMES)


def test_gravity_of_all_frames_levels_the_world_and_is_said(source, tmp_path):
    truth = rooms.sample_clip(frames=len(TIMES), height=64, width=128).poses.rotation
    level = np.array([0, 0.6, 0.8])
    down = np.swapaxes(truth[0].T @ truth, 1, 2) @ level
    found = Gravity(TIMES, 9.81 * down, 'the gravity in the file', telemetry.CERTAIN)
    footage = dataclasses.replace(source, down=None, gravity=found)
    config = dataclasses.replace(CONFIG, world='level')
    result = reconstruct(footage, tmp_path / 'run', config)
    said = json.loads((tmp_path / 'run' / 'run.json').read_text())['prediction']['world']
    assert said['world'] == 'level' and said['down_from'] == 'the gravity in the file, in 4 frames'
    assert said['tilt_deg'] == pytest.approx(53.13, abs=2) and 'gravity_left_out' not in said
    assert (result.poses.rotation[0] @ level)[1] > np.cos(np.radians(2))
    report = (tmp_path / 'run' / 'report.html').read_text()
    assert 'down is by the gravity in the file, in 4 frames' in report


def test_a_relative_path_given_back_is_not_taken_for_metres(source, level):
    result, workdir = level
    config = dataclasses.replace(CONFIG, poses=str(workdir / 'trajectory.txt'))
    again = reconstruct(source, None, config)
    assert again.unit == 'relative' and 'trajectory' in again.facts['scale']
    steps = [np.diff(found.poses.translation, axis=0) for found in (result, again)]
    np.testing.assert_allclose(*(np.linalg.norm(step, axis=1) for step in steps), rtol=1e-4)
    assert again.facts['poses']['matched_by'] == 'time'
