"""nas.search.earlier.provenance: the same makings have the same keys, and a difference is named."""

import dataclasses

import pytest

from nas.search.earlier.provenance import (
    MEASURED,
    TRAINED,
    Provenance,
    describe,
    differing,
    key_of,
    parts_of,
)

HERE = Provenance(
    {'name': 'digits', 'digest': 'aa'},
    {'epochs': 10, 'crop': 1},
    {'stages': (2, 2), 'ops': {}},
    {'name': 'onnx threads=1', 'identity': 'onnx threads=1 repeats=50'},
    {'jax': '0.10.2'},
    {'effort': 'ff'},
)
PARTS = ('data', 'recipe', 'skeleton', 'device', 'versions', 'functions')


def test_keys_are_short_and_tell_every_part_apart():
    keys = HERE.keys()
    assert tuple(keys) == PARTS and all(len(key) == 12 for key in keys.values())
    again = dataclasses.replace(
        HERE, recipe={'crop': 1, 'epochs': 10}, skeleton={'ops': {}, 'stages': [2, 2]}
    )
    assert again.keys() == keys  # neither the order of entries nor the kind of sequence matters
    for part in PARTS:
        other = dataclasses.replace(HERE, **{part: {**HERE.facts()[part], 'more': 1}})
        assert [name for name in PARTS if other.keys()[name] != keys[name]] == [part]
    assert Provenance().keys() == {}


@pytest.mark.parametrize(
    'part, hurt',
    [
        ('data', {'error', 'effort'}),
        ('recipe', {'error', 'effort'}),
        ('skeleton', {'error', 'latency_ms', 'effort'}),
        ('device', {'latency_ms', 'effort'}),
        ('versions', set()),
        ('functions', {'effort'}),
    ],
)
def test_each_objective_depends_on_its_own_parts(part, hurt):
    other = dataclasses.replace(HERE, **{part: {'name': 'another'}}).keys()
    for then in (other, {name: key for name, key in other.items() if name != part}):
        found = {
            name
            for name in ('error', 'latency_ms', 'effort')
            if differing(
                parts_of(name, measured=('latency_ms',), told=HERE.functions), then, HERE.keys()
            )
        }
        assert found == hurt
    assert differing(TRAINED + MEASURED, HERE.keys(), HERE.keys()) is None


def test_a_part_that_plays_no_role_is_not_missed():
    table = Provenance({'name': 'table', 'digest': 'bb'})
    assert differing(TRAINED, table.keys(), table.keys()) is None
    assert differing(TRAINED, {}, table.keys()) == 'data'


@pytest.mark.parametrize(
    'part, then, sentence',
    [
        ('recipe', {'epochs': 3, 'crop': 1}, 'was trained with epochs 3, not 10'),
        ('functions', {'effort': 'ee'}, 'was made with another content of the file of effort'),
        ('data', {'name': 'cifar10', 'digest': 'cc'}, 'is of cifar10, not digits'),
        ('data', {'name': 'digits', 'digest': 'cc'}, 'is of digits with other content'),
        ('skeleton', {'stages': [3], 'ops': {}}, 'was made with a skeleton of stages 3, not 2-2'),
        (
            'device',
            {'name': 'onnx threads=4', 'identity': 'x'},
            'was measured on onnx threads=4, not onnx threads=1',
        ),
        (
            'device',
            {'name': 'onnx threads=1', 'identity': 'x'},
            'was measured on onnx threads=1 with another script or other options',
        ),
        ('recipe', None, 'was made with an unknown recipe: its record does not say'),
    ],
)
def test_what_differs_is_said(part, then, sentence):
    assert describe(part, then, HERE.facts()[part]) == sentence


def test_run_json_keeps_what_earlier_lines_refer_to():
    record = {'made_with': HERE.added_to({})}
    moved = HERE.on({'name': 'onnx threads=4', 'identity': 'y'})
    held = moved.added_to(record)
    assert held['device'] == {
        key_of(one.facts()['device']): one.facts()['device'] for one in (HERE, moved)
    }
    assert held['skeleton'] == {HERE.keys()['skeleton']: {'stages': [2, 2], 'ops': {}}}
    assert HERE.added_to({'made_with': 'damaged'}) == HERE.added_to({})
