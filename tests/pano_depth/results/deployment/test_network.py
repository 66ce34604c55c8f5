"""The deployed network as a function of weights and panoramas."""

import dataclasses

import jax
import numpy as np
import pytest

from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense
from pano_depth.results.deployment import network
from tests import compiling

CELL = models.ModelConfig(
    face_size=16,
    depth_channels=(8, 16),
    pose_channels=(8, 8),
    depth_cell=('bn_relu', 'lgconv1x1', 'bn_relu', 'dwconv3x3'),
)


def panoramas(count, height):
    """Coarse noise [N, H, 2H, 3] in [0, 1], which the network does not see as grey."""
    noise = np.random.default_rng(0).random((count, height // 8, height // 4, 3), np.float32)
    return noise.repeat(8, axis=1).repeat(8, axis=2)


@compiling.quickly()
def test_frames_of_both_types_and_weights_alone_decide_about_the_depth():
    deployed = network.deployed(None, CELL, 32)
    function, frames = jax.jit(deployed.function), np.uint8(255 * panoramas(2, 32))
    depth = function(deployed.weights, frames)
    assert depth.shape == (2, 32, 64) and np.ptp(depth[0]) > 0.1
    assert np.abs(depth[0] - depth[1]).max() > 0.1
    np.testing.assert_allclose(
        function(deployed.weights, np.float32(frames / 255)), depth, rtol=1e-4
    )
    other = network.deployed(network.random_params(CELL, 1), CELL, 32)
    assert np.abs(function(other.weights, frames) - depth).max() > 0.1


def test_weights_are_arguments_not_constants_of_the_program():
    # Wide, so that its parameters are larger than the tables of padding, which may be constants.
    wide = dataclasses.replace(CELL, depth_channels=(8, 64), depth_cell=())
    deployed = network.deployed(None, wide, 64)
    traced = jax.make_jaxpr(deployed.function)(deployed.weights, panoramas(1, 64))
    held = sum(np.size(constant) for constant in traced.consts)
    assert held < 0.1 * sum(leaf.size for leaf in jax.tree.leaves(deployed.weights['depth']))


def test_unfinished_learned_groups_are_told_and_pruned():
    fresh = models.init_params(0, CELL)
    pruned = network.prune(fresh, CELL)
    assert not network.is_condensed(fresh, CELL) and network.is_condensed(pruned, CELL)
    (first, *_) = condense.learned_groups(build.build(CELL))
    assert fresh['depth'][first.name][condense.MASK].min() == 1  # not changed in place
    weights = (network.deployed(params, CELL).weights['depth'] for params in (fresh, pruned))
    jax.tree.map(np.testing.assert_array_equal, *weights)
    by_hand = dataclasses.replace(CELL, depth_cell=())
    assert network.is_condensed(models.init_params(0, by_hand), by_hand)


def test_heads_of_coarser_scales_are_left_out():
    config = dataclasses.replace(CELL, depth_channels=(8, 8, 8), scales=2)
    names = network.deployed(None, config).weights['depth'].keys()
    assert 'head_0' in names and 'head_1' not in names
    assert 'head_1' in models.param_shapes(config)['depth']


@pytest.mark.parametrize('height', [48, -32, 31])
def test_height_that_does_not_fit_is_named(height):
    with pytest.raises(ValueError, match=f'height is {height}.*multiples of 32'):
        network.deployed(None, CELL, height)
