"""One candidate after the other in this process: no start-up cost, but a crash ends the search."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from common.executors.base import attempt
from common.patience import Unavailable


class SerialExecutor:
    """See `common.executors.base.Executor`."""

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yields (index, what came of it), see `Executor`, in the order of the jobs.

        An `Unavailable` is the last: what is missing for one job is missing for the next, too.
        """
        for index, job in enumerate(jobs):
            result = attempt(function, job)
            yield index, result
            if isinstance(result, Unavailable):
                return
