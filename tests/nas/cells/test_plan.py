"""Plans: the layers of a cell on a skeleton, and ops that a user registers."""

import dataclasses
import random

import pytest

from nas.cells import plan, zoo
from nas.cells.cell import Cell
from nas.cells.cost import Cost, count
from nas.cells.skeleton import SKELETONS, Skeleton, cifar10, imagenet, tiny

CONDENSENET = Cell.parse('bn_relu-lgconv1x1-bn_relu-gconv3x3')


def random_cells(seed, number):
    """Complete cells of up to six tokens."""
    draw, cells = random.Random(seed), []
    while len(cells) < number:
        cell = Cell.ROOT
        for _ in range(draw.randint(2, 6)):
            cell = draw.choice(cell.grow())
        cells += [cell] if cell.complete else []
    return cells


def assert_consistent(layers, classes):
    """Every record must fit the records it reads; nothing may dangle."""
    read = set()
    assert layers[0].op == 'input' and layers[0].inputs == ()
    assert len({layer.name for layer in layers}) == len(layers)
    for index, layer in enumerate(layers[1:], 1):
        sources = [layers[i] for i in layer.inputs]
        read.update(layer.inputs)
        assert layer.inputs and all(0 <= i < index for i in layer.inputs)
        assert {source.out_size for source in sources} == {layer.in_size}
        widths = [source.out_channels for source in sources]
        assert layer.in_channels == (sum(widths) if layer.op == 'concat' else widths[0])
        assert layer.op != 'add' or len(set(widths)) == 1
        assert layer.in_channels % layer.groups == 0 and layer.out_channels % layer.groups == 0
    assert read == set(range(len(layers) - 1))
    assert (layers[-1].op, layers[-1].out_channels, layers[-1].out_size) == ('linear', classes, 1)


def test_condensenet_86_layer_by_layer():
    layers = plan.build(CONDENSENET, cifar10)
    assert_consistent(layers, 10)
    stem, first = layers[1], layers[2:8]
    assert (stem.op, stem.in_channels, stem.out_channels) == ('conv', 3, 16)
    assert (stem.kernel, stem.stride, stem.padding) == (3, 1, 1)
    assert [layer.op for layer in first] == ['bn', 'relu', 'lgconv', 'bn', 'relu', 'conv']
    assert [(layer.in_channels, layer.out_channels) for layer in first][2::3] == [(16, 32), (32, 8)]
    assert (first[2].groups, first[2].condensation, first[5].groups, first[5].kernel) == (
        4,
        4,
        4,
        3,
    )
    assert layers[8].op == 'concat' and layers[8].inputs == (1, 7) and layers[8].out_channels == 24
    assert [layer.out_size for layer in layers if layer.op == 'avgpool'] == [16, 8]
    # 16 + 14 * (8 + 16 + 32) channels reach the classifier.
    assert layers[-1].in_channels == 800 and layers[-1].condensation == 1
    convolutions = [layer for layer in layers if layer.op in ('conv', 'lgconv', 'linear')]
    assert len(convolutions) == 86


@pytest.mark.parametrize(
    'text, widths',
    [
        ('none-dwconv3x3-none-conv1x1-bn_relu-conv3x3', [24, 32, 8]),
        ('bn_relu-lgconv1x1-bn_relu-dwconv3x3-none-conv1x1', [32, 32, 8]),
        ('bn-conv3x3-none-dwconv3x3', [8, 8]),
        ('bn-conv1x1-bn-conv1x1-bn-conv1x1', [32, 32, 8]),
    ],
)
def test_width_rule(text, widths):
    """In a second cell (24 channels, k = 8): the last non-depthwise convolution gives k, earlier
    ones 4k.
    """
    layers = plan.build(Cell.parse(text), cifar10)
    cell = [
        layer for layer in layers if layer.name.startswith('stage0_cell1_') and 'conv' in layer.op
    ]
    assert [layer.out_channels for layer in cell] == widths
    depthwise = [layer for layer in cell if layer.groups == layer.in_channels]
    assert len(depthwise) == text.count('dwconv')


