"""pano_depth.evaluate and train: scores of footage and of rooms, with and without a workdir."""

import dataclasses
import json

import numpy as np
import pytest

import pano_depth
from common import logs
from pano_depth import EvaluateConfig, TrainConfig
from pano_depth.footage import clip_folder
from pano_depth.learning import LogConfig, LossConfig, ModelChoice, RecipeConfig
from pano_depth.results.evaluate_job import RoomsConfig, check_rooms
from pano_depth.rooms import rooms


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=4, height=64, width=128)


def test_footage_is_scored_with_and_without_a_workdir(clip, tmp_path):
    scene = clip_folder.write_clip_folder(tmp_path, dataclasses.replace(clip, name='room'))
    scores = pano_depth.evaluate(scene)
    assert scores['frames'] == 4
    assert scores['depth']['plain']['abs_rel'] < scores['baselines']['constant']['plain']['abs_rel']
    again = pano_depth.evaluate(scene, tmp_path / 'run')
    assert again == scores == json.loads((tmp_path / 'run' / 'eval.json').read_text())
    names = {path.name for path in (tmp_path / 'run').iterdir()}
    assert {'panels.png', 'trajectory.png', 'report.html', 'flags.txt', 'run.json'} <= names
    with pytest.raises(ValueError, match='holds an evaluation with'):
        pano_depth.evaluate('rooms', tmp_path / 'run')


def test_frames_without_truth_and_networks_without_training_are_refused(clip, tmp_path):
    with pytest.raises(ValueError, match='neither depth nor poses'):
        pano_depth.evaluate(clip.frames, tmp_path / 'run')
    with pytest.raises(ValueError, match='no trained networks'):
        scene = clip_folder.write_clip_folder(tmp_path, dataclasses.replace(clip, name='room'))
        pano_depth.evaluate(scene, tmp_path / 'run', EvaluateConfig(checkpoint='none'))
    with pytest.raises(ValueError, match="--rooms is '7x9'"):
        pano_depth.evaluate('rooms', config=EvaluateConfig(data=RoomsConfig(rooms='7x9')))
    assert not (tmp_path / 'run').exists()


def test_rooms_smaller_than_the_networks_are_refused():
    check_rooms('64x128', 64)
    with pytest.raises(ValueError, match='--rooms=64x128 has 64 rows; --face_size=64'):
        check_rooms('64x128', 128)


CONFIG = TrainConfig(
    data=RoomsConfig(rooms='tiny'),
    model=ModelChoice(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8)),
    loss=LossConfig(pyramid=1),
    recipe=RecipeConfig(steps=3, batch_size=4),
    logs=LogConfig(log_every=1),
)


def test_networks_learn_to_see_rooms_and_are_scored_on_others(tmp_path):
    data = RoomsConfig(rooms='tiny', data_dir=str(tmp_path / 'data'))
    config = dataclasses.replace(CONFIG, data=data)
    networks = pano_depth.train(config, tmp_path / 'run')
    assert networks.config.face_size == 16
    assert networks.depth(np.zeros((32, 64, 3), np.uint8)).shape == (32, 64)
    scores = json.loads((tmp_path / 'run' / 'eval.json').read_text())
    assert scores['frames'] > 0 and scores['depth']['plain']['abs_rel'] > 0
    assert [row['step'] for row in logs.read_metrics(tmp_path / 'run')] == [1, 2, 3]
    # What was trained is what loads.
    loaded = pano_depth.load_networks(tmp_path / 'run')
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    np.testing.assert_allclose(loaded.depth(image), networks.depth(image), rtol=1e-5)
    other = dataclasses.replace(config, recipe=RecipeConfig(steps=4, batch_size=4))
    with pytest.raises(ValueError, match='holds a training with --steps=3, not --steps=4'):
        pano_depth.train(other, tmp_path / 'run')


def test_stored_rooms_have_to_be_large_enough(tmp_path):
    config = dataclasses.replace(
        CONFIG, train_data='stored', model=ModelChoice(face_size=64), recipe=RecipeConfig(steps=1)
    )
    with pytest.raises(ValueError, match='needs at least 128'):
        pano_depth.train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
