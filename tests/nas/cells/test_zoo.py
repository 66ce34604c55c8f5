"""The zoo against the figures that others publish."""

import jax
import jax.numpy as jnp
import pytest

from nas.cells.cost import count
from nas.cells.skeleton import cifar10, imagenet, tiny
from nas.cells.zoo import CELLS, NETWORKS
from nas.networks import network

# To the unit: CondenseNet's counting code, torchvision's parameter counts, MobileNetV2's
# multiply-adds.
EXACT = {
    'condensenet-86': {'params': 520_202, 'flops': 65_816_394},
    'condensenet-74': {'params': 405_466, 'flops': 51_897_066},
    'condensenet-74-imagenet': {'params': 4_773_944, 'flops': 529_328_264},
    'densenet-bc-100-12': {'params': 769_162},
    'densenet-121': {'params': 7_978_856},
    'densenet-169': {'params': 14_149_480},
    'densenet-201': {'params': 20_013_928},
    'mobilenetv2': {'params': 3_504_872, 'macs': 300_774_272},
    'dpp-net-panacea': {'params': 520_202},
}

# (params, flops) in millions as printed, with one unit of the last digit: the papers round and
# truncate.
PRINTED = {
    'dpp-net-pnas': ((11.3864, 1e-4), (1364.07, 1e-2)),
    'dpp-net-panacea': ((0.52, 1e-2), (63.508, 1e-3)),
    'dpp-net-ws-a': ((1.00, 1e-2), (137, 1)),
    'dpp-net-es-a': ((2.04, 1e-2), (270, 1)),
    'dpp-net-mobile-a': ((0.45, 1e-2), (59.27, 1e-2)),
    'dpp-net-pnas-imagenet': ((77.16, 1e-2), (9276, 1)),
    'dpp-net-panacea-imagenet': ((4.8, 0.1), (523, 1)),
    'condensenet-50': ((0.22, 1e-2), (28.6, 0.1)),
    'condensenet-98': ((0.65, 1e-2), (81.3, 0.1)),
    'condensenet-110': ((0.79, 1e-2), (98.2, 0.1)),
    'condensenet-122': ((0.95, 1e-2), (116.7, 0.1)),
    'condensenet-182': ((4.2, 0.1), (513, 1)),
    'condensenet-74-imagenet-g8': ((2.9, 0.1), (274, 1)),
    'densenet-bc-250-24': ((15.3, 0.1), None),
    'densenet-bc-190-40': ((25.6, 0.1), None),
}

# Multiply-adds in millions: torchvision prints DenseNet's in G with three digits, ShuffleNet's
# authors 138M.
MACS = {
    'densenet-121': (2834, 1),
    'densenet-169': (3360, 1),
    'densenet-201': (4291, 1),
    'shufflenet-1x-g8': (138, 1),
}


@pytest.mark.parametrize('name', EXACT)
def test_exact_counts(name):
    cost = count(NETWORKS[name].plan())._asdict()
    assert {key: cost[key] for key in EXACT[name]} == EXACT[name]


@pytest.mark.parametrize('name', PRINTED)
def test_printed_counts(name):
    cost = count(NETWORKS[name].plan())
    for value, printed in zip(cost, PRINTED[name]):
        assert printed is None or abs(value / 1e6 - printed[0]) < printed[1]


@pytest.mark.parametrize('name', MACS)
def test_printed_multiply_adds(name):
    printed, unit = MACS[name]
    assert abs(count(NETWORKS[name].plan()).macs / 1e6 - printed) < unit


@pytest.mark.parametrize('name', NETWORKS)
def test_deployed_networks_have_the_parameters_counted(name):
    plan = NETWORKS[name].plan()
    deployed, masked = (
        network.variable_shapes(plan, deployed=deployed) for deployed in (True, False)
    )
    assert network.count_params(deployed) == count(plan).params
    learned = any(layer.op == 'lgconv' for layer in plan)
    assert (
        (network.count_params(masked) > count(plan).params) == learned == ('condensation' in masked)
    )


def test_condensenet_86_is_trained_with_its_published_number_of_parameters():
    assert (
        network.count_params(network.variable_shapes(NETWORKS['condensenet-86'].plan()))
        == 1_451_594
    )


@pytest.mark.parametrize(
    'name, deployed',
    [
        ('condensenet-50', False),
        ('condensenet-74-imagenet-g8', True),
        ('dpp-net-es-a', True),
        ('mobilenetv2', True),
        ('shufflenet-1x-g8', True),
    ],
)
def test_networks_run_forward(name, deployed):
    """Traced only: Flax checks every parameter against its layer."""
    plan = NETWORKS[name].plan()
    images = jax.ShapeDtypeStruct((2, plan[0].out_size, plan[0].out_size, 3), jnp.float32)
    variables = network.variable_shapes(plan, deployed=deployed)
    logits = jax.eval_shape(network.Network(plan, deployed=deployed).apply, variables, images)
    assert logits.shape == (2, NETWORKS[name].input[2])


def test_the_zoo_is_complete():
    cells = {'dpp-net-panacea', 'dpp-net-pnas', 'dpp-net-ws-a', 'dpp-net-es-a', 'dpp-net-mobile-a'}
    assert cells <= set(CELLS) and cells | set(EXACT) | set(PRINTED) | set(MACS) == set(NETWORKS)
    assert all(network.name == name for name, network in NETWORKS.items())
    assert all(cell.complete for cell in CELLS.values())
    assert str(CELLS['dpp-net-panacea']) == 'bn-lgconv1x1-bn_relu-gconv3x3'


@pytest.mark.parametrize('name', NETWORKS)
def test_published_columns_agree_with_the_counts(name):
    """The printed figures are about this network: 5 % covers rounding and counting rules."""
    for value, printed in zip(count(NETWORKS[name].plan()), NETWORKS[name].published):
        assert not printed or float(printed.rstrip('M')) == pytest.approx(value / 1e6, rel=0.05)


@pytest.mark.parametrize(
    'name, ops',
    [
        ('mobilenetv2', {'add': 10, 'conv': 52, 'relu6': 35, 'concat': 0}),
        (
            'shufflenet-1x-g8',
            {'add': 13, 'concat': 3, 'shuffle': 16, 'avgpool': 3, 'maxpool': 1, 'conv': 49},
        ),
        ('densenet-121', {'concat': 58, 'conv': 120, 'linear': 1, 'avgpool': 3, 'maxpool': 1}),
        ('condensenet-74-imagenet', {'concat': 36, 'lgconv': 36, 'conv': 37, 'avgpool': 4}),
    ],
)
def test_connections_that_cost_nothing(name, ops):
    """Residual sums, concatenations and shuffles, which no count can see, are all there."""
    plan = NETWORKS[name].plan()
    assert {op: sum(layer.op == op for layer in plan) for op in ops} == ops


def test_dpp_net_cells_move_to_other_skeletons():
    for cell in ('dpp-net-pnas', 'dpp-net-panacea'):
        assert NETWORKS[cell].plan(imagenet) == NETWORKS[f'{cell}-imagenet'].plan()
    assert NETWORKS['dpp-net-panacea'].plan(cifar10) == NETWORKS['dpp-net-panacea'].plan()


def test_other_networks_keep_their_own_skeleton():
    assert NETWORKS['condensenet-74'].plan(cifar10) == NETWORKS['condensenet-74'].plan()
    strangers = (
        ('condensenet-86', imagenet),
        ('mobilenetv2', cifar10),
        ('densenet-bc-100-12', tiny),
    )
    for name, skeleton in strangers:
        with pytest.raises(ValueError, match=name):
            NETWORKS[name].plan(skeleton)
