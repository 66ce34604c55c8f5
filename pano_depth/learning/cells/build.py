"""Plans of depth networks: of the hand-made blocks, and of cells in the same skeleton."""

import functools
from typing import Any

from pano_depth.learning.cells import tokens
from pano_depth.learning.cells.plan import Layer, Plan, norm_groups
from pano_depth.learning.networks import check_size

IN_CHANNELS = 4  # three colours and the elevation
PER_FEATURE = 4  # a feature of the finest level covers 2 x 2 pixels


class Builder:
    """Appends records; every method takes and returns places in the plan."""

    def __init__(self, size: tuple[int, int, int]):
        """Starts with the image.

        Args:
            size: (faces, rows, columns) in pixels.
        """
        self._layers = [Layer('input', 'input', (), IN_CHANNELS, IN_CHANNELS, size, size)]

    def plan(self) -> Plan:
        """What has been built."""
        return tuple(self._layers)

    def width(self, x: int) -> int:
        """Channels of a record."""
        return self._layers[x].out_channels

    def append(self, op: str, name: str, *inputs: int, **fields: Any) -> int:
        """Appends a record; its width and size are those of its first input unless given."""
        first = self._layers[inputs[0]]
        width = sum(map(self.width, inputs)) if op == 'concat' else first.out_channels
        known = {'out_channels': width, 'out_size': first.out_size, **fields}
        self._layers.append(Layer(op, name, inputs, width, in_size=first.out_size, **known))
        return len(self._layers) - 1

    def conv(
        self,
        name: str,
        x: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        **fields: Any,
    ) -> int:
        """A convolution, without bias unless said."""
        faces, rows, columns = self._layers[x].out_size
        size = (faces, rows // stride, columns // stride)
        return self.append(
            fields.pop('op', 'conv'),
            name,
            x,
            out_channels=out_channels,
            out_size=size,
            kernel=kernel,
            stride=stride,
            **fields,
        )

    def norm(self, name: str, x: int) -> int:
        """Group normalisation."""
        return self.append('norm', name, x, groups=norm_groups(self.width(x)))

    def norm_relu(self, name: str, x: int) -> int:
        """Group normalisation and a rectifier."""
        return self.append('relu', f'{name}_relu', self.norm(name, x))

    def halve(self, name: str, x: int) -> int:
        """The mean of 2 x 2 pixels."""
        faces, rows, columns = self._layers[x].out_size
        size = (faces, rows // 2, columns // 2)
        return self.append('avgpool', name, x, out_size=size, kernel=2, stride=2)

    def double(self, name: str, x: int) -> int:
        """Every pixel four times."""
        faces, rows, columns = self._layers[x].out_size
        return self.append('upsample', name, x, out_size=(faces, 2 * rows, 2 * columns))

    def head(self, name: str, x: int) -> int:
        """The disparities of the 2 x 2 pixels that a feature covers."""
        return self.conv(name, x, PER_FEATURE, op='head', bias=True)


@functools.cache
def build(config: Any) -> Plan:
    """The plan of the depth network of a `ModelConfig`; its last record is the finest head.

    Raises:
        ValueError: the cell or the blocks do not fit, or the faces cannot be halved often enough.
    """
    side = config.face_size
    size = (1, 2 * side, 4 * side) if config.padding == 'equirect' else (6, side, side)
    check_size(*size[1:], len(config.depth_channels))
    builder = Builder(size)
    (_append_cells if config.depth_cell else _append_blocks)(builder, config)
    return builder.plan()


def _append_blocks(b: Builder, config) -> None:
    """The hand-made network, named as `networks.DepthNet` names its parameters."""
    channels, number, skips = config.depth_channels, 0, []

    def block(x, width, stride=1):
        nonlocal number
        scope, number = f'Block_{number}', number + 1
        x = b.conv(f'{scope}/Conv_0/Conv_0', x, width, stride=stride)
        return b.append('elu', f'{scope}/elu', b.norm(f'{scope}/GroupNorm_0', x))

    x = 0
    for level, width in enumerate(channels):
        x = block(x, width, stride=2)
        x = block(x, width) if level else x
        skips.append(x)
    for level in reversed(range(len(channels) - 1)):
        x = b.double(f'up{level}', block(x, channels[level]))
        x = b.append('concat', f'up{level}_concat', x, skips[level])
        x = block(x, channels[level])
        if level < config.scales:
            b.head(f'head_{level}/Conv_0', x)


def blocks_of(config: Any) -> tuple[int, ...]:
    """Cells of each level of the encoder: by default none at the finest one, then one each."""
    return config.depth_blocks or (0,) + (1,) * (len(config.depth_channels) - 1)


def _append_cells(b: Builder, config) -> None:
    """Cells on a skeleton: levels that halve the faces, and 1 x 1 convolutions on the way back."""
    tokens.check_cell(config.depth_cell)
    channels, skips = config.depth_channels, []
    x = b.norm_relu('stem_norm', b.conv('stem', 0, channels[0], stride=2))
    for level, (width, count) in enumerate(zip(channels, blocks_of(config))):
        if level and config.depth_down == 'pool':
            x = b.halve(f'level{level}_pool', x)
        elif level:
            x = b.conv(f'level{level}_down', x, width, stride=2)
            x = b.norm_relu(f'level{level}_down_norm', x)
        for i in range(count):
            x = _append_cell(b, f'level{level}_cell{i}', x, width, config)
        skips.append(x)
    for level in reversed(range(len(channels) - 1)):
        scope = f'up{level}'
        x = b.double(scope, b.conv(f'{scope}_lateral', x, b.width(skips[level]), kernel=1))
        x = b.append(config.depth_merge, f'{scope}_{config.depth_merge}', x, skips[level])
        x = _append_cell(b, f'{scope}_cell', x, channels[level], config)
        if level < config.scales:
            b.head(f'head_{level}', b.norm_relu(f'head_{level}_norm', x))


def _append_cell(b: Builder, scope: str, x: int, width: int, config) -> int:
    """A cell; its input is added to its result where both have the same width."""
    ops, start = config.depth_cell, x
    convs = [i for i, op in enumerate(ops) if op in tokens.CONVS and op not in tokens.DEPTHWISE]
    for i, op in enumerate(ops):
        out = width if i >= convs[-1] else width * config.depth_expansion
        name = f'{scope}_{i}'
        if op == 'bn_relu':
            x = b.norm_relu(name, x)
        elif op == 'bn':
            x = b.norm(name, x)
        elif op == 'lgconv1x1':
            groups = {'groups': tokens.GROUPS, 'condensation': tokens.CONDENSATION}
            x = b.conv(name, x, out, kernel=1, op='lgconv', **groups)
        elif op != 'none':
            kernel, grouped = int(op[-1]), tokens.GROUPS if op.startswith('gconv') else 1
            if op in tokens.DEPTHWISE:
                grouped = out = b.width(x)
            x = b.conv(name, x, out, kernel=kernel, groups=grouped)
    return b.append('add', f'{scope}_add', start, x) if b.width(start) == b.width(x) else x
