"""Known poses: depth in their unit, poses that are refined, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth import ReconstructConfig, reconstruct
from pano_depth.footage import geometry
from pano_depth.footage.clip_folder import write_clip_folder
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import metrics
from pano_depth.results.steps import known
from pano_depth.results.steps.geometry import unit_of
from pano_depth.rooms import rooms

FRAMES, FPS = 8, 24.0
CONFIG = ReconstructConfig()


@pytest.fixture(scope='module')
def clip():
    return rooms.render_clip(501, 1, frames=FRAMES, height=64, width=128)


def _tum(path, poses, frames=range(FRAMES)):
    frames = list(frames)
    geometry.write_tum(path, np.array(frames) / FPS, Motion(*(part[frames] for part in poses)))
    return str(path)


def _colmap(folder, poses):
    """A text model of panoramas named after the frames; its world is another one."""
    folder.mkdir()
    (folder / 'cameras.txt').write_text('1 EQUIRECTANGULAR 128 64 128 64\n')
    text = ''
    for i, (rotation, place) in enumerate(zip(*poses, strict=True)):
        x, y, z, w = Rotation.from_matrix(rotation.T).as_quat()
        back = -rotation.T @ (place + [1, 2, 3])
        text += f'{i + 1} {w} {x} {y} {z} {" ".join(map(str, back))} 1 {i:06d}.png\n\n'
    (folder / 'images.txt').write_text(text)
    return str(folder)


def _errors(found, clip):
    """Median relative error of the depth of each frame, without any alignment."""
    return [np.median(np.abs(found.depth(i) / clip.depth[i] - 1)) for i in range(len(clip))]


def test_true_poses_give_depth_in_metres(clip, tmp_path):
    config = ReconstructConfig(poses=_tum(tmp_path / 'true.txt', clip.poses))
    found = reconstruct(clip.frames, tmp_path / 'run', config)
    assert found.unit == 'metre' and max(_errors(found, clip)) < 0.05
    np.testing.assert_allclose(found.poses.translation, clip.poses.translation, atol=1e-6)
    np.testing.assert_allclose(found.poses.rotation, clip.poses.rotation, atol=1e-6)
    record = json.loads((tmp_path / 'run' / 'run.json').read_text())['prediction']
    assert record['scale'] == 'metres: the unit of the trajectory true.txt'
    assert record['poses']['matched_by'] == 'time' and 'adjustment' not in record
    assert record['confirmed'] > 0.3
    # The networks alone are in metres too.
    plain = reconstruct(clip.frames, config=dataclasses.replace(config, refine='off'))
    assert max(_errors(plain, clip)) < 0.2


def test_the_pose_of_a_single_frame_tells_no_metres(clip, tmp_path):
    one = _tum(tmp_path / 'one.txt', clip.poses, [0])
    found = reconstruct(clip.frames[0], config=ReconstructConfig(poses=one))
    assert found.unit == 'relative' and len(found) == 1


def test_shaken_poses_are_refined(clip, tmp_path):
    rng = np.random.default_rng(0)
    turns = Rotation.from_rotvec(rng.normal(0, 0.01, (FRAMES, 3))).as_matrix()
    moves = rng.normal(0, 0.02, (FRAMES, 3))
    shaken = Motion(turns @ clip.poses.rotation, clip.poses.translation + moves)
    # Frame 3 has no pose.
    path = _tum(tmp_path / 'shaken.txt', shaken, [0, 1, 2, 4, 5, 6, 7])
    with pytest.raises(ValueError, match=r'shaken.txt has no pose for 1 of 8 frames: 3'):
        reconstruct(clip.frames, config=ReconstructConfig(poses=path))
    found = reconstruct(clip.frames, config=ReconstructConfig(poses=path, refine_poses=True))
    before, after = (metrics.pose_metrics(poses, clip.poses) for poses in (shaken, found.poses))
    for name in ('rotation_deg', 'direction_deg', 'ate'):
        assert after[name] < 0.2 * before[name]
    assert found.unit == 'metre' and found.facts['poses']['filled'] == 1
    np.testing.assert_allclose(found.poses.translation[0], 0, atol=1e-9)
    assert metrics.trajectory_scale(found.poses, clip.poses) == pytest.approx(1, abs=0.06)
    assert max(_errors(found, clip)) < 0.1


def test_depth_goes_with_the_unit_of_a_refined_path(clip, tmp_path, monkeypatch):
    monkeypatch.setattr('pano_depth.results.steps.geometry.unit_of', lambda *_: 20.0)
    path = _tum(tmp_path / 'path.txt', clip.poses)
    found = reconstruct(clip.frames, config=ReconstructConfig(poses=path, refine_poses=True))
    factor = np.linalg.norm(found.poses.translation[-1]) / np.linalg.norm(
        clip.poses.translation[-1]
    )
    assert 15 < factor < 25
    off = [np.abs(found.depth(i) / factor / clip.depth[i] - 1) for i in range(len(clip))]
    assert max(map(np.median, off)) < 0.1


def test_a_colmap_model_keeps_its_unit(clip, tmp_path):
    scene = write_clip_folder(tmp_path, dataclasses.replace(clip, name='room', depth=None))
    third = Motion(clip.poses.rotation, clip.poses.translation / 3)
    config = ReconstructConfig(poses=_colmap(tmp_path / 'model', third), refine='off')
    found = reconstruct(scene, config=config)
    assert found.unit == 'relative' and found.facts['poses']['matched_by'] == 'file names'
    assert found.facts['scale'] == 'relative: the unit of the COLMAP model model'
    np.testing.assert_allclose(found.poses.translation, third.translation, atol=1e-6)
    ratio = np.median(found.depth(2) / clip.depth[2])
    assert ratio == pytest.approx(1 / 3, rel=0.2)
    # The height of the camera tells metres where the model does not.
    metric = reconstruct(scene, config=dataclasses.replace(config, camera_height=1.6))
    assert metric.unit == 'metre' and np.median(metric.depth(2) / clip.depth[2]) > 2 * ratio


@pytest.mark.parametrize(
    'options, words',
    [
        ({'poses': 'nowhere.txt'}, 'nowhere.txt does not exist'),
        ({'camera_height': 1.6}, '--camera_height=1.6 and --poses=.*known.txt, in metres, both'),
        ({'still': True}, '--poses=.*known.txt has a camera that stays at one place'),
        ({'text': 'no poses\n'}, 'known.txt, line 1'),
    ],
)
def test_poses_that_cannot_be_used_are_refused_before_the_work(clip, tmp_path, options, words):
    path, options = tmp_path / 'known.txt', dict(options)
    text, still = options.pop('text', None), options.pop('still', False)
    _tum(path, Motion(clip.poses.rotation, 0 * clip.poses.translation) if still else clip.poses)
    if text:
        path.write_text(text)
    config = ReconstructConfig(**{'poses': str(path), **options})
    with pytest.raises(ValueError, match=words):
        reconstruct(clip.frames, tmp_path / 'run', config)
    assert not (tmp_path / 'run').exists()


def _line(steps):
    places = np.concatenate([[0], np.cumsum(steps)])[:, None] * [0, 0, 1.0]
    return Motion(np.tile(np.eye(3), (len(places), 1, 1)), places)


def test_lengths_of_steps_tell_the_unit_around_each_frame():
    rng = np.random.default_rng(0)
    drift = np.concatenate([np.full(100, 2.0), np.full(100, 4.0)])
    truth = np.where(np.arange(200) % 7 == 0, 0.001, rng.uniform(0.1, 0.2, 200))
    ours = truth / drift * np.exp(rng.normal(0, 0.3, 200))
    found = known.step_factors(_line(ours), _line(truth))
    assert found.shape == (201,)
    np.testing.assert_allclose(found[:80], 2, rtol=0.3)
    np.testing.assert_allclose(found[-80:], 4, rtol=0.3)
    np.testing.assert_array_equal(known.step_factors(_line([0.0, 0.0]), _line([1.0, 1.0])), 1)


@pytest.mark.parametrize('factor', [0.6, 1.0, 1.8])
def test_images_tell_the_unit(clip, factor):
    found = known.image_factor(clip.frames, clip.poses, clip.depth * factor)
    assert found * factor == pytest.approx(1, rel=0.06)


def test_the_unit_of_a_path_does_not_depend_on_its_world(clip):
    turn = Rotation.from_rotvec([0.1, 1, 0.3]).as_matrix()
    places = clip.poses.translation @ turn.T / 5 + [1, 2, 3]
    places[4] += 100  # not known
    moved = Motion(turn @ clip.poses.rotation, places)
    counts = np.arange(FRAMES) != 4
    assert unit_of(moved, clip.poses, counts) == pytest.approx(5, rel=1e-6)
