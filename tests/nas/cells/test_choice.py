"""Choosing a network by names and sizes."""

import pytest

from nas.cells import plan, zoo
from nas.cells.choice import Sizes, choose, skeleton_of
from nas.cells.cost import count
from nas.cells.cost_job import CostConfig, cost_of
from nas.cells.skeleton import Skeleton


def test_sizes_of_published_networks_can_be_reduced():
    sizes = Sizes(stages=(2, 2, 2), growth=(4, 8, 16))
    reduced = Skeleton(stages=(2, 2, 2), growth=(4, 8, 16), stem=8)
    for network in ('condensenet-86', 'dpp-net-panacea'):
        found = choose(None, network, None, sizes)
        expected = plan.build(zoo.NETWORKS[network].cell, reduced)
        assert found.plan == expected and found.network is None
        assert found.name == f'{network} stages 2-2-2 growth 4-8-16'
        assert choose(None, network, None).network == network
    counted = cost_of(CostConfig(network='condensenet-86', sizes=sizes))
    assert counted['params'] == count(choose(None, 'condensenet-86', None, sizes).plan).params
    on_imagenet = choose(None, 'dpp-net-panacea', 'imagenet')
    assert on_imagenet.plan == zoo.NETWORKS['dpp-net-panacea-imagenet'].plan()


def test_stages_without_end_are_refused_before_they_are_built():
    with pytest.raises(ValueError, match='are 1000000001 cells; accepted: at most 10000'):
        skeleton_of('tiny', Sizes(stages=(10**9, 1)))


@pytest.mark.parametrize('sizes', [Sizes(stages=()), Sizes(growth=()), Sizes(stages=(1,))])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match='must be non-empty and equally long'):
        skeleton_of('tiny', sizes)
