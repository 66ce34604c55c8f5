"""Networks from plans: against an oracle in NumPy, and the properties that training needs."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nas.cells import plan
from nas.cells.cell import Cell
from nas.cells.cost import count
from nas.cells.plan import Builder
from nas.cells.skeleton import tiny
from nas.networks import network, ops
from nas.networks.network import Network

CONDENSED = dataclasses.replace(tiny, name='condensed', classifier_condensation=2)
CONDENSENET = Cell.parse('bn_relu-lgconv1x1-bn_relu-gconv3x3')


def windows(images, kernel, stride, padding, fill=0.0):
    """[B, H', W', k, k, C] of padded images, by loops."""
    images = np.pad(images, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)), constant_values=fill)
    rows = range(0, images.shape[1] - kernel + 1, stride)
    return np.stack(
        [np.stack([images[:, i : i + kernel, j : j + kernel] for j in rows], 1) for i in rows], 1
    )


def oracle(layers, variables, images):
    """The network in float64, straight from the meaning of the records."""
    values = [np.asarray(images, np.float64)]
    for layer in layers[1:]:
        xs = [values[i] for i in layer.inputs]
        x, leaves = xs[0], variables['params'].get(layer.name, {})
        if layer.op == 'conv':
            n, m = layer.in_channels // layer.groups, layer.out_channels // layer.groups
            patches = windows(x, layer.kernel, layer.stride, layer.padding)
            x = np.concatenate(
                [
                    np.einsum(
                        'bhwijc,ijcd->bhwd',
                        patches[..., g * n : (g + 1) * n],
                        leaves['kernel'][..., g * m : (g + 1) * m],
                    )
                    for g in range(layer.groups)
                ],
                axis=-1,
            )
        elif layer.op == 'lgconv':
            x = x @ (leaves['kernel'][0, 0] * variables['condensation'][layer.name]['mask'])
        elif layer.op == 'bn':
            stats = variables['batch_stats'][layer.name]
            x = (x - stats['mean']) / np.sqrt(stats['var'] + 1e-5) * leaves['scale'] + leaves[
                'bias'
            ]
        elif layer.op in ('relu', 'relu6'):
            x = np.clip(x, 0, 6 if layer.op == 'relu6' else None)
        elif layer.op == 'avgpool':
            x = windows(x, layer.kernel, layer.stride, layer.padding).mean(axis=(3, 4))
        elif layer.op == 'maxpool':
            x = windows(x, layer.kernel, layer.stride, layer.padding, -np.inf).max(axis=(3, 4))
        elif layer.op == 'globalpool':
            x = x.mean(axis=(1, 2), keepdims=True)
        elif layer.op == 'concat':
            x = np.concatenate(xs, axis=-1)
        elif layer.op == 'add':
            x = xs[0] + xs[1]
        elif layer.op == 'shuffle':
            n = layer.in_channels // layer.groups
            source = [(o % layer.groups) * n + o // layer.groups for o in range(layer.in_channels)]
            x = x[..., source]
        elif layer.op == 'linear':
            mask = variables.get('condensation', {}).get(layer.name, {'mask': 1})['mask']
            x = x[:, 0, 0] @ (leaves['kernel'] * mask) + leaves['bias']
        values.append(x)
    return values[-1]


def scrambled(variables, seed=0):
    """Variables as after training: random statistics, scales and biases, and masks with holes."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name == 'mask':
            return (rng.random(leaf.shape) < 0.5).astype(np.float32)
        if name in ('mean', 'bias'):
            return rng.normal(size=leaf.shape).astype(np.float32)
        return (
            rng.uniform(0.5, 2, leaf.shape).astype(np.float32) if name in ('scale', 'var') else leaf
        )

    return jax.tree_util.tree_map_with_path(draw, variables)


def every_op():
    """A plan with all the ops, odd sizes and paddings."""
    b = Builder(11, 3)
    x = b.bn_relu(b.conv(0, 8, kernel=3, stride=2), relu='relu6')
    x = b.pool(x, 'max', kernel=3, stride=1, padding=1)
    y = b.append('shuffle', b.conv(x, 12, groups=2), groups=3)
    y = b.conv(y, 12, kernel=3, stride=2, groups=12)
    y = b.append('concat', b.pool(x, 'avg', kernel=3, stride=2, padding=1), y)
    y = b.lgconv(b.bn_relu(y), 8, groups=2, condensation=5)
    y = b.append('add', y, b.conv(y, 8, kernel=3, groups=2))
    b.classifier(b.bn_relu(b.pool(y, 'avg')), 5, condensation=2)
    return b.plan()


@pytest.fixture(scope='module')
def images():
    return np.random.default_rng(0).random((4, 8, 8, 3), np.float32)


