"""Runs one call in a process of its own; a crash, kill or time-out is only a `Failure`.

It is one only while the call runs: a process that ends before or after it is `Unavailable`. The
process is a fresh interpreter, not a fork: threads and devices of JAX do not survive a fork.
The process ends when the process that started it ends, however that happens.
"""

import functools
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

from common.executors.worker import RUNNING
from common.failure import Failure
from common.patience import Unavailable

# Set before the child imports JAX, which reads them only once.
PLATFORM = 'JAX_PLATFORMS'
DEVICES = 'CUDA_VISIBLE_DEVICES'
PREALLOCATE = 'XLA_PYTHON_CLIENT_PREALLOCATE'
CACHE = 'JAX_COMPILATION_CACHE_DIR'


def check_importable(function: Callable) -> None:
    """Raises ValueError if another process cannot import the function."""
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    try:
        pickle.dumps(function)
        main = inner.__module__ == '__main__'
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f'function {inner!r} cannot be sent to another process: {error}'
        ) from error
    if main:
        raise ValueError(
            f'function {inner!r} is defined in the started script, which other processes cannot '
            'import; move it into a module'
        )


def search_path() -> str:
    """PYTHONPATH with which another process can import what this one can."""
    return os.pathsep.join(filter(None, sys.path))


def run(
    function: Callable[[Any], Any],
    job: Any,
    *,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
    on_start: Callable[[subprocess.Popen], None] = lambda process: None,
) -> Any:
    """Calls `function(job)` in a fresh process.

    Args:
        function, job: see `check_importable`; the job and the result can be pickled.
        environment: variables of the process besides those of this one.
        timeout: seconds after which it is killed, start-up included; None waits for ever.
        on_start: called with the process, for a caller that may want to kill it.

    Returns:
        The result; a `Failure` whose reason is the exception, the signal, the exit status or the
        time-out; or an `Unavailable` if the process did not come to the call, could not hand over
        its result, or the call raised an OSError.

    Raises:
        OSError: the process cannot be started, or its files cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix='pano_dppnet_') as folder:
        paths = [pathlib.Path(folder) / name for name in ('job', 'result', 'log')]
        job_path, result_path, log_path = paths
        job_path.write_bytes(pickle.dumps((function, job)))
        variables = os.environ | dict(environment or {}) | {'PYTHONPATH': search_path()}
        with open(log_path, 'wb') as log:
            # The child ends when its standard input closes, that is, when this process ends.
            command = [
                sys.executable,
                '-m',
                'common.executors.worker',
                str(job_path),
                str(result_path),
            ]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=variables
            )
        try:
            on_start(process)
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            return Failure(f'no result within {timeout:g} s')
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
        # A call may end the process by itself, and with status 0, too.
        running = result_path.with_name(RUNNING).exists()
        if not process.returncode and not running:
            return pickle.loads(result_path.read_bytes())
        reason = _reason(process.returncode, log_path)
        if running:
            return Failure(reason)
        return Unavailable(f'{reason} (outside of the evaluation)')


def _reason(status: int, log: pathlib.Path) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        hint = ', as the system does when memory runs out' if -status == signal.SIGKILL else ''
        return f'the process was killed by {name}{hint}'
    lines = log.read_text(errors='replace').split('\n')
    last = next((line.strip() for line in reversed(lines) if line.strip()), 'it printed nothing')
    return f'the process ended with status {status}: {last[:400]}'
