"""The Flax layers for every op of a plan, on images [B, H, W, C].

Convolutions go through `common.layers.conv`, which picks the lowering by backend and never changes
parameters.
"""

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from common.layers import condensation, conv, cotangents
from nas.cells.plan import CUSTOM_OPS, Layer

# As in CondenseNet's published training: PyTorch's momentum 0.1 is Flax's 0.9.
BN_MOMENTUM, BN_EPSILON = 0.9, 1e-5


def shuffle(x: jax.Array, groups: int) -> jax.Array:
    """Shuffles channels [..., C]: channel g * n + i moves to i * groups + g, where n = C / groups.

    Source: ShuffleNet (Zhang et al., CVPR 2018), Figure 1 c.
    """
    parts = x.reshape(x.shape[:-1] + (groups, x.shape[-1] // groups))
    return jnp.swapaxes(parts, -1, -2).reshape(x.shape)


def _avg_pool(x: jax.Array, layer: Layer) -> jax.Array:
    k = layer.kernel
    if layer.padding or layer.stride != k:
        padding = ((layer.padding, layer.padding),) * 2
        return nn.avg_pool(x, (k, k), strides=(layer.stride,) * 2, padding=padding)
    # Disjoint windows are a mean over axes; XLA's gradient of a window sum is far slower on a CPU.
    x = x[:, : k * layer.out_size, : k * layer.out_size]
    return x.reshape(x.shape[0], layer.out_size, k, layer.out_size, k, x.shape[-1]).mean(
        axis=(2, 4)
    )


def _max_pool(x: jax.Array, layer: Layer) -> jax.Array:
    padding = ((layer.padding, layer.padding),) * 2
    return nn.max_pool(x, (layer.kernel,) * 2, strides=(layer.stride,) * 2, padding=padding)


# Ops without parameters: function of the input records' values and the record.
FUNCTIONS: dict[str, Callable[[list[jax.Array], Layer], jax.Array]] = {
    'relu': lambda xs, layer: nn.relu(xs[0]),
    'relu6': lambda xs, layer: nn.relu6(xs[0]),
    'avgpool': lambda xs, layer: _avg_pool(xs[0], layer),
    'maxpool': lambda xs, layer: _max_pool(xs[0], layer),
    'globalpool': lambda xs, layer: xs[0].mean(axis=(1, 2), keepdims=True),
    # In densely connected networks this cotangent sums the gradients of all later layers.
    'concat': lambda xs, layer: cotangents.materialize_cotangent(jnp.concatenate(xs, axis=-1)),
    'add': lambda xs, layer: sum(xs[1:], xs[0]),
    'shuffle': lambda xs, layer: shuffle(xs[0], layer.groups),
}


def variable_shapes(layer: Layer, *, deployed: bool) -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns {collection: {leaf: shape}} of a built-in op's variables, empty if it has none.

    The shapes are written down, not traced, so that drawing the parameters of a candidate takes
    milliseconds.

    Args:
        layer: the record, of any op that is not registered.
        deployed: whether learned groups and condensed classifiers have been converted.
    """
    kept, out = layer.in_channels // layer.condensation, layer.out_channels
    bias = {'bias': (out,)} if layer.bias else {}
    if layer.op == 'bn':
        return {
            'params': {'scale': (out,), 'bias': (out,)},
            'batch_stats': {'mean': (out,), 'var': (out,)},
        }
    if layer.op == 'conv':
        kernel = (layer.kernel, layer.kernel, layer.in_channels // layer.groups, out)
        return {'params': {'kernel': kernel} | bias}
    if layer.op == 'lgconv' and deployed:
        return {
            'params': {'kernel': (1, 1, kept, out)},
            'constants': {'index': (layer.groups * kept,)},
        }
    if layer.op == 'lgconv':
        return {
            'params': {'kernel': (1, 1, layer.in_channels, out)},
            'condensation': {'mask': (layer.in_channels, out)},
        }
    if layer.op != 'linear':
        return {}
    if layer.condensation == 1:
        return {'params': {'kernel': (layer.in_channels, out)} | bias}
    if deployed:
        return {'params': {'kernel': (kept, out)} | bias, 'constants': {'index': (kept,)}}
    return {
        'params': {'kernel': (layer.in_channels, out)} | bias,
        'condensation': {'mask': (layer.in_channels, out)},
    }


def _variable(module: nn.Module, collection: str, leaf: str, shape: tuple[int, ...]) -> jax.Array:
    """Reads a mask or an index.

    Masked and deployed networks have different variables; Flax's own error would only name a shape.
    """
    if not module.is_initializing() and not module.has_variable(collection, leaf):
        wanted = 'deployed' if collection == 'constants' else 'masked'
        raise ValueError(
            f'layer {module.name!r}: the variables lack {collection}/{leaf}, so they are not '
            f'those of a {wanted} network; nas.networks.convert makes deployed ones of masked ones'
        )
    fill, dtype = (jnp.zeros, jnp.int32) if leaf == 'index' else (jnp.ones, jnp.float32)
    return module.variable(collection, leaf, fill, shape, dtype).value


def moments(x: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
    """Mean and mean square [C] float32 per channel of images [B, H, W, C], over all devices."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    both = x.mean(axis=(0, 1, 2)), (x * x).mean(axis=(0, 1, 2))
    return both if axis_name is None else tuple(jax.lax.pmean(jnp.stack(both), axis_name))


class BatchNorm(nn.Module):
    """Batch normalisation of images [B, H, W, C], with the variables of `flax.linen.BatchNorm`.

    The caller gives the moments: in densely connected networks many layers normalise the same
    channels, and `Network` computes their moments once. The layer applies one product and one sum.
    Their gradient takes two sums over the images and one pass; the gradient of Flax's layer takes
    three sums and five passes, which is slower on a CPU.

    Source: Ioffe and Szegedy, ICML 2015, Algorithm 1; running statistics as in PyTorch, but of the
    biased variance.

    Attributes:
        dtype: type of the result; everything is computed in float32.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, moments: tuple[jax.Array, jax.Array] | None) -> jax.Array:
        """Normalises images.

        The `moments` of the batch are used and also update the running moments. If they are None,
        the running moments are used.
        """
        channels = x.shape[-1:]
        mean = self.variable('batch_stats', 'mean', jnp.zeros, channels, jnp.float32)
        variance = self.variable('batch_stats', 'var', jnp.ones, channels, jnp.float32)
        scale = self.param('scale', nn.initializers.ones, channels)
        bias = self.param('bias', nn.initializers.zeros, channels)
        centre, spread = mean.value, variance.value
        if moments is not None:
            centre = moments[0]
            spread = jnp.maximum(moments[1] - centre * centre, 0)
            mean.value = BN_MOMENTUM * mean.value + (1 - BN_MOMENTUM) * centre
            variance.value = BN_MOMENTUM * variance.value + (1 - BN_MOMENTUM) * spread
        factor = scale * jax.lax.rsqrt(spread + BN_EPSILON)
        return (x * factor + (bias - centre * factor)).astype(self.dtype or x.dtype)


class LearnedGroupConv(nn.Module):
    """Learned group convolution [B, H, W, in] -> [B, H, W, out].

    Source: CondenseNet (Huang et al., CVPR 2018), section 3.1 and Figure 3. In training the layer
    is a dense 1x1 kernel times a mask, which `nas.networks.condense` prunes; output channel o
    belongs to group o mod groups. When deployed, it gathers the remaining input channels group by
    group, applies a grouped convolution and shuffles the output channels into the same order.

    Attributes:
        layer: the record.
        deployed: whether the layer is deployed or in training.
        dtype: compute type, default that of the input.
    """

    layer: Layer
    deployed: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Channels [B, H, W, out] of images [B, H, W, in]."""
        shapes = variable_shapes(self.layer, deployed=self.deployed)
        if self.deployed:
            index = _variable(self, 'constants', 'index', shapes['constants']['index'])
        else:
            mask = _variable(self, 'condensation', 'mask', shapes['condensation']['mask'])
        kernel = self.param('kernel', nn.initializers.he_normal(), shapes['params']['kernel'])
        kernel = kernel if self.deployed else kernel * mask
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        if self.deployed:
            return condensation.condensed_conv(x, kernel, index, self.layer.groups)
        return conv.conv_general_dilated(
            x, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )


class Classifier(nn.Module):
    """Linear layer on pooled images [B, 1, 1, C] -> logits [B, classes].

    A condensed classifier masks its inputs in training and gathers the remaining inputs when
    deployed, like CondenseNet's classifier on ImageNet.

    Attributes:
        layer, deployed, dtype: as in `LearnedGroupConv`.
    """

    layer: Layer
    deployed: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits [B, out] of features [B, ...]."""
        shapes = variable_shapes(self.layer, deployed=self.deployed)
        x = x.reshape(x.shape[0], -1)
        if 'constants' in shapes:
            index = _variable(self, 'constants', 'index', shapes['constants']['index'])
            x = jnp.take(x, index, axis=-1, mode='clip')
        mask = 1
        if 'condensation' in shapes:
            mask = _variable(self, 'condensation', 'mask', shapes['condensation']['mask'])
        kernel = (
            self.param('kernel', nn.initializers.he_normal(), shapes['params']['kernel']) * mask
        )
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        x = x @ kernel
        return (
            x + self.param('bias', nn.initializers.zeros, (x.shape[-1],)) if self.layer.bias else x
        )


def make_module(layer: Layer, *, deployed: bool, dtype) -> nn.Module | None:
    """Returns the Flax layer of a record, or None if the record has no variables.

    Args:
        layer: the record.
        deployed: whether learned groups are gathered inputs and grouped convolutions, or masked.
        dtype: compute type; parameters and BN statistics stay float32.

    Raises:
        ValueError: if the op is unknown, or registered without a layer.
    """
    if layer.op in FUNCTIONS or layer.op == 'input':
        return None
    if layer.op == 'conv':
        return nn.Conv(
            layer.out_channels,
            (layer.kernel,) * 2,
            strides=layer.stride,
            padding=layer.padding,
            feature_group_count=layer.groups,
            use_bias=layer.bias,
            dtype=dtype,
            conv_general_dilated=conv.conv_general_dilated,
        )
    if layer.op == 'bn':
        return BatchNorm(dtype)
    if layer.op in ('lgconv', 'linear'):
        return (LearnedGroupConv if layer.op == 'lgconv' else Classifier)(layer, deployed, dtype)
    if layer.op not in CUSTOM_OPS:
        raise ValueError(
            f'layer {layer.name!r}: op {layer.op!r} is unknown; register it with '
            'nas.cells.plan.register_op'
        )
    if CUSTOM_OPS[layer.op].module is None:
        raise ValueError(
            f'op {layer.op!r} was registered without a module, so its networks can be counted '
            'but not run; pass module= to nas.cells.plan.register_op'
        )
    return CUSTOM_OPS[layer.op].module(layer)


def call_options(module: nn.Module, layer: Layer, *, train: bool) -> dict[str, bool]:
    """Returns the keyword arguments that tell the layer of a record whether it is being trained.

    A registered layer gets `train` if its `__call__` has a parameter of that name.
    """
    if layer.op in CUSTOM_OPS and 'train' in inspect.signature(module.__call__).parameters:
        return {'train': train}
    return {}
