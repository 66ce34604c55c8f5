"""Signals as requests to stop: at once, held off, repeated, and in several processes."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from common import stopping
from common.stopping import Stop, Stopped, on_signals

ROOT = str(pathlib.Path(stopping.__file__).parents[1])


@pytest.fixture(autouse=True)
def handlers():
    """Known handlers before, and the same ones afterwards."""
    # A shell starts background jobs with Ctrl-C ignored.
    before = {
        number: signal.signal(number, signal.default_int_handler) for number in stopping.SIGNALS
    }
    yield
    for number, handler in before.items():
        assert signal.signal(number, handler) is signal.default_int_handler


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    'number, name, code',
    [
        (signal.SIGINT, 'SIGINT', 130),
        (signal.SIGTERM, 'SIGTERM', 143),
        (signal.SIGUSR1, 'SIGUSR1', 138),
    ],
)
def test_the_first_signal_ends_the_job_at_once(number, name, code):
    with pytest.raises(Stopped) as caught, on_signals() as stop:
        stop.kept = 'three of nine are kept'
        try:
            send(number)
            time.sleep(5)
            pytest.fail('the signal had no effect')
        except Exception:
            pytest.fail('a job that takes failures of its parts would have gone on')
    assert (
        str(caught.value) == f'stopped by {name}: three of nine are kept'
        and caught.value.code == code
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_loop_that_holds_it_off_ends_where_it_looks(number):
    done = []
    with pytest.raises(Stopped), on_signals() as stop, stop.held('this step'):
        for step in range(5):
            if step == 2:
                send(number)
            done.append(step)
            stop.check()
    assert done == [0, 1, 2]


def test_a_request_that_nobody_looked_at_counts_at_the_end_of_the_block():
    reached = []
    with pytest.raises(Stopped), on_signals() as stop:
        with stop.held('all of it'):
            with stop.held('this step'):
                send(signal.SIGTERM)
                # Launchers send it more than once.
                send(signal.SIGTERM)
            reached.append('inner')
        reached.append('outer')
    assert reached == ['inner']


def test_an_error_of_the_block_is_not_hidden():
    with pytest.raises(ValueError, match='disk'), on_signals() as stop, stop.held('this step'):
        send(signal.SIGTERM)
        raise ValueError('disk')


def test_ignored_signals_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with on_signals() as stop:
        send(signal.SIGINT)
        assert stop.number == 0
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_other_threads_take_no_signals():
    found = []

    def job():
        with on_signals() as stop:
            found.append((stop.number, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert found == [(0, signal.default_int_handler)]


def test_one_process_votes_for_itself():
    stop = Stop()
    said = 'step 4 of 9 is saved in folder; the same command goes on'
    with pytest.raises(Stopped, match=said), stop.held('this step'):
        assert not stop.carried(stop.vote())
        stop.on_signal(signal.SIGTERM)
        assert stop.carried(stop.vote())
        stop.trained(4, 9, 'folder')


def test_ctrl_c_that_comes_after_the_vote_of_another_process_is_not_a_second_one():
    stop, saved = Stop(), []
    with pytest.raises(Stopped), stop.held('this step'):
        assert stop.carried(np.int32(signal.SIGINT))
        stop.on_signal(signal.SIGINT)
        saved.append('checkpoint')
    with pytest.raises(KeyboardInterrupt):
        stop.on_signal(signal.SIGINT)
    assert saved


BUSY = """
import contextlib
import hashlib
import signal
import sys
import threading
from common import stopping
signal.signal(signal.SIGINT, signal.default_int_handler)
held = lambda stop: stop.held('this step') if sys.argv[1] == 'held' else contextlib.nullcontext()
with stopping.on_signals() as stop, held(stop):
    threading.Timer(1, print, ['ready'], {'flush': True}).start()
    # Like a compiler: minutes outside of the interpreter.
    hashlib.pbkdf2_hmac('sha256', b'', b'', 10 ** 9)
"""


@pytest.mark.parametrize(
    'how, said',
    [
        ('held', 'SIGINT: stopping after this step; Ctrl-C again stops at once\n'),
        ('at_once', 'stopping; Ctrl-C again stops at once\n'),
    ],
)
def test_ctrl_c_is_answered_though_the_interpreter_is_busy_and_the_second_one_ends_it(how, said):
    process = subprocess.Popen(
        [sys.executable, '-c', BUSY, how],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {'PYTHONPATH': ROOT},
    )
    try:
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == said
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        assert process.wait(20) == 130 and time.monotonic() - sent < 10
    finally:
        process.kill()
        process.communicate()


TWO_PROCESSES = """
import os
import signal
import sys
import jax
import numpy as np
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
from common import parallel, stopping
signal.signal(signal.SIGINT, signal.default_int_handler)
port, rank = sys.argv[1], int(sys.argv[2])
parallel.initialize(coordinator_address=f'localhost:{port}', num_processes=2, process_id=rank)
mean = lambda state, batch: state + parallel.mean(batch.mean())
step = parallel.data_parallel(mean, num_shared=0)
state, votes = np.float32(0), []
try:
    with stopping.on_signals() as stop, stop.held('this step'):
        for index in range(1000):
            if (rank, index) == (1, 7):
                os.kill(os.getpid(), int(sys.argv[3]))
            state = step(state, np.ones((2, 1), np.float32))
            votes.append(stop.vote())
            # One step behind the devices, as training loops are.
            if index and stop.carried(votes[-2]):
                break
        stop.trained(index + 1, 1000, 'nowhere')
except stopping.Stopped as stopped:
    print(float(state), stopped, flush=True)
    sys.exit(stopped.code)
"""


@pytest.mark.parametrize('number, name', [(signal.SIGINT, 'SIGINT'), (signal.SIGTERM, 'SIGTERM')])
def test_processes_end_after_the_same_step_though_one_got_the_signal(number, name):
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        port = str(probe.getsockname()[1])
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', TWO_PROCESSES, port, str(rank), str(int(number))],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {'PYTHONPATH': ROOT},
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=60)[0].splitlines()[-1:] for process in processes]
    # It was sent before the eighth step, which voted for it; the ninth was under way.
    line = f'9.0 stopped by {name}: the checkpoint of step 9 of 1000 is saved in nowhere; '
    assert [output[0][: len(line)] for output in outputs] == [line] * 2
    assert [process.returncode for process in processes] == [128 + number] * 2
