"""Errors that are not the fault of the work, and patience with them.

A board that is switched off, a node that dies and a disk that is full say nothing about what was
computed there. They are OSErrors, most of them `Unavailable`: whoever loops over work tries again
after a pause, and gives up after some failures in a row.
"""

import dataclasses
import time
from collections.abc import Callable

from common.stopping import Stop

_LONGEST = 125.0  # seconds
_STEP = 0.2  # seconds between two looks at a request to stop


class Unavailable(OSError):
    """Something that the work needs does not answer; the message is one sentence about it."""


class Lost(Unavailable):
    """The machine or process that did the work has gone, maybe because of the work."""


@dataclasses.dataclass(frozen=True)
class Patience:
    """How often and how long to wait for something that does not answer.

    Attributes:
        retries: number of further attempts after a failure.
        pause: seconds before the first of them; each pause is five times as long as the one before,
            but at most 125 s, or `pause` if that is longer.

    Raises:
        ValueError: on creation, for a negative number.
    """

    retries: int = 3
    pause: float = 1.0

    def __post_init__(self):
        for name in ('retries', 'pause'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} is {getattr(self, name)}; at least 0 is accepted')

    def seconds(self, failures: int) -> float:
        """The pause after so many failures in a row, from 1."""
        # The power is bounded, since a float cannot hold that of a thousand failures.
        return min(self.pause * 5.0 ** min(failures - 1, 20), max(_LONGEST, self.pause))

    def wait(
        self,
        failures: int,
        reason: object,
        *,
        stop: Stop | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Waits before the next attempt.

        Args:
            failures: number of failures in a row, from 1.
            reason: of the last one.
            stop: what ends the pause early, or None.
            say: takes a sentence about the pause.

        Raises:
            Unavailable: no attempt is left.
            Stopped: there was a request to stop.
        """
        if failures > self.retries:
            times = f'{failures} attempts in a row failed' if failures > 1 else 'it was tried once'
            raise Unavailable(f'{reason} ({times})')
        seconds = self.seconds(failures)
        say(f'{reason}; trying again in {seconds:g} s ({failures} of {self.retries})')
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if stop is not None:
                stop.check()
            time.sleep(min(left, _STEP))
        if stop is not None:
            stop.check()
