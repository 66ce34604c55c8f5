"""The depth network as an ONNX graph, a second description of `networks.DepthNet`.

`common.export.write` compares both descriptions before it keeps a file. Between layers features are
flat, [B, C, pixels of all faces], so that cube padding, upsampling and resampling are each one
Gather with a table. A convolution has the size 1 x 3 x 3 over [face, row, column].
"""

import jax
import jax.numpy as jnp
import numpy as np

from common.onnx_graph import OnnxGraph
from pano_depth.kernels import cube
from pano_depth.learning import model as models
from pano_depth.learning import networks


class DepthGraph(OnnxGraph):
    """Builds the graph from panoramas to depth.

    `size` in its methods is (faces, rows, columns) of a map.
    """

    def __init__(self, params, config, height):
        """Starts an empty graph.

        Args:
            params: parameters of the depth network.
            config: `ModelConfig`.
            height: rows of the panorama and of its depth, a multiple of 2 * face_size.
        """
        super().__init__()
        self._params, self._config, self._height = jax.tree.map(np.asarray, params), config, height
        self._grid, self._tables = jax.tree.map(np.asarray, models.make_grid(config)), {}

    def build(self, frames):
        """Appends all nodes from the frames to the depth; returns the name of the depth."""
        features, size = self._look(frames), self._grid.rays.shape[:3]
        skips, block = [], 0
        for level, _ in enumerate(self._config.depth_channels):
            for stride in (2, 1) if level else (2,):
                features, size = self._block(features, size, block, stride)
                block += 1
            skips.append(features)
        skips.pop()
        while skips:
            features, size = self._block(features, size, block, 1)
            features, size = self._upsample(features, size)
            features = self.node('Concat', features, skips.pop(), axis=1)
            features, size = self._block(features, size, block + 1, 1)
            block += 2
        return self._depth(self._disparity(features, size))

    def _table(self, name, make, size, channels=1):
        """A constant: `make` of a map [1, F, h, w, C] of its own places, which are [C, F, h, w]."""
        if (name, size) not in self._tables:
            places = np.arange(channels * np.prod(size), dtype=np.int32).reshape(channels, *size)
            made = make(jnp.asarray(np.moveaxis(places, 0, -1)[None]))
            self._tables[name, size] = self.constant(np.asarray(made), name)
        return self._tables[name, size]

    def _resample(self, x, table, axis):
        """Interpolates along an axis of flat pixels with a `remap.Table`."""
        x = self.node('Gather', x, self.constant(np.asarray(table.indices), 'taps'), axis=axis)
        x = self.node('Mul', x, self.constant(np.asarray(table.weights), 'weights'))
        return self.node('ReduceSum', x, self.constant(np.array([axis]), 'axis'), keepdims=0)

    def _look(self, frames):
        """The frames as the network sees them, flat: 4 x - 2, and the elevation of each pixel."""
        side = self._config.face_size
        x = self.node('Transpose', self.unit_range(frames), perm=[0, 3, 1, 2])
        block = self._height // (2 * side)
        if block > 1:
            x = self.node('AveragePool', x, kernel_shape=[block] * 2, strides=[block] * 2)
        x = self.reshape(x, 0, 3, -1)
        if self._config.padding != 'equirect':
            x = self._resample(x, cube.equirect_to_cube_table(2 * side, 4 * side, side), 2)
            x = self.reshape(x, 0, 3, -1)
        # A fourth channel of zeros, to which the offset adds the elevation.
        x = self.node('Pad', x, self.constant(np.array([0, 0, 0, 0, 1, 0]), 'pads'))
        elevation = self._grid.rays[..., 1].reshape(1, -1)
        offset = np.concatenate([np.full((3, elevation.size), -2, np.float32), elevation])
        x = self.node('Mul', x, self.constant(np.float32(4), 'scale'))
        return self.node('Add', x, self.constant(offset, 'offset'))

    def _conv(self, x, size, params, stride):
        """A `networks.Conv`: [B, C', F, h', w'] and its size."""
        padding, pads = self._config.padding, [0] * 6
        if padding == 'zero':
            x, pads = self.reshape(x, 0, params['kernel'].shape[2], *size), [0, 1, 1] * 2
        else:
            around = lambda places: networks.pad_faces(places, 1, padding)[0, ..., 0]
            x = self.node('Gather', x, self._table('pad', around, size), axis=2)
        weights = [self.constant(params['kernel'].transpose(3, 2, 0, 1)[:, :, None], 'kernel')]
        if 'bias' in params:
            weights.append(self.constant(params['bias'], 'bias'))
        x = self.node(
            'Conv', x, *weights, kernel_shape=[1, 3, 3], strides=[1, stride, stride], pads=pads
        )
        return x, (size[0], size[1] // stride, size[2] // stride)

    def _block(self, x, size, number, stride):
        """A `networks.Block`, flat, and its size."""
        params = self._params[f'Block_{number}']
        x, size = self._conv(x, size, params['Conv_0']['Conv_0'], stride)
        scale, bias = (params['GroupNorm_0'][leaf][:, None] for leaf in ('scale', 'bias'))
        groups = min(8, len(scale) // 4)
        one, zero = (self.constant(np.full(groups, value, np.float32), 'group') for value in (1, 0))
        x = self.node(
            'InstanceNormalization', self.reshape(x, 0, groups, -1), one, zero, epsilon=1e-5
        )
        x = self.node('Mul', self.reshape(x, 0, len(scale), -1), self.constant(scale, 'scale'))
        return self.node('Elu', self.node('Add', x, self.constant(bias, 'bias'))), size

    def _upsample(self, x, size):
        """A `networks.upsample`, flat, and its size."""
        table = self._table('upsample', lambda places: networks.upsample(places).ravel(), size)
        return self.node('Gather', x, table, axis=2), (size[0], 2 * size[1], 2 * size[2])

    def _disparity(self, features, size):
        """The finest disparity [B, pixels], divided by its mean over the sphere."""
        bound = self.constant(np.float32(networks.DepthNet.bound), 'bound')
        x, _ = self._conv(features, size, self._params['head_0']['Conv_0'], 1)
        x = self.node('Mul', self.node('Tanh', self.node('Div', x, bound)), bound)
        table = self._table(
            'unfold', lambda places: networks.unfold(places).ravel(), size, channels=4
        )
        x = self.node('Exp', self.node('Gather', self.reshape(x, 0, -1), table, axis=1))
        weights = self._grid.weights.astype(np.float64).reshape(-1, 1)
        mean = self.node('MatMul', x, self.constant(np.float32(weights / weights.sum()), 'angles'))
        return self.node('Div', x, mean)

    def _depth(self, disparity):
        """The depth [B, H, 2H] of a disparity, as `infer.depth_maps` makes it."""
        target = (self._height, 2 * self._height)
        if self._config.padding != 'equirect':
            table = cube.cube_to_equirect_table(self._config.face_size, *target)
            return self.node('Reciprocal', self._resample(disparity, table, 1))
        source = self._grid.rays.shape[1:3]
        # Resizing is linear, so that resized unit vectors are the columns of its matrix.
        rows, columns = (
            self.constant(values, 'resize')
            for values in (
                np.asarray(jax.image.resize(jnp.eye(source[0]), (target[0], source[0]), 'linear')),
                np.asarray(jax.image.resize(jnp.eye(source[1]), (source[1], target[1]), 'linear')),
            )
        )
        x = self.reshape(disparity, 0, *source)
        return self.node('Reciprocal', self.node('MatMul', self.node('MatMul', rows, x), columns))
