"""Counts: known answers of layers, and an oracle that reads the cell string without any plan."""

import random

import pytest

from nas.cells import cost, plan
from nas.cells.cell import Cell
from nas.cells.cost import Cost, count, count_layer
from nas.cells.plan import Builder, Layer
from nas.cells.skeleton import cifar10, digits, imagenet, tiny


def layer(op, in_channels, out_channels, in_size, out_size, **options):
    return Layer(op, 'x', (0,), in_channels, out_channels, in_size, out_size, **options)


@pytest.mark.parametrize(
    'record, expected',
    [
        # 3x3, 16 -> 32 channels, 8 -> 4 pixels.
        (layer('conv', 16, 32, 8, 4, kernel=3, stride=2), (4608, 73728, 73728)),
        (layer('conv', 16, 32, 4, 4, kernel=3, groups=4), (1152, 18432, 18432)),
        (layer('conv', 16, 16, 4, 4, kernel=3, groups=16), (144, 2304, 2304)),
        # A bias is a parameter, but the published rule does not count its additions.
        (layer('conv', 4, 4, 2, 2, bias=True), (20, 64, 64)),
        # A learned group convolution is divided by its condensation factor, not by its groups.
        (layer('lgconv', 16, 32, 4, 4, groups=4, condensation=8), (64, 1024, 1024)),
        (layer('bn', 16, 16, 4, 4), (32, 0, 0)),
        (layer('relu', 16, 16, 4, 4), (0, 256, 0)),
        (layer('relu6', 16, 16, 4, 4), (0, 256, 0)),
        (layer('avgpool', 16, 16, 4, 2, kernel=2, stride=2), (0, 256, 0)),
        (layer('maxpool', 16, 16, 4, 2, kernel=3, stride=2), (0, 576, 0)),
        (layer('globalpool', 16, 16, 4, 1, kernel=4), (0, 256, 0)),
        (layer('linear', 16, 10, 1, 1, bias=True), (170, 170, 160)),
        (layer('linear', 16, 10, 1, 1, bias=True, condensation=2), (90, 90, 80)),
        (layer('add', 16, 16, 4, 4), (0, 0, 0)),
    ],
)
def test_one_layer(record, expected):
    assert count_layer(record) == Cost(*expected)


@pytest.mark.parametrize(
    'registered',
    [5, lambda layer: 1 / 0, lambda layer: (1, 2), lambda layer: (1, 2.5, 3), lambda layer: None],
)
def test_a_registered_count_that_fails_is_one_sentence(registered, monkeypatch):
    own = plan.CustomOp('owncount', 'norm', registered)
    monkeypatch.setitem(plan.CUSTOM_OPS, 'owncount', own)
    with pytest.raises(ValueError, match=r"'owncount' from 8 to 8 channels: its count has to give"):
        count_layer(layer('owncount', 8, 8, 4, 4))


def test_every_op_of_records_has_a_rule():
    assert set(cost._RULES) == set(plan.RECORD_OPS)


def test_a_plan_is_the_sum_of_its_layers():
    b = Builder(8, 3)
    b.classifier(b.bn_relu(b.pool(b.conv(0, 4, kernel=3), 'avg')), 5)
    # conv 108 weights at 64 positions, pool 4 x 64, BN 8, ReLU and global pool 64 each, linear 20 +
    # 5.
    assert count(b.plan()) == Cost(108 + 8 + 25, 6912 + 256 + 64 + 64 + 25, 6912 + 20)


def count_by_hand(text, s):
    """(params, flops, macs) straight from the token string, by the rule in words."""
    tokens = text.split('-')
    params = 27 * s.stem if s.channels == 3 else 9 * s.stem
    flops = 0
    macs = 0
    size, width = s.size // s.stem_stride, s.stem
    macs += params * size**2
    last = [i for i, token in enumerate(tokens) if 'conv' in token and token != 'dwconv3x3'][-1]
    for stage, k in enumerate(s.growth):
        if stage:
            size //= 2
            flops += 4 * width * size**2
        for _ in range(s.stages[stage]):
            c = width
            for i, token in enumerate(tokens):
                out = c if token == 'dwconv3x3' else k if i == last else 4 * k
                if token.startswith('bn'):
                    params += 2 * c
                    flops += c * size**2 if token == 'bn_relu' else 0
                elif token != 'none':
                    shared = {'l': 4, 'g': 4, 'd': c}.get(token[0], 1)
                    weights = int(token[-1]) ** 2 * c * out // shared
                    params, macs, c = params + weights, macs + weights * size**2, out
            width += k
    flops += 2 * width * size**2
    kept = width // 2 if s.classes == 1000 and 'lgconv1x1' in tokens else width
    params += 2 * width + (kept + 1) * s.classes
    macs += kept * s.classes
    return params, flops + macs + s.classes, macs


@pytest.mark.parametrize('skeleton', [cifar10, imagenet, digits, tiny], ids=lambda s: s.name)
def test_cells_against_the_rule_in_words(skeleton):
    draw, compared = random.Random(1), 0
    while compared < 40:
        cell = Cell.ROOT
        for _ in range(draw.randint(2, 7)):
            cell = draw.choice(cell.grow())
        if cell.complete:
            assert count(plan.build(cell, skeleton)) == count_by_hand(str(cell), skeleton), cell
            compared += 1
