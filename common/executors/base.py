"""The protocol of executors, and values in place of exceptions.

Two kinds of errors come as values: a `Failure` is the fault of a candidate; `Unavailable` says
that a process, a node, a disk or the data set was away, and nothing about the candidate.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from common.failure import Failure
from common.patience import Unavailable


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
            (index of the job, its result, a `Failure` or an `Unavailable`), in the order in which
            they finish. Jobs may be left out after an `Unavailable`.

        Raises:
            Unavailable: jobs cannot be started for now; those without a result are given up.
        """
        ...


def attempt(function: Callable[[Any], Any], job: Any) -> Any:
    """Returns the function's result, or a value that describes its exception.

    An OSError comes from a file, a disk, a network or a device, hence not from the candidate.
    """
    try:
        return function(job)
    except OSError as error:
        return Unavailable(describe(error))
    except Exception as error:
        return Failure(describe(error))


def describe(error: BaseException) -> str:
    """Describes an exception in one line; names its type unless the text was written for users."""
    sentence = ' '.join(str(error).split())[:400]
    if sentence and isinstance(error, (ValueError, FloatingPointError, Unavailable)):
        return sentence
    return f'{type(error).__name__}: {sentence}' if sentence else type(error).__name__
