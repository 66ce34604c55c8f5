"""Processes with a time limit, and what they leave behind: lines of JSON that survive a kill."""

import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from common.run import jsonable

ROOT = pathlib.Path(__file__).resolve().parents[3]
GRACE = 10  # seconds between a request to stop and the kill
COMPILED = 'compiled'  # folder of programs that two parts share
_POLL = 0.1


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        how: 'done', 'failed' or 'out of time'.
        seconds: that it took.
        words: the last line that it printed, '' if it printed nothing.
    """

    how: str
    seconds: float
    words: str


def run(
    command: Sequence[str],
    log: pathlib.Path,
    seconds: float,
    *,
    environment: dict[str, str] | None = None,
    request: signal.Signals = signal.SIGTERM,
    grace: float = GRACE,
) -> Ended:
    """Runs a command in the root of the repository, with all that it starts, for a limited time.

    Args:
        command: the program and its arguments.
        log: file that gets what it prints.
        seconds: until it is asked to stop.
        environment: variables beside those of this process.
        request: the signal that asks it to stop.
        grace: seconds after that until it is killed.
    """
    start = time.monotonic()
    with log.open('w') as file:
        process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {'PYTHONUNBUFFERED': '1'} | (environment or {}),
            start_new_session=True,
        )
        try:
            late = not _ends(process, start + seconds)
            if late:
                _send(process, request)
                _ends(process, time.monotonic() + grace)
        finally:
            # Also what it started and left behind, which may hold the device.
            _send(process, signal.SIGKILL)
            process.wait()
    how = 'out of time' if late else 'failed' if process.returncode else 'done'
    return Ended(how, time.monotonic() - start, last_words(log))


def _ends(process, deadline):
    """Whether a process ends before the deadline."""
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _send(process, number):
    """Sends a signal to a process and to all that it started."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def last_words(log: pathlib.Path) -> str:
    """The last line of a log that is not empty, cut to 300 characters."""
    text = log.read_text(errors='replace').replace('\r', '\n')
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ''


def add_row(path: pathlib.Path, row: dict) -> None:
    """Adds a line of JSON; a line that a killed process began stays a line of its own."""
    with path.open('a+b') as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b'\n':
                file.write(b'\n')
        file.write(json.dumps(jsonable(row)).encode() + b'\n')


def read_rows(path: pathlib.Path) -> list[dict]:
    """All whole lines of a file of JSON lines; none if there is no file."""
    rows = []
    for line in path.read_text(errors='replace').splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the line that a killed process was writing
        if isinstance(row, dict):
            rows.append(row)
    return rows
