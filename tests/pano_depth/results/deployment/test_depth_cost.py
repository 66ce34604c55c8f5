"""Counts of depth networks: against their Flax parameters, and against XLA's own count."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from pano_depth.learning import checkpoints
from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense
from pano_depth.learning.cells.network import INDEX
from pano_depth.results.deployment import cost_job

BY_HAND = models.ModelConfig()
LEARNED = models.ModelConfig(
    depth_cell=('bn_relu', 'lgconv1x1', 'bn_relu', 'gconv3x3'),
    depth_channels=(32, 64, 128, 192),
    depth_expansion=2,
)
DEPTHWISE = models.ModelConfig(
    depth_cell=('bn_relu', 'dwconv3x3', 'bn_relu', 'conv1x1'), depth_merge='add'
)
MIXED = models.ModelConfig(
    depth_cell=('bn', 'conv3x3', 'none', 'dwconv3x3', 'bn_relu', 'gconv1x1'),
    depth_blocks=(1, 0, 2, 1),
    padding='zero',
    scales=3,
)
FLAT = models.ModelConfig(
    face_size=16,
    depth_cell=('none', 'gconv3x3'),
    depth_channels=(8, 16, 32),
    pose_channels=(8, 8),
    padding='equirect',
)
NETWORKS = {
    'by_hand': BY_HAND,
    'learned': LEARNED,
    'depthwise': DEPTHWISE,
    'mixed': MIXED,
    'flat': FLAT,
}
# What XLA counts beyond two operations for each multiply-add: sums of normalisation, pools,
# additions and heads. It is a larger part where convolutions are small.
BEYOND = {'by_hand': 0.015, 'learned': 0.05, 'depthwise': 0.1, 'mixed': 0.025, 'flat': 0.07}


def counted(config):
    """What the job says of a network that is not trained."""
    choice = checkpoints.ModelChoice(**dataclasses.asdict(config))
    return cost_job.depth_cost(cost_job.DepthCostConfig('none', choice))


def deployed(config):
    """(Flax module, shapes of its variables, of an image, rays) of the deployed network."""
    module = models.depth_network(config, deployed=True)
    rays = models.make_grid(config).rays
    image = jax.ShapeDtypeStruct((1, *rays.shape), jnp.float32)
    return module, jax.eval_shape(module.init, jax.random.key(0), image, rays), image, rays


@pytest.mark.parametrize('name', NETWORKS)
def test_parameters_are_those_of_the_deployed_network_to_the_unit(name):
    _, variables, _, _ = deployed(NETWORKS[name])
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    sizes = [leaf.size for keys, leaf in leaves if keys[-1].key != INDEX]
    assert counted(NETWORKS[name])['params'] == sum(sizes)


@pytest.mark.parametrize('name', NETWORKS)
def test_operations_are_those_that_xla_counts(name):
    module, variables, image, rays = deployed(NETWORKS[name])
    network = lambda variables, image: module.apply(variables, image, rays)[0]
    # On a CPU, `common.layers.conv` takes dense products for some grouped convolutions; XLA's
    # convolutions, which it takes elsewhere, compute no zeros.
    with jax.default_device('tpu'):
        program = core.jaxpr_as_fun(jax.make_jaxpr(network)(variables, image))
    lowered = jax.jit(program).lower(*jax.tree.leaves((variables, image)))
    found = {'lowered': lowered.cost_analysis()['flops']}
    if name == 'flat':  # a small one: compiling takes a second
        found['compiled'] = lowered.compile().cost_analysis()['flops']
    macs = counted(NETWORKS[name])['macs']
    for stage, flops in found.items():
        assert 0 <= flops / (2 * macs) - 1 <= BEYOND[name], stage


def test_network_of_the_package_and_of_its_flags_are_the_same():
    by_hand = {'name': 'hand-made', 'params': 797_268, 'flops': 91_312_896, 'macs': 91_127_808}
    assert counted(BY_HAND) == by_hand
    package = cost_job.depth_cost()
    params, config = checkpoints.load_model('default')
    leaves = jax.tree.leaves(condense.deploy(build.build(config), params['depth']))
    assert package['params'] == sum(leaf.size for leaf in leaves)
    assert package == {**counted(config), 'name': 'default'}
    # The same parameters see larger faces.
    choice = checkpoints.ModelChoice(face_size=64)
    larger = cost_job.depth_cost(cost_job.DepthCostConfig(model=choice))
    assert larger == {**larger, 'name': 'default', 'params': package['params']}
    assert larger['macs'] == 4 * package['macs']


def test_cell_alone_asks_for_a_network_that_is_not_trained():
    ops = ('bn_relu', 'conv1x1')
    choice = checkpoints.ModelChoice(depth_cell=ops)
    found = cost_job.depth_cost(cost_job.DepthCostConfig(model=choice))
    assert found == counted(models.ModelConfig(depth_cell=ops))
    assert found['name'] == 'bn_relu-conv1x1'
    with pytest.raises(ValueError, match='--depth_cell is bn_relu,conv1x1, .*=default have '):
        cost_job.depth_cost(cost_job.DepthCostConfig('default', choice))


def test_larger_faces_cost_more_and_weigh_the_same(tmp_path):
    path = tmp_path / 'weights.npz'
    small = dataclasses.replace(FLAT, padding='cube')
    checkpoints.save_weights(path, models.init_params(0, small), small)
    choices = (checkpoints.ModelChoice(face_size=size) for size in (16, 32))
    first, second = (
        cost_job.depth_cost(cost_job.DepthCostConfig(str(path), choice)) for choice in choices
    )
    assert first['name'] == str(path) and first['params'] == second['params']
    np.testing.assert_array_equal(4 * first['macs'], second['macs'])
