"""nas.devices.base and nas.cells.fingerprint: valid measurements, and the key of a plan."""

import dataclasses
import json

import pytest

from nas.cells import plan as plan_lib
from nas.cells import zoo
from nas.cells.cell import Cell
from nas.cells.fingerprint import plan_hash
from nas.cells.skeleton import SKELETONS
from nas.devices import base


def tiny(cell='bn-lgconv1x1-bn_relu-gconv3x3'):
    return plan_lib.build(Cell.parse(cell), SKELETONS['tiny'])


def test_measurement_survives_json():
    measured = base.Measurement(
        1.5, 1.25, 2.0, memory_mb=12.5, batch_size=4, device='board', note='n'
    )
    assert base.Measurement.from_dict(json.loads(json.dumps(measured.as_dict()))) == measured


@pytest.mark.parametrize('latency', [0, -1.0, float('nan'), float('inf'), None, '3', True])
def test_only_a_positive_number_is_a_latency(latency):
    with pytest.raises(ValueError, match='latency_ms'):
        base.Measurement(latency)


def test_memory_and_percentiles_are_checked_too():
    assert base.Measurement(1.0, memory_mb=0).memory_mb == 0
    for field in ('memory_mb', 'p10_ms', 'p90_ms', 'baseline_mb'):
        with pytest.raises(ValueError, match=field):
            base.Measurement(1.0, **{field: -1.0})


@pytest.mark.parametrize('values', [{}, {'latency_ms': 1.0, 'foo': 2}, [1.0], {'memory_mb': 3}])
def test_other_dicts_are_no_measurements(values):
    with pytest.raises(ValueError, match='measurement'):
        base.Measurement.from_dict(values)


def test_names_of_layers_do_not_change_the_hash_and_everything_else_does():
    plan = tiny()
    key = plan_hash(plan)
    assert (
        plan_hash(tuple(dataclasses.replace(layer, name=f'x{i}') for i, layer in enumerate(plan)))
        == key
    )
    changes = {
        field.name: (0,) if field.name == 'inputs' else 'other' if field.name == 'op' else 77
        for field in dataclasses.fields(plan_lib.Layer)
        if field.name != 'name'
    }
    for field, value in changes.items():
        changed = plan[:5] + (dataclasses.replace(plan[5], **{field: value}),) + plan[6:]
        assert plan_hash(changed) != key, field


def test_published_networks_have_hashes_of_their_own():
    keys = {name: plan_hash(network.plan()) for name, network in zoo.NETWORKS.items()}
    assert len(set(keys.values())) == len(keys)
    assert plan_hash(tiny('bn-conv1x1')) == plan_hash(tiny('bn-conv1x1-none'))


def test_networks_are_plans_with_or_without_variables():
    plan = tiny()
    assert base.split_network(plan) == (plan, None)
    assert base.split_network((plan, {'params': {}})) == (plan, {'params': {}})
    for other in ((), 'condensenet-86', (plan, None, 3), [plan]):
        with pytest.raises(ValueError, match='network'):
            base.split_network(other)
