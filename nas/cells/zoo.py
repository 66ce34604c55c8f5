"""Published cells and networks by name, built from the same layer records as searched networks.

Sources: DPP-Net (Dong et al., ECCV 2018), CondenseNet (Huang et al., CVPR 2018), DenseNet (Huang et
al., CVPR 2017), MobileNetV2 (Sandler et al., CVPR 2018), ShuffleNet (Zhang et al., CVPR 2018). The
cells of DPP-Net are inferred: they reproduce its published counts on both skeletons, but counts
cannot tell `gconv1x1` from `lgconv1x1`, and `dpp-net-ws-a` is one of several that fit.
"""

import dataclasses
import functools
from collections.abc import Callable

from nas.cells import plan as plan_lib
from nas.cells import skeleton as skeletons
from nas.cells.cell import Cell
from nas.cells.plan import Builder, Plan
from nas.cells.skeleton import Skeleton

CELLS = {
    'dpp-net-pnas': Cell.parse('bn-conv3x3-bn_relu-gconv3x3'),
    'dpp-net-panacea': Cell.parse('bn-lgconv1x1-bn_relu-gconv3x3'),
    'dpp-net-ws-a': Cell.parse('none-lgconv1x1-bn_relu-conv3x3'),
    'dpp-net-es-a': Cell.parse('none-dwconv3x3-none-conv1x1-bn_relu-conv3x3'),
    'dpp-net-mobile-a': Cell.parse('bn_relu-lgconv1x1-bn_relu-dwconv3x3-none-conv1x1'),
    'condensenet': Cell.parse('bn_relu-lgconv1x1-bn_relu-gconv3x3'),
    'densenet-bc': Cell.parse('bn_relu-conv1x1-bn_relu-conv3x3'),
}


@dataclasses.dataclass(frozen=True)
class Network:
    """A published network.

    Attributes:
        name: its key in `NETWORKS`.
        input: (size in pixels, channels, classes) that it was published for.
        make: builds the plan for the published input.
        cell, skeleton: its parts, for networks of the cell space; None for the others.
        swappable: whether the publication is a cell, which also fits other skeletons.
        published: (parameters, FLOPs) as printed by others (the papers' tables; torchvision for
            DenseNet on ImageNet), '' if unknown. MobileNetV2 and ShuffleNet print multiply-adds.
    """

    name: str
    input: tuple[int, int, int]
    make: Callable[[], Plan]
    cell: Cell | None = None
    skeleton: Skeleton | None = None
    swappable: bool = False
    published: tuple[str, str] = ('', '')

    def plan(self, skeleton: Skeleton | None = None) -> Plan:
        """Returns the layer records.

        Args:
            skeleton: another skeleton for a DPP-Net cell. All other networks are fixed; for them
                the skeleton only has to take the same images and classes.

        Raises:
            ValueError: if the network is not defined for the inputs of `skeleton`.
        """
        if skeleton is not None and self.swappable:
            return plan_lib.build(self.cell, skeleton)
        if skeleton is not None and skeleton.input != self.input:
            raise ValueError(
                f'network {self.name!r} is defined for images of {self.input[0]} pixels and '
                f'{self.input[2]} classes, not for skeleton {skeleton.name!r}; leave the '
                'skeleton out'
            )
        return self.make()


def _of_cell(
    name: str,
    cell: Cell,
    skeleton: Skeleton,
    published: tuple[str, str],
    *,
    swappable: bool = False,
) -> Network:
    return Network(
        name,
        skeleton.input,
        functools.partial(plan_lib.build, cell, skeleton),
        cell,
        skeleton,
        swappable,
        published,
    )


def _dpp_net(name: str, published: tuple[str, str]) -> Network:
    return _of_cell(name, CELLS[name], skeletons.cifar10, published, swappable=True)


