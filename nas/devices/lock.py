"""A lock for timing: candidates train side by side, but a latency is measured alone.

Both sides use one lock file. Training holds it shared, timing holds it exclusively. A second file
is a turnstile: a process that waits to time holds it, so that no new training can start first and
keep the timing waiting for ever. The system releases the locks of a process when it dies.
"""

import contextlib
import fcntl
import os
import pathlib


@contextlib.contextmanager
def training(path):
    """Holds the lock `path` together with other trainings; waits while a timing runs or waits.

    A block must not time anything itself: it would wait for its own training to end.

    Args:
        path: the lock file; it and its folder are created if they do not exist.
    """
    with alone(_turnstile(path)):
        held = _take(path, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def timing(path):
    """Holds the lock `path` alone: waits for running trainings and lets no other training start.

    Args:
        path: the lock file of `training`.
    """
    with alone(_turnstile(path)), alone(path):
        yield


@contextlib.contextmanager
def alone(path):
    """Holds the lock of one file alone, against other callers; does not concern training."""
    held = _take(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(held)


def _turnstile(path):
    path = pathlib.Path(path)
    return path.with_name(f'{path.name}.turnstile')


def _take(path, operation):
    """Waits for the lock of a file; closing the returned descriptor releases it."""
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        there = pathlib.Path(error.filename)
        what = f'a link to {there.readlink()}, which is away' if there.is_symlink() else 'a file'
        raise NotADirectoryError(f'{there} is no folder but {what}') from error
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
