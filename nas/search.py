"""Progressive search for Pareto-optimal cells, as ask and tell.

DPP-Net (Dong et al., ECCV 2018, section 3): grow the cells of one level, predict the error of every grown
cell with a surrogate, keep the K best by Pareto rank over all objectives, evaluate these, fit the surrogate
again and grow them. What level-wise growth passes over never returns there; so here a last stage spends the
rest of the budget across all levels, on cells that were grown but not kept and on mutations of good ones.

What is asked next depends only on the seed and on what has been told. A batch is planned when the one before
has been told completely, and its results enter in the order of the batch; so neither the number of workers
nor the order in which they finish matters, and telling recorded evaluations again restores the search.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from common.options import option
from nas import acquisition, pareto
from nas.evaluations import Constraint, Evaluation, Failure
from nas.forecast import ERROR, Forecast
from nas.loop import run
from nas.space import Family, as_space
from nas.surrogate import Surrogate

__all__ = ['Constraint', 'Evaluation', 'Failure', 'Search', 'SearchConfig', 'run']

# Errors are told to the surrogate up to this multiple of the reference.
WORST_ERROR = 1.25


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Sizes of a search.

    Raises:
        ValueError: on creation, for a size that is out of range.
    """

    # Not all at once: the small cells of the first levels teach little about the others.
    keep: int = option(6, 'K: cells evaluated on each level of the growth; on level l at most l + 1')
    # What a surrogate mistakes that has only seen smaller cells would never be grown.
    explore: float = option(0.5, 'part of them that is drawn at random from the grown cells')
    batch: int = option(8, 'least number of cells in a batch of the last stage')
    # The surrogate is fitted about as often in the first hundred evaluations as in the next four hundred.
    batch_growth: float = option(0.05, 'a batch has at least this part of the evaluations so far')
    parents: int = option(100, 'predicted cells that each round of looking for new ones grows and mutates')
    rounds: int = option(3, 'how many such rounds precede a batch')
    pool: int = option(20_000, 'no new cells are looked for once so many are known')
    fewest: int = option(4, 'evaluations before anything is predicted; until then cells are drawn at random')

    def __post_init__(self):
        for name in ('keep', 'batch', 'fewest'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}, it has to be at least 1')
        if not 0 <= self.explore <= 1:
            raise ValueError(f'explore is {self.explore}; accepted: between 0 and 1')


