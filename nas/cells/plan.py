"""Plans: a network as a tuple of layer records, the one description that everything else reads.

Costs, the Flax network, the exporter and the analytic device all read the same tuple, so they
cannot disagree about the network. A record names the records that it reads (`inputs` are indices
into the plan); the first record is the input image and the last one gives the logits. Images are
square.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from nas.cells import cell as cell_lib
from nas.cells.cell import Cell
from nas.cells.skeleton import Skeleton


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes:
        op: 'input', 'conv', 'lgconv' (learned groups), 'bn', 'relu', 'relu6', 'avgpool', 'maxpool',
            'globalpool' (mean over the image), 'linear', 'concat', 'add', 'shuffle' (channel g*n+i
            moves to i*groups+g, n = channels/groups), or a registered token.
        name: unique in the plan, an identifier: `stage1_cell3_conv0`.
        inputs: indices of the records read, each smaller than this record's own.
        in_channels, out_channels: widths; a concatenation's `in_channels` is the sum over its
            inputs.
        in_size, out_size: height and width in pixels.
        kernel, stride, padding: of convolutions and pools, in pixels; `padding` zeros on every
            side.
        groups: of a convolution; equal to `in_channels` for a depthwise one.
        condensation: conversion keeps one in this many weights (learned groups, condensed
            classifier).
        bias: whether a convolution or classifier has one.
    """

    op: str
    name: str
    inputs: tuple[int, ...]
    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    condensation: int = 1
    bias: bool = False


Plan = tuple[Layer, ...]


# Ops of records that cells are made of; a token of the user's own has another name.
RECORD_OPS = (
    *('input', 'conv', 'lgconv', 'bn', 'relu', 'relu6', 'avgpool', 'maxpool', 'globalpool'),
    *('linear', 'concat', 'add', 'shuffle'),
)


@dataclasses.dataclass(frozen=True)
class CustomOp:
    """A registered op: see `register_op`.

    Attributes:
        token, role, count, module, onnx: as registered.
        digest: SHA-256 of the file that registered it, where `nas.cells.own_ops` loaded that file.
    """

    token: str
    role: str
    count: Callable[[Layer], tuple[int, int, int]]
    module: Callable[[Layer], Any] | None = None
    onnx: Callable[[Any, Layer, str], str] | None = None
    digest: str | None = None


CUSTOM_OPS: dict[str, CustomOp] = {}


def register_op(
    token: str,
    *,
    role: str,
    count: Callable[[Layer], tuple[int, int, int]],
    module: Callable[[Layer], Any] | None = None,
    onnx: Callable[[Any, Layer, str], str] | None = None,
) -> None:
    """Registers a user's own op under a cell token: its place, its count, its layer, its ONNX form.

    In a plan it becomes one record with `op=token` that keeps the image size; its role decides its
    width. Calls that stand in a file reach all processes of a search by `--ops=FILE`, see
    `nas.cells.own_ops`.

    Args:
        token: name of the token and of the record's op.
        role: 'norm' or 'depthwise' keep the width, 'conv' follows the rule for convolutions in
            `build`.
        count: `layer -> (params, flops, macs)` of the deployed layer, or a `nas.cells.cost.Cost`.
        module: `layer -> Flax module` on images [B, H, W, C], called as `module(x)`, or as
            `module(x, train=train)` if its `__call__` has a parameter `train`. Its parameters are
            drawn by its own initialisers; conversion leaves it as it is. Needed to run the network,
            not to count it.
        onnx: `(g, layer, x) -> name of its value`, which writes the operators of the layer with
            `g`, a `nas.networks.onnx_own.LayerGraph`; `x` names the value that it reads, images
            [B, C, H, W]. Needed for ONNX files and for devices that run them.

    Raises:
        ValueError: if the token is built in or malformed, or the role unknown.
    """
    if token in RECORD_OPS:
        raise ValueError(
            f'token {token!r} is built in and cannot be registered again; choose another name'
        )
    cell_lib.register_token(token, role)
    CUSTOM_OPS[token] = CustomOp(token, role, count, module, onnx)


