"""The protocol of executors, and failures in place of exceptions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from nas.search.evaluations import Failure


class Executor(Protocol):
    """Something that evaluates candidates."""

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Calls a function on every job.

        A job holds everything that it needs, also its seed, so that its result does not depend on
        the worker or on the time.

        Args:
            function: takes one argument. For all executors but the serial one it has to be
                importable from its module.
            jobs: values that can be pickled.

        Yields:
            (index of the job, its result or a `Failure`), in the order in which they finish.
        """
        ...


def attempt(function: Callable[[Any], Any], job: Any) -> Any:
    """Returns the function's result, or a `Failure` that describes its exception."""
    try:
        return function(job)
    except Exception as error:
        return Failure(describe(error))


def describe(error: BaseException) -> str:
    """Describes an exception in one line; names its type unless the text was written for users."""
    sentence = ' '.join(str(error).split())[:400]
    if sentence and isinstance(error, (ValueError, FloatingPointError)):
        return sentence
    return f'{type(error).__name__}: {sentence}' if sentence else type(error).__name__
