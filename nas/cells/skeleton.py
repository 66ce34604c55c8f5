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
# Pixels of a side that a 3x3 convolution needs to see more than zeros around it.
_LEAST = 3
# Where the stages of `fitting` begin and end: like those of networks for CIFAR-10 and ImageNet.
_FIRST, _LAST = 128, 6


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
        if self.sizes[-1] < _LEAST:
            raise ValueError(
                f'skeleton {self.name!r}: an input of {self.size} pixels cannot be halved '
                f'{len(self.stages) - 1} times after a stem of stride {self.stem_stride}: its '
                f'{len(self.stages)} stages would have {self._sides()} pixels; accepted: at least '
                f'{_LEAST}, by fewer stages, a smaller stem_stride or larger images'
            )

    def _sides(self) -> str:
        """The first and the last sizes of the stages, for messages."""
        sides = [str(size) for size in self.sizes]
        return ', '.join(sides if len(sides) < 8 else [*sides[:6], '...', sides[-1]])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Height and width of the images in each stage, in pixels."""
        first = (self.size - 1) // self.stem_stride + 1
        # A pool that is not fed a whole number of times drops what is left over.
        return tuple(first >> stage for stage in range(len(self.stages)))

    @property
    def input(self) -> tuple[int, int, int]:
        """(size in pixels, channels, classes) of the data sets that fit."""
        return self.size, self.channels, self.classes


def fitting(
    size: int = 64, channels: int = 3, classes: int = 10, *, stages: tuple[int, ...] | None = None
) -> Skeleton:
    """A small skeleton for images of any size from 8 pixels up.

    A stem with stride brings large images to at most 128 pixels (images of 64 pixels to 32); then
    come as many stages as leave at least 6 pixels. 28 pixels give stages of 28, 14, 7; 64 of 32,
    16, 8; 224 of 112, 56, 28, 14, 7; 512 of 128, 64, 32, 16, 8.

    Args:
        size: side of the images in pixels.
        channels, classes: of the images.
        stages: number of cells in each stage; None for two in each.

    Raises:
        ValueError: the stages do not fit the size.
    """
    stride = stem_stride(size)
    if stages is None:
        stages = (2,) * max(1, ((size - 1) // stride + 1) // _LAST).bit_length()
    growth = tuple(8 << stage for stage in range(len(stages)))
    return Skeleton(
        name='images',
        size=size,
        channels=channels,
        classes=classes,
        stages=stages,
        growth=growth,
        stem_stride=stride,
    )


def stem_stride(size: int) -> int:
    """The stride of a stem for images of a size: 1 below 64 pixels, 2 up to 256, then more."""
    stride = 1 if size < 64 else 2
    while size > _FIRST * stride:
        stride *= 2
    return stride


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
# For people's own images: `fitting` makes it anew for their size.
images = fitting()

SKELETONS = {skeleton.name: skeleton for skeleton in (cifar10, imagenet, digits, tiny, images)}
