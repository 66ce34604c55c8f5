"""ONNX forms of registered ops: what the function `onnx` of `register_op` writes with.

    def swish_conv(g, layer, x):
        kernel = g.weight(g.variable('params', 'Conv_0', 'kernel').transpose(3, 2, 0, 1))
        x = g.node('Conv', x, kernel, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        return g.node('Mul', x, g.node('Sigmoid', x))

Images are [B, C, H, W] in the file, kernels [out, in, height, width]; operators are those of opset
`common.onnx_graph.OPSET`.
"""

from typing import Any

import numpy as np

from nas.cells.plan import CUSTOM_OPS, Layer


class LayerGraph:
    """The operators and weights of one layer of a network that becomes an ONNX file."""

    def __init__(self, graph, layer: Layer):
        """Takes the graph of `nas.networks.onnx_export` and the record of the layer."""
        self._graph, self._layer = graph, layer
        self._count = 0

    def variable(self, collection: str, *path: str) -> np.ndarray:
        """One array of the layer.

        Args:
            collection: of the Flax module, such as 'params' or 'batch_stats'.
            *path: names below it, such as 'Conv_0', 'kernel'.

        Raises:
            ValueError: it is not there; the message lists what is.
        """
        tree = self._graph.variables.get(collection, {}).get(self._layer.name, {})
        found = tree
        for name in path:
            if not isinstance(found, dict) or name not in found:
                raise ValueError(
                    f'op {self._layer.op!r} has no variable {"/".join((collection, *path))};'
                    f' its {collection} are {", ".join(_names(tree)) or "none"}'
                )
            found = found[name]
        if isinstance(found, dict):
            raise ValueError(
                f'op {self._layer.op!r}: {"/".join((collection, *path))} holds'
                f' {", ".join(_names(found))}; name one of them'
            )
        return np.asarray(found)

    def weight(self, values) -> str:
        """Stores an array or a number and returns its name; floats become float32, ints int64."""
        return self._graph.weight(self._layer, f'own{self._next()}', np.asarray(values))

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any):
        """Appends an ONNX operator.

        Args:
            op: its name, such as 'Conv'.
            *inputs: names of values and weights; '' leaves out an optional one.
            outputs: number of its values.
            **attributes: of the operator.

        Returns:
            The name of its value; a list of names if there are several.
        """
        number = self._next()
        names = [f'{self._layer.name}/own{number}_{i}' for i in range(outputs)]
        self._graph.node(op, list(inputs), *names, **attributes)
        return names[0] if outputs == 1 else names

    def _next(self) -> int:
        self._count += 1
        return self._count


def write(graph, layer: Layer) -> None:
    """Writes the ONNX form of a registered op into a graph.

    Args:
        graph: of `nas.networks.onnx_export`.
        layer: the record.

    Raises:
        ValueError: the op was registered without one, or its function fails.
    """
    form = CUSTOM_OPS[layer.op].onnx
    if form is None:
        raise ValueError(
            f'op {layer.op!r} has no ONNX form; pass onnx= to nas.cells.plan.register_op'
        )
    (x,) = graph.inputs(layer)
    try:
        value = form(LayerGraph(graph, layer), layer, x)
    except Exception as error:
        text = error if isinstance(error, ValueError) else f'{type(error).__name__}: {error}'
        raise ValueError(f'the ONNX form of op {layer.op!r} fails: {text}') from error
    if not isinstance(value, str):
        raise ValueError(
            f'the ONNX form of op {layer.op!r} returned {value!r}; the name of its value is'
            ' accepted, as g.node returns it'
        )
    graph.node('Identity', [value], layer.name)


def _names(tree, start: str = '') -> list[str]:
    """Paths of the arrays in nested dicts."""
    if not isinstance(tree, dict):
        return [start.rstrip('/')]
    return [name for key in tree for name in _names(tree[key], f'{start}{key}/')]
