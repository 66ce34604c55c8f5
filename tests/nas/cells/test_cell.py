"""The cell space: strings, growth by level, canonical form."""

import copy
import dataclasses
import pickle

import pytest

from nas.cells.cell import CONVS, NORMS, Cell, register_token, token_role

PANACEA = 'bn-lgconv1x1-bn_relu-gconv3x3'


@pytest.mark.parametrize(
    'text', ['bn_relu', PANACEA, 'none-dwconv3x3-none-conv1x1-bn_relu-conv3x3', 'bn-conv1x1-none']
)
def test_parse_and_str_are_inverse(text):
    cell = Cell.parse(text)
    assert str(cell) == text
    assert cell.ops == tuple(text.split('-'))
    assert cell.level == len(text.split('-'))


def test_cells_are_values():
    cell = Cell.parse(PANACEA)
    assert cell == Cell.parse(PANACEA) == pickle.loads(pickle.dumps(cell)) == copy.deepcopy(cell)
    assert len({cell, Cell.parse(PANACEA), Cell.parse('bn-conv1x1')}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.ops = ()


def test_growth_counts_by_level():
    """DPP-Net's space: times 3 for a normalisation, times 6 for a convolution."""
    cells, counts = (Cell.ROOT,), []
    for level in range(1, 7):
        grown = [child for cell in cells for child in cell.grow()]
        assert all(child.level == level for child in grown)
        assert len(set(grown)) == len(grown)
        counts.append(len(grown))
        cells = grown
    assert counts == [3, 18, 54, 324, 972, 5832]
    assert Cell.parse('none-dwconv3x3-none-conv1x1-bn_relu-conv3x3') in cells
    assert all(Cell.parse(str(cell)) == cell for cell in cells[::97])


def test_growth_appends_one_op_and_keeps_incomplete_cells():
    children = Cell.parse('bn').grow()
    assert [str(child) for child in children] == [f'bn-{conv}' for conv in CONVS]
    assert [child.complete for child in children] == [True] * 5 + [False]
    assert not Cell.ROOT.complete and not Cell.parse('bn_relu').complete
    assert Cell.parse('none-dwconv3x3-none-conv1x1').complete


def test_key_merges_only_a_trailing_none():
    plain, trailing = Cell.parse('bn-conv1x1'), Cell.parse('bn-conv1x1-none')
    assert plain != trailing
    assert plain.key == trailing.key == 'bn-conv1x1'
    assert Cell.parse('none').key == Cell.ROOT.key == ''
    others = [
        'bn-conv1x1-bn',
        'none-conv1x1',
        'bn-gconv1x1',
        'bn-lgconv1x1',
        'bn-conv1x1-none-conv1x1',
    ]
    assert len({Cell.parse(text).key for text in others} | {plain.key}) == len(others) + 1
    grown = [child for cell in Cell.ROOT.grow() for conv in cell.grow() for child in conv.grow()]
    assert len({cell.key for cell in grown}) == len(grown)


@pytest.mark.parametrize(
    'text, named',
    [
        ('', 'empty'),
        ('  ', 'empty'),
        ('bn-foo', "'foo'"),
        ('conv1x1', "'conv1x1'"),
        ('bn-bn', "'bn'"),
        ('bn-conv1x1-conv3x3', "'conv3x3'"),
        ('bn--conv1x1', "''"),
        ('BN-conv1x1', "'BN'"),
    ],
)
def test_bad_strings_name_the_token(text, named):
    with pytest.raises(ValueError, match=named) as caught:
        Cell.parse(text)
    assert '\n' not in str(caught.value)


def test_encoding_tells_all_cells_apart():
    cells = [child for cell in Cell.ROOT.grow() for child in cell.grow()] + list(Cell.ROOT.grow())
    codes = {cell.encode(4) for cell in cells}
    assert len(codes) == len(cells)
    assert all(
        len(code) == 4 and code[3] == 0 and max(code) <= len(NORMS + CONVS) for code in codes
    )
    assert Cell.ROOT.encode(3) == (0, 0, 0)
    with pytest.raises(ValueError, match='too short'):
        Cell.parse(PANACEA).encode(3)


def test_registered_tokens_join_only_the_spaces_that_ask():
    with pytest.raises(ValueError, match='cellconv'):
        Cell.parse('bn-cellconv')
    register_token('cellconv', 'conv')
    assert token_role('cellconv') == 'conv'
    assert Cell.parse('bn-cellconv').complete
    assert len(Cell.parse('bn').grow()) == 6
    assert Cell.parse('bn-cellconv') in Cell.parse('bn').grow(convs=CONVS + ('cellconv',))
    with pytest.raises(ValueError, match='out of place'):
        Cell.parse('cellconv')


@pytest.mark.parametrize(
    'token, role',
    [('conv1x1', 'conv'), ('a-b', 'conv'), ('', 'norm'), ('a b', 'norm'), ('x', 'pool')],
)
def test_bad_registrations(token, role):
    with pytest.raises(ValueError, match='token'):
        register_token(token, role)
