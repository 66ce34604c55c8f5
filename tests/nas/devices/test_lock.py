"""nas.devices.lock between processes: trainings share, timing is alone, no one waits for ever."""

import pathlib
import queue
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).parents[3]
HOLD = (
    'import sys; sys.path.insert(0, sys.argv[1]); from nas.devices import lock\n'
    'print("ready", flush=True)\n'
    'with getattr(lock, sys.argv[2])(sys.argv[3]):\n'
    '    print("held", flush=True); sys.stdin.readline()\n'
)
SOON, NOT_YET = 20, 0.4  # seconds


class Holder:
    """A process that takes a lock, says so, and holds it until released."""

    def __init__(self, how, path):
        self.process = subprocess.Popen(
            [sys.executable, '-c', HOLD, str(ROOT), how, str(path)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._lines.get(timeout=SOON) == 'ready\n'

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)

    def has_it(self, timeout=SOON):
        try:
            return self._lines.get(timeout=timeout) == 'held\n'
        except queue.Empty:
            return False

    def release(self):
        self.process.communicate('\n', timeout=SOON)


@pytest.fixture
def hold(tmp_path):
    holders = []

    def start(how):
        holders.append(Holder(how, tmp_path / 'new' / 'lock'))
        return holders[-1]

    yield start
    for holder in holders:
        holder.process.kill()
        holder.process.wait()


def test_trainings_run_side_by_side_and_timing_waits_for_all_of_them(hold):
    first, second = hold('training'), hold('training')
    assert first.has_it() and second.has_it()
    timing = hold('timing')
    assert not timing.has_it(NOT_YET)
    first.release()
    assert not timing.has_it(NOT_YET)
    second.release()
    assert timing.has_it()


def test_no_training_starts_while_something_is_timed_or_waits_to_be(hold):
    running = hold('training')
    assert running.has_it()
    timing = hold('timing')
    assert not timing.has_it(NOT_YET)
    late = hold('training')
    assert not late.has_it(NOT_YET)
    running.release()
    assert timing.has_it() and not late.has_it(NOT_YET)
    timing.release()
    assert late.has_it()


def test_timings_take_turns_and_a_killed_one_lets_go(hold):
    first = hold('timing')
    assert first.has_it()
    second = hold('timing')
    assert not second.has_it(NOT_YET)
    first.process.kill()
    assert second.has_it()
