"""One network on several devices."""

import sys

import pytest

from nas.cells import plan, skeleton
from nas.cells.cell import Cell
from nas.devices.base import CannotRun, DeviceError, Measurement
from nas.devices.cache import Cache
from nas.devices.config import MeasureConfig
from nas.devices.measure import measure_fairly, measure_on
from nas.devices.same_device import SameDevice

PLAN = plan.build(Cell.parse('bn-conv3x3'), skeleton.tiny)
SMALL = plan.build(Cell.parse('bn-conv1x1'), skeleton.tiny)


def test_what_was_measured_once_is_not_measured_again(tmp_path):
    pytest.importorskip('onnx')
    calls = tmp_path / 'calls'
    command = (
        f"command:{sys.executable} -c \"open({str(calls)!r}, 'a').write('x'); "
        "print(chr(123) + chr(34) + 'latency_ms' + chr(34) + ': 2.5}')\" {model}"
    )
    names = ('profile:workstation,profile:phone', command)
    found = [measure_on(PLAN, MeasureConfig(names, f'{tmp_path}/cache')) for _ in range(2)]
    assert found[0] == found[1] and calls.read_text() == 'x'
    assert set(found[0]) == {'profile:workstation', 'profile:phone', command}
    assert found[0][command]['latency_ms'] == 2.5
    measure_on(PLAN, MeasureConfig((command,), ''))
    assert calls.read_text() == 'xx'


def test_a_failing_device_is_reported_and_the_others_still_count():
    pytest.importorskip('onnx')
    names = ('profile:phone', 'command:no_such_program {model}')
    devices = measure_on(PLAN, MeasureConfig(names, ''))
    assert devices['profile:phone']['latency_ms'] > 0
    failed = devices['command:no_such_program {model}']
    assert set(failed) == {'error'} and 'cannot be started' in failed['error']


def test_a_network_that_a_board_refuses_is_reported_as_well():
    pytest.importorskip('onnx')
    line = "print(chr(123) + chr(34) + 'error' + chr(34) + ': ' + chr(34) + 'no kernel' + chr(34)"
    command = f'command:{sys.executable} -c "{line} + chr(125))" {{model}}'
    devices = measure_on(PLAN, MeasureConfig((command, 'profile:phone'), ''))
    assert devices[command]['error'].endswith('cannot run it: no kernel')
    assert devices['profile:phone']['latency_ms'] > 0


def test_a_device_that_is_not_there_is_named_before_anything_is_measured():
    with pytest.raises(ValueError, match='abacus'):
        measure_on(PLAN, MeasureConfig(('profile:phone,abacus',), ''))


class Board:
    """Answers each call as a list says: with a number, an exception, or by the network."""

    name, exclusive = 'board', True

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def measure(self, network):
        self.asked.append('small' if network == SMALL else 'large')
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Measurement(answer, device=self.name)


AWAY = DeviceError('connection refused')


def test_a_device_that_answers_the_second_time_has_measured():
    board = Board(AWAY, 1.0, 2.0)
    assert measure_fairly(SameDevice(board), PLAN, SMALL).latency_ms == 2
    assert board.asked == ['large', 'small', 'large']


@pytest.mark.parametrize('answers', [[AWAY, AWAY], [AWAY, 1.0, AWAY, AWAY]])
def test_a_device_that_measures_nothing_else_either_is_away(answers):
    board = Board(*answers)
    with pytest.raises(DeviceError, match='connection refused') as caught:
        measure_fairly(SameDevice(board), PLAN, SMALL)
    assert not isinstance(caught.value, CannotRun) and not board.answers


@pytest.mark.parametrize('small', [1.0, CannotRun('it is too small for us')])
def test_a_device_that_measures_another_network_is_there(small):
    board = Board(AWAY, small, AWAY, small)
    with pytest.raises(CannotRun, match='refused .twice, while another network was measured'):
        measure_fairly(SameDevice(board), PLAN, SMALL)
    assert board.asked == ['large', 'small'] * 2


def test_a_device_that_refuses_a_network_is_asked_once():
    board = Board(CannotRun('no kernel'))
    with pytest.raises(CannotRun, match='^no kernel$'):
        measure_fairly(SameDevice(board), PLAN, SMALL)
    assert board.asked == ['large']


def test_what_the_cache_knows_is_no_sign_of_life_and_failures_are_not_kept(tmp_path):
    cache = Cache(tmp_path / 'cache')
    board = Board(1.0, AWAY, AWAY, 3.0)
    same = SameDevice(board, cache=cache)
    assert measure_fairly(same, SMALL, SMALL).latency_ms == 1
    with pytest.raises(DeviceError, match='refused'):
        measure_fairly(same, PLAN, SMALL)
    assert board.asked == ['small', 'large', 'small']
    # The next call asks the device, not the memory of a failure.
    assert measure_fairly(same, PLAN, SMALL).latency_ms == 3