def test_every_op_against_the_oracle():
    layers = every_op()
    variables = scrambled(network.init(jax.random.key(0), layers))
    images = np.random.default_rng(1).random((2, 11, 11, 3), np.float32)
    logits = jax.jit(Network(layers).apply)(variables, images)
    assert logits.shape == (2, 5) and logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, oracle(layers, variables, images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'text', ['none-dwconv3x3-none-conv1x1-bn_relu-conv3x3', 'bn-gconv1x1-bn-lgconv1x1']
)
def test_cells_against_the_oracle(text, images):
    layers = plan.build(Cell.parse(text), tiny)
    variables = scrambled(network.init(jax.random.key(0), layers))
    logits = jax.jit(Network(layers).apply)(variables, images)
    np.testing.assert_allclose(logits, oracle(layers, variables, images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('deployed', [False, True])
def test_shapes_written_down_are_those_of_flax(deployed):
    """`init` never traces the network, so its idea of the variables must be the one of the
    modules.
    """
    for layers in (every_op(), plan.build(CONDENSENET, CONDENSED)):
        size, channels = layers[0].out_size, layers[0].out_channels
        image = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
        traced = jax.eval_shape(Network(layers, deployed=deployed).init, jax.random.key(0), image)
        assert network.variable_shapes(layers, deployed=deployed) == traced
        drawn = network.init(jax.random.key(0), layers, deployed=deployed)
        assert (
            jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), drawn) == traced
        )


def test_initial_values():
    layers = plan.build(CONDENSENET, dataclasses.replace(tiny, growth=(16, 64), stem=32))
    first, again, other = (network.init(jax.random.key(seed), layers) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(first))
    for layer in layers:
        if layer.op in ('conv', 'lgconv'):
            kernel = first['params'][layer.name]['kernel']
            assert kernel.std() == pytest.approx(np.sqrt(2 / np.prod(kernel.shape[:3])), rel=0.15)
            assert abs(kernel - other['params'][layer.name]['kernel']).min() > 0
    assert not first['params'][layers[-1].name]['bias'].any()
    assert all(mask['mask'].all() for mask in first['condensation'].values())


def test_a_deployed_network_is_drawn_ready_to_run(images):
    layers = plan.build(CONDENSENET, CONDENSED)
    variables = network.init(jax.random.key(0), layers, deployed=True)
    assert network.count_params(variables) == count(layers).params
    for layer in layers:
        if layer.name in variables['constants']:
            index = variables['constants'][layer.name]['index'].reshape(layer.groups, -1)
            assert all(
                len(set(group)) == layer.in_channels // layer.condensation for group in index
            )
            assert index.max() < layer.in_channels
    logits = jax.jit(Network(layers, deployed=True).apply)(variables, images)
    assert np.isfinite(logits).all() and logits.std() > 0


def test_mixed_precision(images):
    layers = plan.build(CONDENSENET, CONDENSED)
    half = Network(layers, dtype=jnp.bfloat16)
    variables = network.init(jax.random.key(0), layers)
    step = functools.partial(half.apply, train=True, mutable=['batch_stats'])
    program = jax.make_jaxpr(step)(variables, images)
    assert 'bf16[4,8,8,16]' in str(program)
    assert {leaf.dtype for leaf in program.out_avals} == {jnp.dtype(jnp.float32)}
    variables = scrambled(variables)
    exact, logits = oracle(layers, variables, images), jax.jit(half.apply)(variables, images)
    assert 1e-4 * abs(exact).max() < abs(logits - exact).max() < 0.1 * abs(exact).max()


