"""One candidate after the other in this process: no start-up cost, but a crash ends the search."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nas.executors.base import attempt


class SerialExecutor:
    """See `nas.executors.base.Executor`."""

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yields (index, result or `Failure`) in the order of the jobs."""
        for index, job in enumerate(jobs):
            yield index, attempt(function, job)
