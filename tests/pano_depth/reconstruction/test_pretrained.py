"""pano_depth.load_networks: depth and motion of images of any size, any leading axes."""

import json

import jax
import numpy as np
import pytest

from pano_depth import load_networks
from pano_depth.kernels import rigid
from pano_depth.learning import checkpoints
from pano_depth.learning import model as models
from pano_depth.reconstruction import metrics
from pano_depth.rooms import rooms


@pytest.fixture(scope='module')
def networks():
    return load_networks()


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=10, height=64, width=128)


def test_depth_of_one_image_in_two_lines(networks, clip):
    depth = networks.depth(clip.frames[0])
    assert depth.shape == (64, 128) and depth.dtype == np.float32 and depth.min() > 0
    # The networks have seen rooms: better than the same range everywhere.
    score = lambda guess: metrics.depth_metrics(
        guess, clip.depth[0], min_depth=0.1, max_depth=10.0
    )['abs_rel']
    assert score(depth) < 0.75 * score(np.ones_like(depth))
    averaged = networks.depth(clip.frames[0], averaged=True)
    assert averaged.dtype == np.float32 and 0.01 < np.abs(averaged / depth - 1).mean() < 0.2
    assert score(averaged) < 0.75 * score(np.ones_like(depth))


def test_leading_axes_types_and_sizes(networks, clip):
    one = networks.depth(clip.frames[2])
    many = networks.depth(clip.frames[:9].reshape(3, 3, 64, 128, 3))
    assert many.shape == (3, 3, 64, 128)
    np.testing.assert_allclose(many[0, 2], one, rtol=1e-4)
    np.testing.assert_allclose(networks.depth(clip.frames[2] / 255.0), one, rtol=1e-5)
    large = networks.depth(clip.frames[2].repeat(3, axis=0).repeat(3, axis=1))
    assert large.shape == (192, 384)
    np.testing.assert_allclose(large[1::3, 1::3], one, rtol=0.02)


def test_motion_takes_points_of_the_target_into_the_source(networks, clip):
    found = networks.motion(clip.frames[1], clip.frames[0])
    world = clip.poses.rotation[0].T @ (clip.poses.translation[1] - clip.poses.translation[0])
    direction = np.asarray(found.translation) / np.linalg.norm(found.translation)
    assert direction @ world / np.linalg.norm(world) > 0.9
    both = networks.motion(clip.frames[1:], clip.frames[:-1])
    assert both.rotation.shape == (9, 3, 3) and both.translation.shape == (9, 3)
    np.testing.assert_allclose(both.translation[0], found.translation, atol=1e-5)
    turns = jax.vmap(rigid.so3_log)(both.rotation)
    truth = clip.poses.rotation[:-1].transpose(0, 2, 1) @ clip.poses.rotation[1:]
    expected = jax.vmap(rigid.so3_log)(truth.astype(np.float32))
    assert np.abs(np.asarray(turns - expected)).max() < 0.05


@pytest.mark.parametrize(
    'images, words',
    [
        (np.zeros((8, 8, 3), np.uint8), r'images has the shape \(8, 8, 3\)'),
        (np.zeros((8, 16), np.uint8), r'\(8, 16\)'),
        (np.zeros((0, 8, 16, 3), np.uint8), 'no image'),
        (np.zeros((8, 16, 3), np.int32), 'int32'),
        (np.full((8, 16, 3), 2.0), r'outside of \[0, 1\]'),
        (np.full((8, 16, 3), np.nan), r'outside of \[0, 1\]'),
    ],
)
def test_what_is_no_panorama_is_said_in_one_sentence(networks, images, words):
    with pytest.raises(ValueError, match=words):
        networks.depth(images)


def test_motion_of_unequal_numbers_is_refused(networks, clip):
    with pytest.raises(ValueError, match='leading axes'):
        networks.motion(clip.frames[:2], clip.frames[:3])


def test_networks_of_a_file_and_none(tmp_path):
    small = models.ModelConfig(face_size=8, depth_channels=(4, 4), pose_channels=(4, 4))
    checkpoints.save_weights(tmp_path / 'w.npz', models.init_params(0, small), small)
    loaded = load_networks(tmp_path / 'w.npz')
    assert loaded.config == small and loaded.depth(np.zeros((16, 32, 3))).shape == (16, 32)
    with pytest.raises(ValueError, match='no trained networks'):
        load_networks('none')
    with pytest.raises(ValueError, match='nowhere'):
        load_networks(tmp_path / 'nowhere')


def test_networks_that_were_stored_before_matching_do_without_it(tmp_path):
    older = models.ModelConfig(
        face_size=8, depth_channels=(4, 4), pose_channels=(4, 4), pose_matching=0
    )
    checkpoints.save_weights(tmp_path / 'w.npz', models.init_params(0, older), older)
    with np.load(tmp_path / 'w.npz') as stored:
        values = dict(stored)
    config = json.loads(str(values.pop('config')))
    assert config.pop('pose_matching') == 0
    np.savez(tmp_path / 'older.npz', config=json.dumps(config), **values)
    assert load_networks(tmp_path / 'older.npz').config == older
