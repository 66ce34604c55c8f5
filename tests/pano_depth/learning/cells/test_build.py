"""Plans of depth networks, what they cost, and the Flax networks that are made of them."""

import dataclasses

import jax
import numpy as np
import pytest

from pano_depth.kernels.cube import FACES
from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense, cost
from pano_depth.learning.cells.plan import needed, norm_groups
from pano_depth.learning.model import ModelConfig

SMALL = ModelConfig(face_size=16, depth_channels=(8, 12, 16), pose_channels=(8, 8))
PAIR = ('bn_relu', 'dwconv3x3', 'bn_relu', 'conv1x1')
OTHERS = (
    SMALL,
    dataclasses.replace(SMALL, depth_cell=('bn_relu', 'lgconv1x1', 'bn', 'gconv3x3')),
    dataclasses.replace(SMALL, depth_cell=PAIR, depth_expansion=2, depth_merge='add'),
    dataclasses.replace(SMALL, depth_cell=('none', 'conv3x3', 'bn_relu'), depth_blocks=(1, 0, 2)),
    dataclasses.replace(SMALL, depth_cell=('bn', 'gconv1x1'), scales=2),
    dataclasses.replace(SMALL, depth_cell=PAIR, padding='equirect'),
)


def _cells(**fields):
    return build.build(dataclasses.replace(SMALL, **fields))


@pytest.mark.parametrize('config', OTHERS, ids=lambda config: '-'.join(config.depth_cell) or 'made')
def test_counted_parameters_are_those_of_the_network(config):
    plan = build.build(config)
    shapes = models.param_shapes(config)['depth']
    drawn = models.init_params(0, config)['depth']
    deployed = condense.deploy(plan, drawn)
    weights = [leaf for leaf in jax.tree.leaves(deployed) if leaf.dtype != np.int32]
    assert cost.count(plan).params == sum(leaf.size for leaf in weights)
    # Every record with parameters is where the plan says, in the shape that the plan says.
    for layer in plan:
        place = shapes
        for part in layer.name.split('/'):
            place = place.get(part, {})
        if layer.op in ('conv', 'head', 'lgconv'):
            inputs = layer.in_channels // layer.groups ** (layer.op != 'lgconv')
            assert place['kernel'].shape == (layer.kernel,) * 2 + (inputs, layer.out_channels)
            assert ('bias' in place) == layer.bias
        assert ('scale' in place) == (layer.op == 'norm')


@pytest.mark.parametrize('config', OTHERS[1:4], ids=lambda config: '-'.join(config.depth_cell))
def test_networks_have_the_sizes_of_their_plan(config):
    grid = models.make_grid(config)
    params = models.init_params(0, config)
    image = jax.ShapeDtypeStruct((2, *grid.rays.shape), np.float32)
    seen = jax.eval_shape(
        lambda x: models.depth_network(config).apply({'params': params['depth']}, x, grid.rays),
        image,
    )
    heads = [layer for layer in build.build(config) if layer.op == 'head']
    assert len(seen) == len(heads) == config.scales
    for found, head in zip(seen, heads[::-1]):
        faces, rows, columns = head.out_size
        assert found.shape == (2, faces, 2 * rows, 2 * columns)


def test_a_cell_adds_its_input_where_the_width_stays():
    fields = {'depth_cell': ('bn_relu', 'conv3x3'), 'depth_channels': (8, 8, 16)}
    added = lambda **more: [
        layer.name for layer in _cells(**fields, **more) if layer.name.endswith('cell0_add')
    ]
    # Behind a mean the first cell of a level widens.
    assert added() == ['level1_cell0_add', 'level2_cell0_add']
    assert added(depth_down='pool') == ['level1_cell0_add']
    # On the way back, what is joined side by side is wider than the result.
    joined = lambda merge: [
        layer.name
        for layer in _cells(**fields, depth_merge=merge)
        if layer.name.endswith('cell_add')
    ]
    assert joined('add') == ['up1_cell_add', 'up0_cell_add'] and joined('concat') == []


def test_the_convolutions_before_the_last_are_wider():
    cell = (*PAIR, 'none', 'conv3x3')
    plan = _cells(depth_cell=cell, depth_expansion=3, depth_down='pool')
    widths = {
        layer.name: layer.out_channels for layer in plan if layer.name.startswith('level1_cell0_')
    }
    # dw keeps the 8 channels of the level before; 1x1 expands 12 times 3; the last gives 12.
    assert (widths['level1_cell0_1'], widths['level1_cell0_3'], widths['level1_cell0_5']) == (
        8,
        36,
        12,
    )
    # One behind the last that is not depthwise does not make that one wide.
    ends = _cells(depth_cell=(*PAIR, 'none', 'dwconv3x3'), depth_expansion=3)
    assert [layer.out_channels for layer in ends if layer.name == 'level1_cell0_5'] == [12]


