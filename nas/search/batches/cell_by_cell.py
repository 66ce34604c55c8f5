"""Evaluates batches by a function of one cell."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from common.patience import Unavailable
from nas.search.batches.lost import map_again
from nas.search.evaluations import Evaluation, Failure, Outcome


class Guarded:
    """Times an evaluation, and turns exceptions into values; it can be pickled."""

    def __init__(self, evaluate: Callable):
        self._evaluate = evaluate

    def __call__(self, cell) -> Outcome:
        """Evaluates a cell.

        An OSError comes from a file, a disk, a network or a device, hence not from the cell: the
        result is then `Unavailable`. Any other exception, and any other result than objectives by
        name, is a `Failure` of the cell.
        """
        start = time.perf_counter()
        try:
            result = self._evaluate(cell)
            problem = _problem(result)
            result = Failure(problem) if problem else result
        except Unavailable as error:
            result = Unavailable(str(error))
        except OSError as error:
            result = Unavailable(f'{type(error).__name__}: {error}')
        except Exception as error:  # any exception is the failure of this candidate
            result = Failure(f'{type(error).__name__}: {error}')
        return Outcome(result, time.perf_counter() - start)


def _problem(result: Any) -> str:
    """What is wrong with the result of an evaluation, or ''."""
    if isinstance(result, (Failure, Unavailable)):
        return ''
    if not isinstance(result, Mapping):
        return (
            f'evaluate returned {_shown(result)}; a dict of objectives by name, or a Failure is '
            'accepted'
        )
    for name, value in result.items():
        if not isinstance(name, str):
            return f'evaluate named an objective {_shown(name)}; a text is accepted'
        try:
            if isinstance(value, (str, bytes, bool)):
                raise ValueError('neither texts nor truth values are objectives')
            float(value)
        except (TypeError, ValueError, OverflowError):
            return f'evaluate returned {_shown(value)} as {name}; a number is accepted'
    return ''


def _shown(value: Any) -> str:
    return repr(value)[:200]


class CellByCell:
    """Has the methods of `nas.training.candidates.Candidates` that a search needs."""

    def __init__(self, evaluate: Callable, executor=None):
        """Names the function.

        Args:
            evaluate: takes a cell, see `nas.search.loop.run`.
            executor: as in `common.executors`, or None to evaluate one cell after the other here.
        """
        self._evaluate, self._executor = Guarded(evaluate), executor

    def batch(
        self, cells: Sequence, history: Sequence[Evaluation] = ()
    ) -> Iterator[tuple[int, Outcome]]:
        """Yields (index of the cell, its `Outcome`) in the order in which they finish."""
        del history
        if self._executor is None:
            for index, cell in enumerate(cells):
                outcome = self._evaluate(cell)
                yield index, outcome
                if isinstance(outcome.result, Unavailable):
                    return  # it is missing for the next cell, too
            return
        for index, outcome in map_again(self._executor, self._evaluate, cells):
            # What the executor itself says, for example of a crashed process, has no time.
            yield index, outcome if isinstance(outcome, Outcome) else Outcome(outcome)

    def replay(self, cell, result, record) -> None:
        """Takes in a result of an earlier run: nothing to remember."""
