"""The protocol of executors, and what becomes of an exception."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from nas.search.evaluations import Failure


class Executor(Protocol):
    """Something that evaluates candidates."""

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Calls a function on every job.

        What a job needs is in the job, its seed too: no result depends on the worker that computes
        it or on when.

        Args:
            function: of one argument; it has to be importable from its module for all executors but
                the serial one.
            jobs: values that can be pickled.

        Yields:
            (index of the job, its result or a `Failure`), in the order in which they finish.
        """
        ...


def attempt(function: Callable[[Any], Any], job: Any) -> Any:
    """Returns the function's result, or a `Failure` with the sentence of its exception."""
    try:
        return function(job)
    except Exception as error:
        return Failure(describe(error))


def describe(error: BaseException) -> str:
    """One line for an exception, with its type unless the sentence was made for users."""
    sentence = ' '.join(str(error).split())[:400]
    if sentence and isinstance(error, (ValueError, FloatingPointError)):
        return sentence
    return f'{type(error).__name__}: {sentence}' if sentence else type(error).__name__
