"""Architecture search from the command line: `nas-search` or `python experiments/nas_main.py`.

    nas-search --mode=cost --cell=bn_relu-lgconv1x1-bn_relu-gconv3x3 --skeleton=imagenet
    nas-search --mode=cost --network=condensenet-86
    nas-search --mode=cost --table
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # works from a checkout, from any directory

from absl import flags as absl_flags

from experiments import flags
from nas import plan, zoo
from nas.cell import Cell
from nas.cost import Cost, count
from nas.skeleton import SKELETONS, Skeleton


def define_flags(values: absl_flags.FlagValues) -> None:
    """Defines this program's flags in `values`."""
    absl_flags.DEFINE_enum('mode', 'cost', ['cost'], 'What to do.', flag_values=values)
    absl_flags.DEFINE_string('cell', None, 'Cell, as tokens joined by hyphens or by its published name.',
                        flag_values=values)
    absl_flags.DEFINE_string('network', None, 'Published network by name.', flag_values=values)
    absl_flags.DEFINE_string('skeleton', None, f'Skeleton for a cell: {", ".join(SKELETONS)}; cifar10 by default. '
                        'A published network brings its own.', flag_values=values)
    absl_flags.DEFINE_boolean('table', False, 'Print the cost of every published network beside its published '
                         'figures.', flag_values=values)


def _look_up(what: str, name: str, known: dict):
    if name not in known:
        raise ValueError(f'--{what}={name} is unknown; accepted: {", ".join(known)}')
    return known[name]


def cost_of(cell: str | None, network: str | None, skeleton: str | None) -> dict[str, str | int]:
    """Counts one cell on a skeleton, or one published network.

    Args:
        cell: tokens joined by hyphens, or a name in `zoo.CELLS`.
        network: a name in `zoo.NETWORKS`; exactly one of `cell` and `network` is given.
        skeleton: a name in `SKELETONS`, or None for the network's own, or cifar10 for a cell.

    Returns:
        {'name', 'params', 'flops', 'macs'}.

    Raises:
        ValueError: for anything that does not exist or does not fit.
    """
    if (cell is None) == (network is None):
        given = 'both were given' if cell is not None else 'neither was given'
        raise ValueError(f'--mode=cost counts either a --cell or a --network, but {given}; '
                         '--table counts all networks')
    shape: Skeleton | None = None if skeleton is None else _look_up('skeleton', skeleton, SKELETONS)
    if network is not None:
        name, layers = network, _look_up('network', network, zoo.NETWORKS).plan(shape)
    else:
        parsed = zoo.CELLS.get(cell) or Cell.parse(cell)
        name, layers = str(parsed), plan.build(parsed, shape or SKELETONS['cifar10'])
    return {'name': name, **count(layers)._asdict()}


def cost_table() -> str:
    """Returns the costs of all published networks, with the figures that their publications print."""
    header = ('network', *Cost._fields, 'published params', 'published flops')
    rows = [header]
    for network in zoo.NETWORKS.values():
        costs = (f'{value:,}' for value in count(network.plan()))
        rows.append((network.name, *costs, *(text or '-' for text in network.published)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for name, *figures in rows:
        figures = (text.rjust(width) for text, width in zip(figures, widths[1:]))
        lines.append('  '.join([name.ljust(widths[0]), *figures]))
    return '\n'.join(lines)


def main() -> None:
    """Runs the mode that the flags ask for. Raises ValueError for input that cannot be used."""
    values = absl_flags.FLAGS
    if not values.table:
        print(json.dumps(cost_of(values.cell, values.network, values.skeleton)))
    elif (values.cell, values.network, values.skeleton) == (None, None, None):
        print(cost_table())
    else:
        raise ValueError('--table counts all published networks; give it without --cell, --network and --skeleton')


def run() -> None:
    """Entry point of the console script `nas-search`."""
    # Not at import: `--mode` is a flag of depth_main too.
    define_flags(absl_flags.FLAGS)
    flags.run(main)


if __name__ == '__main__':
    run()
