"""`nas-search --mode=cost --device=...` as a user runs it."""

import json
import pathlib
import subprocess
import sys

import pytest

from experiments import nas_main

ROOT = pathlib.Path(__file__).parents[2]


def cost(*arguments):
    command = (
        'import sys; sys.path.insert(0, sys.argv.pop(1)); from experiments import nas_main; '
        'nas_main.run()'
    )
    return subprocess.run(
        [
            sys.executable,
            '-c',
            command,
            str(ROOT),
            '--mode=cost',
            '--cell=bn-conv3x3',
            '--skeleton=tiny',
            *arguments,
        ],
        text=True,
        capture_output=True,
        check=False,
    )


def test_devices_stand_beside_the_counts_and_are_asked_once(tmp_path):
    pytest.importorskip('onnx')
    calls = tmp_path / 'calls'
    command = (
        f"--device=command:{sys.executable} -c \"open({str(calls)!r}, 'a').write('x'); "
        "print(chr(123) + chr(34) + 'latency_ms' + chr(34) + ': 2.5}')\" {model}"
    )
    arguments = (
        '--device=profile:workstation,profile:phone',
        command,
        f'--measurement_cache={tmp_path}/cache',
    )
    done = [cost(*arguments) for _ in range(2)]
    assert [run.returncode for run in done] == [0, 0], done[0].stderr
    plain = nas_main.cost_of('bn-conv3x3', None, 'tiny')
    for run in done:
        (result,) = map(json.loads, run.stdout.splitlines())
        devices = result.pop('devices')
        assert result == plain
        assert set(devices) == {
            'profile:workstation',
            'profile:phone',
            command.removeprefix('--device='),
        }
        assert devices[command.removeprefix('--device=')]['latency_ms'] == 2.5
        assert devices['profile:phone']['estimated'] and devices['profile:phone']['memory_mb'] > 0
        assert 'leave-one-out' in devices['profile:phone']['note']
    assert calls.read_text() == 'x'


def test_a_failing_device_is_reported_and_the_others_still_count():
    pytest.importorskip('onnx')
    _, layers = nas_main.plan_of('bn-conv3x3', None, 'tiny')
    devices = nas_main.measure_on(layers, ['profile:phone', 'command:no_such_program {model}'], '')
    assert devices['profile:phone']['latency_ms'] > 0
    failed = devices['command:no_such_program {model}']
    assert set(failed) == {'error'} and 'cannot be started' in failed['error']


def test_a_device_that_is_not_there_is_one_sentence():
    done = cost('--device=profile:phone,abacus')
    assert done.returncode == 1 and done.stdout == ''
    assert (
        'abacus' in done.stderr
        and done.stderr.startswith('error: ')
        and done.stderr.count('\n') == 1
    )
