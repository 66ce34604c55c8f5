"""The PyTorch twin of `nas.networks.network.Network`: one module that walks the same layer records.

It computes the same logits from the same variables, so that the benchmark compares the same
network.
"""

import torch
from torch import nn
from torch.nn import functional

from nas.cells.plan import Plan
from nas.networks.ops import BN_EPSILON, BN_MOMENTUM


class _LearnedGroupConv(nn.Conv2d):
    """Dense 1x1 kernel times a mask, as in CondenseNet's training."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 1, bias=False)
        self.register_buffer('mask', torch.ones_like(self.weight))

    def forward(self, x):
        return functional.conv2d(x, self.weight * self.mask)


def _module(layer):
    """The module of a record that has parameters, else None."""
    if layer.op == 'conv':
        return nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel,
            layer.stride,
            layer.padding,
            groups=layer.groups,
            bias=layer.bias,
        )
    if layer.op == 'lgconv':
        return _LearnedGroupConv(layer.in_channels, layer.out_channels)
    if layer.op == 'bn':
        return nn.BatchNorm2d(layer.out_channels, eps=BN_EPSILON, momentum=1 - BN_MOMENTUM)
    return nn.Linear(layer.in_channels, layer.out_channels) if layer.op == 'linear' else None


_FUNCTIONS = {
    'relu': lambda xs, layer: functional.relu(xs[0]),
    'relu6': lambda xs, layer: functional.relu6(xs[0]),
    'avgpool': lambda xs, layer: functional.avg_pool2d(
        xs[0], layer.kernel, layer.stride, layer.padding
    ),
    'maxpool': lambda xs, layer: functional.max_pool2d(
        xs[0], layer.kernel, layer.stride, layer.padding
    ),
    'globalpool': lambda xs, layer: xs[0].mean(dim=(2, 3)),
    'concat': lambda xs, layer: torch.cat(xs, dim=1),
    'add': lambda xs, layer: sum(xs[1:], xs[0]),
    'shuffle': lambda xs, layer: functional.channel_shuffle(xs[0], layer.groups),
}


class TorchNetwork(nn.Module):
    """The masked network of a plan of built-in ops; images [B, C, H, W] -> logits [B, classes].

    Raises:
        ValueError: on creation, if the plan holds another op.
    """

    def __init__(self, plan: Plan):
        super().__init__()
        self.plan = plan
        for layer in plan[1:]:
            module = _module(layer)
            if module is not None:
                self.add_module(layer.name, module)
            elif layer.op not in _FUNCTIONS:
                raise ValueError(f'layer {layer.name!r}: op {layer.op!r} has no PyTorch twin')

    def forward(self, images):
        """Logits [B, classes] of images [B, C, H, W]."""
        values = [images]
        for layer in self.plan[1:]:
            inputs = [values[i] for i in layer.inputs]
            if layer.op in _FUNCTIONS:
                values.append(_FUNCTIONS[layer.op](inputs, layer))
            else:
                values.append(getattr(self, layer.name)(*inputs))
        return values[-1]

    @torch.no_grad()
    def load(self, variables: dict) -> None:
        """Copies the variables of `nas.networks.network.Network(plan)`, nested dicts of arrays."""
        axes = {2: (1, 0), 4: (3, 2, 0, 1)}
        names = {
            'kernel': 'weight',
            'scale': 'weight',
            'mean': 'running_mean',
            'var': 'running_var',
        }
        for layers in variables.values():
            for name, leaves in layers.items():
                module = getattr(self, name)
                for leaf, value in leaves.items():
                    value = torch.tensor(value)
                    if leaf == 'mask':
                        value = value[None, None]
                    target = getattr(module, names.get(leaf, leaf))
                    target.copy_(value.permute(axes[value.ndim]) if value.ndim > 1 else value)
