"""The plan of a depth network: its layers as records, which costs, network and export read."""

import dataclasses

# (faces, rows, columns) of a map.
Size = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a depth network.

    Attributes:
        op: 'input' (image and elevation), 'conv', 'lgconv' (learned groups), 'norm' (group
            normalisation), 'relu', 'elu', 'avgpool', 'upsample' (by repetition), 'concat', 'add',
            'head' (the convolution that gives the 2 x 2 disparities of each feature).
        name: place of its parameters in the tree of the depth network, parts joined by `/`; unique
            in the plan.
        inputs: places in the plan of the records that it reads, each smaller than its own.
        in_channels, out_channels: widths; a concatenation's `in_channels` is the sum over its
            inputs.
        in_size, out_size: (faces, rows, columns) in pixels.
        kernel, stride: of convolutions and pools, in pixels. Before a 3 x 3 kernel comes one ring
            of padding.
        groups: of a convolution, or of a normalisation.
        condensation: a deployed learned-group convolution keeps one in this many weights.
        bias: whether a convolution has one.
    """

    op: str
    name: str
    inputs: tuple[int, ...]
    in_channels: int
    out_channels: int
    in_size: Size
    out_size: Size
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    condensation: int = 1
    bias: bool = False


Plan = tuple[Layer, ...]


def needed(plan: Plan) -> Plan:
    """The records that the last one depends on, renumbered: without heads of coarser scales."""
    wanted = {len(plan) - 1}
    for place in range(len(plan) - 1, -1, -1):
        if place in wanted:
            wanted.update(plan[place].inputs)
    places = {old: new for new, old in enumerate(sorted(wanted))}
    return tuple(
        dataclasses.replace(plan[old], inputs=tuple(places[i] for i in plan[old].inputs))
        for old in places
    )


def norm_groups(channels: int) -> int:
    """Groups of a normalisation: up to 8, at least 4 channels in each where that divides them."""
    most = max(1, min(8, channels // 4))
    return next(groups for groups in range(most, 0, -1) if channels % groups == 0)