class Builder:
    """Appends records one at a time; every method takes and returns indices of records.

    Attributes:
        scope: prefix of the names of the next records; within it, names are numbered by op.
    """

    def __init__(self, size: int, channels: int):
        self.scope = ''
        self._layers = [Layer('input', 'input', (), channels, channels, size, size)]
        self._used: dict[str, int] = {}

    def plan(self) -> Plan:
        """Returns what has been built."""
        return tuple(self._layers)

    def width(self, x: int) -> int:
        """Channels of record `x`."""
        return self._layers[x].out_channels

    def size(self, x: int) -> int:
        """Height and width of record `x` in pixels."""
        return self._layers[x].out_size

    def append(
        self,
        op: str,
        *inputs: int,
        out_channels: int | None = None,
        out_size: int | None = None,
        **options,
    ) -> int:
        """Appends any record; width and size default to those of the first input."""
        stem = '_'.join(filter(None, (self.scope, op)))
        number = self._used[stem] = self._used.get(stem, -1) + 1
        first = self._layers[inputs[0]]
        in_channels = sum(map(self.width, inputs)) if op == 'concat' else first.out_channels
        self._layers.append(
            Layer(
                op,
                f'{stem}{number}',
                inputs,
                in_channels,
                out_channels or in_channels,
                first.out_size,
                out_size or first.out_size,
                **options,
            )
        )
        return len(self._layers) - 1

    def _window(self, op: str, x: int, *, kernel: int, stride: int, padding: int, **options) -> int:
        out_size = (self.size(x) + 2 * padding - kernel) // stride + 1
        if out_size < 1:
            raise ValueError(
                f'{self.scope}: a {kernel}x{kernel} {op} does not fit an image of '
                f'{self.size(x)} pixels; choose a larger input or fewer stages'
            )
        return self.append(
            op, x, out_size=out_size, kernel=kernel, stride=stride, padding=padding, **options
        )

    def _check_groups(self, op: str, x: int, out_channels: int, groups: int) -> None:
        if self.width(x) % groups or out_channels % groups:
            raise ValueError(
                f'{self.scope}: {op} from {self.width(x)} to {out_channels} channels cannot be '
                f'split into {groups} groups; choose a stem and growth rates that are multiples '
                f'of {groups}'
            )

    def conv(
        self, x: int, out_channels: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> int:
        """A convolution without bias that keeps the size at stride 1."""
        self._check_groups('a convolution', x, out_channels, groups)
        return self._window(
            'conv',
            x,
            kernel=kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            out_channels=out_channels,
        )

    def lgconv(self, x: int, out_channels: int, *, groups: int, condensation: int) -> int:
        """A learned 1x1 group convolution; each group keeps 1/condensation of the inputs."""
        self._check_groups('a learned-group convolution', x, out_channels, groups)
        if self.width(x) % condensation:
            raise ValueError(
                f'{self.scope}: a learned-group convolution of {self.width(x)} channels cannot '
                f'be condensed by {condensation}; choose a stem and growth rates that are '
                f'multiples of {condensation}'
            )
        return self.append(
            'lgconv', x, out_channels=out_channels, groups=groups, condensation=condensation
        )

    def bn_relu(self, x: int, *, relu: str = 'relu') -> int:
        """Batch normalisation and a rectifier, 'relu' or 'relu6'."""
        return self.append(relu, self.append('bn', x))

    def pool(self, x: int, kind: str, *, kernel: int = 2, stride: int = 2, padding: int = 0) -> int:
        """'avg' or 'max' pooling; averages include the zeros of the padding."""
        return self._window(f'{kind}pool', x, kernel=kernel, stride=stride, padding=padding)

    def classifier(self, x: int, classes: int, *, condensation: int = 1) -> int:
        """Global average pool and a linear layer with bias."""
        if self.width(x) % condensation:
            raise ValueError(
                f'{self.scope}: a classifier of {self.width(x)} inputs cannot be condensed by '
                f'{condensation}; choose a divisor of its inputs'
            )
        x = self.append('globalpool', x, out_size=1, kernel=self.size(x))
        return self.append('linear', x, out_channels=classes, condensation=condensation, bias=True)


_EXPAND: dict[str, Callable[[Builder, int, int, Skeleton], int]] = {
    'none': lambda b, x, width, s: x,
    'bn': lambda b, x, width, s: b.append('bn', x),
    'bn_relu': lambda b, x, width, s: b.bn_relu(x),
    'conv1x1': lambda b, x, width, s: b.conv(x, width),
    'conv3x3': lambda b, x, width, s: b.conv(x, width, kernel=3),
    'gconv1x1': lambda b, x, width, s: b.conv(x, width, groups=s.groups),
    'gconv3x3': lambda b, x, width, s: b.conv(x, width, kernel=3, groups=s.groups),
    'lgconv1x1': lambda b, x, width, s: b.lgconv(
        x, width, groups=s.groups, condensation=s.condensation
    ),
    'dwconv3x3': lambda b, x, width, s: b.conv(x, b.width(x), kernel=3, groups=b.width(x)),
}


def _append_cell(b: Builder, x: int, cell: Cell, growth: int, skeleton: Skeleton) -> int:
    """Appends a cell.

    The last non-depthwise convolution gives `growth` channels, the earlier ones give `bottleneck`
    times as many.
    """
    roles = [cell_lib.token_role(token) for token in cell.ops]
    last = max(i for i, role in enumerate(roles) if role == 'conv')
    for i, (token, role) in enumerate(zip(cell.ops, roles)):
        width = growth if i == last else skeleton.bottleneck * growth
        if token in CUSTOM_OPS:
            x = b.append(token, x, out_channels=width if role == 'conv' else None)
        elif token in _EXPAND:
            x = _EXPAND[token](b, x, width, skeleton)
        else:
            raise ValueError(
                f'token {token!r} has no layer; register it with nas.cells.plan.register_op'
            )
    return x


def build(cell: Cell, skeleton: Skeleton) -> Plan:
    """Places a cell in a skeleton.

    Each cell's k outputs are concatenated to its input. The classifier is condensed only where the
    skeleton says so and the cell has learned groups, as in the published ImageNet networks.

    Args:
        cell: a complete cell.
        skeleton: stages, growth rates and the rest.

    Returns:
        The layer records from the input image to the logits.

    Raises:
        ValueError: if the cell is empty or incomplete, or if its channels cannot be split into
            groups.
    """
    if not cell.complete:
        what = 'has no convolution that sets its output width' if cell.level else 'is empty'
        raise ValueError(
            f'cell {str(cell)!r} {what}, so it makes no network; '
            'add a convolution that is not depthwise'
        )
    b = Builder(skeleton.size, skeleton.channels)
    b.scope = 'stem'
    x = b.conv(0, skeleton.stem, kernel=3, stride=skeleton.stem_stride)
    try:
        for stage, (cells, growth) in enumerate(zip(skeleton.stages, skeleton.growth)):
            for i in range(cells):
                b.scope = f'stage{stage}_cell{i}'
                x = b.append('concat', x, _append_cell(b, x, cell, growth, skeleton))
            if stage + 1 < len(skeleton.stages):
                b.scope = f'stage{stage}'
                x = b.pool(x, 'avg')
        b.scope = 'tail'
        condensation = skeleton.classifier_condensation if 'lgconv1x1' in cell.ops else 1
        b.classifier(b.bn_relu(x), skeleton.classes, condensation=condensation)
    except ValueError as error:
        raise ValueError(f'cell {str(cell)!r} on skeleton {skeleton.name!r}, {error}') from None
    return b.plan()
