"""nas.networks.onnx_export: ONNX Runtime gives the logits of the Flax network for every op."""

import sys

import jax
import numpy as np
import pytest

from nas.cells import plan as plan_lib
from nas.cells import zoo
from nas.cells.cost import count
from nas.cells.fingerprint import plan_hash
from nas.cells.plan import Builder, Layer
from nas.networks import network, onnx_export

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')


def every_op():
    """A small network of every op there is, with strides, paddings and groups that differ from each
    other.
    """
    b = Builder(9, 3)
    b.scope = 'all'
    x = b.bn_relu(b.conv(0, 12, kernel=3, stride=2))
    y = b.bn_relu(b.lgconv(x, 8, groups=2, condensation=3), relu='relu6')
    y = b.append('shuffle', b.conv(y, 8, kernel=3, groups=8), groups=4)
    z = b.append('add', y, b.conv(x, 8, groups=4))
    x = b.append(
        'concat',
        b.pool(x, 'avg', kernel=3, stride=2, padding=1),
        b.pool(z, 'max', kernel=3, stride=2, padding=1),
    )
    b.classifier(b.bn_relu(x), 7, condensation=5)
    return b.plan()


def variables_of(plan):
    """Random variables of a deployed network, as if it had been trained and converted."""
    rng = np.random.default_rng(3)
    variables = network.init(jax.random.key(1), plan, deployed=True)
    variables['batch_stats'] = {
        name: {
            'mean': rng.normal(0, 0.3, leaves['mean'].shape).astype(np.float32),
            'var': rng.uniform(0.3, 3, leaves['var'].shape).astype(np.float32),
        }
        for name, leaves in variables['batch_stats'].items()
    }
    variables['params'] = jax.tree.map(
        lambda leaf: leaf + rng.normal(0, 0.2, leaf.shape).astype(np.float32), variables['params']
    )
    widths = {layer.name: layer.in_channels for layer in plan}
    variables['constants'] = {
        name: {'index': rng.integers(0, widths[name], leaves['index'].shape).astype(np.int32)}
        for name, leaves in variables['constants'].items()
    }
    return variables


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """(plan, variables, path of the file)."""
    plan = every_op()
    assert {layer.op for layer in plan} == set(onnx_export._EXPORTS), 'an op without a test'
    variables, path = variables_of(plan), tmp_path_factory.mktemp('onnx') / 'network.onnx'
    onnx_export.export(plan, variables, path, metadata={'images': 'divided by 255'})
    return plan, variables, path


def test_logits_are_those_of_the_flax_network(exported):
    plan, variables, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    images = np.random.default_rng(0).random((5, 9, 9, 3), np.float32)
    expected = jax.jit(network.Network(plan, deployed=True).apply)(variables, images)
    assert np.ptp(expected, axis=0).min() > 1e-2  # the images matter
    (found,) = session.run(['logits'], {'images': images})
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (alone,) = session.run(['logits'], {'images': images[3:4]})
    np.testing.assert_allclose(alone, expected[3:4], atol=1e-4)


def test_file_says_what_it_is(exported):
    plan, _, path = exported
    model = onnx.load(path)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts['plan_sha256'] == plan_hash(plan) and facts['images'] == 'divided by 255'
    shape = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, shape) == ('images', ['batch', 9, 9, 3])
    shape = [d.dim_param or d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]
    assert (model.graph.output[0].name, shape) == ('logits', ['batch', 7])
    assert [path.name] == [other.name for other in path.parent.iterdir()]


def test_verify_accepts_the_right_file_and_no_other(exported, tmp_path):
    plan, variables, path = exported
    assert onnx_export.verify(path, plan, variables) < 1e-4
    other = jax.tree.map(np.array, variables)
    other['constants'][next(iter(other['constants']))]['index'][0] += 1
    wrong = tmp_path / 'wrong.onnx'
    onnx_export.export(plan, other, wrong)
    with pytest.raises(ValueError, match='wrong.onnx.*differ'):
        onnx_export.verify(wrong, plan, variables)


@pytest.mark.parametrize('name', ['condensenet-50', 'dpp-net-mobile-a', 'dpp-net-es-a'])
def test_file_holds_the_counted_parameters(name, tmp_path):
    plan = zoo.NETWORKS[name].plan()
    path = tmp_path / 'network.onnx'
    onnx_export.export(plan, network.init(jax.random.key(0), plan, deployed=True), path)
    trained = [
        tensor
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.rpartition('/')[2] in ('kernel', 'bias', 'scale')
    ]
    assert sum(int(np.prod(tensor.dims)) for tensor in trained) == count(plan).params


def test_masked_variables_are_refused(tmp_path):
    plan = plan_lib.build(zoo.CELLS['dpp-net-panacea'], zoo.skeletons.tiny)
    masked = network.init(jax.random.key(0), plan)
    with pytest.raises(ValueError, match='deployed'):
        onnx_export.export(plan, masked, tmp_path / 'network.onnx')
    assert not list(tmp_path.iterdir())


def test_registered_op_is_named(exported, tmp_path):
    plan, variables, _ = exported
    custom = plan + (Layer('swish', 'my_swish', (len(plan) - 1,), 7, 7, 1, 1),)
    with pytest.raises(ValueError, match="'my_swish'.*'swish'"):
        onnx_export.export(custom, variables, tmp_path / 'network.onnx')
    assert not list(tmp_path.iterdir())


def test_missing_package_names_the_extra(exported, tmp_path, monkeypatch):
    plan, variables, path = exported
    monkeypatch.setitem(sys.modules, 'onnx', None)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ValueError, match=r'onnx is missing.*pano-dppnet\[export\]'):
        onnx_export.export(plan, variables, tmp_path / 'network.onnx')
    with pytest.raises(ValueError, match=r'onnxruntime is missing.*pano-dppnet\[export\]'):
        onnx_export.verify(path, plan, variables)
