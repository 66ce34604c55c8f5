"""Pauses that grow, end at once on a request to stop, and run out."""

import os
import signal
import threading
import time

import pytest

from common import patience as patience_module
from common.patience import Lost, Patience, Unavailable
from common.stopping import Stop, Stopped, on_signals


def test_pauses_grow_up_to_two_minutes():
    assert [Patience().seconds(failures) for failures in range(1, 7)] == [1, 5, 25, 125, 125, 125]
    assert Patience(pause=200).seconds(9) == 200 and Patience(pause=0).seconds(10**6) == 0
    assert Patience().seconds(10**6) == 125


def test_each_pause_is_told_and_the_last_failure_is_raised(monkeypatch):
    said, slept = [], []
    clock = iter(range(1000))
    monkeypatch.setattr(patience_module.time, 'monotonic', lambda: next(clock))
    monkeypatch.setattr(patience_module.time, 'sleep', slept.append)
    patience = Patience(retries=2, pause=3.0)
    for failures in (1, 2):
        patience.wait(failures, 'the board is off', say=said.append)
    assert said == [
        'the board is off; trying again in 3 s (1 of 2)',
        'the board is off; trying again in 15 s (2 of 2)',
    ]
    assert slept and max(slept) <= 0.2
    with pytest.raises(Unavailable, match=r'^the board is off \(3 attempts in a row failed\)$'):
        patience.wait(3, 'the board is off', say=said.append)
    with pytest.raises(OSError, match='it was tried once'):
        Patience(retries=0).wait(1, Lost('gone'))
    assert len(said) == 2


def test_a_request_to_stop_ends_a_pause_at_once():
    started = time.monotonic()
    with pytest.raises(Stopped), on_signals() as stop:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        Patience(pause=30.0).wait(1, 'away', stop=stop)
    assert time.monotonic() - started < 10
    # A request that came without a signal handler, too.
    stop = Stop()
    threading.Timer(0.3, setattr, (stop, 'number', signal.SIGTERM)).start()
    with pytest.raises(Stopped):
        Patience(pause=30.0).wait(1, 'away', stop=stop)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize('values', [{'retries': -1}, {'pause': -0.1}, {'pause': float('nan')}])
def test_negative_numbers_are_refused(values):
    with pytest.raises(ValueError, match='at least 0 is accepted'):
        Patience(**values)
