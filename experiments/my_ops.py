"""An op of one's own: a 3x3 convolution with the Swish function, for `nas-search --ops=FILE`.

    nas-search --ops=experiments/my_ops.py --dataset=digits --epochs=10 --workdir=runs/swish
    nas-search --mode=cost --cell=bn-swish_conv --ops=experiments/my_ops.py --device=onnx

Copy it, and give your op another name. The file has to stand alone: it goes to other processes and
into the workdir as it is, without its neighbours.
"""

import flax.linen as nn

from nas.cells.plan import register_op


class SwishConv(nn.Module):
    """Channels [B, H, W, channels] of images [B, H, W, in]."""

    channels: int

    @nn.compact
    def __call__(self, x):
        """Convolves, then multiplies each value by its sigmoid."""
        x = nn.Conv(self.channels, (3, 3), use_bias=False)(x)
        return x * nn.sigmoid(x)


def count(layer):
    """Parameters, FLOPs and multiply-adds of one image."""
    weights = 9 * layer.in_channels * layer.out_channels
    pixels = layer.out_size**2
    return weights, (weights + 2 * layer.out_channels) * pixels, weights * pixels


def onnx(g, layer, x):
    """The same on images [B, C, H, W]: returns the name of the result."""
    kernel = g.variable('params', 'Conv_0', 'kernel').transpose(3, 2, 0, 1)
    x = g.node('Conv', x, g.weight(kernel), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return g.node('Mul', x, g.node('Sigmoid', x))


register_op(
    'swish_conv',
    role='conv',
    count=count,
    module=lambda layer: SwishConv(layer.out_channels),
    onnx=onnx,
)
