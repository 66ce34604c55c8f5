"""One network on several devices."""

import sys

import pytest

from nas.cells import plan, skeleton
from nas.cells.cell import Cell
from nas.devices.config import MeasureConfig
from nas.devices.measure import measure_on

PLAN = plan.build(Cell.parse('bn-conv3x3'), skeleton.tiny)


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


def test_a_device_that_is_not_there_is_named_before_anything_is_measured():
    with pytest.raises(ValueError, match='abacus'):
        measure_on(PLAN, MeasureConfig(('profile:phone,abacus',), ''))
