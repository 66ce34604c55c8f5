"""nas.devices.command: only a proper figure counts, whatever a user's command does."""

import shlex
import sys
import time

import jax
import pytest

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.devices.base import DeviceError
from nas.devices.command import CommandDevice
from nas.networks import network

pytest.importorskip('onnx')

PLAN = plan_lib.build(Cell.parse('bn-conv3x3'), SKELETONS['tiny'])


@pytest.fixture(scope='module')
def board():
    """Measures the same small network with a command, by default with a line of Python."""
    variables = network.init(jax.random.key(0), PLAN, deployed=True)

    def measure(script, *arguments, **options):
        template = shlex.join([sys.executable, '-c', script, *arguments, '{model}', '{batch}'])
        return CommandDevice(template, **options).measure((PLAN, variables))

    return measure


def test_command_gets_file_and_batch_and_its_last_line_counts(board):
    script = (
        'import json, os, sys; print("copying"); size = os.path.getsize(sys.argv[1]);'
        ' print(json.dumps({"latency_ms": 12.5, "p90_ms": 14, "memory_mb": size, "note":'
        ' sys.argv[2]}))'
    )
    result = board(script, batch=3)
    assert (result.latency_ms, result.p90_ms, result.p10_ms, result.note) == (12.5, 14, None, '3')
    assert result.memory_mb > 1000 and result.batch_size == 3 and not result.estimated
    assert result.device.startswith('command:') and result.device.endswith('batch=3')


def test_file_is_the_network(board):
    script = (
        'import sys, onnx; model = onnx.load(sys.argv[1]); onnx.checker.check_model(model); '
        'print(\'{"latency_ms": %d}\' % sum(node.op_type == "Conv" for node in model.graph.node))'
    )
    assert board(script).latency_ms == sum(layer.op == 'conv' for layer in PLAN)


def test_no_shell_comes_between(board):
    script = 'import sys; print(\'{"latency_ms": 1, "note": "%s"}\' % sys.argv[1])'
    assert board(script, '$HOME; a  b *').note == '$HOME; a  b *'


@pytest.mark.parametrize(
    'printed',
    [
        '',
        'done',
        '{"latency_ms": 0}',
        '{"latency_ms": -3}',
        '{"latency_ms": NaN}',
        '{"latency_ms": Infinity}',
        '{"latency_ms": "3"}',
        '{"memory_mb": 3}',
        '12.5',
        '{"latency_ms": 1, "memory_mb": -1}',
        '{"latency_ms": 1}\nbye',
    ],
)
def test_anything_else_is_no_measurement(board, printed):
    with pytest.raises(DeviceError, match='no measurement') as caught:
        board(f'print({printed!r})')
    assert '\n' not in str(caught.value)


def test_failing_command_is_quoted(board):
    with pytest.raises(DeviceError, match='status 3.*adb: device offline'):
        board(
            'import sys; print(\'{"latency_ms": 1}\'); print("adb: device\\noffline",'
            ' file=sys.stderr); sys.exit(3)'
        )


def test_command_that_hangs_is_killed_with_what_it_started(board, tmp_path):
    alive = tmp_path / 'alive'
    child = f'import time, pathlib; time.sleep(2.5); pathlib.Path({str(alive)!r}).touch()'
    script = (
        'import subprocess, sys, time; '
        f'subprocess.Popen([sys.executable, "-c", {child!r}]); time.sleep(60)'
    )
    started = time.monotonic()
    with pytest.raises(DeviceError, match='within 1 s'):
        board(script, timeout=1)
    assert time.monotonic() - started < 30
    time.sleep(2.5)
    assert not alive.exists()


def test_command_that_is_not_there(tmp_path):
    device = CommandDevice(f'{tmp_path}/no_such_program {{model}}')
    with pytest.raises(DeviceError, match='no_such_program.*cannot be started'):
        device.measure(PLAN)


@pytest.mark.parametrize(
    'template, named', [('run', 'model'), ('', 'model'), ('run "{model}', 'cannot be read')]
)
def test_templates_are_checked_first(template, named):
    with pytest.raises(ValueError, match=named):
        CommandDevice(template)
