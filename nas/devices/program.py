"""Runs a program that may do anything: hang, print without end, or leave children behind."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from nas.devices.base import DeviceError

KEPT = 1 << 16  # bytes of the end of an output
MOST = 1 << 28  # bytes after which a program that prints is killed
_GRACE = 2.0  # seconds for the rest of the output after the end of the program


def run_program(arguments: Sequence[str], *, timeout: float) -> tuple[int, str, str]:
    """Runs a program without a shell and without input.

    Args:
        arguments: the program and its arguments.
        timeout: seconds after which it is killed, and with it all that it has started.

    Returns:
        (exit status, the last 64 KiB of stdout, the same of stderr); minus the number of a signal
        that ended the program.

    Raises:
        DeviceError: it cannot be started, takes too long or prints more than 256 MiB.
    """
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A session of its own lets a kill reach all that it has started.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: an argument with a zero byte
        reason = getattr(error, 'strerror', None) or error
        raise DeviceError(f'command {arguments[0]!r} cannot be started: {reason}') from error
    streams = [_End(process, stream) for stream in (process.stdout, process.stderr)]
    try:
        process.wait(timeout)
    except BaseException as error:
        _kill(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise DeviceError(
                f'command {arguments[0]!r} gave no answer within {timeout} s'
            ) from None
        raise
    # A server that the program has left in the background may hold the output open for ever.
    end = time.monotonic() + _GRACE
    output, errors = (stream.text(max(0.0, end - time.monotonic())) for stream in streams)
    if any(stream.endless for stream in streams):
        raise DeviceError(f'command {arguments[0]!r} printed more than {MOST >> 20} MiB')
    return process.returncode, output, errors


def _kill(process: subprocess.Popen) -> None:
    """Kills a program and what it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _End:
    """Reads a stream in a thread and keeps its end.

    Attributes:
        endless: whether the stream was too long, for which the program was killed.
    """

    def __init__(self, process: subprocess.Popen, stream):
        self.endless = False
        self._kept, self._process, self._stream = b'', process, stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        length = 0
        with self._stream:
            while piece := os.read(self._stream.fileno(), KEPT):
                length += len(piece)
                self._kept = (self._kept + piece)[-KEPT:]
                if length > MOST and not self.endless:
                    self.endless = True
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self._process.pid, signal.SIGKILL)

    def text(self, patience: float) -> str:
        """The end of the stream, after waiting some seconds for it."""
        self._thread.join(patience)
        return self._kept.decode(errors='replace')
