"""Evaluates all cells of a batch, in several rounds if something is away for a while."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from common.patience import Patience, Unavailable
from common.stopping import Stop
from nas.search.evaluations import Evaluation, Outcome


def outcomes(
    evaluator,
    cells: Sequence,
    history: Sequence[Evaluation],
    *,
    patience: Patience,
    stop: Stop,
    say: Callable[[str], None],
) -> Iterator[tuple[int, Outcome]]:
    """Evaluates a batch; cells whose outcome is `Unavailable` are evaluated again after a pause.

    Rounds in which no cell was evaluated are failures in a row.

    Args:
        evaluator: its `batch(cells, history)` yields (index, `Outcome`), in any order. Cells that
            it leaves out are waiting for the next round, and if it raises an OSError, the rest is.
        cells: the batch.
        history: evaluations of earlier batches.
        patience: how often and how long to wait.
        stop: what ends a pause early.
        say: takes a sentence about a pause.

    Yields:
        (index of the cell, its `Outcome`), none of them `Unavailable`.

    Raises:
        Unavailable: no attempt is left; cells may be without an outcome.
        Stopped: there was a request to stop during a pause.
    """
    waiting, failures = list(range(len(cells))), 0
    while waiting:
        reason, done = None, set()
        try:
            with contextlib.closing(
                evaluator.batch([cells[index] for index in waiting], history)
            ) as results:
                for number, outcome in results:
                    if isinstance(outcome.result, Unavailable):
                        reason = reason or outcome.result
                        continue
                    done.add(number)
                    yield waiting[number], outcome
        except OSError as error:
            reason = error if str(error) else type(error).__name__
        waiting = [index for number, index in enumerate(waiting) if number not in done]
        if waiting:
            failures = 1 if done else failures + 1
            reason = reason or f'{len(waiting)} cells were not evaluated'
            patience.wait(failures, reason, stop=stop, say=say)
