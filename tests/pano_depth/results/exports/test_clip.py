"""An exported clip is read again as footage with depth and poses, and scored against itself."""

import dataclasses

import numpy as np
import pytest

from pano_depth.footage import geometry, media, open_footage
from pano_depth.footage.poses import axes
from pano_depth.learning import checkpoints
from pano_depth.learning.model import ModelConfig, init_params
from pano_depth.reconstruction import metrics
from pano_depth.results import EvaluateConfig, evaluate


@pytest.fixture(scope='module')
def exported(room, tmp_path_factory):
    room.times = np.array([0, 0.1, 0.5, 0.6, 1.7])
    folder = tmp_path_factory.mktemp('export') / 'clip'
    return folder, room.save(folder, format='clip')


def test_a_clip_is_read_again(exported, clip):
    (found,) = open_footage.open_footage(exported[0])
    again = found.clip()
    np.testing.assert_array_equal(again.frames, clip.frames)
    np.testing.assert_allclose(again.depth, clip.depth, rtol=5e-4, atol=6e-4)
    np.testing.assert_allclose(again.poses.rotation, clip.poses.rotation, atol=1e-6)
    np.testing.assert_allclose(again.poses.translation, clip.poses.translation, atol=1e-6)


def test_poses_have_the_true_times_and_say_their_unit(exported):
    path = exported[0] / 'room' / 'poses.txt'
    times, _ = geometry.read_tum(path)
    np.testing.assert_allclose(times, [0, 0.1, 0.5, 0.6, 1.7])
    found = axes.read_path(path)
    assert found.unit == 'relative' and found.axes == 'y_down'
    assert exported[1]['clip']['scenes']['room']['unit'] == 'relative'


def test_confidence_is_0_exactly_where_depth_is(clip, make_result, tmp_path):
    mask = np.ones((64, 128), bool)
    mask[40:] = False
    found = make_result(clip, tmp_path / 'depth', mask=mask)
    holes = np.where(mask, clip.depth[2], 0)
    found.pieces[0].refined.put(2, holes, np.full_like(holes, 1e-4))
    found.save(tmp_path / 'clip', format='clip')
    scene = tmp_path / 'clip' / 'room'
    sure = media.read_image(scene / 'confidence' / '000002.png')[..., 0]
    depth = media.read_png16(scene / 'depth' / '000002.png')
    np.testing.assert_array_equal(sure > 0, depth > 0)
    assert (depth[:40] > 0).all() and not depth[40:].any()


@pytest.mark.parametrize('factor', [40.0, 0.01])
def test_depth_that_does_not_fit_16_bits_is_npy(clip, make_result, tmp_path, factor):
    poses = clip.poses._replace(translation=clip.poses.translation * factor)
    other = dataclasses.replace(clip, depth=clip.depth * np.float32(factor), poses=poses)
    facts = make_result(other, tmp_path / 'depth').save(tmp_path / 'clip', format='clip')
    assert 'npy' in facts['clip']['scenes']['room']['depth']
    again = open_footage.open_footage(tmp_path / 'clip')[0].clip()
    np.testing.assert_allclose(again.depth, other.depth, rtol=5e-4)
    scores = metrics.pose_metrics(again.poses, clip.poses)
    assert scores['ate'] < 1e-4 and scores['rotation_deg'] < 1e-3


def test_eval_scores_against_an_exported_clip(exported, tmp_path):
    model = ModelConfig(face_size=16, depth_channels=(4, 4), pose_channels=(4,))
    checkpoints.save_weights(tmp_path / 'tiny.npz', init_params(0, model), model)
    config = EvaluateConfig(checkpoint=str(tmp_path / 'tiny.npz'))
    scores = evaluate(exported[0], config=config)
    assert scores['frames'] == 5 and 0 < scores['depth']['plain']['abs_rel'] < 1
    assert 0 < scores['pose']['direction_deg'] <= 180
