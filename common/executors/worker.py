"""The process of `common.executors.isolated`: `python -m common.executors.worker JOB RESULT`."""

import os
import pathlib
import pickle
import signal
import sys
import threading

from common.stopping import SIGNALS

# A file that exists beside that of the result while the candidate is evaluated: what ends the
# process then is the candidate's fault.
RUNNING = 'running'


def _end_with_parent() -> None:
    """Waits for the end of standard input, which the parent holds open as long as it lives."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


def main(job_path: str, result_path: str) -> None:
    """Reads a pickled (function, job), and writes the pickled result or what came instead."""
    # Ctrl-C reaches every process of the terminal, and SIGTERM every process of a Slurm step; only
    # the parent acts on them.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from common.executors.base import attempt
    from common.memory import keep_memory

    keep_memory()

    function, job = pickle.loads(pathlib.Path(job_path).read_bytes())
    running = pathlib.Path(result_path).with_name(RUNNING)
    running.touch()
    outcome = attempt(lambda job: pickle.dumps(function(job)), job)
    running.unlink()
    pathlib.Path(result_path).write_bytes(
        outcome if isinstance(outcome, bytes) else pickle.dumps(outcome)
    )


if __name__ == '__main__':
    main(*sys.argv[1:])
