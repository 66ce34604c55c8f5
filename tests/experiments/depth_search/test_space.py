"""The space of depth networks: its texts, how it grows, what networks it holds, what they cost."""

import jax
import numpy as np
import pytest

from experiments.depth_search.cell import DepthCell, model_of, parse
from experiments.depth_search.space import DepthSpace, faces_of
from nas.search.spaces.family import Family
from nas.search.spaces.restricted import included_cells, restrict
from pano_depth.learning.model import param_shapes

SEPARABLE = 'bn_relu-dwconv3x3-bn_relu-conv1x1@m-b1-f32-add-strided'


@pytest.mark.parametrize(
    'text', [SEPARABLE, 'none-lgconv1x1@xs-b3-f16-concat-pooled', 'handmade@l-f64']
)
def test_a_cell_is_read_back_from_its_text(text):
    assert str(parse(text)) == text


def test_choices_stand_in_any_order_and_may_be_left_out():
    assert parse('bn-conv3x3@add-xs') == DepthCell(('bn', 'conv3x3'), widths='xs', merge='add')
    assert str(parse('bn-conv3x3', face=16)) == 'bn-conv3x3@m-b1-f16-add-strided'


@pytest.mark.parametrize(
    'text, message',
    [
        ('bn-conv3x3@huge', "choice 'huge' is unknown; accepted: widths xs, s, m, l; blocks b1"),
        ('bn-conv3x3@s-l', 'chooses widths twice: s and l'),
        ('conv3x3@s', 'a normalisation stands there'),
        ('bn-conv3x3@f20', 'face is 20 pixels; accepted: multiples of 8 from 16 on'),
        ('handmade@concat', 'handmade has widths and a face, but none of the other choices'),
    ],
)
def test_what_is_no_cell_is_refused_in_a_sentence(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_small_faces_have_fewer_levels():
    deep, flat = (model_of(parse(f'bn-conv3x3@s-b2-f{face}')) for face in (32, 16))
    assert deep.depth_channels == (16, 32, 64, 96) and deep.depth_blocks == (0, 2, 2, 2)
    assert flat.depth_channels == (16, 32, 64) and flat.depth_blocks == (0, 2, 2)
    assert flat.face_size == 16 and flat.pose_channels == (16, 32, 64)
    assert model_of(parse('handmade')).depth_cell == ()


def test_faces_are_those_that_the_panorama_can_be_shrunk_to():
    assert [faces_of(rows) for rows in (32, 64, 96, 256)] == [
        (16,),
        (32, 16),
        (48, 24),
        (128, 64, 32),
    ]


def test_growth_appends_one_op_and_moves_one_choice_by_a_step():
    space = DepthSpace(128)
    norms = space.grow(space.root)
    assert [str(cell) for cell in norms] == [
        f'{norm}@m-b1-f64-add-strided' for norm in ('bn_relu', 'bn', 'none')
    ]
    grown = space.grow(norms[0])
    # Six convolutions, each as it is, with wider or narrower levels, more blocks, a smaller face,
    # the other merge, or means that halve the faces.
    assert len(grown) == len(set(grown)) == 6 * 7
    for cell in grown:
        changed = sum(a != b for a, b in zip(cell.choices, space.root.choices))
        assert cell.ops[0] == 'bn_relu' and cell.level == 2 and changed <= 1
    assert {cell.widths for cell in grown} == {'s', 'm', 'l'}
    assert {cell.face for cell in grown} == {64, 32}
    assert space.grow(parse('bn-conv1x1-bn-conv1x1-bn-conv1x1@f64')) == ()


def test_mutants_differ_in_one_op_or_choice():
    space = DepthSpace(64)
    cell = space.parse(SEPARABLE)
    parts = lambda one: (*one.ops, *one.choices)
    mutants = space.mutate(cell)
    assert len(set(mutants)) == len(mutants) == 2 + 5 + 2 + 5 + 3 + 2 + 1 + 1 + 1
    assert all(sum(a != b for a, b in zip(parts(m), parts(cell))) == 1 for m in mutants)


@pytest.mark.parametrize(
    'text',
    [
        SEPARABLE,
        'bn-gconv3x3-none-lgconv1x1@xs-b2-f16-concat-pooled',
        'handmade@s',
        'bn_relu-conv3x3-bn@l',
    ],
)
def test_costs_count_the_parameters_of_the_network(text):
    space = DepthSpace(64)
    cell = space.parse(text)
    shapes = param_shapes(model_of(cell))['depth']
    count = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(shapes):
        names = [entry.key for entry in path]
        if names[-1] == 'mask':
            continue
        # A learned group keeps one in four weights.
        learned = 'mask' in shapes[names[0]]
        count += int(np.prod(leaf.shape)) // (4 if learned else 1)
    assert space.costs(cell)['params'] == count
    assert space.costs(cell)['flops'] > space.costs(cell)['macs'] > count


def test_a_search_can_encode_all_cells():
    space = DepthSpace(64, levels=3)
    family = Family(space)
    for norm in family.grow(space.root):
        for cell in family.grow(norm):
            family.grow(cell)
    family.add([space.parse('handmade@xs')])
    assert not family.numbered and len(family.cells) > 300
    assert len({tuple(row) for row in family.tokens()}) == len(family.cells)
    assert np.isfinite(family.features()).all() and family.features().shape[1] == 4 + 9
    assert family.cost_names() == ('params', 'flops', 'macs')


def test_forbidden_choices_and_tokens_are_left_out():
    forbid = ['m', 'add', 'conv3x3']
    space = restrict(DepthSpace(64, forbid=forbid), forbid=forbid)
    assert str(space.root) == '@s-b1-f32-concat-strided'
    grown = [cell for norm in space.grow(space.root) for cell in space.grow(norm)]
    assert grown and {cell.merge for cell in grown} == {'concat'}
    assert {cell.widths for cell in grown} == {'xs', 's', 'l'}
    assert not any('conv3x3' in cell.ops for cell in grown)
    with pytest.raises(ValueError, match='widths is m; accepted: xs, s, l'):
        included_cells(space, ['bn-conv1x1@m'])


@pytest.mark.parametrize(
    'forbid, message',
    [
        (['f32', 'f16'], 'leaves no face of f32, f16'),
        (['f32-conv1x1'], 'f32-conv1x1 holds a choice'),
    ],
)
def test_what_cannot_be_forbidden_is_refused(forbid, message):
    with pytest.raises(ValueError, match=message):
        DepthSpace(64, forbid=forbid)


def test_random_cells_have_all_lengths_and_choices():
    space, random = DepthSpace(64, levels=3, forbid=['xs']), np.random.default_rng(0)
    cells = [space.sample(random) for _ in range(400)]
    assert {cell.level for cell in cells} == {1, 2, 3}
    assert len({cell.ops for cell in cells if cell.level == 2}) == 18
    assert len({cell.choices for cell in cells}) == 3 * 3 * 2 * 2 * 2
    assert {space.complete(cell) for cell in cells} == {True, False}
