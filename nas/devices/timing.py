"""How long one call takes, on a machine that other programs use too. Needs NumPy alone."""

import math
import time
from collections.abc import Callable

import numpy as np

_CALLS = 5  # that a slow network is timed for in any case


def quietest_round(
    call: Callable[[], object],
    *,
    warmup: int,
    repeats: int,
    min_seconds: float = 0,
    max_seconds: float = math.inf,
) -> list[float]:
    """Times rounds of calls, and keeps the one with the lowest median.

    What else runs on a processor, in other virtual machines too, only ever adds to a time, and it
    comes and goes within seconds: medians of single rounds of a small network differ by a factor of
    two, those of the quietest round mostly by a few percent. The argument for the least instead of
    the mean is that of Chen and Revels (2016, arXiv:1608.04295).

    Args:
        call: returns when its work is done.
        warmup: calls before the timed ones.
        repeats: calls of a round.
        min_seconds: round follows round for this long; there is one in any case.
        max_seconds: seconds after which timing ends, but for five calls in any case.

    Returns:
        Milliseconds of every call of that round.
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
