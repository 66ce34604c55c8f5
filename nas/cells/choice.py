"""Which network is meant: a cell on a skeleton, or a published network."""

import dataclasses

from common.options import option
from nas.cells import zoo
from nas.cells.architecture import Architecture
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS, Skeleton

# What cells stand on where no skeleton is named.
SEARCH_SKELETON, CELL_SKELETON = 'digits', 'cifar10'
SKELETON_HELP = (
    f'skeleton for cells: {", ".join(SKELETONS)}; default: {SEARCH_SKELETON} for a search,'
    f' {CELL_SKELETON} for other modes; a published network and --from_search bring their own'
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What is changed of a skeleton; the stem stays twice the first growth rate, as published."""

    stages: tuple[int, ...] | None = option(
        None, 'cells in each stage, such as 2,2,2, instead of those of the skeleton'
    )
    growth: tuple[int, ...] | None = option(
        None,
        'channels that a cell adds, by stage, such as 4,8,16, instead of those of the skeleton',
    )

    def name(self, whole: str) -> str:
        """What to call something of these sizes."""
        given = dataclasses.asdict(self).items()
        return ' '.join(
            [whole, *(f'{field} {"-".join(map(str, value))}' for field, value in given if value)]
        )

    def of(self, skeleton: Skeleton) -> Skeleton:
        """The skeleton with these sizes. Raises ValueError if they do not fit together."""
        if self == UNCHANGED:
            return skeleton
        growth = skeleton.growth if self.growth is None else self.growth
        stem = skeleton.stem if not self.growth else 2 * self.growth[0]
        return dataclasses.replace(
            skeleton,
            name=self.name(skeleton.name),
            growth=growth,
            stem=stem,
            stages=skeleton.stages if self.stages is None else self.stages,
        )


UNCHANGED = Sizes()


def look_up(flag: str, name: str, known: dict):
    """The entry of a flag's value. Raises ValueError, naming the flag, if there is none."""
    if name not in known:
        raise ValueError(f'--{flag}={name} is unknown; accepted: {", ".join(known)}')
    return known[name]


def skeleton_of(name: str, sizes: Sizes = UNCHANGED) -> Skeleton:
    """The skeleton of a name in `SKELETONS`, with some sizes changed.

    Raises:
        ValueError: the name is unknown, or the sizes do not fit together.
    """
    return sizes.of(look_up('skeleton', name, SKELETONS))


def choose(
    cell: str | None, network: str | None, skeleton: str | None, sizes: Sizes = UNCHANGED
) -> Architecture:
    """The network that names mean.

    Args:
        cell: tokens joined by hyphens, or a name in `zoo.CELLS`; or None.
        network: a name in `zoo.NETWORKS`, if `cell` is None.
        skeleton: a name in `SKELETONS`, or None for the network's own, or cifar10 for a cell.
        sizes: what to change of the skeleton.

    Raises:
        ValueError: for anything that does not exist or does not fit.
    """
    if network is None:
        parsed = zoo.CELLS.get(cell) or Cell.parse(cell)
        return Architecture(str(parsed), parsed, skeleton_of(skeleton or CELL_SKELETON, sizes))
    published = look_up('network', network, zoo.NETWORKS)
    named = None if skeleton is None else skeleton_of(skeleton)
    published.plan(named)  # refuses a skeleton that it is not defined for
    if published.cell is None:
        if sizes != UNCHANGED:
            raise ValueError(
                f'--stages and --growth change skeletons of cells, but --network={network} has none'
            )
        return Architecture(network, network=network)
    own = sizes.of(named if named and published.swappable else published.skeleton)
    if own == published.skeleton:
        return Architecture(network, published.cell, own, network)
    return Architecture(sizes.name(network), published.cell, own)
