"""Plans which cells a search evaluates next: level by level, and then across all levels."""

from collections.abc import Callable, Sequence

import numpy as np

from nas.search import acquisition
from nas.search.config import PlannerConfig
from nas.search.forecast import Forecast
from nas.search.knowledge import Knowledge
from nas.search.space import Space, random_cell
from nas.search.spaces.family import Family

NEAREST = 8  # evaluated cells that are grown further as long as none satisfies the constraints
TRIES = 4  # random growths for each wanted cell


class Planner:
    """Plans batches, which depend only on the evaluations and on the seed.

    Attributes:
        family: every cell seen so far.
        stage: of the batch that was planned last: 'given' for cells of the user, 'drawn' for cells
            of the whole space, 'levels', then 'last'.
    """

    def __init__(
        self,
        space: Space,
        knowledge: Knowledge,
        *,
        surrogate: Callable,
        config: PlannerConfig,
        seed: int,
        include: Sequence = (),
    ):
        """Starts at the root of the space; arguments as for `nas.search.Search`."""
        self._space, self._knowledge, self._config = space, knowledge, config
        self._random = np.random.default_rng(seed)
        self.family = Family(space)
        self._forecast = Forecast(self.family, knowledge.needed, surrogate, seed)
        self._parents, self._grown, self._expanded = [space.root], [], set()
        self._level = 0  # growth steps so far
        self._include = tuple(include)
        self.stage = 'given' if self._include else 'drawn' if config.initial else 'levels'

    def plan(self) -> list:
        """The cells of the next batch; none once the space is exhausted."""
        if self.stage == 'given':
            self.family.add(self._include)
            new = [
                c for c in self._include if self._space.key(c) not in self._knowledge.evaluations
            ]
            if new:
                self._fit()
                return new
            self.stage = 'drawn'
        if self.stage == 'drawn':
            if rows := self._draw_initial():
                self._fit()
                return [self.family.cells[row] for row in rows]
            self.stage = 'levels'
        while self.stage == 'levels':
            rows = self._plan_level()
            if rows:
                return [self.family.cells[row] for row in rows]
            if self.stage == 'levels':
                self.close()
        return [self.family.cells[row] for row in self._plan_last_stage()]

    def close(self) -> None:
        """Ends a batch; on a level, the successful and the incomplete cells are grown next."""
        if self.stage == 'levels':
            good = {key for key, e in self._knowledge.evaluations.items() if e.status == 'ok'}
            self._parents = [
                cell
                for cell in self._grown
                if not self._space.complete(cell) or self._space.key(cell) in good
            ]

    def predict(self, cells: Sequence) -> list[dict[str, float]]:
        """Predictions for cells of the family, by name; empty for what is known exactly."""
        if not self._informed():
            return [{} for _ in cells]
        mean, _ = self._forecast.predict()
        uncertain = [
            (column, name)
            for column, name in enumerate(self._forecast.names)
            if not self._forecast.known()[column]
        ]
        rows = [self.family.row[self._space.key(cell)] for cell in cells]
        return [{name: float(mean[row, column]) for column, name in uncertain} for row in rows]

    def _draw_initial(self) -> list[int]:
        """Draws what is missing of the initial cells from the whole space."""
        count, rows = self._config.initial - len(self._knowledge.evaluations), []
        for _ in range(TRIES**2 * count):
            cell = random_cell(self._space, self._random, self.family.grow)
            if self._space.complete(cell):
                self.family.add([cell])
                row = self.family.row[self._space.key(cell)]
                if row not in rows and len(self._candidates([row])):
                    rows.append(row)
            if len(rows) == count:
                break
        return rows

    def _plan_level(self) -> list[int]:
        """Grows a level and chooses cells of it; if nothing can be grown, starts the last stage."""
        children = [child for parent in self._parents for child in self.family.grow(parent)]
        self._grown = list({str(child): child for child in children}.values())
        if not self._grown:
            self.stage = 'last'
            return []
        self._fit()
        self._level += 1
        rows = {
            self.family.row[self._space.key(cell)]
            for cell in self._grown
            if self._space.complete(cell)
        }
        size = min(self._config.keep, self._level + 1) if rows else 0
        drawn = round(size * self._config.explore)
        chosen = self._choose(sorted(rows), size - drawn)
        chosen += self._grow_at_random(size - len(chosen), chosen)
        return chosen + self._draw(sorted(rows - set(chosen)), size - len(chosen))

    def _grow_at_random(self, count: int, chosen: Sequence[int]) -> list[int]:
        """Up to `count` candidates of this level, each grown from the root by random choices."""
        rows = []
        for _ in range(TRIES * count):
            cell = self._space.root
            for _ in range(self._level):
                children = self.family.grow(cell)
                if not children:
                    break
                cell = children[self._random.integers(len(children))]
            if len(rows) == count or not self._space.complete(cell):
                continue
            row = self.family.row[self._space.key(cell)]
            if row not in rows and row not in chosen and len(self._candidates([row])):
                rows.append(row)
                self._grown.append(cell)
        return rows

    def _plan_last_stage(self) -> list[int]:
        """Chooses among all cells ever grown, after growing and mutating the best of them."""
        self._fit()
        family = self.family
        for _ in range(self._config.rounds):
            before = len(family.cells)
            near = [e.cell for e in self._knowledge.front() or self._knowledge.nearest(NEAREST)]
            rows = self._choose(range(before), self._config.parents, acquisition.most_promising)
            near += [family.cells[row] for row in rows]
            for cell in near:
                if str(cell) not in self._expanded and len(family.cells) < self._config.pool:
                    self._expanded.add(str(cell))
                    family.grow(cell)
                    family.mutate(cell)
            if len(family.cells) == before:
                break
        size = max(
            self._config.batch, int(self._config.batch_growth * len(self._knowledge.evaluations))
        )
        while not len(self._candidates(range(len(family.cells)))) and family.grow_oldest():
            pass
        early = len(self._knowledge.evaluations) < self._config.settled
        rows = range(len(family.cells))
        bold = round(size * (self._config.bold if early else self._config.bold_later))
        chosen = self._choose(rows, size - bold)
        others = sorted(set(rows) - set(chosen))
        return chosen + self._choose(others, bold, doubt=self._config.doubt)

    def _informed(self) -> bool:
        """Whether there are enough evaluations to predict."""
        return len(self._knowledge.successes()) >= self._config.fewest

    def _fit(self) -> None:
        if self._informed():
            knowledge = self._knowledge
            self._forecast.fit(
                list(knowledge.evaluations.values()),
                worst=knowledge.worst(),
                maximised=knowledge.aims.maximised,
            )

    def _candidates(self, rows) -> np.ndarray:
        """Rows of the family that are not evaluated and satisfy the exactly known constraints."""
        known = {self.family.row[key] for key in self._knowledge.evaluations}
        rows = np.array([row for row in rows if row not in known], int)
        for constraint in self._knowledge.constraints if len(rows) else ():
            if constraint.name in self.family.cost_names():
                rows = rows[constraint.excess(self.family.costs([constraint.name])[rows, 0]) == 0]
        return rows

    def _draw(self, rows, count: int) -> list[int]:
        """Draws up to `count` candidates at random."""
        return self._random.permutation(self._candidates(rows))[:count].tolist()

    def _choose(
        self, rows, count: int, choice: Callable = acquisition.select, *, doubt: float = 1.0
    ) -> list[int]:
        """Chooses up to `count` candidates, at random until predictions and a front exist.

        Without a front, because nothing satisfies the constraints yet, cells that are predicted to
        miss them least come first. Standard deviations are multiplied by `doubt`.
        """
        knowledge, rows = self._knowledge, self._candidates(rows)
        front, reference = knowledge.points(knowledge.front()), knowledge.reference()
        hopeless = len(front) and not (front < reference).all(axis=1).any()
        if not len(rows) or not self._informed() or hopeless:
            return self._draw(rows, count)
        mean, std = (part[rows] for part in self._forecast.predict())
        violation = np.zeros(len(rows))
        for constraint in knowledge.constraints:
            violation += constraint.excess(mean[:, self._forecast.names.index(constraint.name)])
        size, signs = len(knowledge.objectives), knowledge.aims.signs
        mean, std = signs * mean[:, :size], doubt * std[:, :size]
        chosen = choice(count, mean, std, front, reference, violation=violation)
        return rows[chosen].tolist()
