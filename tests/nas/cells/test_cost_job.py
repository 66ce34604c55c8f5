"""Costs of a cell or a published network, and the table of all published networks."""

import pytest

from nas.cells.cost_job import CostConfig, cost_of, cost_table

PANACEA = 'bn-lgconv1x1-bn_relu-gconv3x3'


@pytest.mark.parametrize(
    'config, named',
    [
        (CostConfig(), 'neither'),
        (CostConfig(cell='bn-conv1x1', network='condensenet-86'), 'both'),
        (CostConfig(cell=''), 'empty'),
        (CostConfig(cell='none-dwconv3x3'), 'dwconv3x3'),
        (CostConfig(network='vgg'), 'vgg'),
        (CostConfig(cell='bn-conv1x1', skeleton='mars'), 'mars'),
        (CostConfig(network='mobilenetv2', skeleton='cifar10'), 'mobilenetv2'),
    ],
)
def test_what_cannot_be_counted_is_named(config, named):
    with pytest.raises(ValueError, match=named) as caught:
        cost_of(config)
    assert '\n' not in str(caught.value)


def test_cells_go_by_their_published_names_too():
    assert cost_of(CostConfig(cell='dpp-net-panacea')) == cost_of(
        CostConfig(cell=PANACEA, skeleton='cifar10')
    )


def test_table_shows_counts_beside_published_figures():
    rows = [line.split() for line in cost_table().splitlines()]
    table = {row[0]: row[1:] for row in rows}
    assert table['condensenet-86'] == ['520,202', '65,816,394', '62,381,888', '0.52M', '65.8M']
    assert len(table) == len(rows) >= 24
