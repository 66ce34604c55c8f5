"""pano_depth.train where one of the networks alone learns."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import pano_depth
from common import logs
from pano_depth import ReconstructConfig, TrainConfig
from pano_depth.learning import LogConfig, LossConfig, ModelChoice, RecipeConfig, checkpoints
from pano_depth.learning import model as models
from pano_depth.results.evaluate_job import RoomsConfig
from tests.pano_depth.results import made_footage

CONFIG = TrainConfig(
    model=ModelChoice(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8)),
    loss=LossConfig(learn='depth', truth_weight=1.0),
    recipe=RecipeConfig(steps=3, batch_size=4, depth_start=0),
    logs=LogConfig(log_every=1),
)


def test_depth_learns_from_single_rooms_and_the_pose_network_stays(tmp_path):
    made_footage.write_video(tmp_path / 'walk.mp4', 0)
    config = dataclasses.replace(
        CONFIG, eval_data=str(tmp_path / 'walk.mp4'), data=RoomsConfig(data_dir=str(tmp_path))
    )
    cell = ModelChoice(depth_cell=('bn_relu', 'conv1x1'), depth_channels=(4, 8))
    # Another depth network takes the place of the one of the checkpoint.
    older = models.ModelConfig(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8))
    checkpoints.save_weights(tmp_path / 'older.npz', models.init_params(7, older), older)
    config = dataclasses.replace(config, checkpoint=str(tmp_path / 'older.npz'), model=cell)
    with made_footage.quick_training(), made_footage.quick_looks():
        pano_depth.train(config, tmp_path / 'run')
    found, model = checkpoints.load_model(tmp_path / 'run')
    assert model == dataclasses.replace(
        older, depth_cell=('bn_relu', 'conv1x1'), depth_channels=(4, 8)
    )
    stored, _ = checkpoints.load_model(tmp_path / 'older.npz')
    fresh = {
        'pose': stored['pose'],
        'depth': models.init_params(config.recipe.seed, model)['depth'],
    }
    # The running average rounds.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), found['pose'], fresh['pose']
    )
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), found['depth'], fresh['depth'])
    assert max(jax.tree.leaves(moved)) > 1e-5
    rows = list(logs.read_metrics(tmp_path / 'run'))
    assert [row['step'] for row in rows] == [1, 2, 3]
    assert 'truth_depth' in rows[0] and 'photometric' not in rows[0]
    scores = json.loads((tmp_path / 'run' / 'eval.json').read_text())
    assert scores['photometric_error']['before'] != scores['photometric_error']['after'] > 0


def test_motion_learns_alone_and_the_depth_network_stays(tmp_path):
    made_footage.write_video(tmp_path / 'walk.mp4', 0)
    # Learned groups would be pruned in a training of the depth network.
    older = models.ModelConfig(
        face_size=16,
        depth_cell=('bn_relu', 'lgconv1x1'),
        depth_channels=(16, 16),
        pose_channels=(8, 8),
        pose_matching=0,
    )
    checkpoints.save_weights(tmp_path / 'older.npz', models.init_params(7, older), older)
    config = dataclasses.replace(
        CONFIG,
        eval_data=str(tmp_path / 'walk.mp4'),
        data=RoomsConfig(data_dir=str(tmp_path)),
        checkpoint=str(tmp_path / 'older.npz'),
        loss=LossConfig(learn='motion', truth_weight=1.0, lasso_weight=1.0),
        model=ModelChoice(pose_channels=(4, 8), pose_matching=1),
    )
    with made_footage.quick_training(), made_footage.quick_looks():
        pano_depth.train(config, tmp_path / 'run')
    found, model = checkpoints.load_model(tmp_path / 'run')
    assert model == dataclasses.replace(older, pose_channels=(4, 8), pose_matching=1)
    stored, _ = checkpoints.load_model(tmp_path / 'older.npz')
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), found['depth'], stored['depth']
    )
    fresh = models.init_params(config.recipe.seed, model)['pose']
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), found['pose'], fresh)
    assert max(jax.tree.leaves(moved)) > 1e-5
    row = next(iter(logs.read_metrics(tmp_path / 'run')))
    assert 'truth_pose' in row and 'photometric' not in row


def test_the_depth_network_of_a_checkpoint_stays_where_motion_learns(tmp_path):
    model = ModelChoice(pose_channels=(4, 4), depth_cell=('bn_relu', 'conv1x1'))
    motion = LossConfig(learn='motion', truth_weight=1.0)
    config = dataclasses.replace(CONFIG, checkpoint='default', model=model, loss=motion)
    with pytest.raises(ValueError, match='--depth_cell is bn_relu,conv1x1, .*=default have bn'):
        pano_depth.train(config, tmp_path / 'run')


def test_the_pose_network_of_a_checkpoint_cannot_be_another_one(tmp_path):
    model = ModelChoice(depth_cell=('bn_relu', 'conv1x1'), pose_channels=(4, 4))
    config = dataclasses.replace(CONFIG, checkpoint='default', model=model)
    with pytest.raises(ValueError, match='--pose_channels is 4,4, .*=default have 16,32'):
        pano_depth.train(config, tmp_path / 'run')
    learned = dataclasses.replace(config, loss=LossConfig(), model=ModelChoice(scales=2))
    with pytest.raises(ValueError, match='--scales is 2, .*=default have 1'):
        pano_depth.train(learned, tmp_path / 'run')


@pytest.mark.parametrize('learn', ['depth', 'motion'])
def test_where_nothing_is_known_it_is_refused_at_once(tmp_path, learn):
    blind = LossConfig(learn=learn)
    message = f'--learn={learn} .* --truth_weight is 0; accepted: above 0'
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, loss=blind)
    for name in 'ab':
        made_footage.write_video(tmp_path / f'{name}.mp4', ord(name))
    data = RoomsConfig(data_dir=str(tmp_path / 'data'))
    config = dataclasses.replace(CONFIG, train_data=str(tmp_path), data=data, loss=blind)
    with pytest.raises(ValueError, match=f'--learn={learn} .* no clip of --train_data has it'):
        pano_depth.train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'loss, message',
    [
        (LossConfig(learn='depth'), '--learn=depth needs known depth'),
        (LossConfig(learn='motion'), '--learn=motion needs known depth'),
        (LossConfig(truth_weight=1.0), '--truth_weight=1.0 needs known depth'),
    ],
)
def test_a_clip_is_adapted_to_by_its_images_alone(loss, message):
    with pytest.raises(ValueError, match=message):
        ReconstructConfig(adapt=10, loss=loss)
    ReconstructConfig(loss=loss)
