"""The depth network of a plan of cells, as a Flax module."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from common.layers import condensation, conv
from pano_depth.kernels.shapes import Array
from pano_depth.learning import networks
from pano_depth.learning.cells.plan import Layer, Plan, needed

MASK, INDEX = 'mask', 'index'


def pool(
    images: Float[Array, 'batch faces height width channels'],
) -> Float[jax.Array, 'batch faces height/2 width/2 channels']:
    """The mean of 2 x 2 pixels."""
    b, f, h, w, c = images.shape
    # XLA's gradient of a sum over windows is far slower on a CPU.
    return images.reshape(b, f, h // 2, 2, w // 2, 2, c).mean(axis=(3, 5))


class LearnedGroups(nn.Module):
    """A 1 x 1 convolution whose groups learn which inputs they need.

    In training it is dense, times a mask; `cells.condense` prunes the mask, which no gradient
    changes. Deployed, each group reads the inputs that it has kept. Source: CondenseNet (Huang et
    al., CVPR 2018), section 3.1.

    Attributes:
        layer: its record.
        deployed: whether the parameters are those of `cells.condense.deploy`.
    """

    layer: Layer
    deployed: bool = False

    @nn.compact
    def __call__(
        self, flat: Float[Array, 'images height width {self.layer.in_channels}']
    ) -> Float[jax.Array, 'images height width {self.layer.out_channels}']:
        """Convolves."""
        one, out = self.layer, self.layer.out_channels
        if self.deployed:
            kept = one.in_channels // one.condensation
            index = self.param(INDEX, nn.initializers.zeros, (one.groups * kept,), jnp.int32)
            kernel = self.param('kernel', nn.initializers.he_normal(), (1, 1, kept, out))
            return condensation.condensed_conv(flat, kernel, index, one.groups)
        kernel = self.param('kernel', nn.initializers.he_normal(), (1, 1, one.in_channels, out))
        mask = self.param(MASK, nn.initializers.ones, (one.in_channels, out))
        kernel = jnp.where(jax.lax.stop_gradient(mask) > 0.5, kernel, 0.0)
        return conv.conv_general_dilated(
            flat, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )


class CellDepthNet(nn.Module):
    """A depth network of cells, called as `networks.DepthNet` and with results like its.

    Attributes:
        plan: its layers, from `cells.build.build`.
        padding: what lies beyond a face, see `networks.PADDINGS`.
        deployed: whether learned groups are condensed; then it has the finest head alone.
        bound: see `networks.DepthNet`.
    """

    plan: Plan
    padding: str = 'cube'
    deployed: bool = False
    bound: float = networks.DepthNet.bound

    @nn.compact
    def __call__(
        self,
        images: Float[Array, 'batch faces height width 3'],
        rays: Float[Array, 'faces height width 3'],
    ) -> list[Float[jax.Array, 'batch faces _ _']]:
        """Predicts log-disparity, see `networks.DepthNet`: at each scale, the finest first."""
        plan = needed(self.plan) if self.deployed else self.plan
        values, outputs = [networks.with_elevation(images, rays)], []
        for layer in plan[1:]:
            x = self._apply(layer, [values[i] for i in layer.inputs])
            if layer.op == 'head':
                outputs.append(networks.disparities(x, self.bound))
            values.append(x)
        return outputs[::-1]

    def _apply(self, layer, inputs):
        x = inputs[0]
        if layer.op in ('conv', 'head'):
            return self._conv(layer, x)
        if layer.op == 'lgconv':
            return networks.per_face(LearnedGroups(layer, self.deployed, name=layer.name), x)
        if layer.op == 'norm':
            return nn.GroupNorm(layer.groups, epsilon=networks.EPSILON, name=layer.name)(x)
        if layer.op == 'concat':
            return jnp.concatenate(inputs, axis=-1)
        functions = {'relu': nn.relu, 'avgpool': pool, 'upsample': networks.upsample}
        return x + inputs[1] if layer.op == 'add' else functions[layer.op](x)

    def _conv(self, layer, x):
        x = networks.pad_faces(x, layer.kernel // 2, self.padding) if layer.kernel > 1 else x
        conv_layer = nn.Conv(
            layer.out_channels,
            (layer.kernel,) * 2,
            strides=layer.stride,
            padding='VALID',
            feature_group_count=layer.groups,
            use_bias=layer.bias,
            conv_general_dilated=conv.conv_general_dilated,
            name=layer.name,
        )
        return networks.per_face(conv_layer, x)
