"""Chooses a network by name: a cell on a skeleton, or a published network."""

import dataclasses

from common.options import option
from nas.cells import zoo
from nas.cells.architecture import Architecture
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS, Skeleton

# The skeletons of cells if none is named.
SEARCH_SKELETON, CELL_SKELETON = 'digits', 'cifar10'
SKELETON_HELP = (
    f'skeleton for cells: {", ".join(SKELETONS)}; default: {SEARCH_SKELETON} for a search,'
    f' {CELL_SKELETON} for other modes; a published network and --from_search bring their own'
)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Changes to the sizes of a skeleton.

    The stem stays twice the first growth rate, as published.
    """

    stages: tuple[int, ...] | None = option(
        None, 'number of cells in each stage, such as 2,2,2; default: as in the skeleton'
    )
    growth: tuple[int, ...] | None = option(
        None, 'channels that a cell adds in each stage, such as 4,8,16; default: as in the skeleton'
    )

    def name(self, whole: str) -> str:
        """Adds the changed sizes to a name."""
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
    """Looks up the value of a flag. An unknown value is a ValueError that names the flag."""
    if name not in known:
        raise ValueError(f'--{flag}={name} is unknown; accepted: {", ".join(known)}')
    return known[name]


def skeleton_of(name: str, sizes: Sizes = UNCHANGED) -> Skeleton:
    """Returns the skeleton with a name in `SKELETONS`, with some sizes changed.

    Raises:
        ValueError: the name is unknown, or the sizes do not fit together.
    """
    return sizes.of(look_up('skeleton', name, SKELETONS))


def choose(
    cell: str | None, network: str | None, skeleton: str | None, sizes: Sizes = UNCHANGED
) -> Architecture:
    """Finds the network that the names stand for.

    Args:
        cell: tokens joined by hyphens, or a name in `zoo.CELLS`; or None.
        network: a name in `zoo.NETWORKS`, if `cell` is None.
        skeleton: a name in `SKELETONS`, or None for the network's own, or cifar10 for a cell.
        sizes: changes to the sizes of the skeleton.

    Raises:
        ValueError: if a name is unknown, or the parts do not fit together.
    """
    if network is None:
        parsed = zoo.CELLS.get(cell) or Cell.parse(cell)
        return Architecture(str(parsed), parsed, skeleton_of(skeleton or CELL_SKELETON, sizes))
    published = look_up('network', network, zoo.NETWORKS)
    named = None if skeleton is None else skeleton_of(skeleton)
    published.plan(named)  # raises ValueError for a skeleton that does not fit
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
