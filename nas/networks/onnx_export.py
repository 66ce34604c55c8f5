"""Networks as ONNX files, for the runtimes of phones, boards and servers.

The file takes the same input as the Flax network, images [batch, height, width, channels] of any
batch size, and gives the same logits. Every record of the plan becomes the ONNX operator with the
same meaning; a learned-group convolution becomes three operators: a gather of its inputs, a grouped
convolution and a channel shuffle. Runtimes fold normalisation into convolutions themselves.

Needs the packages of the extra `export`.
"""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from common.onnx_graph import IR_VERSION, OPSET, require
from common.run import atomic_path
from nas.cells.fingerprint import plan_hash
from nas.cells.plan import CUSTOM_OPS, Layer, Plan
from nas.networks import network as network_lib
from nas.networks import onnx_own, ops

INPUT, OUTPUT = 'images', 'logits'


class _Graph:
    """Collects nodes and weights; the value of a layer has the layer's name."""

    def __init__(self, onnx, plan: Plan, variables):
        self._onnx, self.plan, self.variables = onnx, plan, variables
        self.nodes, self.weights = [], []

    def inputs(self, layer: Layer) -> list[str]:
        """Names of the values that a layer reads."""
        return [self.plan[i].name for i in layer.inputs]

    def variable(self, layer: Layer, collection: str, leaf: str) -> np.ndarray:
        """One array of a layer. Raises ValueError if it is not there."""
        try:
            return np.asarray(self.variables[collection][layer.name][leaf])
        except KeyError:
            raise ValueError(
                f'variables hold no {collection}/{layer.name}/{leaf}: they are not those of the '
                'deployed network of this plan; convert trained ones with nas.networks.convert'
            ) from None

    def weight(self, layer: Layer, leaf: str, values: np.ndarray) -> str:
        """Stores a constant and returns its name; floats as float32."""
        values = values.astype(np.int64 if values.dtype.kind == 'i' else np.float32)
        name = f'{layer.name}/{leaf}'
        self.weights.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, *more: str, **attributes) -> str:
        """Appends an operator and returns the name of its first value."""
        name = f'{output}/{op}'
        self.nodes.append(
            self._onnx.helper.make_node(op, inputs, [output, *more], name=name, **attributes)
        )
        return output


def _input(g: _Graph, layer: Layer) -> None:
    g.node('Transpose', [INPUT], layer.name, perm=[0, 3, 1, 2])


def _window(layer: Layer) -> dict[str, list[int]]:
    return {
        'kernel_shape': [layer.kernel] * 2,
        'strides': [layer.stride] * 2,
        'pads': [layer.padding] * 4,
    }


def _convolve(g: _Graph, layer: Layer, x: str, output: str) -> None:
    kernel = g.variable(layer, 'params', 'kernel').transpose(3, 2, 0, 1)  # HWIO to OIHW
    weights = [g.weight(layer, 'kernel', kernel)]
    if layer.bias:
        weights.append(g.weight(layer, 'bias', g.variable(layer, 'params', 'bias')))
    g.node('Conv', [x, *weights], output, group=layer.groups, **_window(layer))


def _conv(g: _Graph, layer: Layer) -> None:
    _convolve(g, layer, *g.inputs(layer), layer.name)


def _gather(g: _Graph, layer: Layer, x: str) -> str:
    index = g.weight(layer, 'index', g.variable(layer, 'constants', 'index'))
    return g.node('Gather', [x, index], f'{layer.name}/gathered', axis=1)


def _lgconv(g: _Graph, layer: Layer) -> None:
    _convolve(g, layer, _gather(g, layer, *g.inputs(layer)), f'{layer.name}/grouped')
    _shuffle_channels(g, layer, f'{layer.name}/grouped')


def _shuffle(g: _Graph, layer: Layer) -> None:
    _shuffle_channels(g, layer, *g.inputs(layer))