class Search:
    """A search that is asked for cells and told what came of them.

    Attributes:
        history: `Evaluation`s of this search, batch by batch.
        stage: 'levels', then 'last'.
    """

    def __init__(self, space, objectives: Sequence[str] | str, *, seed: int = 0,
                 constraints: Sequence[Constraint | str] = (), reference: Mapping[str, float] | None = None,
                 surrogate: Callable = Surrogate, config: SearchConfig = SearchConfig()):
        """Starts at the root of the space.

        Args:
            space: `nas.space.Space` or any object with `root`, `grow(cell)` and `encode(cell)`.
            objectives: names, as a sequence or comma-separated; all are minimised. Those among the space's
                costs are known of every cell, `error` is predicted by the surrogate, and any other one from
                the costs of the cells evaluated so far.
            seed: of every random choice.
            constraints: upper limits such as 'latency_ms<50', on objectives or on costs. A cell whose exact
                cost is over its limit is not evaluated; a predicted one only puts it behind the others.
            reference: worst value of each objective that is of interest; hypervolume is counted from there.
                Objectives left out take the worst value on the front so far, plus a tenth of the front's
                range.
            surrogate: `surrogate(length, vocabulary_size, features, seed=seed)` gives an object with `fit`
                and `predict` as in `nas.surrogate`.
            config: sizes.

        Raises:
            ValueError: for a space without the methods, no or double objectives, or bad constraints.
        """
        names = objectives.split(',') if isinstance(objectives, str) else objectives
        self.objectives = tuple(name.strip() for name in names)
        if not all(self.objectives) or len(set(self.objectives)) < max(len(self.objectives), 1):
            raise ValueError(f'objectives {objectives!r} must be one or more different names')
        unknown = [name for name in reference or () if name not in self.objectives]
        if unknown:
            raise ValueError(f'reference names {unknown[0]!r}, which is not an objective; these are '
                             f'{", ".join(self.objectives)}')
        self.space, self.config = as_space(space), config
        self.constraints = tuple(Constraint.parse(c) if isinstance(c, str) else c for c in constraints)
        self._limited = tuple(c.name for c in self.constraints if c.name not in self.objectives)
        self._given_reference = dict(reference or {})
        self._random = np.random.default_rng(seed)
        self._family = Family(self.space)
        self._forecast = Forecast(self._family, self.objectives + self._limited, surrogate, seed)
        self.history: list[Evaluation] = []
        self._known: dict[str, Evaluation] = {}  # by key; with those of an earlier run
        self._batch, self._asked, self._told = [], 0, {}  # cells; how many were handed out; results by key
        self._predicted: dict[str, dict[str, float]] = {}  # of the cells of all batches, by key
        self._parents, self._grown, self._expanded = [self.space.root], [], set()
        self._level = 0  # growth steps so far
        self.stage = 'levels'

    # What callers do.

    def ask(self, n: int) -> list:
        """Returns the next cells to evaluate.

        Args:
            n: how many at most.

        Returns:
            Up to n cells of the present batch: fewer at its end, and none while it waits to be told or once
            the space is `exhausted`.
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
            result: objectives by name, which may leave out exactly known ones; or a `Failure`. A value that
                is not finite makes it one.

        Returns:
            The evaluation as it is to be recorded.

        Raises:
            ValueError: if the cell has been told before or an objective is missing.
        """
        self._plan()
        key = self.space.key(cell)
        if key in self._known or key in self._told:
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
        """Enters what was told of a batch that nothing more will be asked of: the end of a budget.

        The results then hold every evaluation. A search that is settled within a batch is not restored by
        telling its evaluations again, so this comes last.
        """
        for cell in self._batch:
            evaluation = self._told.pop(self.space.key(cell), None)
            if evaluation is not None:
                self._enter(evaluation)
                self.history.append(evaluation)
        self._close_batch()

    def warm_start(self, evaluations) -> int:
        """Learns from an earlier search: its cells count as evaluated, but not in this search's budget.

        Args:
            evaluations: pairs (cell, objectives or `Failure`). Failures are not held against a cell, and
                cells that lack an objective of this search are left out.

        Returns:
            The number of cells taken over.

        Raises:
            ValueError: if this search has begun.
        """
        if self._batch or self._known:
            raise ValueError('warm_start has to come once, before the first ask and tell')
        for cell, result in evaluations:
            if isinstance(result, Failure) or not set(self._needed()) <= {*result, *self.space.costs(cell)}:
                continue
            evaluation = self._evaluation(cell, result)
            if evaluation.status == 'ok':
                self._enter(evaluation)
        return len(self._known)

    def front(self) -> list[Evaluation]:
        """The evaluations, those of an earlier run among them, that are feasible and not dominated."""
        good = [e for e in self._successes()
                if not any(c.excess(e.objectives[c.name]) for c in self.constraints)]
        return [e for e, kept in zip(good, pareto.non_dominated(self.points(good))) if kept]

    def points(self, evaluations: Sequence[Evaluation]) -> np.ndarray:
        """Objectives of successful evaluations, float64 [N, M]."""
        rows = [[e.objectives[name] for name in self.objectives] for e in evaluations]
        return np.array(rows, np.float64).reshape(-1, len(self.objectives))

    def reference(self) -> np.ndarray:
        """Worst values that count [M]: as given, or from the evaluations told so far."""
        points = self.points(self._successes())
        points = points[pareto.non_dominated(points)] if len(points) else np.ones((1, len(self.objectives)))
        # A front of a single value still has to be better than its reference.
        worst = points.max(axis=0) + 0.1 * np.ptp(points, axis=0) + 1e-6 * np.abs(points).max(axis=0)
        given = self._given_reference
        return np.array([given.get(name, value) for name, value in zip(self.objectives, worst)])

    def rank_correlations(self) -> dict[int, float]:
        """Kendall's tau between predicted and told error by level, of levels with 3 such cells or more."""
        pairs = {}
        for e in self.history:
            if e.status == 'ok' and ERROR in e.predicted and ERROR in e.objectives:
                pairs.setdefault(e.level, []).append((e.predicted[ERROR], e.objectives[ERROR]))
        taus = {level: float(stats.kendalltau(*zip(*rows)).statistic)
                for level, rows in sorted(pairs.items()) if len(rows) >= 3}
        return {level: tau for level, tau in taus.items() if math.isfinite(tau)}

    # Results.

    def _needed(self) -> tuple[str, ...]:
        return self.objectives + self._limited

    def _successes(self) -> list[Evaluation]:
        return [e for e in self._known.values() if e.status == 'ok']

    def _evaluation(self, cell, result) -> Evaluation:
        """Checks a result and completes it with the exact costs."""
        level, predicted = self._family.level(cell), self._predicted.get(self.space.key(cell), {})
        if isinstance(result, Failure):
            return Evaluation(cell, level, dict(result.objectives), result.status, result.reason, predicted)
        values = {name: float(value) for name, value in {**self.space.costs(cell), **result}.items()}
        missing = [name for name in self._needed() if name not in values]
        if missing:
            raise ValueError(f'unknown objective {missing[0]!r}: cell {str(cell)!r} came with '
                             f'{", ".join(values) or "none"}')
        broken = [name for name in self._needed() if not math.isfinite(values[name])]
        if broken:
            return Evaluation(cell, level, {}, 'failed', f'{broken[0]} is {values[broken[0]]}', predicted)
        return Evaluation(cell, level, values, predicted=predicted)

    def _enter(self, evaluation: Evaluation) -> None:
        self._family.add([evaluation.cell])
        self._known[self.space.key(evaluation.cell)] = evaluation

    def _close_batch(self) -> None:
        """Ends a batch; on a level, what succeeded and what cannot be evaluated yet is grown next."""
        if self.stage == 'levels':
            good = {key for key, e in self._known.items() if e.status == 'ok'}
            self._parents = [cell for cell in self._grown
                             if not self.space.complete(cell) or self.space.key(cell) in good]
        self._batch, self._asked, self._told = [], 0, {}

    # Planning.

    def _plan(self) -> None:
        """Plans a batch if none is open."""
        while not self._batch and self.stage == 'levels':
            children = [child for parent in self._parents for child in self._family.grow(parent)]
            self._grown = list({str(child): child for child in children}.values())
            if not self._grown:
                self.stage = 'last'
                break
            self._fit()
            rows = {self._family.row[self.space.key(cell)] for cell in self._grown
                    if self.space.complete(cell)}
            self._level += 1
            size = min(self.config.keep, self._level + 1)
            kept = self._choose(sorted(rows), size - round(size * self.config.explore))
            self._open_batch(kept + self._draw(sorted(rows - set(kept)), size - len(kept)))
            if not self._batch:
                self._close_batch()
        if not self._batch:
            self._plan_last_stage()

    def _plan_last_stage(self) -> None:
        """Chooses among all cells ever grown, after looking around the best of them for more."""
        self._fit()
        for _ in range(self.config.rounds):
            before = len(self._family.cells)
            near = [e.cell for e in self.front()]
            rows = self._choose(range(before), self.config.parents, acquisition.most_promising)
            near += [self._family.cells[row] for row in rows]
            for cell in near:
                if str(cell) not in self._expanded and len(self._family.cells) < self.config.pool:
                    self._expanded.add(str(cell))
                    self._family.grow(cell)
                    self._family.mutate(cell)
            if len(self._family.cells) == before:
                break
        size = max(self.config.batch, int(self.config.batch_growth * len(self._known)))
        while not len(self._candidates(range(len(self._family.cells)))) and self._family.grow_oldest():
            pass
        self._open_batch(self._choose(range(len(self._family.cells)), size))

    def _fit(self) -> None:
        if len(self._successes()) >= self.config.fewest:
            worst = dict(zip(self.objectives, self.reference())).get(ERROR, math.inf)
            self._forecast.fit(list(self._known.values()), worst_error=WORST_ERROR * worst)

    def _candidates(self, rows) -> np.ndarray:
        """Those of the family's rows that are not evaluated and keep to the exactly known constraints."""
        known = {self._family.row[key] for key in self._known}
        rows = np.array([row for row in rows if row not in known], int)
        for constraint in self.constraints if len(rows) else ():
            if constraint.name in self._family.cost_names():
                rows = rows[constraint.excess(self._family.costs([constraint.name])[rows, 0]) == 0]
        return rows

    def _draw(self, rows, count: int) -> list[int]:
        """Draws up to `count` candidates at random."""
        return self._random.permutation(self._candidates(rows))[:count].tolist()

    def _choose(self, rows, count: int, choice: Callable = acquisition.select) -> list[int]:
        """Chooses up to `count` candidates, at random as long as nothing distinguishes them."""
        rows, front, reference = self._candidates(rows), self.points(self.front()), self.reference()
        informed = len(self._successes()) >= self.config.fewest and (front < reference).all(axis=1).any()
        if not informed or not len(rows):
            return self._draw(rows, count)
        mean, std = (part[rows] for part in self._forecast.predict())
        violation = np.zeros(len(rows))
        for constraint in self.constraints:
            violation += constraint.excess(mean[:, self._forecast.names.index(constraint.name)])
        size = len(self.objectives)
        chosen = choice(count, mean[:, :size], std[:, :size], front, reference, violation=violation)
        return rows[chosen].tolist()

    def _open_batch(self, rows: Sequence[int]) -> None:
        self._batch = [self._family.cells[row] for row in rows]
        if len(self._successes()) < self.config.fewest or not rows:
            return
        mean, _ = self._forecast.predict()
        uncertain = np.flatnonzero(~self._forecast.known())
        for row, cell in zip(rows, self._batch):
            self._predicted[self.space.key(cell)] = {self._forecast.names[i]: float(mean[row, i])
                                                     for i in uncertain}
