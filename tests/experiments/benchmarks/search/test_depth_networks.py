"""Networks of depth searches beside the one made by hand: what the table says."""

import dataclasses
import json

import pytest

from common import options
from experiments.benchmarks.search import depth_networks, depth_searches
from experiments.benchmarks.search.depth_networks import MADE
from experiments.benchmarks.search.depth_searches import Search
from experiments.depth_search.cell import model_of, parse
from experiments.depth_search.config import DepthRecipe, DepthSearchConfig
from nas.devices.base import Measurement
from pano_depth.learning.cells.cost import Cost

FAST, GOOD = parse('bn_relu-dwconv3x3-bn_relu-conv1x1@s'), parse('bn-conv3x3@l')
CONFIG = DepthSearchConfig(objectives=('error', 'latency_ms'))


def _search(device, **chosen):
    return Search(device, CONFIG, device, chosen, [(20.0, 1.0)])


@pytest.fixture
def rows():
    made, fast, good = map(str, (MADE, FAST, GOOD))
    errors = {made: [20.0, 22.0, 21.0], fast: [21.5, 20.5, 21.0], good: [18.0, 19.0, 17.0]}
    latencies = {
        'onnx:threads=1': {made: 2.0, fast: 0.9, good: 1.9},
        'xla': {made: 3.0, fast: 3.2, good: 4.0},
    }
    counts = dict.fromkeys(errors, Cost(1000, 3_000_000, 2_000_000))
    searches = [_search('onnx:threads=1', balanced=FAST), _search('xla', balanced=GOOD)]
    return depth_networks.make_rows(searches, errors, latencies, counts)


def test_rows_have_means_and_deviations_over_the_seeds(rows):
    assert [row['network'] for row in rows] == [str(GOOD), str(MADE), str(FAST)]
    assert rows[0]['error'] == 18 and rows[0]['deviation'] == 1
    assert rows[0]['roles'] == ['balanced (xla)'] and rows[1]['roles'] == []
    # Of 3 seeds with deviations 1, 1 and 0.5: the mean variance is 0.75.
    assert depth_networks.noise_of(rows, 3) == pytest.approx(2 * (2 * 0.75 / 3) ** 0.5)


def test_verdicts_name_the_better_and_the_faster_network_of_each_device(rows):
    searches = [_search('onnx:threads=1', balanced=FAST), _search('xla', balanced=GOOD)]
    lines = depth_networks.verdicts(searches, rows, noise=0.5)
    assert f'{GOOD} has 0.86 times its AbsRel' in lines[0]
    assert f'{FAST} takes 0.45 of its time' in lines[0]
    assert f'{MADE} has 1.00 times its AbsRel' in lines[1]
    assert lines[2] == f'onnx:threads=1: {FAST} is the fastest of equals there: yes.'
    assert lines[3] == f'xla: {GOOD} is the fastest of equals there: yes.'
    # With a noise of 4 points all are equal, so that others are faster than the choice for XLA.
    slow = depth_networks.verdicts(searches, rows, noise=4)[3]
    assert slow.endswith(f'no: {MADE}, {FAST}.')


def test_a_network_that_a_device_could_not_measure_is_named():
    took = [Measurement(3.0), Measurement(2.0)]
    assert depth_networks.quickest('xla', {'a': took}) == {'a': 2.0}
    with pytest.raises(ValueError, match='^b could not be measured on xla in any round'):
        depth_networks.quickest('xla', {'a': took, 'b': []})


def test_the_table_holds_every_network_and_device(rows):
    text = depth_networks.as_markdown(rows, ['a verdict'], 0.5)
    assert f'| {FAST} | balanced (onnx:threads=1) | 21.00 ± 0.50 | 1,000 | 2.0 | 0.90 ms |' in text
    assert '- a verdict' in text and '| xla |' in text


def test_other_paddings_are_further_networks(rows):
    models = depth_networks.models_of([MADE, FAST], [FAST], ['zero'])
    assert list(models) == [str(MADE), str(FAST), f'{FAST} zero']
    assert models[f'{FAST} zero'] == dataclasses.replace(model_of(FAST), padding='zero')
    # Only networks with cube padding are found for a device.
    worse = {**rows[0], 'network': f'{GOOD} zero', 'error': 1.0}
    searches = [_search('xla', balanced=GOOD)]
    assert depth_networks.verdicts(searches, [*rows, worse], 0.5) == depth_networks.verdicts(
        searches, rows, 0.5
    )


def test_searches_of_other_trainings_are_not_compared():
    other = dataclasses.replace(CONFIG, recipe=DepthRecipe(steps=7))
    searches = [_search('xla'), dataclasses.replace(_search('onnx'), config=other)]
    with pytest.raises(ValueError, match='--search=onnx has --steps=7, but xla has'):
        depth_searches.check_equal(searches)


def test_a_finished_search_is_read_and_others_are_refused(tmp_path):
    with pytest.raises(ValueError, match='holds no search with --task=depth'):
        depth_searches.read_search(tmp_path)
    text = options.flagfile(CONFIG, mode='search', task='depth', workdir=str(tmp_path))
    (tmp_path / 'flags.txt').write_text(text)
    (tmp_path / 'run.json').write_text('{}')
    with pytest.raises(ValueError, match='is not finished'):
        depth_searches.read_search(tmp_path)
    (tmp_path / 'search.json').write_text(
        json.dumps({'chosen': {'balanced': {'cell': str(FAST), 'error': 20.0}}})
    )
    records = [
        {'index': 0, 'cell': str(FAST), 'status': 'ok'},
        {'index': 1, 'cell': str(GOOD), 'status': 'stopped'},
    ]
    values = {'level': 4, 'objectives': {'error': 20.0, 'latency_ms': 0.9}, 'seconds': 1.0}
    with open(tmp_path / 'evaluations.jsonl', 'w') as file:
        file.writelines(json.dumps({**one, **values, 'reason': ''}) + '\n' for one in records)
    found = depth_searches.read_search(tmp_path)
    assert found.chosen == {'balanced': FAST} and found.points == [(20.0, 0.9)]
    assert found.device == 'xla' and found.config == CONFIG
