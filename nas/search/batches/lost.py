"""Tells candidates that take their machine down from machines that go down by themselves."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from common.patience import Lost, Unavailable
from nas.search.evaluations import Failure


def map_again(executor, function: Callable, jobs: Sequence) -> Iterator[tuple[int, Any]]:
    """Maps jobs, and lost ones once more.

    A job that is lost twice, before and after an empty job that came through, has taken down its
    machine or process by itself: it has failed. If the empty job does not come through either, the
    executor is away.

    Args:
        executor: see `common.executors.base.Executor`.
        function, jobs: see its `map`.

    Yields:
        (index of the job, its result, a `Failure` or an `Unavailable`), as they finish.

    Raises:
        Unavailable: jobs cannot be started for now; those without a result are given up.
    """
    lost = {}
    for index, result in executor.map(function, jobs):
        if isinstance(result, Lost):
            lost[index] = result
        else:
            yield index, result
    if lost and not _answers(executor):
        yield from lost.items()
        return
    places, again = list(lost), {}
    for number, result in executor.map(function, [jobs[place] for place in places]) if lost else ():
        if isinstance(result, Lost):
            again[places[number]] = result
        else:
            yield places[number], result
    blamed = bool(again) and _answers(executor)
    for index, result in again.items():
        reason = f'lost twice, while other jobs came through: {result}'
        yield index, Failure(reason) if blamed else Unavailable(str(result))


def _answers(executor) -> bool:
    """Whether an empty job comes through."""
    return [result for _, result in executor.map(_empty, [0])] == [0]


def _empty(job: int) -> int:
    return job
