"""Several candidates at once on this machine, each in a process of its own."""

import concurrent.futures
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from common.executors import isolated
from common.patience import Unavailable


class ProcessExecutor:
    """See `common.executors.base.Executor`. A crash, kill or time-out fails that candidate only."""

    def __init__(
        self,
        *,
        workers: int = 1,
        timeout: float | None = None,
        platform: str | None = None,
        devices: Sequence[str] = (),
        devices_per_candidate: int = 1,
        compilation_cache: str | None = None,
    ):
        """Prepares the slots in which candidates run.

        Args:
            workers: candidates at once.
            timeout: seconds for one candidate, the start of its process included.
            platform: JAX platform of the candidates, for example 'cpu', or None for that of this
                process.
            devices: identifiers of the CUDA devices to divide among the candidates; with none, no
                devices are set.
            devices_per_candidate: how many of `devices` each candidate sees.
            compilation_cache: folder of JAX's persistent compilation cache, or None.

        Raises:
            ValueError: for a number out of range.
        """
        if workers < 1:
            raise ValueError(f'workers is {workers}, it has to be at least 1')
        if timeout is not None and not timeout > 0:
            raise ValueError(f'timeout is {timeout}, it has to be more than 0 seconds')
        if devices_per_candidate < 1 or devices and devices_per_candidate > len(devices):
            raise ValueError(
                f'devices_per_candidate is {devices_per_candidate}, but there are '
                f'{len(devices)} devices; accepted: at least 1 and at most as many as there are'
            )
        self._timeout = timeout
        self._environments = [
            _environment(
                slot, workers, platform, list(devices), devices_per_candidate, compilation_cache
            )
            for slot in range(workers)
        ]

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yields (index, what came of it), see `Executor`; leaving the loop kills the rest."""
        isolated.check_importable(function)
        free, running = queue.SimpleQueue(), _Running()
        for environment in self._environments:
            free.put(environment)

        def one(job):
            environment = free.get()
            try:
                return isolated.run(
                    function,
                    job,
                    environment=environment,
                    timeout=self._timeout,
                    on_start=running.add,
                )
            except OSError as error:
                return Unavailable(f'the process of a candidate could not be run: {error}')
            finally:
                free.put(environment)

        pool = concurrent.futures.ThreadPoolExecutor(len(self._environments))
        try:
            futures = {pool.submit(one, job): index for index, job in enumerate(jobs)}
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        finally:
            running.end()
            pool.shutdown(cancel_futures=True)


class _Running:
    """The running processes; `end` kills them, and also those that a thread starts after it."""

    def __init__(self):
        self._processes: list[subprocess.Popen] = []
        self._ended = False
        self._lock = threading.Lock()

    def add(self, process: subprocess.Popen) -> None:
        with self._lock:
            self._processes = [other for other in self._processes if other.returncode is None] + [
                process
            ]
            if self._ended:
                process.kill()

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.kill()


def _environment(
    slot: int,
    workers: int,
    platform: str | None,
    devices: list[str],
    per_candidate: int,
    cache: str | None,
) -> dict[str, str]:
    """Environment variables of the candidates of one slot, which gets its devices in turn."""
    environment = {}
    if platform is not None:
        environment[isolated.PLATFORM] = platform
    if cache is not None:
        environment[isolated.CACHE] = str(cache)
    if devices:
        mine = [devices[(slot * per_candidate + i) % len(devices)] for i in range(per_candidate)]
        environment[isolated.DEVICES] = ','.join(mine)
    if workers * per_candidate > len(devices):
        # JAX would take most of a GPU's memory at once, and leave none for a second candidate.
        environment[isolated.PREALLOCATE] = 'false'
    return environment
