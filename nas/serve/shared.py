"""One search that several processes evaluate, each at its own pace, through one log.

    search = Search(space, 'error,latency_ms', seed=0)
    shared = SharedSearch(search, 'evaluations.jsonl', budget=200)
    for cell in shared.cells():
        shared.tell(cell, evaluate(cell))

Every process runs these lines with the same search. The log `evaluations.jsonl` is all that they
share: each process tells its own search what the others have appended, so all of them plan the same
batches. A lock lets one of them write at a time. A killed process loses only its claims: others get
its cells.
"""

import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from nas.devices import lock
from nas.search import pareto
from nas.search.evaluations import (
    Evaluation,
    Failure,
    append_record,
    read_records,
    result_of,
    to_record,
)
from nas.search.search import Search
from nas.serve.claims import Claims


class SharedSearch:
    """A `Search` whose cells several processes ask for and tell.

    Attributes:
        search: of this process.
        path: the log.
        budget: number of evaluations of all processes together, failures included.
        evaluations: those in the log, in its order, as far as this process has read it.
    """

    def __init__(self, search: Search, path, *, budget: int):
        """Reads the log.

        Args:
            search: a fresh search, equal in all processes: the same space, objectives and seed.
            path: the log, `evaluations.jsonl`; its folder exists. Files `<path>.lock` and
                `<path>.claims/` stand beside it.
            budget: number of evaluations of all processes together.

        Raises:
            ValueError: the budget is below 1, or the log is damaged or of another search.
        """
        if budget < 1:
            raise ValueError(f'budget is {budget}, it has to be at least 1')
        self.search, self.path, self.budget = search, pathlib.Path(path).expanduser(), budget
        self.evaluations: list[Evaluation] = []
        self._batch = []  # cells of the open batch
        self._keys = set()  # of told cells
        self._lock = self.path.with_name(f'{self.path.name}.lock')
        self._claims = Claims(self.path.with_name(f'{self.path.name}.claims'))
        with lock.alone(self._lock):
            self._read()

    @property
    def left(self) -> int:
        """Number of results that the budget still lacks."""
        return max(0, self.budget - len(self.evaluations))

    @property
    def done(self) -> bool:
        """Whether the budget is spent or the space has no further cell."""
        return not self.left or self.search.exhausted

    @property
    def asked(self) -> int:
        """Number of cells that this process has asked for and not told."""
        return len(self._claims)

    def ask(self, n: int = 1) -> list:
        """Claims cells for this process.

        Args:
            n: how many at most.

        Returns:
            Cells that nobody else evaluates; fewer than n, or none, while others evaluate the rest
            of a batch, or if the search is `done`.

        Raises:
            ValueError: n is below 1, or the log is damaged.
        """
        if n < 1:
            raise ValueError(f'n is {n}, but at least one cell has to be asked for')
        with lock.alone(self._lock):
            self._read()
        # Planning takes seconds, in which others may write.
        self._open_batch()
        with lock.alone(self._lock):
            self._read()
            cells = []
            for cell in self._open_batch()[: self.left]:
                key = self.search.space.key(cell)
                if len(cells) < n and key not in self._claims and self._claims.take(key):
                    cells.append(cell)
            return cells

    def cells(self, *, pause: float = 1.0) -> Iterator[Any]:
        """Yields one cell after the other until the search is done.

        Each of them has to be told before the next one is taken.

        Args:
            pause: seconds between two looks at the log while others evaluate the rest of a batch.
        """
        while not self.done:
            cells = self.ask(1)
            if cells:
                yield cells[0]
            elif not self.done:
                time.sleep(pause)

    def tell(
        self,
        cell,
        result: Mapping[str, float] | Failure,
        *,
        seconds: float = 0.0,
        extra: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """Appends the result of a cell, asked for or not, to the log.

        Args:
            cell: the cell.
            result: objectives by name, or a `Failure`.
            seconds: how long its evaluation took.
            extra: further entries of its record.

        Returns:
            The evaluation as it is recorded.

        Raises:
            ValueError: the cell is no complete cell of the space, has been told before, or an
                objective is missing. Nothing is recorded then.
        """
        space = self.search.space
        if not space.complete(cell):
            raise ValueError(f'cell {str(cell)!r} cannot be evaluated; only complete cells can')
        # A cell of another space would be refused too late, when the search has taken it in.
        space.encode(cell), space.costs(cell)
        with lock.alone(self._lock):
            self._read()
            evaluation = self.search.tell(cell, result)
            record = to_record(
                len(self.evaluations),
                evaluation,
                seconds=seconds,
                extra={**space.record(cell), **(extra or {})},
            )
            append_record(self.path, record)
            self._take(evaluation)
        return evaluation

    def release(self, cell) -> bool:
        """Gives a cell back, so that anybody may ask for it; whether this process had it."""
        key = self.search.space.key(cell)
        with lock.alone(self._lock):
            had = key in self._claims
            self._claims.drop(key)
        return had

    def refresh(self) -> None:
        """Reads what others have told."""
        with lock.alone(self._lock):
            self._read()

    def close(self) -> None:
        """Gives all claims of this process back."""
        with lock.alone(self._lock):
            self._claims.close()

    def front(self) -> list[Evaluation]:
        """The evaluations that satisfy the constraints and are not dominated."""
        good = [e for e in self.evaluations if e.status == 'ok' and self._allowed(e)]
        kept = pareto.non_dominated(self.search.points(good))
        return [e for e, stays in zip(good, kept) if stays]

    def _allowed(self, evaluation):
        values = evaluation.objectives
        return not any(c.excess(values[c.name]) for c in self.search.constraints)

    def _open_batch(self) -> list:
        """The cells of the open batch that have no result; plans the next batch at its end."""
        self._batch = [c for c in self._batch if self.search.space.key(c) not in self._keys]
        if not self._batch and self.left:
            self._batch = list(self.search.ask(self.left))
        return self._batch

    def _read(self) -> None:
        """Tells the search what the log holds beyond what it has been told. Holds the lock."""
        records, _ = read_records(self.path, repair=True)
        if len(records) < len(self.evaluations):
            raise ValueError(f'{self.path} has lost lines that it held before')
        for number, record in enumerate(records[len(self.evaluations) :], len(self.evaluations)):
            try:
                cell = self.search.parse(record['cell'])
                self._take(self.search.tell(cell, result_of(record)))
            except (ValueError, LookupError, TypeError) as error:
                raise ValueError(
                    f'{self.path} line {number + 1} does not fit this search: {error}'
                ) from error

    def _take(self, evaluation: Evaluation) -> None:
        key = self.search.space.key(evaluation.cell)
        self.evaluations.append(evaluation)
        self._keys.add(key)
        self._claims.drop(key)