def test_batch_statistics(images):
    """Momentum 0.1 in PyTorch's sense; under pmap over the images of all devices."""
    b = Builder(8, 3)
    b.classifier(b.append('bn', 0), 2)
    layers = b.plan()
    variables = network.init(jax.random.key(0), layers)
    module = Network(layers, axis_name='batch')

    def step(shard):
        return module.apply(variables, shard, train=True, mutable=['batch_stats'])

    logits, updates = jax.pmap(step, axis_name='batch', out_axes=(0, None))(images[:, None])
    stats = updates['batch_stats'][layers[1].name]
    np.testing.assert_allclose(stats['mean'], 0.1 * images.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(stats['var'], 0.9 + 0.1 * images.var((0, 1, 2)), rtol=1e-5)
    whole, _ = Network(layers).apply(variables, images, train=True, mutable=['batch_stats'])
    np.testing.assert_allclose(logits[:, 0], whole, rtol=1e-4, atol=1e-5)


class FlaxNorm(nn.Module):
    """Flax's own batch normalisation, which takes its moments from its input."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x, moments):
        norm = nn.BatchNorm(
            momentum=0.9, epsilon=1e-5, dtype=self.dtype, use_running_average=moments is None
        )
        nn.share_scope(self, norm)
        return norm(x)


def test_normalisation_is_that_of_flax(images, monkeypatch):
    """Outputs, running statistics and gradients, where several layers normalise the same
    concatenated channels.
    """
    layers = plan.build(CONDENSENET, CONDENSED)
    variables = scrambled(network.init(jax.random.key(0), layers))
    rest = {name: tree for name, tree in variables.items() if name != 'params'}

    def run():
        def loss(params):
            logits, updates = Network(layers).apply(
                {'params': params} | rest, images * 2 + 1, train=True, mutable=['batch_stats']
            )
            return (logits * np.arange(logits.size).reshape(logits.shape)).sum(), (logits, updates)

        program = jax.jit(
            jax.grad(loss, has_aux=True), compiler_options={'xla_backend_optimization_level': 0}
        )
        evaluated = Network(layers).apply(variables, images)
        return (*program(variables['params']), evaluated)

    ours = run()
    monkeypatch.setattr(ops, 'BatchNorm', FlaxNorm)
    flax = run()
    assert jax.tree.structure(ours) == jax.tree.structure(flax)
    for found, expected in zip(jax.tree.leaves(ours), jax.tree.leaves(flax)):
        np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_variables_of_the_other_kind_and_wrong_images_are_refused(images):
    layers = plan.build(CONDENSENET, tiny)
    kinds = [
        network.init(jax.random.key(0), layers, deployed=deployed) for deployed in (False, True)
    ]
    for deployed, named in ((False, 'masked'), (True, 'deployed')):
        with pytest.raises(ValueError, match=f'lgconv0.*not those of a {named} network'):
            Network(layers, deployed=deployed).apply(kinds[not deployed], images)
    for wrong in (images[0], images[:, :7], images[..., :1]):
        with pytest.raises(ValueError, match=r'this network takes \(batch, 8, 8, 3\)'):
            Network(layers).apply(kinds[False], wrong)


class Attenuate(nn.Module):
    """A norm of the user's own: half of what is above a learned threshold, and no threshold in
    training.
    """

    start: float

    @nn.compact
    def __call__(self, x, train):
        threshold = self.param('threshold', nn.initializers.constant(self.start), x.shape[-1:])
        return x if train else jnp.minimum(x, threshold) + 0.5 * jnp.maximum(x - threshold, 0)


def test_a_registered_op_runs():
    plan.register_op(
        'attenuate',
        role='norm',
        count=lambda layer: (layer.in_channels, 0, 0),
        module=lambda layer: Attenuate(layer.in_channels / 100),
    )
    layers = plan.build(
        Cell.parse('attenuate-conv1x1'), dataclasses.replace(tiny, stages=(1,), growth=(4,))
    )
    variables = network.init(jax.random.key(0), layers)
    assert network.count_params(variables) == count(layers).params
    own = next(layer.name for layer in layers if layer.op == 'attenuate')
    # The module's own initialiser, not a kernel's.
    np.testing.assert_array_equal(
        variables['params'][own]['threshold'], np.full(8, 0.08, np.float32)
    )
    assert network.variable_shapes(layers)['params'][own]['threshold'].shape == (8,)
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)

    def apply(variables, train):
        step = functools.partial(Network(layers).apply, train=train, mutable=['batch_stats'])
        return jax.jit(step)(variables, images)[0]

    out_of_reach = {**variables['params'], own: {'threshold': np.full(8, 100, np.float32)}}
    without = apply({**variables, 'params': out_of_reach}, False)
    assert abs(apply(variables, False) - without).max() > 1e-3
    trained = apply({**variables, 'params': out_of_reach}, True)
    np.testing.assert_allclose(apply(variables, True), trained, rtol=1e-5, atol=1e-6)


def test_ops_that_cannot_run_are_named():
    layers = plan.build(CONDENSENET, tiny)
    stranger = (layers[0], dataclasses.replace(layers[1], op='fft')) + layers[2:]
    plan.register_op('countonly', role='norm', count=lambda layer: (0, 0, 0))
    counted = plan.build(Cell.parse('countonly-conv1x1'), tiny)
    cases = ((stranger, "op 'fft' is unknown"), (counted, "'countonly' was registered without"))
    for layers, message in cases:
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(Network(layers).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


def test_shuffle_moves_channels_as_the_record_says():
    x = np.arange(12)
    shuffled = np.asarray(ops.shuffle(jnp.asarray(x), 3))
    assert all(shuffled[i * 3 + g] == g * 4 + i for g in range(3) for i in range(4))
