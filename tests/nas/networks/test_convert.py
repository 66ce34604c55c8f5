"""Conversion: the same logits from fewer weights."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import pytest

from nas.cells import plan, zoo
from nas.cells.cell import Cell
from nas.cells.cost import count
from nas.cells.skeleton import imagenet, tiny
from nas.networks import condense, convert, network
from nas.networks.network import Network

CONDENSENET = Cell.parse('bn_relu-lgconv1x1-bn_relu-gconv3x3')


def trained(layers, seed=0):
    """Variables as after training: everything random, masks fully condensed."""
    rng = np.random.default_rng(seed)
    variables = network.init(jax.random.key(seed), layers)
    for name, leaves in variables['batch_stats'].items():
        for leaf, value in leaves.items():
            drawn = (
                rng.uniform(0.5, 2, value.shape) if leaf == 'var' else rng.normal(size=value.shape)
            )
            leaves[leaf] = drawn.astype(np.float32)
        for leaf, value in variables['params'][name].items():
            variables['params'][name][leaf] = rng.uniform(0.5, 2, value.shape).astype(np.float32)
    return condense.condense(layers, variables, 1.0)


def logits(layers, variables, deployed=False):
    size, channels = layers[0].out_size, layers[0].out_channels
    images = np.random.default_rng(9).normal(size=(3, size, size, channels)).astype(np.float32)
    return np.asarray(jax.jit(Network(layers, deployed=deployed).apply)(variables, images))


@pytest.mark.parametrize(
    'change',
    [
        {},
        {'classifier_condensation': 2},
        {'groups': 2, 'condensation': 4},
        {'groups': 4, 'condensation': 2},
        {'condensation': 1},
    ],
    ids=str,
)
def test_masked_and_converted_networks_agree(change):
    skeleton = dataclasses.replace(
        tiny, name='changed', **{'stages': (1,), 'growth': (8,), **change}
    )
    layers = plan.build(CONDENSENET, skeleton)
    masked = trained(layers)
    converted = convert.convert(layers, masked)
    expected = logits(layers, masked)
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        logits(layers, converted, deployed=True), expected, rtol=1e-5, atol=1e-5
    )
    assert network.count_params(converted) == count(layers).params
    shapes = network.variable_shapes(layers, deployed=True)
    assert (
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), converted) == shapes
    )
    assert 'condensation' in masked and 'condensation' not in converted


def test_layout_of_a_converted_layer():
    """Kernel and index as documented, for those who write them to other formats."""
    layers = plan.build(CONDENSENET, tiny)
    masked = trained(layers)
    converted = convert.convert(layers, masked)
    layer = next(layer for layer in layers if layer.op == 'lgconv')
    dense = masked['params'][layer.name]['kernel'][0, 0]
    mask = masked['condensation'][layer.name]['mask']
    kernel = converted['params'][layer.name]['kernel']
    index = converted['constants'][layer.name]['index']
    kept, n = layer.in_channels // layer.condensation, layer.out_channels // layer.groups
    assert kernel.shape == (1, 1, kept, layer.out_channels)
    assert index.shape == (layer.groups * kept,) and index.dtype == np.int32
    rebuilt = np.zeros_like(dense)
    for g in range(layer.groups):
        for j in range(n):
            rebuilt[index[g * kept : (g + 1) * kept], j * layer.groups + g] = kernel[
                0, 0, :, g * n + j
            ]
    np.testing.assert_array_equal(rebuilt, dense * mask)


@pytest.mark.parametrize('name', ['condensenet-86', 'condensenet-74-imagenet', 'dpp-net-ws-a'])
def test_published_networks_lose_their_masked_weights(name):
    layers = zoo.NETWORKS[name].plan()
    masked = condense.condense(layers, network.init(jax.random.key(0), layers), 1.0)
    dropped = sum(int((mask['mask'] == 0).sum()) for mask in masked['condensation'].values())
    nonzero = network.count_params(masked) - dropped
    assert nonzero == network.count_params(convert.convert(layers, masked)) == count(layers).params
    assert network.count_params(masked) > 1.9 * nonzero


def test_networks_without_learned_groups_are_the_same():
    layers = plan.build(Cell.parse('bn-conv1x1'), dataclasses.replace(imagenet, size=96))
    variables = network.init(jax.random.key(0), layers)
    converted = convert.convert(layers, variables)
    jax.tree.map(np.testing.assert_array_equal, converted, variables)


def test_conversion_refuses_what_it_would_change():
    layers = plan.build(CONDENSENET, tiny)
    masked = network.init(jax.random.key(0), layers)
    for progress in (0, 0.4):
        with pytest.raises(ValueError, match='not fully condensed.*progress 0.5'):
            convert.convert(layers, condense.condense(layers, masked, progress))
    uneven = condense.condense(layers, masked, 1.0)
    name = next(iter(uneven['condensation']))
    mask = uneven['condensation'][name]['mask'].copy()
    mask[:, 0] = np.roll(mask[:, 0], 1)
    uneven['condensation'] = {**uneven['condensation'], name: {'mask': mask}}
    with pytest.raises(ValueError, match='not fully condensed'):
        convert.convert(layers, uneven)
    converted = convert.convert(layers, condense.condense(layers, masked, 1.0))
    with pytest.raises(ValueError, match='not those of the masked network'):
        convert.convert(layers, converted)


def test_an_op_of_the_users_own_from_string_to_deployment():
    class ChannelGate(nn.Module):
        @nn.compact
        def __call__(self, x):
            return x * nn.sigmoid(
                nn.Dense(x.shape[-1], name='mix')(x.mean(axis=(1, 2), keepdims=True))
            )

    def count_gate(layer):
        return layer.in_channels * (layer.in_channels + 1), 0, layer.in_channels**2

    plan.register_op('gate', role='norm', module=lambda layer: ChannelGate(), count=count_gate)
    layers = plan.build(
        Cell.parse('bn_relu-lgconv1x1-gate-conv1x1'),
        dataclasses.replace(tiny, stages=(1,), growth=(4,)),
    )
    masked = trained(layers)
    own = next(layer.name for layer in layers if layer.op == 'gate')
    converted = convert.convert(layers, masked)
    before, after = (variables['params'][own]['mix']['kernel'] for variables in (masked, converted))
    np.testing.assert_array_equal(after, before)
    found, expected = logits(layers, converted, deployed=True), logits(layers, masked)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert network.count_params(converted) == count(layers).params