def test_costs_of_a_small_network_by_hand():
    config = ModelConfig(
        face_size=8, depth_channels=(4, 8), pose_channels=(4,), depth_cell=('bn_relu', 'conv1x1')
    )
    pixels = {1: 6 * 4 * 4, 2: 6 * 2 * 2}  # by level
    macs = 9 * 4 * 4 * pixels[1]  # stem
    macs += 9 * 4 * 8 * pixels[2]  # from level 0 to 1
    macs += 8 * 8 * pixels[2]  # level 1
    macs += 8 * 4 * pixels[2] + 8 * 4 * pixels[1]  # lateral, and the cell of 4 + 4 channels
    macs += 9 * 4 * 4 * pixels[1]  # head
    # Rectifiers behind the stem and the way down, in both cells, before the head; biases there.
    others = 4 * pixels[1] + 8 * pixels[2] + 8 * pixels[2] + 8 * pixels[1] + 2 * 4 * pixels[1]
    params = (144 + 8) + (288 + 16) + (16 + 64) + 32 + (16 + 32) + 8 + (144 + 4)
    assert cost.count(build.build(config)) == cost.Cost(params, macs + others, macs)


def test_a_mean_halves_the_faces_in_place_of_a_convolution():
    strided, pooled = (_cells(depth_cell=PAIR, depth_down=down) for down in ('conv', 'pool'))
    for plan in (strided, pooled):
        deepest = [layer for layer in plan if layer.name.startswith('level2')][-1]
        assert deepest.out_size == (6, 2, 2)
    halved = [layer.name for layer in pooled if layer.op == 'avgpool']
    assert halved == ['level1_pool', 'level2_pool']
    assert not [layer for layer in strided if layer.op == 'avgpool']
    # Two convolutions of stride 2, behind which the first cell of a level is wider.
    more = cost.count(strided).macs - cost.count(pooled).macs
    assert more > 9 * 8 * 12 * 6 * 16 + 9 * 12 * 16 * 6 * 4


def test_heads_of_coarser_scales_cost_nothing():
    one, two = (_cells(depth_cell=PAIR, scales=scales) for scales in (1, 2))
    assert len(two) > len(one) and needed(two) == one
    assert cost.count(one) == cost.count(two)


@pytest.mark.parametrize('channels, groups', [(4, 1), (24, 6), (36, 6), (40, 8), (128, 8)])
def test_groups_of_a_normalisation_divide_its_channels(channels, groups):
    assert norm_groups(channels) == groups


@pytest.mark.parametrize(
    'fields, message',
    [
        ({'depth_cell': ('bn_relu',)}, 'needs a convolution that is not depthwise'),
        ({'depth_cell': ('bn', 'dwconv3x3')}, 'needs a convolution that is not depthwise'),
        ({'depth_cell': ('conv3x3',)}, "token 1 is 'conv3x3'; accepted there: bn_relu, bn, none"),
        ({'depth_cell': ('bn', 'conv5x5')}, "token 2 is 'conv5x5'; accepted there: conv1x1, "),
        ({'depth_channels': (8,)}, 'depth_channels is .*multiples of 4, at least 2 of them'),
        ({'depth_cell': PAIR, 'depth_blocks': (1, 1)}, 'for each of the 3 levels'),
        ({'depth_cell': PAIR, 'depth_blocks': (1, -1, 1)}, 'a number from 0 to'),
        ({'depth_cell': PAIR, 'depth_expansion': 0}, 'depth_expansion is 0; accepted: 1 to'),
        ({'depth_blocks': (1, 1, 1)}, 'belongs to a depth_cell'),
        ({'depth_merge': 'add'}, 'belongs to a depth_cell'),
    ],
)
def test_what_makes_no_network_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **fields)


def test_cells_see_across_the_edges_of_faces():
    """A change at the right edge of the front face changes the left edge of the right face most."""
    near = {padding: _near(padding) for padding in ('cube', 'zero')}
    assert near['cube'] > 10 > 3 > near['zero'], near


def _near(padding):
    """Change of the left edge of the right face, beside the change of the whole sphere."""
    config = dataclasses.replace(SMALL, depth_cell=('bn', 'conv3x3'), padding=padding)
    grid, params = models.make_grid(config), models.init_params(0, config)['depth']
    run = jax.jit(lambda x: models.depth_network(config).apply({'params': params}, x, grid.rays))
    images = np.random.default_rng(0).random((1, *grid.rays.shape), np.float32)
    changed = images.copy()
    changed[0, FACES.index('front'), 8, -1] += 0.1
    change = np.abs(run(changed)[0] - run(images)[0])[0]
    # Normalisation is over all faces, which changes every pixel a little.
    return change[FACES.index('right'), 7:10, :2].mean() / np.median(change)