@pytest.mark.parametrize('skeleton', SKELETONS.values(), ids=SKELETONS)
def test_every_cell_makes_a_consistent_plan(skeleton):
    for cell in random_cells(seed=0, number=25):
        assert_consistent(plan.build(cell, skeleton), skeleton.classes)


@pytest.mark.parametrize('name', zoo.NETWORKS)
def test_every_zoo_network_is_consistent(name):
    assert_consistent(zoo.NETWORKS[name].plan(), zoo.NETWORKS[name].input[2])


def test_classifier_is_condensed_on_imagenet_with_learned_groups_only():
    assert plan.build(CONDENSENET, imagenet)[-1].condensation == 2
    assert plan.build(Cell.parse('bn-conv3x3'), imagenet)[-1].condensation == 1
    assert plan.build(CONDENSENET, imagenet)[-1].in_channels == 2064


def test_a_trailing_none_changes_nothing():
    assert plan.build(Cell.parse('bn-conv3x3-none'), tiny) == plan.build(
        Cell.parse('bn-conv3x3'), tiny
    )


@pytest.mark.parametrize(
    'cell', [Cell.ROOT, Cell.parse('bn_relu'), Cell.parse('none-dwconv3x3-bn')], ids=str
)
def test_incomplete_cells_are_refused(cell):
    with pytest.raises(ValueError, match='depthwise'):
        plan.build(cell, tiny)


@pytest.mark.parametrize(
    'change', [{'stem': 18}, {'growth': (6, 8)}, {'groups': 3}, {'condensation': 5}]
)
def test_channels_that_cannot_be_grouped(change):
    skeleton = dataclasses.replace(tiny, name='odd', **change)
    message = "cell 'bn_relu-lgconv1x1.* skeleton 'odd', stage.*multiples of"
    with pytest.raises(ValueError, match=message) as caught:
        plan.build(CONDENSENET, skeleton)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'change',
    [
        {'growth': (8,)},
        {'stages': (), 'growth': ()},
        {'stages': (1, 0)},
        {'size': 1},
        {'classes': -1},
        {'stem': 1.5},
    ],
)
def test_skeletons_that_do_not_fit_together(change):
    with pytest.raises(ValueError, match="skeleton 'tiny'"):
        dataclasses.replace(tiny, **change)


def test_skeletons_are_values():
    assert Skeleton() == cifar10 and hash(Skeleton()) == hash(cifar10)
    assert plan.build(CONDENSENET, cifar10) == plan.build(CONDENSENET, Skeleton(name='mine'))
    hash(plan.build(CONDENSENET, tiny))


def test_an_op_of_the_users_own_is_parsed_built_and_counted():
    def squares(layer):
        return layer.in_channels * layer.out_channels, 5, layer.out_size**2

    plan.register_op('planconv', role='conv', count=squares)
    plan.register_op('plannorm', role='norm', count=lambda layer: Cost(layer.in_channels, 0, 0))
    layers = plan.build(Cell.parse('plannorm-planconv-none-conv1x1'), tiny)
    assert_consistent(layers, 10)
    own = [layer for layer in layers if layer.op.startswith('plan')]
    assert [(layer.op, layer.in_channels, layer.out_channels, layer.out_size) for layer in own] == [
        ('plannorm', 8, 8, 8),
        ('planconv', 8, 16, 8),
        ('plannorm', 12, 12, 4),
        ('planconv', 12, 32, 4),
    ]
    # Stem 216, own ops 8 + 128 + 12 + 384, 1x1 convolutions 64 + 256, tail 40, classifier 210.
    assert count(layers).params == 216 + 532 + 320 + 40 + 210


def test_an_unknown_op_cannot_be_counted():
    stranger = dataclasses.replace(plan.build(CONDENSENET, tiny)[1], op='fft')
    with pytest.raises(ValueError, match="'fft'"):
        count((stranger,))
