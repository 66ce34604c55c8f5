"""The deployed depth network as an ONNX graph from panoramas to depth.

A second description of `results.deployment.network`; `common.export.write` compares both before it
keeps a file.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from common.onnx_graph import Port
from pano_depth.kernels import cube, remap
from pano_depth.learning import model as models
from pano_depth.learning import networks
from pano_depth.learning.cells import build
from pano_depth.learning.cells import plan as plans
from pano_depth.results.deployment.onnx_layers import LayerGraph


class DepthGraph(LayerGraph):
    """Builds the graph from panoramas to depth."""

    def __init__(self, params: Mapping[str, Any], config: models.ModelConfig, height: int):
        """Starts an empty graph.

        Args:
            params: of the deployed depth network, see `cells.condense.deploy`.
            config: of the networks.
            height: rows of the panorama and of its depth, a multiple of 2 * face_size.
        """
        super().__init__(plans.needed(build.build(config)), params, config.padding)
        self._config, self._height = config, height
        self._grid = jax.tree.map(np.asarray, models.make_grid(config))

    def build(self, frames: Port) -> str:
        """Appends all nodes from the frames to the depth; returns the name of the depth."""
        return self._depth(self._disparity(self.layers(self._look(frames))))

    def _resample(self, x, table: remap.Table, channels):
        """Interpolates pixels [B, P, C] with a table of T targets: [B, T, C]."""
        taps = len(table.indices)
        indices = np.asarray(table.indices).reshape(taps, -1)
        # Of the shape of what they weigh, since runtimes are slow where they have to repeat.
        weights = np.asarray(table.weights).reshape(taps, -1, 1).repeat(channels, axis=2)
        x = self.node('Gather', x, self.constant(indices, 'taps'), axis=1)
        x = self.node('Mul', x, self.constant(weights, 'weights'))
        return self.node('ReduceSum', x, self.constant(np.array([1]), 'axis'), keepdims=0)

    def _enlarge(self, x, table: remap.Table):
        """Interpolates pixels [B, P] with a table of many more targets T: [B, T].

        Many targets have the same taps, those of a cell between pixels. All taps of a cell are
        copied at once, since runtimes copy piece by piece.
        """
        indices, weights = (np.asarray(leaf).reshape(len(leaf), -1) for leaf in table)
        cells, which = np.unique(indices, axis=1, return_inverse=True)
        x = self.node('Gather', x, self.constant(cells.T, 'cells'), axis=1)
        which = self.constant(which.reshape(-1).astype(np.int32), 'which')
        x = self.node('Gather', x, which, axis=1)
        x = self.node('Mul', x, self.constant(weights.T, 'weights'))
        return self.node('ReduceSum', x, self.constant(np.array([2]), 'axis'), keepdims=0)

    def _look(self, frames):
        """What the network reads of the frames: 4 x - 2, and the elevation of each pixel."""
        side, flat = self._config.face_size, self._config.padding == 'equirect'
        x, block = self.unit_range(frames), self._height // (2 * side)
        if block > 1:
            x = self.reshape(x, 0, 2 * side, block, -1)
            x = self.node('ReduceMean', x, axes=[2], keepdims=0)
            x = self.reshape(x, 0, 2 * side * 4 * side, block, 3)
            x = self.node('ReduceMean', x, axes=[2], keepdims=0)
        x = self.reshape(x, 0, -1, 3)
        if not flat:
            x = self._resample(x, cube.equirect_to_cube_table(2 * side, 4 * side, side), 3)
        x = self.node('Transpose', x, perm=[0, 2, 1])
        # A fourth channel of zeros, to which the offset adds the elevation.
        x = self.node('Pad', x, self.constant(np.array([0, 0, 0, 0, 1, 0]), 'pads'))
        elevation = self._grid.rays[..., 1].reshape(1, -1)
        offset = np.concatenate([np.full((3, elevation.size), -2, np.float32), elevation])
        x = self.node('Mul', x, self.constant(np.float32(4), 'scale'))
        return self.node('Add', x, self.constant(offset, 'offset'))

    def _disparity(self, head):
        """The finest disparity [B, pixels] of all faces, divided by its mean over the sphere."""
        bound = self.constant(np.float32(networks.DepthNet.bound), 'bound')
        x = self.node('Mul', self.node('Tanh', self.node('Div', head, bound)), bound)
        faces, rows, columns = self._plan[-1].out_size
        x = self.reshape(self.node('Exp', x), 0, build.PER_FEATURE, faces * rows, columns)
        x = self.reshape(self.node('DepthToSpace', x, blocksize=2, mode='DCR'), 0, -1)
        weights = self._grid.weights.astype(np.float64).reshape(-1, 1)
        mean = self.node('MatMul', x, self.constant(np.float32(weights / weights.sum()), 'angles'))
        return self.node('Div', x, mean)

    def _depth(self, disparity):
        """The depth [B, H, 2H] of a disparity, as `infer.depth_maps` makes it."""
        target = (self._height, 2 * self._height)
        if self._config.padding != 'equirect':
            table = cube.cube_to_equirect_table(self._config.face_size, *target)
            x = self._enlarge(disparity, table)
            return self.node('Reciprocal', self.reshape(x, 0, *target))
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
