"""The loop around a search: ask, evaluate, log, tell; it can resume after a kill."""

import collections
import contextlib
import time
from collections.abc import Callable

from common.stopping import Stop
from nas.search.evaluations import (
    Evaluation,
    Failure,
    Outcome,
    append_record,
    read_records,
    result_of,
    to_record,
)


class Guarded:
    """Times an evaluation, and turns an exception into a `Failure`; it can be pickled."""

    def __init__(self, evaluate: Callable):
        self._evaluate = evaluate

    def __call__(self, cell) -> Outcome:
        """Evaluates a cell."""
        start = time.perf_counter()
        try:
            result = self._evaluate(cell)
        except Exception as error:  # any exception is the failure of this candidate
            result = Failure(f'{type(error).__name__}: {error}')
        return Outcome(result, time.perf_counter() - start)


class _CellByCell:
    """Evaluates batches by a function of one cell."""

    def __init__(self, evaluate: Callable, executor):
        self._evaluate, self._executor = Guarded(evaluate), executor

    def batch(self, cells, history):
        del history
        if self._executor is None:
            yield from enumerate(map(self._evaluate, cells))
            return
        for index, outcome in self._executor.map(self._evaluate, cells):
            # Failures of the executor itself, such as a crashed process, have no time.
            yield index, Outcome(outcome) if isinstance(outcome, Failure) else outcome

    def replay(self, cell, result, record):
        pass


def run(
    search,
    evaluate: Callable,
    *,
    budget: int,
    path=None,
    executor=None,
    on_evaluation: Callable[[Evaluation], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
    stop: Stop | None = None,
) -> list[Evaluation]:
    """Runs a search until its budget is spent or its space is exhausted.

    Args:
        search: a fresh `nas.search.Search`, warm-started or not.
        evaluate: takes a cell and returns its objectives by name, or a `Failure`; an exception
            becomes one. Or an object with the methods `batch` and `replay` of
            `nas.training.candidates.Candidates`, which see whole batches.
        budget: number of evaluations, those of an interrupted run and failures included.
        path: the log, `evaluations.jsonl`. The search is first told what the log holds, so that a
            killed run goes on; None keeps no log.
        executor: as in `nas.executors`: its `map(function, cells)` yields (index, result) as they
            finish. It gets all remaining cells of a batch at once. None evaluates cells here, one
            after the other.
        on_evaluation: called with each new `Evaluation`.
        on_notice: called with a sentence about anything unusual in the log.
        stop: what ends the search early, or None.

    Returns:
        All evaluations of this search in the order of the log, in which results came in.

    Raises:
        Stopped: a stop was requested. Unfinished evaluations are given up, and the next run repeats
            them.
        ValueError: if the budget is smaller than a level, the log is damaged or of another space,
            or all of the first candidates fail; the message then lists the reasons.
    """
    level = search.config.keep
    check_budget(budget, level)
    whole = evaluate if hasattr(evaluate, 'batch') else _CellByCell(evaluate, executor)
    evaluations = _replay(search, path, on_notice or (lambda text: None), whole.replay)
    stop = stop or Stop()

    def take(cell, outcome):
        """Tells, logs and shows an evaluation."""
        evaluation = search.tell(cell, outcome.result)
        if path is not None:
            append_record(
                path,
                to_record(
                    len(evaluations),
                    evaluation,
                    seconds=outcome.seconds,
                    extra={**search.space.record(cell), **outcome.extra},
                ),
            )
        evaluations.append(evaluation)
        stop.kept = _kept(path, len(evaluations), budget)
        if on_evaluation is not None:
            on_evaluation(evaluation)

    stop.kept = _kept(path, len(evaluations), budget)
    while len(evaluations) < budget:
        cells = search.ask(budget - len(evaluations))
        if not cells:
            break
        # A copy of the earlier evaluations, since the search's own list grows during the batch.
        # Closing ends evaluations that still run.
        with contextlib.closing(whole.batch(cells, list(search.history))) as outcomes:
            for index, outcome in outcomes:
                with stop.held('this evaluation'):
                    take(cells[index], outcome)
        if len(evaluations) >= 2 * level:
            _check_some_succeed(evaluations)
    _check_some_succeed(evaluations)
    search.settle()
    return evaluations


def _kept(path, done: int, budget: int) -> str:
    """The message of a search that is stopped."""
    if path is None:
        return 'its evaluations are not kept'
    return f'{done} of {budget} evaluations are in {path}; the same command goes on after them'


def check_budget(budget: int, level: int) -> None:
    """Raises ValueError for a budget that is smaller than the largest level of a search."""
    if budget < level:
        raise ValueError(
            f'budget {budget} is smaller than a level of {level} cells; raise the budget '
            'or lower keep'
        )


def _replay(search, path, on_notice, on_record) -> list[Evaluation]:
    """Tells the search what its log holds."""
    if path is None:
        return []
    records, notice = read_records(path, repair=True)
    if notice:
        on_notice(notice)
    evaluations = []
    for number, record in enumerate(records, 1):
        try:
            cell, result = search.space.parse(record['cell']), result_of(record)
            evaluations.append(search.tell(cell, result))
            on_record(cell, result, record)
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f'{path} line {number} does not fit this search: {error}') from error
    return evaluations


def _check_some_succeed(evaluations) -> None:
    if not evaluations or any(e.status == 'ok' for e in evaluations):
        return
    reasons = collections.Counter(e.reason for e in evaluations).most_common(5)
    listed = '; '.join(f'{reason} ({count} times)' for reason, count in reasons)
    raise ValueError(f'all of the first {len(evaluations)} candidates failed: {listed}')
