"""Draws a cell: its ops with their widths, in each stage of its network."""

import math
from collections.abc import Sequence

from common.report.drawing import Box, Row
from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.plan import Layer, Plan
from nas.cells.skeleton import Skeleton

_KINDS = {'conv': 0, 'lgconv': 1, 'dwconv': 2}
_MOST_STAGES = 6


def rows_of(space, cell) -> list[Row]:
    """The rows of a drawing of a cell, see `common.report.page.Report.drawing`.

    Args:
        space: the cell's space: one with a `skeleton`, as `CellSpace`, or with a method
            `drawing(cell) -> rows`, as the tables.
        cell: one of its complete cells.

    Returns:
        Rows; none for a space that cannot be drawn.
    """
    own = getattr(space, 'drawing', None)
    if own is not None:
        return list(own(cell))
    skeleton = getattr(space, 'skeleton', None)
    return rows_on(skeleton, cell) if isinstance(skeleton, Skeleton) else []


def rows_on(skeleton: Skeleton, cell: Cell) -> list[Row]:
    """The rows of a drawing of a cell on a skeleton: the whole network, then each stage."""
    plan = plan_lib.build(cell, skeleton)
    rows = [Row('the whole network', _network(plan, skeleton))]
    widest = max(layer.out_channels for layer in plan)
    stages = range(len(skeleton.stages))
    for stage in stages if len(stages) <= _MOST_STAGES else (stages[0], stages[-1]):
        rows.append(_stage(plan, skeleton, stage, widest))
    return rows


def _stage(plan: Plan, skeleton: Skeleton, stage: int, widest: int) -> Row:
    """The ops of the first cell of a stage."""
    layers = [layer for layer in plan if layer.name.startswith(f'stage{stage}_cell0_')]
    first, count = layers[0], skeleton.stages[stage]
    end = next((i for i, layer in enumerate(layers) if layer.op == 'concat'), len(layers))
    boxes = [Box('cell in', str(first.in_channels), _size(first.in_channels, widest))]
    boxes += _boxes(layers[:end], widest)
    boxes.append(
        Box('concat', str(layers[-1].out_channels), _size(layers[-1].out_channels, widest))
    )
    label = f'stage {stage + 1}: {"the first of " * (count > 1)}{count} {_cells(count)}'
    size = f'{first.in_size} \u00d7 {first.in_size} pixels'
    return Row(
        f'{label}, {size}, adds {skeleton.growth[stage]} channels',
        boxes,
        around='passed on as it is',
    )


def _boxes(layers: Sequence[Layer], widest: int) -> list[Box]:
    """One box for each op; a normalisation and the function after it share one."""
    boxes = []
    for place, layer in enumerate(layers):
        follows = layers[place - 1] if place else None
        if layer.op in ('relu', 'relu6') and follows is not None and follows.op == 'bn':
            boxes[-1] = Box(f'bn_{layer.op}', boxes[-1].note, boxes[-1].size, None)
        elif layer.op != 'shuffle':
            boxes.append(
                Box(
                    _name(layer),
                    _width(layer),
                    _size(layer.out_channels, widest),
                    None if layer.op == 'bn' else _KINDS.get(_family(layer), 3),
                )
            )
    return boxes


def _network(plan: Plan, skeleton: Skeleton) -> list[Box]:
    stem = plan[1]
    boxes = [Box(f'stem {stem.kernel}\u00d7{stem.kernel}', _width(stem))]
    for stage, count in enumerate(skeleton.stages):
        layers = [layer for layer in plan if layer.name.startswith(f'stage{stage}_cell')]
        boxes.append(
            Box(
                f'stage {stage + 1}: {count} {_cells(count)}',
                f'{layers[0].in_channels} \u2192 {layers[-1].out_channels}',
                kind=4,
            )
        )
        if stage + 1 < len(skeleton.stages):
            boxes.append(Box('average pool', '2\u00d72'))
    last = plan[-1]
    return [*boxes, Box('mean, linear', f'{last.in_channels} \u2192 {last.out_channels} classes')]


def _cells(count: int) -> str:
    return 'cell' if count == 1 else 'cells'


def _family(layer: Layer) -> str:
    deep = layer.op == 'conv' and 1 < layer.groups == layer.in_channels
    return 'dwconv' if deep else layer.op


def _name(layer: Layer) -> str:
    """The op as a token of a cell names it: gconv3x3."""
    if layer.op not in ('conv', 'lgconv'):
        return layer.op
    family = _family(layer)
    grouped = family == 'conv' and layer.groups > 1
    return f'{"g" * grouped}{family}{layer.kernel}x{layer.kernel}'


def _width(layer: Layer) -> str:
    if layer.in_channels == layer.out_channels:
        return str(layer.out_channels)
    return f'{layer.in_channels} \u2192 {layer.out_channels}'


def _size(channels: int, widest: int) -> float:
    """How high a box is drawn: by the logarithm of its width."""
    return math.log2(1 + channels) / math.log2(1 + widest)
