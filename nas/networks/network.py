"""Networks: any plan as one Flax module, and its variables drawn on the host."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from common.layers import init as init_lib
from nas.cells.plan import CUSTOM_OPS, Plan
from nas.networks import ops


class Network(nn.Module):
    """The network of a plan. Each record with variables is one submodule with the record's name.

    Variables: {'params': {name: {'kernel', 'scale', 'bias'}}, 'batch_stats': {name: {'mean',
    'var'}}} and, if it has learned groups or a condensed classifier, 'condensation': {name:
    {'mask'}} of a masked or 'constants': {name: {'index'}} of a deployed network.

    Attributes:
        plan: the layer records.
        deployed: False: learned groups are masked dense kernels, for training. True: they are
            gathered inputs and grouped convolutions, with the variables of
            `nas.networks.convert.convert`.
        dtype: compute type; bfloat16 for mixed precision. Parameters, BN statistics and logits are
            float32.
        axis_name: pmapped axis over which BN takes its statistics while training, if any.
    """

    plan: Plan
    deployed: bool = False
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def setup(self):
        """Makes the layers that have variables."""
        for layer in self.plan:
            module = ops.make_module(layer, deployed=self.deployed, dtype=self.dtype)
            if module is not None:
                setattr(self, layer.name, module)

    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Computes logits.

        Args:
            images: [B, H, W, C] float, of the size and channels of the plan's first record.
            train: whether BN uses, and updates, the statistics of the batch ('batch_stats' must be
                mutable).

        Returns:
            [B, classes] float32.

        Raises:
            ValueError: if the images have another shape, or the variables are those of the other
                kind of network.
        """
        first = self.plan[0]
        expected = (first.out_size, first.out_size, first.out_channels)
        if images.ndim != 4 or images.shape[1:] != expected:
            raise ValueError(
                f'images have shape {images.shape}; this network takes (batch, '
                f'{expected[0]}, {expected[1]}, {expected[2]})'
            )
        values, moments = [images.astype(self.dtype)], {}

        def moments_of(i):
            """Moments of a record's channels; a concatenation joins those of its parts."""
            if i not in moments:
                parts = (
                    [moments_of(j) for j in self.plan[i].inputs]
                    if self.plan[i].op == 'concat'
                    else None
                )
                moments[i] = (
                    tuple(map(jnp.concatenate, zip(*parts)))
                    if parts
                    else ops.moments(values[i], self.axis_name)
                )
            return moments[i]

        for layer in self.plan[1:]:
            inputs = [values[i] for i in layer.inputs]
            if layer.op in ops.FUNCTIONS:
                values.append(ops.FUNCTIONS[layer.op](inputs, layer))
            elif layer.op == 'bn':
                module = getattr(self, layer.name)
                values.append(module(*inputs, moments_of(layer.inputs[0]) if train else None))
            else:
                module = getattr(self, layer.name)
                values.append(module(*inputs, **ops.call_options(module, layer, train=train)))
        return values[-1].astype(jnp.float32)


def variable_shapes(plan: Plan, *, deployed: bool = False) -> dict:
    """Returns the variables of `Network(plan)` as `jax.ShapeDtypeStruct`, computing nothing."""
    shapes = {}
    for layer in plan:
        for collection, leaves in ops.variable_shapes(layer, deployed=deployed).items():
            dtype = jnp.int32 if collection == 'constants' else jnp.float32
            shapes.setdefault(collection, {})[layer.name] = {
                leaf: jax.ShapeDtypeStruct(shape, dtype) for leaf, shape in leaves.items()
            }
    _merge(shapes, jax.eval_shape(lambda: _init_custom(jax.random.key(0), plan)))
    return shapes


def init(key: jax.Array, plan: Plan, *, deployed: bool = False) -> dict:
    """Draws the variables of `Network(plan)` on the host.

    Kernels are normal with variance 2 / fan-in (He et al. 2015), BN starts as the identity, biases
    at zero and masks at one. Layers of registered ops are initialised by their own modules.

    Args:
        key: PRNG key.
        plan: the layer records.
        deployed: draws a network with evenly spread groups, as if it had been converted; useful for
            timing.

    Returns:
        Nested dicts of NumPy arrays, as described in `Network`.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    built_in = tuple(layer for layer in plan if layer.op not in CUSTOM_OPS)
    variables = variable_shapes(built_in, deployed=deployed)
    variables['params'] = init_lib.he_normal(rng, variables['params'])
    inputs = {layer.name: layer.in_channels for layer in plan}
    for collection in set(variables) - {'params'}:
        for name, leaves in variables[collection].items():
            variables[collection][name] = {
                leaf: _constant(leaf, shape.shape, inputs[name]) for leaf, shape in leaves.items()
            }
    if len(built_in) < len(plan):
        # One compilation for all of them. It contains the initialisers only, since nothing reads
        # the outputs of the layers.
        _merge(variables, jax.device_get(jax.jit(lambda key: _init_custom(key, plan))(key)))
    return variables


def _constant(leaf: str, shape: tuple[int, ...], inputs: int) -> np.ndarray:
    """Initial value of an untrained variable: BN statistics, open mask, spread groups."""
    if leaf == 'index':
        return np.arange(shape[0], dtype=np.int32) % inputs
    return np.full(shape, leaf != 'mean', np.float32)


def _init_custom(key: jax.Array, plan: Plan) -> dict:
    """Draws the variables {collection: {name: ...}} of registered ops by their own initialisers."""
    result = {}
    for i, layer in enumerate(plan):
        if layer.op in CUSTOM_OPS:
            sources = [plan[j] for j in layer.inputs]
            images = [jnp.zeros((1, s.out_size, s.out_size, s.out_channels)) for s in sources]
            module = ops.make_module(layer, deployed=False, dtype=jnp.float32)
            drawn = module.init(
                jax.random.fold_in(key, i), *images, **ops.call_options(module, layer, train=False)
            )
            _merge(result, {collection: {layer.name: tree} for collection, tree in drawn.items()})
    return result


def _merge(variables: dict, more: dict) -> None:
    """Adds layers to collections in place."""
    for collection, layers in more.items():
        variables.setdefault(collection, {}).update(layers)


def count_params(variables: dict) -> int:
    """Returns the number of trainable parameters, masked ones included."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(variables['params']))
