"""What a search knows: evaluations, the front among them, the reference of hypervolumes."""

from collections.abc import Mapping, Sequence

import numpy as np

from nas.search import pareto
from nas.search.evaluations import Constraint, Evaluation
from nas.search.wishes.aims import Aims


class Knowledge:
    """The evaluations that a search uses.

    Points and the reference hold what is minimised: the values of the objectives, with a change of
    sign for those that are maximised.

    Attributes:
        aims, constraints: of the search.
        objectives: names of the objectives.
        needed: names for which an evaluation needs a value.
        evaluations: by key, also those of an earlier run.
    """

    def __init__(
        self, aims: Aims, constraints: Sequence[Constraint], reference: Mapping[str, float]
    ):
        """Takes the arguments of `nas.search.Search`, which has checked them."""
        self.aims, self.constraints = aims, tuple(constraints)
        self.objectives = aims.names
        limited = dict.fromkeys(constraint.name for constraint in self.constraints)
        self.needed = self.objectives + tuple(
            name for name in limited if name not in self.objectives
        )
        signs = dict(zip(aims.names, aims.signs))
        self._given_reference = {name: signs[name] * value for name, value in reference.items()}
        self.evaluations: dict[str, Evaluation] = {}

    def successes(self) -> list[Evaluation]:
        """The evaluations with status 'ok'."""
        return [e for e in self.evaluations.values() if e.status == 'ok']

    def excess(self, evaluation: Evaluation) -> float:
        """How far a successful evaluation misses the constraints, relative to them; 0 for none."""
        return sum(float(c.excess(evaluation.objectives[c.name])) for c in self.constraints)

    def feasible(self) -> list[Evaluation]:
        """The successful evaluations that satisfy the constraints."""
        return [e for e in self.successes() if not self.excess(e)]

    def nearest(self, count: int) -> list[Evaluation]:
        """Up to `count` successful evaluations, those first that miss the constraints least."""
        return sorted(self.successes(), key=self.excess)[:count]

    def front(self) -> list[Evaluation]:
        """The evaluations that are feasible and not dominated."""
        good = self.feasible()
        return [e for e, kept in zip(good, pareto.non_dominated(self.points(good))) if kept]

    def points(self, evaluations: Sequence[Evaluation]) -> np.ndarray:
        """What is minimised, of successful evaluations, float64 [N, M]."""
        return self.aims.points([e.objectives for e in evaluations])

    def reference(self) -> np.ndarray:
        """Worst values that count, [M]: as given, or derived from the evaluations."""
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
        # Also where the value is 0.
        worst = np.maximum(worst, np.nextafter(points.max(axis=0), np.inf))
        given = self._given_reference
        return np.array([given.get(name, value) for name, value in zip(self.objectives, worst)])

    def worst(self) -> dict[str, float]:
        """Values beyond which a search need not know how bad a cell is, by name.

        A quarter beyond the reference; for objectives that no constraint limits.
        """
        points, reference = self.points(self.successes()), self.reference()
        reach = reference - points.min(axis=0) if len(points) else 0.0
        worst = self.aims.values(reference + 0.25 * np.maximum(np.abs(reference), reach))
        limited = {constraint.name for constraint in self.constraints}
        return {name: value for name, value in worst.items() if name not in limited}

    def boxed(self, evaluations: Sequence[Evaluation]) -> tuple[np.ndarray, np.ndarray]:
        """Points and reference on a scale on which the box from 0 to the reference is the whole.

        The box begins at 0 where all values are positive and minimised, otherwise at the best
        value. Evaluations that failed or miss the constraints lie beyond the reference.

        Args:
            evaluations: those of a run, N.

        Returns:
            (points [N, M], reference [M], all ones).
        """
        reference, good = self.reference(), self.successes()
        told = self.points(good) if good else reference[None]
        lowest = np.where(told.min(axis=0) >= 0, 0.0, told.min(axis=0))
        size = np.where(reference > lowest, reference - lowest, 1.0)
        points = np.full((len(evaluations), len(reference)), np.inf)
        for row, e in enumerate(evaluations):
            if e.status == 'ok' and not self.excess(e):
                points[row] = (self.points([e])[0] - lowest) / size
        return points, (reference - lowest) / size
