"""Predicts the objectives of cells that a search has not evaluated.

Costs are known exactly. A surrogate that reads the cell predicts the error. A regression predicts
all other measured objectives (latency, memory) from the costs and features of the cells measured so
far; if a space gives neither, from how often each token occurs.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from nas.search.evaluations import Evaluation
from nas.search.space import Family

ERROR = 'error'


class CostRegression:
    """Predicts a measured objective, such as latency, from known numbers of a cell.

    Ridge regression of the logarithm on standardised inputs.
    """

    def __init__(self, penalty: float = 1.0):
        self._penalty = penalty

    def fit(self, inputs: np.ndarray, values: np.ndarray) -> None:
        """Fits positive `values` [N] to `inputs` [N, F]."""
        self._mean, self._spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
        scaled = (inputs - self._mean) / self._spread
        logs = np.log(np.maximum(values, 1e-12))
        self._offset, self._low, self._high = logs.mean(), logs.min() - 1, logs.max() + 1
        gram = scaled.T @ scaled + self._penalty * np.eye(inputs.shape[1])
        self._weights = np.linalg.solve(gram, scaled.T @ (logs - self._offset))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Returns [M] for `inputs` [M, F]; at most a factor e beyond the values fitted."""
        logs = self._offset + (inputs - self._mean) / self._spread @ self._weights
        return np.exp(np.clip(logs, self._low, self._high))


class Forecast:
    """Means and standard deviations of objectives of all cells of a family."""

    def __init__(self, family: Family, names: Sequence[str], surrogate: Callable, seed: int):
        """Prepares to predict.

        Args:
            family: the cells.
            names: objectives, and other names that constraints use.
            surrogate: factory as for `nas.search.Search`.
            seed: for the surrogate.
        """
        self._family, self.names = family, tuple(names)
        self._make, self._seed = surrogate, seed
        self._surrogate, self._size = None, (0, 0)
        self._forget()

    def _forget(self) -> None:
        self._mean = np.zeros((0, len(self.names)))
        self._std = np.zeros((0, len(self.names)))

    def known(self) -> np.ndarray:
        """Whether each name is an exact cost, bool [names]."""
        return np.isin(self.names, self._family.cost_names())

    def fit(self, evaluations: Sequence[Evaluation], *, worst_error: float = math.inf) -> None:
        """Learns from evaluations.

        Args:
            evaluations: those that lack an objective are left out for that objective.
            worst_error: larger errors are replaced by this one. A search need not know how bad a
                bad cell is, and a few such errors would take up most of the scale.
        """
        self._forget()
        self._regressions, self._kinds = {}, int(self._family.tokens().max(initial=0))
        for name, exact in zip(self.names, self.known()):
            told = [e for e in evaluations if name in e.objectives]
            if exact or not told:
                continue
            rows = np.array([self._family.row[self._family.space.key(e.cell)] for e in told])
            values = np.array([e.objectives[name] for e in told])
            if name == ERROR:
                self._fit_surrogate(rows, np.minimum(values, worst_error))
            else:
                self._regressions[name] = CostRegression()
                self._regressions[name].fit(self._inputs()[rows], values)

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns (mean, std), float64 [cells of the family, names]; std is 0 for known costs.

        Cells that were predicted since the last `fit` are not predicted again.
        """
        start = len(self._mean)
        if start == len(self._family.cells):
            return self._mean, self._std
        mean = np.zeros((len(self._family.cells) - start, len(self.names)))
        std = np.zeros_like(mean)
        known = self.known()
        mean[:, known] = self._family.costs(
            [name for name, exact in zip(self.names, known) if exact]
        )[start:]
        for column, name in enumerate(self.names):
            if name == ERROR and not known[column]:
                tokens, features = self._tokens(self._size[0]), self._family.features()
                predicted = self._surrogate.predict(tokens[start:], features[start:])
                mean[:, column], std[:, column] = predicted
            elif not known[column]:
                mean[:, column] = self._regressions[name].predict(self._inputs()[start:])
        self._mean, self._std = np.concatenate([self._mean, mean]), np.concatenate([self._std, std])
        return self._mean, self._std

    def _inputs(self) -> np.ndarray:
        """Inputs of the regression: [cells, costs + features], or without these [cells, tokens]."""
        costs = np.log1p(np.maximum(self._family.costs(self._family.cost_names()), 0))
        known = np.concatenate([costs, self._family.features()], axis=1)
        if known.shape[1]:
            return known
        # The space gives no numbers, so tokens are counted: more of a token costs more. Tokens that
        # are newer than the last fit are left out.
        kinds = np.arange(1, self._kinds + 1)
        return (self._family.tokens()[..., None] == kinds).sum(axis=1)

    def _tokens(self, length: int) -> np.ndarray:
        tokens = self._family.tokens()
        return np.pad(tokens, ((0, 0), (0, max(0, length - tokens.shape[1]))))

    def _fit_surrogate(self, rows: np.ndarray, errors: np.ndarray) -> None:
        """Fits a surrogate of fixed size; makes a new one only if cells have outgrown the size."""
        tokens, features = self._family.tokens(), self._family.features()
        needed = tokens.shape[1], int(tokens.max(initial=0))
        if self._surrogate is None or needed[0] > self._size[0] or needed[1] > self._size[1]:
            # Spaces that do not tell their size get room to grow.
            space = self._family.space
            self._size = (
                max(getattr(space, 'length', 0), -(-needed[0] // 8) * 8),
                max(getattr(space, 'vocabulary_size', 0), -(-needed[1] // 16) * 16),
            )
            if hasattr(space, 'length') and hasattr(space, 'vocabulary_size'):
                self._size = space.length, space.vocabulary_size
            self._surrogate = self._make(*self._size, features.shape[1], seed=self._seed)
        self._surrogate.fit(self._tokens(self._size[0])[rows], features[rows], errors)