def _condensenet(
    depth: int, published: tuple[str, str], growth: tuple[int, ...] = (8, 16, 32)
) -> Network:
    """CondenseNet on CIFAR; `depth` counts the stem, the classifier and two convolutions a cell."""
    cells = (depth - 2) // 6
    skeleton = Skeleton(
        name=f'condensenet-{depth}', stages=(cells,) * 3, growth=growth, stem=2 * growth[0]
    )
    return _of_cell(f'condensenet-{depth}', CELLS['condensenet'], skeleton, published)


def _densenet(size: int, classes: int, blocks: tuple[int, ...], growth: int) -> Plan:
    """DenseNet-BC: bottleneck 4k, channels halved after blocks, ImageNet stem for large images."""
    b = Builder(size, 3)
    b.scope = 'stem'
    if size > 64:
        x = b.pool(b.bn_relu(b.conv(0, 2 * growth, kernel=7, stride=2)), 'max', kernel=3, padding=1)
    else:
        x = b.conv(0, 2 * growth, kernel=3)
    for stage, cells in enumerate(blocks):
        for i in range(cells):
            b.scope = f'stage{stage}_cell{i}'
            y = b.conv(b.bn_relu(x), 4 * growth)
            x = b.append('concat', x, b.conv(b.bn_relu(y), growth, kernel=3))
        if stage + 1 < len(blocks):
            b.scope = f'stage{stage}'
            x = b.pool(b.conv(b.bn_relu(x), b.width(x) // 2), 'avg')
    b.scope = 'tail'
    b.classifier(b.bn_relu(x), classes)
    return b.plan()


def _densenet_cifar(depth: int, growth: int, published: tuple[str, str]) -> Network:
    blocks = ((depth - 4) // 6,) * 3
    return Network(
        f'densenet-bc-{depth}-{growth}',
        skeletons.cifar10.input,
        functools.partial(_densenet, 32, 10, blocks, growth),
        published=published,
    )


def _densenet_imagenet(depth: int, blocks: tuple[int, ...], published: tuple[str, str]) -> Network:
    return Network(
        f'densenet-{depth}',
        skeletons.imagenet.input,
        functools.partial(_densenet, 224, 1000, blocks, 32),
        published=published,
    )


def _inverted_residual(b: Builder, x: int, out_channels: int, stride: int, expansion: int) -> int:
    y = x
    if expansion > 1:
        y = b.bn_relu(b.conv(y, expansion * b.width(x)), relu='relu6')
    y = b.bn_relu(b.conv(y, b.width(y), kernel=3, stride=stride, groups=b.width(y)), relu='relu6')
    y = b.append('bn', b.conv(y, out_channels))
    return b.append('add', x, y) if stride == 1 and b.width(x) == out_channels else y


def mobilenet_v2(
    size: int, classes: int, *, strides: tuple[int, ...] = (2, 1, 2, 2, 2, 1, 2, 1)
) -> Plan:
    """MobileNetV2 1.0, the paper's Table 2.

    Args:
        size: side of the images in pixels, 224 in the paper.
        classes: 1000 in the paper.
        strides: of the stem and of the first block of each of the seven stages; stride 1 suits
            small images.
    """
    rows = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
    b = Builder(size, 3)
    b.scope = 'stem'
    x = b.bn_relu(b.conv(0, 32, kernel=3, stride=strides[0]), relu='relu6')
    for stage, ((expansion, channels, repeats), stride) in enumerate(
        zip(rows, strides[1:], strict=True)
    ):
        for i in range(repeats):
            b.scope = f'stage{stage}_block{i}'
            x = _inverted_residual(b, x, channels, stride if i == 0 else 1, expansion)
    b.scope = 'tail'
    b.classifier(b.bn_relu(b.conv(x, 1280), relu='relu6'), classes)
    return b.plan()


def _shuffle_unit(
    b: Builder, x: int, out_channels: int, stride: int, groups: int, first_groups: int
) -> int:
    """ShuffleNet unit (Figure 2 b, c); the strided one is concatenated to an average pool."""
    middle = out_channels // 4
    y = b.bn_relu(b.conv(x, middle, groups=first_groups))
    y = b.append('shuffle', y, groups=groups)
    y = b.append('bn', b.conv(y, middle, kernel=3, stride=stride, groups=middle))
    if stride == 1:
        return b.append(
            'relu', b.append('add', x, b.append('bn', b.conv(y, out_channels, groups=groups)))
        )
    y = b.append('bn', b.conv(y, out_channels - b.width(x), groups=groups))
    return b.append('relu', b.append('concat', b.pool(x, 'avg', kernel=3, stride=2, padding=1), y))


def _shufflenet(groups: int, widths: tuple[int, int, int]) -> Plan:
    """ShuffleNet 1x, the paper's Table 1; the very first pointwise convolution is not grouped."""
    b = Builder(224, 3)
    b.scope = 'stem'
    x = b.pool(b.bn_relu(b.conv(0, 24, kernel=3, stride=2)), 'max', kernel=3, padding=1)
    for stage, (width, repeats) in enumerate(zip(widths, (4, 8, 4))):
        for i in range(repeats):
            b.scope = f'stage{stage}_unit{i}'
            first = stage == 0 and i == 0
            x = _shuffle_unit(b, x, width, 2 if i == 0 else 1, groups, 1 if first else groups)
    b.scope = 'tail'
    b.classifier(x, 1000)
    return b.plan()


_imagenet_g8 = dataclasses.replace(skeletons.imagenet, name='imagenet-g8', groups=8, condensation=8)

_NETWORKS = (
    _dpp_net('dpp-net-pnas', ('11.39M', '1364M')),
    _dpp_net('dpp-net-ws-a', ('1.00M', '137M')),
    _dpp_net('dpp-net-es-a', ('2.04M', '270M')),
    _dpp_net('dpp-net-mobile-a', ('0.45M', '59.27M')),
    _dpp_net('dpp-net-panacea', ('0.52M', '63.5M')),
    _of_cell(
        'dpp-net-pnas-imagenet', CELLS['dpp-net-pnas'], skeletons.imagenet, ('77.16M', '9276M')
    ),
    _of_cell(
        'dpp-net-panacea-imagenet', CELLS['dpp-net-panacea'], skeletons.imagenet, ('4.8M', '523M')
    ),
    _condensenet(50, ('0.22M', '28.6M')),
    _condensenet(74, ('0.41M', '51.9M')),
    _condensenet(86, ('0.52M', '65.8M')),
    _condensenet(98, ('0.65M', '81.3M')),
    _condensenet(110, ('0.79M', '98.2M')),
    _condensenet(122, ('0.95M', '116.7M')),
    _condensenet(182, ('4.2M', '513M'), growth=(12, 24, 48)),
    _of_cell('condensenet-74-imagenet', CELLS['condensenet'], skeletons.imagenet, ('4.8M', '529M')),
    _of_cell('condensenet-74-imagenet-g8', CELLS['condensenet'], _imagenet_g8, ('2.9M', '274M')),
    _densenet_cifar(100, 12, ('0.80M', '')),
    _densenet_cifar(250, 24, ('15.3M', '')),
    _densenet_cifar(190, 40, ('25.6M', '')),
    _densenet_imagenet(121, (6, 12, 24, 16), ('7.98M', '')),
    _densenet_imagenet(169, (6, 12, 32, 32), ('14.15M', '')),
    _densenet_imagenet(201, (6, 12, 48, 32), ('20.01M', '')),
    Network(
        'mobilenetv2',
        skeletons.imagenet.input,
        functools.partial(mobilenet_v2, 224, 1000),
        published=('3.4M', '300M'),
    ),
    Network(
        'shufflenet-1x-g8',
        skeletons.imagenet.input,
        functools.partial(_shufflenet, 8, (384, 768, 1536)),
        published=('', '140M'),
    ),
)

NETWORKS = {network.name: network for network in _NETWORKS}
