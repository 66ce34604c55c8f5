"""Networks that are no plans, a product of a matrix, on every kind of device."""

import dataclasses
import json
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from nas.cells import plan, skeleton
from nas.cells.cell import Cell
from nas.devices import cache, measure
from nas.devices.base import CannotRun, as_model, fingerprint_of
from nas.devices.command import CommandDevice
from nas.devices.onnx import OnnxDevice
from nas.devices.profile import ProfileDevice
from nas.devices.xla import XlaDevice

PLAN = plan.build(Cell.parse('bn-conv3x3'), skeleton.tiny)


@dataclasses.dataclass(frozen=True)
class Product:
    """Takes uint8 [batch, 2, 3] and multiplies it by a matrix [3, width]."""

    width: int = 4
    wrong: float = 0.0  # what the file adds to the matrix

    @property
    def fingerprint(self):
        return f'product / {self.width}'

    @property
    def matrix(self):
        return np.arange(3 * self.width, dtype=np.float32).reshape(3, self.width)

    def inputs(self, batch):
        return np.arange(6 * batch, dtype=np.uint8).reshape(batch, 2, 3)

    def compiled(self, batch):
        return lambda matrix, x: x.astype(jnp.float32) @ matrix, (self.matrix, self.inputs(batch))

    def export(self, path):
        onnx = pytest.importorskip('onnx')
        value = onnx.helper.make_tensor_value_info
        matrix = onnx.numpy_helper.from_array(self.matrix + np.float32(self.wrong), 'matrix')
        nodes = [
            onnx.helper.make_node('Cast', ['x'], ['f'], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node('MatMul', ['f', 'matrix'], ['y']),
        ]
        graph = onnx.helper.make_graph(
            nodes,
            'product',
            [value('x', onnx.TensorProto.UINT8, ['batch', 2, 3])],
            [value('y', onnx.TensorProto.FLOAT, ['batch', 2, self.width])],
            [matrix],
        )
        opset = [onnx.helper.make_opsetid('', 17)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))

    def verify(self, path):
        runtime = pytest.importorskip('onnxruntime')
        x = self.inputs(2)
        (found,) = runtime.InferenceSession(str(path)).run(None, {'x': x})
        if not np.array_equal(found, x.astype(np.float32) @ self.matrix):
            raise ValueError('the file computes something else')


def test_xla_times_a_call_and_counts_the_weights_in_its_memory():
    device = XlaDevice('cpu', batch=3, warmup=1, repeats=5, min_seconds=0)
    small, large = (device.measure(Product(width)) for width in (4, 100_000))
    assert 0 < small.p10_ms <= small.latency_ms <= small.p90_ms and small.batch_size == 3
    weights = 4e-6 * 3 * (100_000 - 4)
    assert large.memory_mb - small.memory_mb > weights
    assert 'weights, inputs, results' in small.note


def test_onnx_feeds_the_file_with_what_it_takes():
    pytest.importorskip('onnxruntime')
    found = OnnxDevice(batch=3, warmup=1, repeats=5, min_seconds=0).measure(Product())
    assert 0 < found.p10_ms <= found.latency_ms <= found.p90_ms and found.batch_size == 3


def test_a_file_that_differs_from_jax_is_not_timed():
    pytest.importorskip('onnxruntime')
    with pytest.raises(CannotRun, match='computes something else'):
        OnnxDevice().measure(Product(wrong=1.0))


def test_a_command_gets_the_file_and_the_cache_tells_networks_apart(tmp_path):
    pytest.importorskip('onnxruntime')
    script, calls = tmp_path / 'board.py', tmp_path / 'calls'
    script.write_text(
        'import json, sys, numpy, onnxruntime\n'
        'x = numpy.ones((int(sys.argv[2]), 2, 3), numpy.uint8)\n'
        '(y,) = onnxruntime.InferenceSession(sys.argv[1]).run(None, {"x": x})\n'
        f'open({str(calls)!r}, "a").write("x")\n'
        'print(json.dumps({"latency_ms": float(y.sum())}))\n'
    )
    device = CommandDevice(f'{sys.executable} {script} {{model}} {{batch}}', batch=5)
    store = cache.Cache(tmp_path / 'cache')
    found = [
        cache.measure(device, network, cache=store).latency_ms
        for network in (Product(4), Product(1), Product(4))
    ]
    assert found == [5 * 2 * sum(range(12)), 5 * 2 * sum(range(3)), found[0]]
    assert calls.read_text() == 'xx'
    (entry,) = {json.loads(p.read_text())['entry']['measured']['plan'] for p in _files(store)} - {
        fingerprint_of(Product(1))
    }
    assert entry == fingerprint_of(Product(4)) != fingerprint_of(PLAN)


def _files(store):
    return [path for path in store.folder.rglob('*.json') if path.is_file()]


def test_a_device_of_published_figures_says_that_it_knows_plans_only():
    device = ProfileDevice('phone')
    with pytest.raises(CannotRun, match='^profile:phone .*estimates such plans alone; accepted'):
        device.measure(Product())
    with pytest.raises(ValueError, match='profile:phone .* accepted are devices that time'):
        measure.check_takes(device, Product())
    measure.check_takes(device, PLAN)


def test_a_plan_as_a_model_computes_what_its_variables_say():
    model = as_model(PLAN)
    assert model.fingerprint == fingerprint_of(PLAN)
    function, arguments = model.compiled(2)
    again, others = as_model((PLAN, model.variables)).compiled(2)
    logits = function(*arguments)
    assert logits.shape == (2, PLAN[-1].out_channels) and np.abs(logits).max() > 0
    np.testing.assert_array_equal(logits, again(*others))
    with pytest.raises(ValueError, match='neither a plan'):
        as_model('resnet')


def test_what_a_device_cannot_run_is_no_device_that_is_away():
    assert not issubclass(CannotRun, OSError)
