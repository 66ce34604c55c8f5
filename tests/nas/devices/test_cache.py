"""nas.devices.cache: nothing is timed twice, and no wrong value is kept."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.fingerprint import plan_hash
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


DEEP = '[' * 100_000


@pytest.mark.parametrize(
    'text', ['', '{"latency_ms": 0}', '[1]', '{"latency_ms": 3, "unknown": 1}', DEEP, '9' * 5000]
)
def test_an_unreadable_file_is_measured_anew_and_said(tmp_path, text, caplog):
    cache, device = Cache(tmp_path), Counting()
    measure(device, PLAN, cache=cache)
    (stored,) = tmp_path.glob('*/*.json')
    stored.write_text(text)
    assert measure(device, PLAN, cache=cache).latency_ms == 2
    assert 'cannot be used and is measured again' in caplog.text and '\n' not in caplog.messages[0]
    assert measure(device, PLAN, cache=cache).latency_ms == 2


def test_a_file_with_a_changed_digit_or_of_something_else_is_measured_anew(tmp_path):
    cache, device = Cache(tmp_path), Counting()
    measure(device, PLAN, cache=cache)
    (stored,) = tmp_path.glob('*/*.json')
    text = stored.read_text()
    stored.write_text(text.replace('"latency_ms": 1.0', '"latency_ms": 7.0'))
    assert measure(device, PLAN, cache=cache).latency_ms == 2
    measure(device, OTHER, cache=cache)
    first, second = sorted(tmp_path.glob('*/*.json'), key=lambda path: path.stat().st_mtime_ns)
    second.write_text(first.read_text())
    assert measure(device, OTHER, cache=cache).latency_ms == 4


def test_a_file_says_what_was_measured_on_what(tmp_path):
    device = Counting()
    device.identity = 'counting, script 5'
    measure(device, PLAN, cache=Cache(tmp_path))
    (stored,) = tmp_path.glob('*/*.json')
    entry = json.loads(stored.read_text())['entry']
    assert entry['measured']['device'] == 'counting, script 5'
    assert entry['measured']['plan'] == plan_hash(PLAN) and entry['versions']['jax']


def test_another_script_under_the_same_name_is_measured(tmp_path):
    device = Counting()
    for identity in ('script 1', 'script 2'):
        device.identity = identity
        measure(device, PLAN, cache=Cache(tmp_path))
    assert device.calls == 2
    device.identity = 'script 1'
    assert measure(device, PLAN, cache=Cache(tmp_path)).latency_ms == 1


def test_a_script_that_changes_while_it_measures_leaves_nothing_behind(tmp_path):
    class Edited(Counting):
        identity = property(lambda self: f'script {self.calls}')

    device, cache = Edited(), Cache(tmp_path)
    measure(device, PLAN, cache=cache)
    assert not list(tmp_path.glob('*/*.json'))


class Boards(Counting):
    """Devices of one name that tell which of them answers."""

    board = 'A'

    def measure(self, network):
        return dataclasses.replace(super().measure(network), device_id=self.board)


def test_figures_of_another_board_are_not_taken(tmp_path):
    device, cache = Boards(), Cache(tmp_path)
    assert [measure(device, plan, cache=cache).latency_ms for plan in (PLAN, OTHER, PLAN)] == [
        1,
        2,
        1,
    ]
    # A new process does not know which board is there until it has measured once.
    later = Cache(tmp_path)
    assert measure(device, PLAN, cache=later).latency_ms == 3
    assert measure(device, OTHER, cache=later).latency_ms == 2
    device.board = 'B'
    swapped = Cache(tmp_path)
    found = [measure(device, plan, cache=swapped) for plan in (PLAN, OTHER)]
    assert [one.latency_ms for one in found] == [4, 5]
    assert {one.device_id for one in found} == {'B'}


def test_remeasure_measures_once_more_and_keeps_the_new_figures(tmp_path):
    device = Counting()
    measure(device, PLAN, cache=Cache(tmp_path))
    cache = Cache(tmp_path, remeasure=True)
    assert [measure(device, PLAN, cache=cache).latency_ms for _ in range(3)] == [2, 2, 2]
    assert measure(device, PLAN, cache=Cache(tmp_path)).latency_ms == 2


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'dead').symlink_to(tmp_path / 'nowhere' / 'at all')
    (tmp_path / 'file').write_text('mine')
    for name, why in (('dead', 'is a link to .*nowhere/at all, which does not'), ('file', 'file')):
        for place in (f'~/{name}', f'{tmp_path}/{name}/inside'):
            with pytest.raises(ValueError, match=f'--measurement_cache is .*{name}.* {why}'):
                Cache(place)
    # As root, every folder can be written.
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    with pytest.raises(ValueError, match='is read-only'):
        Cache(tmp_path)


def test_a_measurement_that_cannot_be_kept_is_still_returned(tmp_path, monkeypatch, caplog):
    def full(*unused, **options):
        raise OSError(28, 'No space left on device')

    device, cache = Counting(), Cache(tmp_path)
    monkeypatch.setattr('nas.devices.cache.atomic_path', full)
    assert measure(device, PLAN, cache=cache).latency_ms == 1
    assert 'is not kept in' in caplog.text and 'No space left' in caplog.text
    monkeypatch.setattr('nas.devices.lock.alone', full)
    assert measure(device, PLAN, cache=cache).latency_ms == 2


def test_many_writers_of_one_file_never_give_a_wrong_number(tmp_path):
    script = (
        'import sys; sys.path[:0] = sys.argv[1:3]; import test_cache as t\n'
        'cache = t.Cache(sys.argv[3])\n'
        'for number in range(40):\n'
        '    cache.put("board", "key", t.Measurement(float(sys.argv[4]), note=sys.argv[4] * 999))\n'
        '    found = t.Cache(sys.argv[3]).get("board", "key")\n'
        '    assert found is None or set(found.note) == set(str(int(found.latency_ms)))\n'
        '    assert found is not None'
    )
    here = pathlib.Path(__file__).parent
    started = [
        subprocess.Popen([sys.executable, '-c', script, str(ROOT), str(here), str(tmp_path), name])
        for name in ('1', '2', '3')
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    assert [path.suffix for path in tmp_path.glob('*/*')] == ['.json']


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
