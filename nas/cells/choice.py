"""Chooses a network by name: a cell on a skeleton, or a published network."""

import dataclasses

from common.options import option
from nas.cells import zoo
from nas.cells.architecture import Architecture
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS, Skeleton, fitting, images, stem_stride

# The skeletons of cells if none is named. Searches of other data once took that of the digits.
SEARCH_SKELETON, CELL_SKELETON = 'digits', 'cifar10'
SEARCH_SKELETONS = {'digits': 'digits', 'cifar10': 'cifar10', 'imagenet': 'imagenet'}
SKELETON_HELP = (
    f'skeleton for cells: {", ".join(SKELETONS)} (fits --image_size); default: for a search that of'
    f' the data set ({images.name} for your own); {CELL_SKELETON} for other modes; a published'
    ' network and --from_search bring their own'
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
    image_size: int | None = option(
        None,
        'height and width in pixels to which images are resized, such as 28, 64, 224 or 512;'
        ' default: as in the skeleton',
        lower_bound=1,
    )
    channels: int | None = option(
        None,
        '1 for grey images, 3 for colour; default: as in the skeleton, and in a search of a folder'
        ' those of its images',
        lower_bound=1,
        upper_bound=3,
    )
    classes: int | None = option(
        None,
        'number of classes, for --mode=cost; a search and a training take those of the data',
        lower_bound=2,
    )
    stem_stride: int | None = option(
        None,
        'stride of the first convolution; default: as in the skeleton, with --image_size 1 below'
        ' 64 pixels, 2 up to 256, 4 up to 512',
        lower_bound=1,
    )

    def __post_init__(self):
        if self.channels not in (None, 1, 3):
            raise ValueError(f'channels is {self.channels}; accepted: 1 (grey), 3 (colour)')

    def name(self, whole: str) -> str:
        """Adds the changed sizes to a name."""
        texts = [whole]
        for field, value in self._given().items():
            numbers = value if isinstance(value, tuple) else (value,)
            if numbers and field != 'classes':
                texts.append(f'{field.replace("_", " ")} {"-".join(map(str, numbers))}')
        return ' '.join(texts)

    def flags(self) -> str:
        """The flags that are given, for messages."""
        return ' and '.join(f'--{field}' for field in self._given())

    def check_classes(self, found: int, dataset: str) -> None:
        """Raises ValueError if a number of classes is given that is not that of the data."""
        if self.classes not in (None, found):
            raise ValueError(
                f'--classes={self.classes}, but --dataset={dataset} has {found} classes; without '
                '--classes those of the data are taken'
            )

    def _given(self) -> dict:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def of(self, skeleton: Skeleton) -> Skeleton:
        """The skeleton with these sizes. Raises ValueError if they do not fit together."""
        if self == UNCHANGED:
            return skeleton
        given = self._given()
        size = given.pop('image_size', skeleton.size)
        if skeleton.name == images.name:
            number = self.stages or (None if self.growth is None else (2,) * len(self.growth))
            skeleton = fitting(size, skeleton.channels, skeleton.classes, stages=number)
        elif size != skeleton.size:
            given.setdefault('stem_stride', stem_stride(size))
        if self.growth:
            given['stem'] = 2 * self.growth[0]
        return dataclasses.replace(skeleton, name=self.name(skeleton.name), size=size, **given)


UNCHANGED = Sizes()


def search_skeleton(dataset: str, name: str | None, sizes: Sizes = UNCHANGED) -> Skeleton:
    """The skeleton of a search.

    Args:
        dataset: the text of the data set, such as digits or folder:PATH.
        name: a name in `SKELETONS`, or None for the one that suits the data set.
        sizes: changes to the sizes of the skeleton.

    Raises:
        ValueError: the name is unknown, or the sizes do not fit together.
    """
    kind = dataset.partition(':')[0]
    return skeleton_of(name or SEARCH_SKELETONS.get(kind, images.name), sizes)


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
                f'{sizes.flags()} change skeletons of cells, but --network={network} has none'
            )
        return Architecture(network, network=network)
    own = sizes.of(named if named and published.swappable else published.skeleton)
    if own == published.skeleton:
        return Architecture(network, published.cell, own, network)
    return Architecture(sizes.name(network), published.cell, own)
