"""nas.devices.command: only a proper figure counts, whatever a user's command does."""

import shlex
import sys
import time

import jax
import pytest

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.devices import program
from nas.devices.base import CannotRun, DeviceError
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
        '{"latency_ms": true}',
        '{"latency_ms": [1]}',
        '{"latency_ms": null}',
        '{"latency_ms": 1e999}',
        '{"Latency_ms": 1}',
        '{"latency": 1, "unit": "ms"}',
        '{"latency_ms": 1, "repeats": -1}',
        '{"latency_ms": 1, "repeats": "many"}',
        '{"latency_ms": 1, "note": ["a", "list"]}',
        '{"latency_ms": 1',
        '[{"latency_ms": 1}]',
        '{"error": ""',
        '{"error": 3}',
    ],
)
def test_anything_else_is_no_measurement_and_says_nothing_about_the_network(board, printed):
    with pytest.raises(DeviceError, match='no measurement') as caught:
        board(f'print({printed!r})')
    assert '\n' not in str(caught.value) and not isinstance(caught.value, CannotRun)


@pytest.mark.parametrize(
    'made',
    [
        "'[' * 100_000 + ']' * 100_000",  # deeper than Python recurses
        """'{"latency_ms": ' + '[' * 20_000""",
        """'{"latency_ms": %s}' % ('9' * 4_000)""",  # more than a float holds
        """'{"latency_ms": %s}' % ('9' * 9_000)""",  # more digits than Python reads
        """'{"latency_ms": 1, "note": "%s"}' % ('x' * 200_000)""",  # longer than what is kept
    ],
)
def test_a_line_that_nobody_can_read_is_shown_in_short(board, made):
    with pytest.raises(DeviceError, match='no measurement') as caught:
        board(f'print({made})')
    assert len(str(caught.value)) < 600


def test_output_without_end_ends(board, monkeypatch):
    monkeypatch.setattr(program, 'MOST', 1 << 20)
    started = time.monotonic()
    with pytest.raises(DeviceError, match='printed more than 1 MiB'):
        board('while True: print("{" * 1000)')
    assert time.monotonic() - started < 60
    # As much as that is fine: only the end is kept.
    script = 'print("copying\\n" * 100_000); print(\'{"latency_ms": 2}\')'
    assert board(script).latency_ms == 2


def test_a_server_that_stays_behind_keeps_nobody_waiting(board):
    child = 'import time; time.sleep(20)'
    script = (
        'import subprocess, sys; subprocess.Popen([sys.executable, "-c", '
        f'{child!r}], start_new_session=True); print(\'{{"latency_ms": 3}}\')'
    )
    started = time.monotonic()
    assert board(script).latency_ms == 3
    assert time.monotonic() - started < 15


@pytest.mark.parametrize('status', [0, 2])
def test_a_board_that_cannot_run_the_network_says_so(board, status):
    script = (
        'import sys; print(\'{"error": "no kernel\\\\n for gconv \\\\ud800"}\');'
        f' sys.exit({status})'
    )
    with pytest.raises(CannotRun, match='cannot run it: no kernel for gconv .$') as caught:
        board(script)
    str(caught.value).encode()  # can be printed


def test_a_command_that_is_killed_names_the_signal(board):
    with pytest.raises(DeviceError, match='failed with signal 9 and wrote nothing'):
        board('import os; os.kill(os.getpid(), 9)')


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
