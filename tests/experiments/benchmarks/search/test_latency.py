"""The latency benchmark: its tables from known figures, and one small run as a user starts it."""

import json
import pathlib
import subprocess
import sys

import pytest

from experiments.benchmarks.search import latency
from nas.cells import zoo
from nas.devices.base import CannotRun, DeviceError, Measurement

ROOT = pathlib.Path(__file__).parents[4]


class Scripted:
    """A device that gives the figures it is told to."""

    exclusive, name = True, 'scripted'

    def __init__(self, figures):
        self._figures = iter(figures)

    def measure(self, network):
        figure = next(self._figures)
        if isinstance(figure, Exception):
            raise figure
        return Measurement(figure, memory_mb=10 * figure)


def test_tables_hold_medians_of_rounds_and_rank_correlations():
    plans = {
        f'condensenet-{depth}': zoo.NETWORKS[f'condensenet-{depth}'].plan()
        for depth in (50, 86, 122)
    }
    devices = {
        'a': Scripted([1, 2, 3, 5, 2, 3, 2, 2, 3]),
        'b': Scripted(
            [9, DeviceError('asleep'), 7, 9, CannotRun('no kernel'), 7, 9, DeviceError('asleep'), 7]
        ),
    }
    said = []
    rows = latency.summarise(plans, latency.measure_all(plans, devices, 3, None, said.append))
    assert [row['latency_ms'] for row in rows] == [
        {'a': 2, 'b': 9},
        {'a': 2, 'b': None},
        {'a': 3, 'b': 7},
    ]
    assert rows[0]['memory_mb'] == {'a': 20, 'b': 90} and rows[1]['params'] == 520202
    assert len(said) == 18 and 'asleep' in said[3] and 'no kernel' in said[9]
    ranks = {rank['between']: rank for rank in latency.correlations(rows, ['a', 'b'])}
    assert set(ranks) == {
        ('flops', 'a'),
        ('params', 'a'),
        ('flops', 'b'),
        ('params', 'b'),
        ('a', 'b'),
    }
    assert ranks['flops', 'b']['networks'] == 2 and ranks['flops', 'b']['kendall'] is None
    # Ranks 1.5, 1.5, 3 against 1, 2, 3: Spearman 1.5 / sqrt(1.5 * 2), Kendall (tau-b) 2 / sqrt(2 *
    # 3).
    assert ranks['flops', 'a']['spearman'] == pytest.approx(1.5 / 3**0.5)
    assert ranks['flops', 'a']['kendall'] == pytest.approx(2 / 6**0.5)
    text = latency.as_markdown(rows, list(ranks.values()), ['a', 'b'])
    assert '| condensenet-86 | 520,202 | 65.8 | 2.00 | - | 20.0 | - |' in text
    assert '| flops / a | 3 | 0.87 | 0.82 |' in text


def test_a_run_prints_and_writes_the_tables(tmp_path):
    command = [
        sys.executable,
        str(ROOT / 'experiments' / 'benchmarks' / 'search' / 'latency.py'),
        '--compilation_cache=',
        '--devices=profile:workstation,profile:embedded',
        f'--output={tmp_path}/out',
    ]
    done = subprocess.run(command, text=True, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / 'out' / 'latency.json').read_text())
    assert (tmp_path / 'out' / 'latency.md').read_text() == done.stdout
    assert {row['network'] for row in written['rows']} == set(latency.CIFAR)
    assert all(row['latency_ms']['profile:embedded'] > 0 for row in written['rows'])
    assert f'| profile:workstation / profile:embedded | {len(latency.CIFAR)} |' in done.stdout
