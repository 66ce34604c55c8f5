"""Progressive search for Pareto-optimal cells, as ask and tell.

DPP-Net (Dong et al., ECCV 2018, section 3): grow the cells of one level, predict the error of every
grown cell with a surrogate, keep the K best by Pareto rank over all objectives, evaluate these, fit
the surrogate again and grow them. There, cells that a level does not keep never return. Here, a
part of every level is grown at random, and a last stage spends the rest of the budget across all
levels: on cells that were grown but not kept, and on mutations of good ones.

The next cells depend only on the seed and on the results told so far. A batch is planned when all
results of the batch before have been told, and results enter in the order of the batch. So neither
the number of workers nor the order in which they finish matters, and telling the recorded
evaluations again restores a search.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from nas.search.config import PlannerConfig
from nas.search.evaluations import Constraint, Evaluation, Failure
from nas.search.knowledge import Knowledge
from nas.search.loop import run
from nas.search.planner import Planner
from nas.search.space import as_space
from nas.search.spaces.restricted import included_cells
from nas.search.told import evaluation_of
from nas.search.wishes.aims import Aims
from nas.surrogate.surrogate import Surrogate

_DEFAULT = PlannerConfig()

__all__ = ['Constraint', 'Evaluation', 'Failure', 'Search', 'PlannerConfig', 'run']


class Search:
    """A search that gives cells to evaluate (`ask`) and takes their results (`tell`).

    Attributes:
        history: `Evaluation`s of this search, batch by batch.
        aims: the objectives, and which of them are maximised.
        objectives: their names.
        space: the cells, with all methods of `nas.search.space.Space`.
    """

    def __init__(
        self,
        space,
        objectives: Sequence[str] | str,
        *,
        seed: int = 0,
        constraints: Sequence[Constraint | str] = (),
        reference: Mapping[str, float] | None = None,
        surrogate: Callable = Surrogate,
        config: PlannerConfig = _DEFAULT,
        include: Sequence = (),
    ):
        """Starts at the root of the space.

        Args:
            space: `nas.search.space.Space` or any object with `root`, `grow(cell)` and
                `encode(cell)`.
            objectives: names, as a sequence or comma-separated. They are minimised; with a `-`
                before the name, such as `-accuracy`, maximised. Objectives among the costs of the
                space are known for every cell. All others may have any name, sign and scale: a
                surrogate predicts each from the cell, its features and its costs.
            constraints: limits such as 'latency_ms<50' or 'accuracy>=90', on objectives or on
                costs. A cell whose exact cost misses its limit is not evaluated; a cell whose
                predicted value misses a limit only comes after the others.
            reference: worst value of each objective that is of interest; hypervolume is counted
                from there. Objectives left out take the worst value on the front so far, plus a
                tenth of the front's range.
            surrogate: `surrogate(length, vocabulary_size, features, seed=seed)` gives an object
                with `fit` and `predict` as in `nas.surrogate`, one for each objective.
            config: sizes of the search.
            include: cells, or texts that the space parses, that are evaluated before all others.

        Raises:
            ValueError: if the space lacks a method, objectives are missing or given twice, a
                constraint is wrong, or an included cell is none of the space.
        """
        self.aims = Aims.parse(objectives)
        self.objectives = self.aims.names
        unknown = [name for name in reference or () if name not in self.objectives]
        if unknown:
            raise ValueError(
                f'reference names {unknown[0]!r}, which is not an objective; these are '
                f'{", ".join(self.objectives)}'
            )
        self.space, self.config = as_space(space), config
        limits = [Constraint.parse(c) if isinstance(c, str) else c for c in constraints]
        self._knowledge = Knowledge(self.aims, limits, reference or {})
        self._planner = Planner(
            self.space,
            self._knowledge,
            surrogate=surrogate,
            config=config,
            seed=seed,
            include=(given := included_cells(self.space, include)),
        )
        self._given = frozenset(map(self.space.key, given))
        self.history: list[Evaluation] = []
        # The cells of the batch; how many of them were handed out; their results by key.
        self._batch = []
        self._asked = 0
        self._told = {}
        self._predicted: dict[str, dict[str, float]] = {}  # by key, for all batches

    @property
    def stage(self) -> str:
        """The stage: 'given' while included cells come, then 'drawn', 'levels', 'last'."""
        return self._planner.stage

    @property
    def given(self) -> list[Evaluation]:
        """The evaluations of included cells that gave all objectives."""
        return [
            e for e in self.history if e.status == 'ok' and self.space.key(e.cell) in self._given
        ]

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The limits."""
        return self._knowledge.constraints

    def ask(self, n: int) -> list:
        """Returns the next cells to evaluate.

        Args:
            n: how many at most.

        Returns:
            Up to n cells of the present batch: fewer at its end; none while results are missing, or
            once the space is `exhausted`.
        """
        if n < 1:
            raise ValueError(f'n is {n}, but at least one cell has to be asked for')
        self._plan()
        cells = []
        while len(cells) < n and self._asked < len(self._batch):
            cell = self._batch[self._asked]
            self._asked += 1
            if self.space.key(cell) not in self._told:
                cells.append(cell)
        return cells

    @property
    def exhausted(self) -> bool:
        """Whether the space has no further cell to evaluate."""
        self._plan()
        return not self._batch

    def tell(self, cell, result: Mapping[str, float] | Failure) -> Evaluation:
        """Takes the result of a cell, asked for or not.

        Args:
            cell: the cell.
            result: objectives by name, which may leave out exactly known ones; or a `Failure`.
                Anything else, such as None, and a value that is no finite number, make the result
                a failure, whose reason names it.

        Returns:
            The evaluation as it is to be recorded.

        Raises:
            ValueError: if the cell has been told before or an objective is missing.
        """
        self._plan()
        key = self.space.key(cell)
        if key in self._knowledge.evaluations or key in self._told:
            raise ValueError(f'cell {str(cell)!r} has been told before')
        evaluation = self._evaluation(cell, result)
        batch = [self.space.key(asked) for asked in self._batch]
        if key not in batch:
            self._enter(evaluation)
            self.history.append(evaluation)
            return evaluation
        self._told[key] = evaluation
        if len(self._told) == len(batch):
            for asked in batch:
                self._enter(self._told[asked])
                self.history.append(self._told[asked])
            self._close_batch()
        return evaluation

    def settle(self) -> None:
        """Enters the told results of an unfinished batch, at the end of a budget.

        The results then hold every evaluation. Call this last: telling the evaluations again does
        not restore a search that was settled within a batch.
        """
        for cell in self._batch:
            evaluation = self._told.pop(self.space.key(cell), None)
            if evaluation is not None:
                self._enter(evaluation)
                self.history.append(evaluation)
        self._close_batch()

    def warm_start(self, evaluations) -> int:
        """Learns an earlier search: its cells count as evaluated, but not in this budget.

        Args:
            evaluations: pairs (cell, objectives or `Failure`). Failures, and cells that lack an
                objective of this search, are left out.

        Returns:
            The number of cells taken over.

        Raises:
            ValueError: if this search has begun.
        """
        if self._batch or self._knowledge.evaluations:
            raise ValueError('warm_start has to come once, before the first ask and tell')
        for cell, result in evaluations:
            needed = set(self._knowledge.needed)
            if isinstance(result, Failure) or not needed <= {*result, *self.space.costs(cell)}:
                continue
            evaluation = self._evaluation(cell, result)
            if evaluation.status == 'ok':
                self._enter(evaluation)
        return len(self._knowledge.evaluations)

    def parse(self, text: str):
        """The cell with this text: one that the search has met, or what the space reads.

        Raises:
            ValueError: the cell is unknown and the space cannot read it.
        """
        self._plan()
        cell = self._planner.family.named(text)
        return self.space.parse(text) if cell is None else cell

    def least_infeasible(self) -> Evaluation | None:
        """The successful evaluation that misses the constraints least; None if there is none."""
        return next(iter(self._knowledge.nearest(1)), None)

    def front(self) -> list[Evaluation]:
        """The evaluations that are feasible and not dominated, also those of an earlier run."""
        return self._knowledge.front()

    def points(self, evaluations: Sequence[Evaluation]) -> np.ndarray:
        """What is minimised, of successful evaluations, float64 [N, M].

        Objectives that are maximised have the other sign: `aims.values` turns a row into values.
        """
        return self._knowledge.points(evaluations)

    def reference(self) -> np.ndarray:
        """Worst values that count, [M], as `points`: as given, or derived from the evaluations."""
        return self._knowledge.reference()

    def boxed(self, evaluations: Sequence[Evaluation]) -> tuple[np.ndarray, np.ndarray]:
        """Points [N, M] and reference [M] in the unit box, see `Knowledge.boxed`."""
        return self._knowledge.boxed(evaluations)

    def rank_correlations(self, name: str | None = None) -> dict[int, float]:
        """Kendall's tau of predicted and told values by level, for levels with 3 such cells.

        Args:
            name: of the objective; None for the first one that was predicted.
        """
        pairs = {}
        predicted = {known for e in self.history for known in e.predicted}
        name = name or next((n for n in self.objectives if n in predicted), None)
        for e in self.history:
            if e.status == 'ok' and name in e.predicted and name in e.objectives:
                pairs.setdefault(e.level, []).append((e.predicted[name], e.objectives[name]))
        taus = {
            level: float(stats.kendalltau(*zip(*rows)).statistic)
            for level, rows in sorted(pairs.items())
            if len(rows) >= 3
        }
        return {level: tau for level, tau in taus.items() if math.isfinite(tau)}

    def _evaluation(self, cell, result) -> Evaluation:
        """The evaluation that a result makes, see `evaluation_of`."""
        return evaluation_of(
            cell,
            result,
            level=self._planner.family.level(cell),
            costs=self.space.costs(cell),
            needed=self._knowledge.needed,
            predicted=self._predicted.get(self.space.key(cell), {}),
        )

    def _enter(self, evaluation: Evaluation) -> None:
        self._planner.family.add([evaluation.cell])
        self._knowledge.evaluations[self.space.key(evaluation.cell)] = evaluation

    def _close_batch(self) -> None:
        self._planner.close()
        self._batch, self._asked, self._told = [], 0, {}

    def _plan(self) -> None:
        """Plans a batch if none is open."""
        if not self._batch:
            self._batch = self._planner.plan()
            keys = map(self.space.key, self._batch)
            self._predicted.update(zip(keys, self._planner.predict(self._batch)))
