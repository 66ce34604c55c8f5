"""Evaluations that several runs of a benchmark share."""

import pathlib
from collections.abc import Iterator, Sequence

from common.patience import Unavailable
from nas.search.evaluations import (
    Evaluation,
    Failure,
    Outcome,
    append_record,
    read_records,
    result_of,
    to_record,
)
from nas.search.space import Space


class Remembered:
    """Candidates of one seed, kept in a log by cell, so that no cell is trained twice.

    Has the methods of `nas.training.candidates.Candidates` that `nas.search.loop.run` wants.
    """

    def __init__(self, candidates, space: Space, path: pathlib.Path, seed: int):
        """Reads the log.

        Args:
            candidates: evaluates batches, without early stopping.
            space: tells which cells are the same, and counts them.
            path: the log, of all seeds.
            seed: of the candidates.

        Raises:
            ValueError: the log is damaged before its last line.
        """
        self._candidates, self._space, self._path, self._seed = candidates, space, path, seed
        self._known = {
            self._space.key(self._space.parse(record['cell'])): record
            for record in read_records(path, repair=True)[0]
            if record['seed'] == seed
        }

    def batch(self, cells: Sequence, history: Sequence[Evaluation] = ()) -> Iterator[tuple]:
        """Yields (index, `Outcome`), those of known cells first."""
        del history  # there is no early stopping that would compare with it
        known = [self._space.key(cell) in self._known for cell in cells]
        for index, cell in enumerate(cells):
            if known[index]:
                record = self._known[self._space.key(cell)]
                yield index, Outcome(result_of(record), record['seconds'])
        rest = [index for index in range(len(cells)) if not known[index]]
        for number, outcome in self._candidates.batch([cells[index] for index in rest]):
            if not isinstance(outcome.result, Unavailable):
                self._write(cells[rest[number]], outcome)
            yield rest[number], outcome

    def replay(self, cell, result, extra) -> None:
        """Does nothing: the log holds all evaluations."""

    def _write(self, cell, outcome: Outcome) -> None:
        result = outcome.result
        status, reason, objectives = 'ok', '', result
        if isinstance(result, Failure):
            status, reason, objectives = result.status, result.reason, result.objectives
        evaluation = Evaluation(cell, cell.level, dict(objectives), status, reason)
        record = to_record(
            len(self._known), evaluation, seconds=outcome.seconds, extra={'seed': self._seed}
        )
        append_record(self._path, record)
        self._known[self._space.key(cell)] = record

    def seconds(self, cell) -> float:
        """How long the cell was trained, now or before."""
        return self._known[self._space.key(cell)]['seconds']

    def point(self, cell, objectives: Sequence[str]) -> list[float] | None:
        """The objectives of an evaluated cell, None if it failed."""
        record = self._known[self._space.key(cell)]
        values = {**self._space.costs(cell), **record['objectives']}
        return [values[name] for name in objectives] if record['status'] == 'ok' else None
