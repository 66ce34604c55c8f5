"""Times a call on a machine that other programs use too. Needs only NumPy."""

import math
import time
from collections.abc import Callable

import numpy as np

_CALLS = 5  # least number of timed calls, also of a slow network


def quietest_round(
    call: Callable[[], object],
    *,
    warmup: int,
    repeats: int,
    min_seconds: float = 0,
    max_seconds: float = math.inf,
) -> list[float]:
    """Times rounds of calls, and keeps the one with the lowest median.

    Other load on the processor, also from other virtual machines, can only make a call slower, and
    it comes and goes within seconds. Medians of single rounds of a small network differ by a factor
    of two, medians of the quietest round mostly by a few percent. Chen and Revels (2016,
    arXiv:1608.04295) argue for the least time instead of the mean in the same way.

    Args:
        call: function that returns when its work is done.
        warmup: calls before the timed ones.
        repeats: calls of a round.
        min_seconds: rounds are repeated for this long; there is at least one.
        max_seconds: timing ends after this many seconds, but not before five calls.

    Returns:
        Milliseconds of every call of the quietest round.
    """
    for _ in range(warmup):
        call()
    started, best = time.perf_counter(), []
    while not best or time.perf_counter() - started < min(min_seconds, max_seconds):
        times = []
        while len(times) < repeats and (
            len(times) < _CALLS or time.perf_counter() - started <= max_seconds
        ):
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
        if not best or (len(times) == repeats and np.median(times) < np.median(best)):
            best = times
    return best
