"""Counts the costs of a cell or a published network, or of all published networks in a table."""

import dataclasses

from common.options import READ_LIST, option
from nas.cells import own_ops, zoo
from nas.cells.architecture import Architecture
from nas.cells.choice import SKELETON_HELP, UNCHANGED, Sizes, choose
from nas.cells.cost import Cost, count


@dataclasses.dataclass(frozen=True)
class CostConfig:
    """Which network is counted: exactly one of `cell` and `network` is given."""

    cell: str | None = option(
        None, '--mode=cost and train: cell, as tokens joined by hyphens or by its published name'
    )
    network: str | None = option(None, '--mode=cost and train: published network by name')
    skeleton: str | None = option(None, SKELETON_HELP)
    sizes: Sizes = UNCHANGED
    ops: str | None = option(None, own_ops.OPS_HELP, path=READ_LIST)


def architecture_of(config: CostConfig) -> Architecture:
    """Returns the network that a configuration names.

    Raises:
        ValueError: unless either a cell or a network is given, or if a name is unknown, the parts
            do not fit together, or own ops cannot be loaded.
    """
    if (config.cell is None) == (config.network is None):
        given = 'both were given' if config.cell is not None else 'neither was given'
        raise ValueError(
            f'--mode=cost counts either a --cell or a --network, but {given}; '
            '--table counts all networks'
        )
    own_ops.read(config.ops).load()
    return choose(config.cell, config.network, config.skeleton, config.sizes)


def cost_of(config: CostConfig) -> dict[str, str | int]:
    """Counts one cell on a skeleton, or one published network.

    Args:
        config: the network to count.

    Returns:
        {'name', 'params', 'flops', 'macs'}.

    Raises:
        ValueError: as `architecture_of`.
    """
    architecture = architecture_of(config)
    return {'name': architecture.name, **count(architecture.plan)._asdict()}


def cost_table() -> str:
    """Makes a table of all published networks: their costs beside their published figures."""
    rows = [('network', *Cost._fields, 'published params', 'published flops')]
    for network in zoo.NETWORKS.values():
        costs = (f'{value:,}' for value in count(network.plan()))
        rows.append((network.name, *costs, *(text or '-' for text in network.published)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for name, *figures in rows:
        figures = (text.rjust(width) for text, width in zip(figures, widths[1:]))
        lines.append('  '.join([name.ljust(widths[0]), *figures]))
    return '\n'.join(lines)
