"""Functions that tests send to other processes."""

import errno
import importlib
import os
import pathlib
import signal
import sys
import time

from common.patience import Unavailable

ECHO = (
    'JAX_PLATFORMS',
    'CUDA_VISIBLE_DEVICES',
    'XLA_PYTHON_CLIENT_PREALLOCATE',
    'JAX_COMPILATION_CACHE_DIR',
)


def square(job):
    return job**2


def environment(job):
    time.sleep(0.3)  # so that every worker gets a share
    return {name: os.environ.get(name) for name in ECHO}, os.getpid()


def misbehave(job):
    if job == 'raise':
        raise ValueError('the cell is no good')
    if job == 'diverge':
        raise FloatingPointError('loss is not finite at step 7')
    if job == 'memory':
        raise MemoryError
    if job == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    if job == 'notice':
        os.kill(os.getpid(), signal.SIGUSR2)
    if job == 'exit':
        print('device on fire', flush=True)
        os._exit(3)
    if job == 'quit':
        sys.exit()
    if job == 'sleep':
        time.sleep(60)
    if job == 'lambda':
        return lambda: None
    return job


def note_and_sleep(path):
    """Writes this process's number to a file and sleeps."""
    pathlib.Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def wait_until(condition, seconds=60):
    """Whether a condition comes to hold in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def wait_until_written(paths, seconds=60):
    """Whether all files come to exist in time."""
    return wait_until(lambda: all(map(os.path.exists, paths)), seconds)


def meet(job):
    """Notes the attempt in a file, waits for the other's file and for `go`, and returns its own
    name.
    """
    mine, other = job
    with open(mine, 'a') as file:
        file.write(f'{os.getpid()}\n')
    if not wait_until_written([other, str(pathlib.Path(mine).with_name('go'))]):
        raise ValueError(f'{other} did not come')
    return mine


def lose(job):
    """Kills the worker that started this process as often as the job says; returns the number of
    attempts.
    """
    path, times = job
    with open(path, 'a') as file:
        file.write('x')
    attempts = len(pathlib.Path(path).read_text())
    if attempts <= times:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return attempts


def error_of_digits(cell):
    """A candidate of the search in `tests/nas/search/test_loop.py` that takes a while."""
    time.sleep(0.5)
    return {'error': 50 - sum(map(int, cell))}


class Unreadable:
    """A job that another process cannot read."""

    def __reduce__(self):
        return importlib.import_module, ('no_such_module_of_a_node',)


def lose_the_ground(job):
    """Meets errors that are not the candidate's fault."""
    if job == 'disk':
        raise OSError(errno.ENOSPC, 'No space left on device', '/data')
    if job == 'refused':
        raise ConnectionRefusedError('connection refused')
    if job == 'away':
        raise Unavailable('the images are away')
    if job == 'killed':
        os.kill(os.getpid(), signal.SIGKILL)
    return job
