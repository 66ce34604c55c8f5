"""Timing with nothing else running: candidates train side by side, a latency is measured alone.

Both sides name one lock file. Training holds it shared, timing exclusively. A second file is a
turnstile: who waits to time holds it, so that no new training can slip in before and keep the
timing waiting for ever. The system lets the locks of a process go when it dies.
"""

import contextlib
import fcntl
import os
import pathlib


@contextlib.contextmanager
def training(path):
    """Holds the lock `path` together with other trainings; waits while something is timed or about
    to be.

    A block must not time anything itself: it would wait for its own training to end.

    Args:
        path: the lock file; it is made where it does not exist, its folder too.
    """
    with alone(_turnstile(path)):
        held = _take(path, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def timing(path):
    """Holds the lock `path` alone: waits for the trainings that run and lets no other begin.

    Args:
        path: the lock file of `training`.
    """
    with alone(_turnstile(path)), alone(path):
        yield


@contextlib.contextmanager
def alone(path):
    """Holds the lock of one file that has nothing to do with training, against others who do the
    same.
    """
    held = _take(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(held)


def _turnstile(path):
    path = pathlib.Path(path)
    return path.with_name(f'{path.name}.turnstile')


def _take(path, operation):
    """Waits for the lock of a file; returns the descriptor whose closing lets it go."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
