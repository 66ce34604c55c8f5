"""nas.devices.cache: nothing is timed twice, and no wrong value is kept."""

import pathlib
import subprocess
import sys
import threading
import time

import pytest

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.devices import lock
from nas.devices.base import DeviceError, Measurement
from nas.devices.cache import Cache, measure

ROOT = pathlib.Path(__file__).parents[3]
PLAN, OTHER = (
    plan_lib.build(Cell.parse(cell), SKELETONS['tiny']) for cell in ('bn-conv1x1', 'bn-conv3x3')
)


class Counting:
    """A device that counts its calls and may fail the first ones."""

    exclusive = True

    def __init__(self, name='counting/board 1', *, failures=0, seconds=0.0):
        self.name, self.calls, self._failures, self._seconds = name, 0, failures, seconds

    def measure(self, network):
        self.calls += 1
        time.sleep(self._seconds)
        if self.calls <= self._failures:
            raise DeviceError('the board is asleep')
        return Measurement(float(self.calls), device=self.name)


def test_each_network_is_measured_once_on_each_device(tmp_path):
    cache, device = Cache(tmp_path / 'new'), Counting()
    first = measure(device, PLAN, cache=cache)
    assert measure(device, PLAN, cache=cache) == first
    assert measure(device, (PLAN, {'params': {}}), cache=Cache(tmp_path / 'new')) == first
    assert device.calls == 1
    assert measure(device, OTHER, cache=cache).latency_ms == 2
    # Names that look alike as file names are still two devices.
    twin = Counting('counting_board_1')
    assert measure(twin, PLAN, cache=cache).latency_ms == 1 and twin.calls == 1


def test_without_a_cache_every_call_measures(tmp_path):
    device = Counting()
    assert [measure(device, PLAN).latency_ms for _ in range(2)] == [1, 2]


def test_estimates_are_not_stored(tmp_path):
    device = Counting()
    device.exclusive = False
    measure(device, PLAN, cache=Cache(tmp_path))
    assert not list(tmp_path.iterdir())


def test_failures_are_raised_and_tried_again(tmp_path):
    device = Counting(failures=1)
    with pytest.raises(DeviceError, match='asleep'):
        measure(device, PLAN, cache=Cache(tmp_path))
    assert measure(device, PLAN, cache=Cache(tmp_path)).latency_ms == 2


@pytest.mark.parametrize(
    'text', ['', '{"latency_ms": 0}', '[1]', '{"latency_ms": 3, "unknown": 1}']
)
def test_an_unreadable_file_is_measured_anew(tmp_path, text):
    cache, device = Cache(tmp_path), Counting()
    measure(device, PLAN, cache=cache)
    (stored,) = tmp_path.glob('*/*.json')
    stored.write_text(text)
    assert measure(device, PLAN, cache=cache).latency_ms == 2
    assert measure(device, PLAN, cache=cache).latency_ms == 2


def test_timing_waits_for_training_but_a_stored_result_does_not(tmp_path):
    cache, device, results = Cache(tmp_path / 'cache'), Counting(), []
    ask = lambda: results.append(measure(device, PLAN, cache=cache, timing_lock=tmp_path / 'lock'))
    with lock.training(tmp_path / 'lock'):
        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.3)
        assert device.calls == 0
    thread.join(timeout=20)
    assert device.calls == 1
    with lock.training(tmp_path / 'lock'):
        ask()
    assert device.calls == 1 and results[0] == results[1]


def test_of_two_processes_only_one_measures(tmp_path):
    script = (
        'import sys; sys.path[:0] = sys.argv[1:3]; import test_cache as t\n'
        'device = t.Counting(seconds=1.0); t.measure(device, t.PLAN, cache=t.Cache(sys.argv[3]))\n'
        'print(device.calls)'
    )
    here = pathlib.Path(__file__).parent
    started = [
        subprocess.Popen(
            [sys.executable, '-c', script, str(ROOT), str(here), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert sorted(process.communicate(timeout=120)[0].strip() for process in started) == ['0', '1']
    assert len(list(tmp_path.glob('*/*.json'))) == 1
