"""Skeletons: everything about a network except its cell.

Every skeleton has the form of CondenseNet (Huang et al., CVPR 2018), on which DPP-Net searches: a
3x3 stem without normalisation, stages of repeated cells whose outputs are concatenated to their
inputs, a bare 2x2 average pool between stages, and a tail of BN, ReLU, global average pool and a
linear classifier.
"""

import dataclasses

from common.options import option

# A plan holds every layer, so the number is limited; published networks have up to 100 cells.
_MAX_CELLS = 10_000


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """The macro-architecture that cells are placed in.

    Raises:
        ValueError: on creation, if the fields do not fit together.
    """

    name: str = option('cifar10', 'name used in messages and tables')
    size: int = option(32, 'input height and width in pixels')
    channels: int = option(3, 'input channels')
    classes: int = option(10, 'number of classes')
    stages: tuple[int, ...] = option((14, 14, 14), 'number of cells in each stage')
    growth: tuple[int, ...] = option((8, 16, 32), 'channels k that a cell adds, by stage')
    stem: int = option(16, 'output channels of the stem, 2 * growth[0] in the published networks')
    stem_stride: int = option(1, 'stride of the stem')
    bottleneck: int = option(
        4, 'every convolution of a cell but the last gives bottleneck * k channels'
    )
    groups: int = option(4, 'groups of grouped and learned-group convolutions')
    condensation: int = option(
        4, 'a learned-group convolution keeps one in this many of its weights'
    )
    classifier_condensation: int = option(
        1, 'the classifier keeps one in this many of its weights, if the cell has learned groups'
    )

    def __post_init__(self):
        if not self.stages or len(self.stages) != len(self.growth):
            raise ValueError(
                f'skeleton {self.name!r}: stages {self.stages} and growth {self.growth} must be '
                'non-empty and equally long'
            )
        for field, value in dataclasses.asdict(self).items():
            numbers = () if field == 'name' else value if isinstance(value, tuple) else (value,)
            if any(not isinstance(n, int) or n < 1 for n in numbers):
                raise ValueError(
                    f'skeleton {self.name!r}: {field} is {value!r}, but must be at least 1'
                )
        if sum(self.stages) > _MAX_CELLS:
            raise ValueError(
                f'skeleton {self.name!r}: stages {self.stages} are {sum(self.stages)} cells; '
                f'accepted: at most {_MAX_CELLS}'
            )
        if self.size // self.stem_stride < 2 ** (len(self.stages) - 1):
            raise ValueError(
                f'skeleton {self.name!r}: an input of {self.size} pixels cannot be halved '
                f'{len(self.stages) - 1} times after a stem of stride {self.stem_stride}'
            )

    @property
    def input(self) -> tuple[int, int, int]:
        """(size in pixels, channels, classes) of the data sets that fit."""
        return self.size, self.channels, self.classes


# The published skeletons of CondenseNet-86 and of CondenseNet-74 on ImageNet, used by DPP-Net.
cifar10 = Skeleton()
imagenet = Skeleton(
    name='imagenet',
    size=224,
    classes=1000,
    stages=(4, 6, 8, 10, 8),
    growth=(8, 16, 32, 64, 128),
    stem_stride=2,
    classifier_condensation=2,
)

# For scikit-learn's 8x8 grey digits, and the smallest network that still has every part, for tests.
digits = Skeleton(name='digits', size=8, channels=1, stages=(2, 2), growth=(8, 16))
tiny = Skeleton(name='tiny', size=8, stages=(1, 1), growth=(4, 8), stem=8)

SKELETONS = {skeleton.name: skeleton for skeleton in (cifar10, imagenet, digits, tiny)}