def _shuffle_channels(g: _Graph, layer: Layer, x: str) -> None:
    """Channel g*n+i moves to i*groups+g."""
    size, groups = layer.out_size, layer.groups
    split = g.weight(
        layer, 'split', np.array([0, groups, layer.out_channels // groups, size, size])
    )
    joined = g.weight(layer, 'joined', np.array([0, layer.out_channels, size, size]))
    x = g.node('Reshape', [x, split], f'{layer.name}/split_channels')
    x = g.node('Transpose', [x], f'{layer.name}/swapped', perm=[0, 2, 1, 3, 4])
    g.node('Reshape', [x, joined], layer.name)


def _bn(g: _Graph, layer: Layer) -> None:
    leaves = (
        ('params', 'scale'),
        ('params', 'bias'),
        ('batch_stats', 'mean'),
        ('batch_stats', 'var'),
    )
    weights = [
        g.weight(layer, leaf, g.variable(layer, collection, leaf)) for collection, leaf in leaves
    ]
    g.node('BatchNormalization', [*g.inputs(layer), *weights], layer.name, epsilon=ops.BN_EPSILON)


def _relu(g: _Graph, layer: Layer) -> None:
    g.node('Relu', g.inputs(layer), layer.name)


def _relu6(g: _Graph, layer: Layer) -> None:
    bounds = [
        g.weight(layer, leaf, np.array(value)) for leaf, value in (('low', 0.0), ('high', 6.0))
    ]
    g.node('Clip', [*g.inputs(layer), *bounds], layer.name)


def _avgpool(g: _Graph, layer: Layer) -> None:
    g.node('AveragePool', g.inputs(layer), layer.name, count_include_pad=1, **_window(layer))


def _maxpool(g: _Graph, layer: Layer) -> None:
    g.node('MaxPool', g.inputs(layer), layer.name, **_window(layer))


def _globalpool(g: _Graph, layer: Layer) -> None:
    g.node('GlobalAveragePool', g.inputs(layer), layer.name)


def _linear(g: _Graph, layer: Layer) -> None:
    (x,) = g.inputs(layer)
    if layer.condensation > 1:
        x = _gather(g, layer, x)
    x = g.node('Flatten', [x], f'{layer.name}/flat')
    weights = [g.weight(layer, 'kernel', g.variable(layer, 'params', 'kernel'))]
    if layer.bias:
        weights.append(g.weight(layer, 'bias', g.variable(layer, 'params', 'bias')))
    g.node('Gemm', [x, *weights], layer.name)


def _concat(g: _Graph, layer: Layer) -> None:
    g.node('Concat', g.inputs(layer), layer.name, axis=1)


def _add(g: _Graph, layer: Layer) -> None:
    g.node('Sum', g.inputs(layer), layer.name)


_EXPORTS: dict[str, Callable[[_Graph, Layer], None]] = {
    'input': _input,
    'conv': _conv,
    'lgconv': _lgconv,
    'bn': _bn,
    'relu': _relu,
    'relu6': _relu6,
    'avgpool': _avgpool,
    'maxpool': _maxpool,
    'globalpool': _globalpool,
    'linear': _linear,
    'concat': _concat,
    'add': _add,
    'shuffle': _shuffle,
}


def export(
    plan: Plan, variables: Mapping[str, Any], path, *, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a deployed network as an ONNX file.

    The graph has one input, `images` [batch, H, W, C] float32 prepared as for the Flax network, and
    one output, `logits` [batch, classes].

    Args:
        plan: the layer records.
        variables: of `Network(plan, deployed=True)`, from `nas.networks.convert.convert` or
            `nas.networks.network.init`.
        path: the file to write.
        metadata: further facts for the file, such as how the images were normalised.

    Raises:
        ValueError: if the packages are missing, an op has no ONNX form, or `variables` are not
            those of the deployed network.
    """
    onnx = require('onnx')
    graph = _Graph(onnx, plan, variables)
    for layer in plan:
        if layer.op in CUSTOM_OPS:
            onnx_own.write(graph, layer)
            continue
        if layer.op not in _EXPORTS:
            raise ValueError(
                f'layer {layer.name!r}: op {layer.op!r} has no ONNX form; exported are '
                f'{", ".join(_EXPORTS)}'
            )
        _EXPORTS[layer.op](graph, layer)
    graph.node('Identity', [plan[-1].name], OUTPUT)
    image, last = plan[0], plan[-1]
    tensor = lambda name, *shape: onnx.helper.make_tensor_value_info(
        name, onnx.TensorProto.FLOAT, ['batch', *shape]
    )
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            'network',
            [tensor(INPUT, image.out_size, image.out_size, image.out_channels)],
            [tensor(OUTPUT, last.out_channels)],
            graph.weights,
        ),
        opset_imports=[onnx.helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='pano-dppnet',
    )
    facts = {
        'plan_sha256': plan_hash(plan),
        'input': 'images [batch, height, width, channels], float32, prepared as for training',
        'output': 'logits [batch, classes]',
        **(metadata or {}),
    }
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    with atomic_path(pathlib.Path(path)) as temporary:
        onnx.save(model, str(temporary))


def verify(
    path, plan: Plan, variables: Mapping[str, Any], *, tolerance: float = 1e-4, batch: int = 2
) -> float:
    """Compares an exported file in ONNX Runtime with the Flax network, on random images.

    Args:
        path: a file that `export` wrote.
        plan, variables: what it was exported from.
        tolerance: largest difference of a logit that is accepted, relative to the largest logit if
            that is above 1.
        batch: number of images.

    Returns:
        The largest difference, measured as for `tolerance`.

    Raises:
        ValueError: if the packages are missing or the difference is larger.
    """
    runtime = require('onnxruntime')
    image = plan[0]
    shape = (batch, image.out_size, image.out_size, image.out_channels)
    images = np.random.default_rng(0).random(shape, np.float32)
    apply = jax.jit(network_lib.Network(plan, deployed=True).apply)
    with jax.default_matmul_precision('highest'):
        # One call is too few to repay an optimised program, which takes twice as long to compile.
        compiled = apply.lower(variables, images).compile({'xla_backend_optimization_level': 0})
    expected = np.asarray(compiled(variables, images))
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    (found,) = session.run([OUTPUT], {INPUT: images})
    difference = float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= tolerance:
        raise ValueError(
            f'{path}: logits in ONNX Runtime differ from those of JAX by {difference:.2g}; '
            f'accepted is {tolerance:g}'
        )
    return difference
