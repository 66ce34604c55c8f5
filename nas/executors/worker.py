"""The process of `nas.executors.isolated`: `python -m nas.executors.worker JOB RESULT`."""

import os
import pathlib
import pickle
import signal
import sys
import threading

from common.stopping import SIGNALS


def _end_with_parent() -> None:
    """Waits for the end of standard input, which the parent holds open as long as it lives."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


def main(job_path: str, result_path: str) -> None:
    """Reads a pickled (function, job), and writes the pickled result or `Failure`."""
    # Ctrl-C reaches every process of the terminal, and SIGTERM every process of a Slurm step; only
    # the parent acts on them.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from common.memory import keep_memory
    from nas.executors.base import attempt

    keep_memory()

    def call(payload):
        function, job = pickle.loads(payload)
        return pickle.dumps(function(job))

    outcome = attempt(call, pathlib.Path(job_path).read_bytes())
    pathlib.Path(result_path).write_bytes(
        outcome if isinstance(outcome, bytes) else pickle.dumps(outcome)
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
