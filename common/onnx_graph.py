"""ONNX files built operator by operator, straight from the description of a network."""

import dataclasses
import importlib
from collections.abc import Mapping

import numpy as np

OPSET = 17  # every runtime of the last years reads it
IR_VERSION = 8  # the file format that belongs to it
BATCH = 'batch'


def require(package: str):
    """Imports and returns a package of the extra `export`; ValueError if it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ValueError(f"{package} is missing: pip install 'pano-dppnet[export]'") from error


@dataclasses.dataclass(frozen=True)
class Port:
    """What goes into a file or comes out of it.

    Attributes:
        name: of the value.
        shape: without the batch axis, which stands first and is free.
        dtype: 'float32' or 'uint8'.
        meaning: axes, frame, units, order of channels and range of the values, for people.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str

    def __str__(self):
        axes = ', '.join(map(str, (BATCH, *self.shape)))
        return f'{self.name} [{axes}] {self.dtype}: {self.meaning}'


class OnnxGraph:
    """Collects operators and constants; each value is known by its name.

    Attributes:
        nodes, weights: ONNX nodes and tensors, in the order in which they were made.

    Raises:
        ValueError: on creation, if the package `onnx` is missing.
    """

    def __init__(self):
        self._onnx = require('onnx')
        self.nodes, self.weights = [], []

    def constant(self, values, name: str) -> str:
        """Stores an array and returns its name, `name` and a number."""
        name = f'{name}_{len(self.weights)}'
        self.weights.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op: str, *inputs: str, **attributes) -> str:
        """Appends an operator and returns the name of its only value."""
        output = f'{op}_{len(self.nodes)}'
        self.nodes.append(
            self._onnx.helper.make_node(op, inputs, [output], name=output, **attributes)
        )
        return output

    def reshape(self, x: str, *shape: int) -> str:
        """Reshapes a value; 0 keeps an axis, -1 takes what is left."""
        return self.node('Reshape', x, self.constant(np.array(shape, np.int64), 'shape'))

    def unit_range(self, pixels: Port) -> str:
        """The values of a port as float32 in [0, 1]: uint8 divided by 255, float32 as it is."""
        if pixels.dtype == 'float32':
            return pixels.name
        x = self.node('Cast', pixels.name, to=self._onnx.TensorProto.FLOAT)
        return self.node('Div', x, self.constant(np.float32(255), 'white'))

    def save(
        self, path, result: str, *, input: Port, output: Port, facts: Mapping[str, str]
    ) -> None:
        """Writes the graph between two ports as a file.

        Args:
            path: the file.
            result: name of the value that the output port gives.
            input, output: the ports.
            facts: the metadata of the file.
        """
        helper = self._onnx.helper
        last = helper.make_node('Identity', [result], [output.name], name='result')
        values = [
            helper.make_tensor_value_info(
                port.name,
                helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype)),
                [BATCH, *port.shape],
            )
            for port in (input, output)
        ]
        graph = helper.make_graph(
            [*self.nodes, last], 'network', values[:1], values[1:], self.weights
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid('', OPSET)],
            ir_version=IR_VERSION,
            producer_name='pano-dppnet',
        )
        save_model(model, path, facts)


def save_model(model, path, facts: Mapping[str, str]) -> None:
    """Checks an ONNX model and writes it; `facts` replace its metadata."""
    onnx = require('onnx')
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
