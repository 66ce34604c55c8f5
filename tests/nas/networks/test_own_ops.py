"""Own ops as networks: their modules agree with their counts, and their ONNX forms with JAX."""

import dataclasses
import pathlib

import jax
import pytest

from nas.cells import own_ops, plan
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.networks import network, onnx_export
from nas.networks import own_ops as checks
from tests.nas.made_ops import SWISH_CONV, one_op, write_ops

DIGITS = dataclasses.replace(SKELETONS['digits'], stages=(1,), growth=(4,), stem=8)


def load(folder, text, token):
    """An ops file in which `swish_conv` has another name."""
    name = f'{token}.py'
    return own_ops.read(write_ops(folder, text.replace('swish_conv', token), name)).load()


def test_the_op_of_the_readme_agrees_with_itself_and_with_onnx_runtime(tmp_path):
    pytest.importorskip('onnxruntime')
    ops = own_ops.read(write_ops(tmp_path)).load()
    checks.check(ops, DIGITS, onnx=True)
    layers = plan.build(Cell.parse('bn_relu-lgconv1x1-none-swish_conv'), DIGITS)
    variables = network.init(jax.random.key(0), layers, deployed=True)
    onnx_export.export(layers, variables, tmp_path / 'model.onnx')
    assert onnx_export.verify(tmp_path / 'model.onnx', layers, variables) <= 1e-4
    checks.check_plan(layers)


@pytest.mark.parametrize(
    'token, old, new, message',
    [
        ('wrongcount', 'weights = 9', 'weights = 8', r'its count gives [\d,]+ parameters, but its'),
        ('wrongbias', 'use_bias=False', 'use_bias=True', 'parameters, but its module has'),
        ('nottuple', 'return weights, ', 'return ', r'has to give \(params, flops, macs\)'),
        ('negative', 'return weights,', 'return -weights,', 'none may be negative'),
        ('wrongwidth', 'self.channels, (3', 'self.channels + 1, (3', "its role 'conv' takes"),
        ('wrongsize', '(3, 3),', '(3, 3), strides=2,', "its role 'conv' takes"),
        ('raises', 'x * nn.sigmoid(x)', 'x * undefined', "cannot be run: NameError: name 'undef"),
        (
            'nomodule',
            '    module=lambda layer: SwishConv(layer.out_channels),\n',
            '',
            'without a m',
        ),
        ('noform', '    onnx=onnx,\n', '', 'has no ONNX form; pass onnx= to'),
        ('noleaf', "'Conv_0', 'kernel'", "'Conv_1', 'kernel'", 'its params are Conv_0/kernel'),
        ('notdeep', "'Conv_0', 'kernel'", "'Conv_0'", 'holds kernel; name one of them'),
        ('notname', 'return g.node', 'g.node', 'returned None; the name of its value'),
        ('fails', 'def onnx(g, layer, x):', 'def onnx(g, layer, x, y):', 'ONNX form .* TypeError'),
        ('notone', "'Sigmoid'", "'Sigmoidal'", 'no valid file: .*Sigmoidal'),
    ],
)
def test_ops_that_do_not_agree(tmp_path, token, old, new, message):
    pytest.importorskip('onnx')
    assert old in SWISH_CONV
    ops = load(tmp_path, SWISH_CONV.replace(old, new), token)
    with pytest.raises(ValueError, match=message) as error:
        checks.check(ops, DIGITS, onnx=True)
    assert f'{token}.py' in str(error.value) and '\n' not in str(error.value)
    # Each of them names the op, and a search without ONNX needs no ONNX form.
    assert token in str(error.value)


def test_a_module_may_ask_whether_it_is_trained(tmp_path):
    assert SWISH_CONV.count('def __call__(self, x):') == 1
    text = SWISH_CONV.replace('def __call__(self, x):', 'def __call__(self, x, train):')
    checks.check(load(tmp_path, text, 'asks'), DIGITS)


def test_every_role_is_tried_where_it_stands(tmp_path):
    for role in ('norm', 'depthwise'):
        more = ', module=lambda layer: nn.BatchNorm(use_running_average=True)'
        text = 'import flax.linen as nn\n' + one_op(f'tried{role}', role=role, more=more)
        ops = own_ops.read(write_ops(tmp_path, text, f'{role}.py')).load()
        with pytest.raises(ValueError, match=f'tried{role}.*count gives 0 parameters'):
            checks.check(ops, DIGITS)


def test_several_values_of_an_operator_and_numbers_as_weights(tmp_path):
    pytest.importorskip('onnxruntime')
    text = (
        'import flax.linen as nn\nimport jax.numpy as jnp\n'
        'from nas.cells.plan import register_op\n'
        'class Halves(nn.Module):\n'
        '    @nn.compact\n'
        '    def __call__(self, x):\n'
        '        first, second = jnp.split(x, 2, axis=-1)\n'
        '        return jnp.concatenate([2.5 * second, first], axis=-1)\n'
        'def onnx(g, layer, x):\n'
        "    first, second = g.node('Split', x, outputs=2, axis=1)\n"
        "    return g.node('Concat', g.node('Mul', second, g.weight(2.5)), first, axis=1)\n"
        "register_op('halves', role='norm', count=lambda layer: (0, 0, 0), onnx=onnx,\n"
        '    module=lambda layer: Halves())\n'
    )
    checks.check(own_ops.read(write_ops(tmp_path, text)).load(), DIGITS, onnx=True)
    layers = plan.build(Cell.parse('halves-conv1x1'), DIGITS)
    variables = network.init(jax.random.key(0), layers, deployed=True)
    path = pathlib.Path(tmp_path) / 'model.onnx'
    onnx_export.export(layers, variables, path)
    assert onnx_export.verify(path, layers, variables) <= 1e-4
