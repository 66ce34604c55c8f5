"""The loop around a search: ask, evaluate, log, tell; it can resume after a kill.

Errors of a cell are recorded as its failure. Errors of what evaluations need (a device, a node, a
disk, the reader of the data) are not: the loop waits and asks again, and stops after some of them
in a row, with nothing recorded.
"""

import collections
import contextlib
from collections.abc import Callable, Mapping

from common.patience import Patience, Unavailable
from common.stopping import Stop
from nas.search.batches import rounds
from nas.search.batches.cell_by_cell import CellByCell
from nas.search.batches.failed import set_failed_aside
from nas.search.evaluations import Evaluation, append_record, read_records, result_of, to_record

_PATIENT = Patience()


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
    patience: Patience = _PATIENT,
    retry_failed: bool = False,
    record: Mapping[str, object] | None = None,
) -> list[Evaluation]:
    """Runs a search until its budget is spent or its space is exhausted.

    Args:
        search: a fresh `nas.search.Search`, warm-started or not.
        evaluate: takes a cell and returns its objectives by name, or a `Failure`; an exception, and
            any other result, becomes one. An OSError, such as `Unavailable`, is not the fault of
            the cell, see `patience`. Or an object with the methods `batch` and `replay` of
            `nas.training.candidates.Candidates`, which see whole batches.
        budget: number of evaluations, those of an interrupted run and failures included.
        path: the log, `evaluations.jsonl`. The search is first told what the log holds, so that a
            killed run goes on; None keeps no log.
        executor: as in `common.executors`: its `map(function, cells)` yields (index, result) when
            they finish. It gets all remaining cells of a batch at once. None evaluates cells here,
            one after the other.
        on_evaluation: called with each new `Evaluation`.
        on_notice: called with a sentence about anything unusual in the log, and about pauses.
        stop: what ends the search early, or None.
        patience: how often and how long to wait for what evaluations need, such as a device.
        retry_failed: whether what has failed by the log is evaluated again: its lines move to
            `NAME.failed` beside the log.
        record: further entries of every line of the log.

    Returns:
        All evaluations of this search in the order of the log, in which results came in.

    Raises:
        Stopped: a stop was requested. Unfinished evaluations are given up, and the next run repeats
            them.
        Unavailable: what evaluations need is away for longer than `patience`. As after `Stopped`,
            the next run goes on.
        ValueError: if the budget is smaller than a level, the log is damaged or of another space,
            or all of the first candidates fail; the message then lists the reasons.
    """
    level = search.config.keep
    check_budget(budget, level)
    whole = evaluate if hasattr(evaluate, 'batch') else CellByCell(evaluate, executor)
    notice = on_notice or (lambda text: None)
    again = set_failed_aside(path) if retry_failed and path is not None else []
    if again:
        notice(f'{len(again)} failed evaluations are done again; {path}.failed tells how they were')
    evaluations = _replay(search, path, notice, whole.replay)
    log = _Log(search, evaluations, path, budget, stop or Stop(), record or {})
    batch = [search.space.parse(cell) for cell in again][: log.left]
    while log.left:
        cells = batch or search.ask(log.left)
        batch = []
        if not cells:
            break
        # A copy of the earlier evaluations, since the search's own list grows during the batch.
        outcomes = rounds.outcomes(
            whole, cells, list(search.history), patience=patience, stop=log.stop, say=notice
        )
        # Closing ends evaluations that still run.
        with contextlib.closing(outcomes):
            for index, outcome in _or_stop(outcomes, log.stop):
                with log.stop.held('this evaluation'):
                    evaluation = log.add(cells[index], outcome)
                    if on_evaluation is not None:
                        on_evaluation(evaluation)
        if len(evaluations) >= 2 * level:
            _check_some_succeed(evaluations)
    _check_some_succeed(evaluations)
    search.settle()
    return evaluations


class _Log:
    """Tells a search what was evaluated, writes it down, and knows what a stop leaves.

    Attributes:
        stop: request to stop, or none; it says what is kept.
    """

    def __init__(self, search, evaluations, path, budget, stop, record):
        self._search, self._evaluations, self._record = search, evaluations, record
        self._path, self._budget, self.stop = path, budget, stop
        self._keep()

    @property
    def left(self) -> int:
        """What is left of the budget."""
        return max(0, self._budget - len(self._evaluations))

    def add(self, cell, outcome) -> Evaluation:
        """Takes an outcome; returns what the search made of it."""
        evaluation = self._search.tell(cell, outcome.result)
        if self._path is not None:
            extra = {**self._record, **self._search.space.record(cell), **outcome.extra}
            number = len(self._evaluations)
            append_record(
                self._path, to_record(number, evaluation, seconds=outcome.seconds, extra=extra)
            )
        self._evaluations.append(evaluation)
        self._keep()
        return evaluation

    def _keep(self):
        if self._path is None:
            self.stop.kept = 'its evaluations are not kept'
        else:
            self.stop.kept = (
                f'{len(self._evaluations)} of {self._budget} evaluations are in {self._path}; the'
                ' same command goes on after them'
            )


def _or_stop(outcomes, stop: Stop):
    """The outcomes; says what is kept if what evaluations need stays away."""
    try:
        yield from outcomes
    except Unavailable as error:
        raise Unavailable(
            f'{error}; the search stops, counts no failure for this and can go on once it works: '
            f'{stop.kept}'
        ) from error


def check_budget(budget: int, level: int) -> None:
    """Raises ValueError for a budget that is smaller than the largest level of a search."""
    if budget < level:
        raise ValueError(
            f'--budget={budget} is smaller than a level of {level} cells; raise it or lower --keep'
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
            cell, result = search.parse(record['cell']), result_of(record)
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
    raise ValueError(
        f'all of the first {len(evaluations)} candidates failed: {listed}; once the reason is gone,'
        ' --retry_failed evaluates them again'
    )
