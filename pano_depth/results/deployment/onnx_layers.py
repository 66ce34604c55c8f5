"""The layers of a depth network as ONNX operators, a second description of its Flax modules.

Between layers features are flat, [B, C, pixels of all faces]. A convolution wider than a pixel sees
faces as separate images, [B * F, C, h, w], for which runtimes have kernels several times as fast as
with a third spatial axis. What lies beyond a face is gathered pixel by pixel, all channels at once,
which is several times as fast as channel by channel.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from common.onnx_graph import OnnxGraph
from pano_depth.learning import networks
from pano_depth.learning.cells.network import INDEX
from pano_depth.learning.cells.plan import Layer, Plan, Size


@functools.lru_cache(maxsize=64)
def _beyond(size: Size, pad: int, padding: str) -> np.ndarray:
    """int32 [F, h + 2 pad, w + 2 pad] pixels, of all faces, that `networks.pad_faces` copies."""
    places = np.arange(np.prod(size), dtype=np.int32).reshape(1, *size, 1)
    with jax.ensure_compile_time_eval():
        padded = networks.pad_faces(jnp.asarray(places), pad, padding)
    return np.asarray(padded)[0, ..., 0]


class LayerGraph(OnnxGraph):
    """Appends the layers of a plan."""

    def __init__(self, plan: Plan, params: Mapping[str, Any], padding: str):
        """Starts an empty graph.

        Args:
            plan: of the deployed network.
            params: of the deployed network.
            padding: see `networks.PADDINGS`.
        """
        super().__init__()
        self._plan, self._params = plan, jax.tree.map(np.asarray, params)
        self._padding, self._tables = padding, {}

    def layers(self, image: str) -> str:
        """Appends all layers after the input; returns what the last one gives, flat.

        Args:
            image: what the network reads, flat.
        """
        values = [image]
        for layer in self._plan[1:]:
            append = getattr(self, f'_{layer.op}')
            values.append(append(layer, *(values[i] for i in layer.inputs)))
        return values[-1]

    def _leaves(self, layer: Layer) -> dict[str, np.ndarray]:
        """The parameters of a layer."""
        tree = self._params
        for part in layer.name.split('/'):
            tree = tree[part]
        return tree

    def _convolve(self, layer: Layer, x: str, **form) -> str:
        """A convolution of images, or of flat pixels if its kernel is one pixel."""
        leaves, size = self._leaves(layer), 2 if layer.kernel > 1 else 1
        kernel = leaves['kernel'].transpose(3, 2, 0, 1)
        weights = [self.constant(kernel if size == 2 else kernel[..., 0], 'kernel')]
        weights += [self.constant(leaves['bias'], 'bias')] if layer.bias else []
        form |= {'kernel_shape': [layer.kernel] * size, 'strides': [layer.stride] * size}
        return self.node('Conv', x, *weights, group=layer.groups, **form)

    def _conv(self, layer: Layer, x: str) -> str:
        if layer.kernel == 1:
            return self._convolve(layer, x)
        if self._padding == 'zero':
            x = self._convolve(layer, self._faces(layer, x), pads=[layer.kernel // 2] * 4)
        else:
            x = self._convolve(layer, self._padded_faces(layer, x))
        faces = layer.out_size[0]
        if faces > 1:
            x = self.reshape(x, -1, faces, layer.out_channels, int(np.prod(layer.out_size[1:])))
            x = self.node('Transpose', x, perm=[0, 2, 1, 3])
        return self.reshape(x, 0, layer.out_channels, -1)

    _head = _conv

    def _faces(self, layer: Layer, x: str) -> str:
        """Flat features as [B * F, C, h, w]."""
        x = self.reshape(x, 0, layer.in_channels, layer.in_size[0], -1)
        x = self.node('Transpose', x, perm=[0, 2, 1, 3])
        return self.reshape(x, -1, layer.in_channels, *layer.in_size[1:])

    def _padded_faces(self, layer: Layer, x: str) -> str:
        """Flat features as [B * F, C, h + 2 pad, w + 2 pad]."""
        key = layer.in_size, layer.kernel // 2
        if key not in self._tables:
            table = _beyond(*key, self._padding)
            self._tables[key] = table.shape[1:], self.constant(table.ravel(), 'beyond')
        size, table = self._tables[key]
        x = self.node('Gather', self.node('Transpose', x, perm=[0, 2, 1]), table, axis=1)
        x = self.reshape(x, -1, *size, layer.in_channels)
        return self.node('Transpose', x, perm=[0, 3, 1, 2])

    def _lgconv(self, layer: Layer, x: str) -> str:
        """Each group reads what it has kept; its output g * n + i moves to i * groups + g."""
        index = self.constant(self._leaves(layer)[INDEX].astype(np.int64), 'index')
        x = self._convolve(layer, self.node('Gather', x, index, axis=1))
        x = self.reshape(x, 0, layer.groups, layer.out_channels // layer.groups, -1)
        x = self.node('Transpose', x, perm=[0, 2, 1, 3])
        return self.reshape(x, 0, layer.out_channels, -1)

    def _norm(self, layer: Layer, x: str) -> str:
        """Group normalisation over all faces."""
        one, zero = (
            self.constant(np.full(layer.groups, value, np.float32), 'group') for value in (1, 0)
        )
        x = self.reshape(x, 0, layer.groups, -1)
        x = self.node('InstanceNormalization', x, one, zero, epsilon=networks.EPSILON)
        x = self.reshape(x, 0, layer.out_channels, -1)
        scale, bias = (self._leaves(layer)[leaf][:, None] for leaf in ('scale', 'bias'))
        x = self.node('Mul', x, self.constant(scale, 'scale'))
        return self.node('Add', x, self.constant(bias, 'bias'))

    def _relu(self, layer: Layer, x: str) -> str:
        return self.node('Relu', x)

    def _elu(self, layer: Layer, x: str) -> str:
        return self.node('Elu', x)

    def _avgpool(self, layer: Layer, x: str) -> str:
        form = {'kernel_shape': [layer.kernel] * 2, 'strides': [layer.stride] * 2}
        x = self.node('AveragePool', self._below_each_other(layer, x), **form)
        return self.reshape(x, 0, layer.out_channels, -1)

    def _upsample(self, layer: Layer, x: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32), 'scales')
        form = {'coordinate_transformation_mode': 'asymmetric', 'nearest_mode': 'floor'}
        x = self.node('Resize', self._below_each_other(layer, x), '', scales, **form)
        return self.reshape(x, 0, layer.out_channels, -1)

    def _below_each_other(self, layer: Layer, x: str) -> str:
        """Flat features as one image [B, C, rows of all faces, columns]."""
        faces, rows, columns = layer.in_size
        return self.reshape(x, 0, layer.in_channels, faces * rows, columns)

    def _concat(self, layer: Layer, *inputs: str) -> str:
        return self.node('Concat', *inputs, axis=1)

    def _add(self, layer: Layer, *inputs: str) -> str:
        return self.node('Add', *inputs)
