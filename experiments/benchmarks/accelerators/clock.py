"""How the parts time what they compute, and what memory it takes."""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import jax


def device() -> dict[str, str]:
    """What JAX computes on: {'backend', 'device'}."""
    return {'backend': jax.default_backend(), 'device': jax.devices()[0].device_kind}


def first(call: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds of the first call, which compiles, its result)."""
    start = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - start, result


def repeated(
    call: Callable[[], Any],
    seconds: float,
    *,
    most: int = 200,
    wait: Callable[[Any], Any] = jax.block_until_ready,
) -> tuple[float, int]:
    """Times calls that follow each other without waiting, as in a training.

    Args:
        call: function that was called before.
        seconds: that all calls may take, about.
        most: largest number of calls.
        wait: waits for a result.

    Returns:
        (seconds of one call, how many were timed); one at least.
    """
    start = time.perf_counter()
    wait(call())
    one = time.perf_counter() - start
    count = int(min(most, max(1, (seconds - one) / max(one, 1e-9))))
    start = time.perf_counter()
    for _ in range(count):
        result = call()
    wait(result)
    return (time.perf_counter() - start) / count, count


def peak_memory() -> dict[str, Any]:
    """Largest memory so far: of the device, or of the process where JAX does not count it."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if 'peak_bytes_in_use' in stats:
        return {'peak_bytes': stats['peak_bytes_in_use'], 'memory_of': 'device'}
    unit = 1 if sys.platform == 'darwin' else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {'peak_bytes': peak, 'memory_of': 'process'}
