"""What a search knows: evaluations, the front among them, the reference of hypervolumes."""

from collections.abc import Mapping, Sequence

import numpy as np

from nas.search import pareto
from nas.search.evaluations import Constraint, Evaluation


class Knowledge:
    """The evaluations that a search uses.

    Attributes:
        objectives, constraints: of the search.
        needed: names for which an evaluation needs a value.
        evaluations: by key, also those of an earlier run.
    """

    def __init__(
        self,
        objectives: Sequence[str],
        constraints: Sequence[Constraint],
        reference: Mapping[str, float],
    ):
        """Takes the arguments of `nas.search.Search`, which has checked them."""
        self.objectives, self.constraints = tuple(objectives), tuple(constraints)
        limited = (constraint.name for constraint in self.constraints)
        self.needed = self.objectives + tuple(
            name for name in limited if name not in self.objectives
        )
        self._given_reference = dict(reference)
        self.evaluations: dict[str, Evaluation] = {}

    def successes(self) -> list[Evaluation]:
        """The evaluations with status 'ok'."""
        return [e for e in self.evaluations.values() if e.status == 'ok']

    def front(self) -> list[Evaluation]:
        """The evaluations that are feasible and not dominated."""
        good = [
            e
            for e in self.successes()
            if not any(c.excess(e.objectives[c.name]) for c in self.constraints)
        ]
        return [e for e, kept in zip(good, pareto.non_dominated(self.points(good))) if kept]

    def points(self, evaluations: Sequence[Evaluation]) -> np.ndarray:
        """Objectives of successful evaluations, float64 [N, M]."""
        rows = [[e.objectives[name] for name in self.objectives] for e in evaluations]
        return np.array(rows, np.float64).reshape(-1, len(self.objectives))

    def reference(self) -> np.ndarray:
        """Worst objective values that count, [M]: as given, or derived from the evaluations."""
        points = self.points(self.successes())
        points = (
            points[pareto.non_dominated(points)]
            if len(points)
            else np.ones((1, len(self.objectives)))
        )
        # A front of a single value still has to be better than its reference.
        worst = (
            points.max(axis=0) + 0.1 * np.ptp(points, axis=0) + 1e-6 * np.abs(points).max(axis=0)
        )
        given = self._given_reference
        return np.array([given.get(name, value) for name, value in zip(self.objectives, worst)])
