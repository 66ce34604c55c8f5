"""Predicts the objectives of cells that a search has not evaluated.

Costs are known exactly. Each other objective, whatever its name, sign and scale, has a surrogate of
its own that reads the cell; the features and the exact costs of a cell are further inputs.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nas.search.evaluations import Evaluation
from nas.search.spaces.family import Family

# Up to so many predicted objectives have whole surrogates. Of more objectives the first one has,
# and the others have the light variant, if there is one, so that planning takes about a second.
WHOLE = 2


class Forecast:
    """Means and standard deviations of objectives of all cells of a family."""

    def __init__(self, family: Family, names: Sequence[str], surrogate: Callable, seed: int):
        """Prepares to predict.

        Args:
            family: the cells.
            names: objectives, and other names that constraints use.
            surrogate: factory as for `nas.search.Search`.
            seed: for the surrogates.
        """
        self._family, self.names = family, tuple(names)
        self._make, self._seed = surrogate, seed
        self._light = getattr(surrogate, 'light', surrogate)
        self._surrogates, self._size = {}, (0, 0)
        self._added: bool | None = None  # whether costs join the features
        self._forget()

    def _forget(self) -> None:
        self._mean = np.zeros((0, len(self.names)))
        self._std = np.zeros((0, len(self.names)))

    def known(self) -> np.ndarray:
        """Whether each name is an exact cost, bool [names]."""
        return np.isin(self.names, self._family.cost_names())

    def fit(
        self,
        evaluations: Sequence[Evaluation],
        *,
        worst: Mapping[str, float] | None = None,
        maximised: Sequence[str] = (),
    ) -> None:
        """Learns from evaluations.

        Args:
            evaluations: those that lack an objective are left out for that objective.
            worst: by name, a value that replaces worse ones. A search need not know how bad a bad
                cell is, and a few such values would take up most of the scale.
            maximised: names whose small values are the worse ones.
        """
        self._forget()
        told = {name: [e for e in evaluations if name in e.objectives] for name in self.names}
        wanted = [n for n, exact in zip(self.names, self.known()) if told[n] and not exact]
        self._fit_size()
        for name in wanted:
            rows = np.array([self._family.row[self._family.space.key(e.cell)] for e in told[name]])
            values = np.array([e.objectives[name] for e in told[name]])
            if worst and name in worst:
                bound = np.maximum if name in maximised else np.minimum
                values = bound(values, worst[name])
            tokens, inputs = self._inputs()
            if name not in self._surrogates:
                whole = len(wanted) <= WHOLE or name == wanted[0]
                make = self._make if whole else self._light
                self._surrogates[name] = make(*self._size, inputs.shape[1], seed=self._seed)
            self._surrogates[name].fit(tokens[rows], inputs[rows], values)

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
        tokens, inputs = self._inputs(start)
        for column, name in enumerate(self.names):
            if not known[column]:
                mean[:, column], std[:, column] = self._surrogates[name].predict(tokens, inputs)
        self._mean, self._std = np.concatenate([self._mean, mean]), np.concatenate([self._std, std])
        return self._mean, self._std

    def _inputs(self, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """What surrogates read of the cells from `start` on: tokens, and features with costs.

        Tokens that are newer than the last fit are unknown to the surrogates, which read them as
        the largest token they have room for.
        """
        tokens, (length, largest) = self._family.tokens()[start:, : self._size[0]], self._size
        tokens = np.pad(tokens, ((0, 0), (0, max(0, length - tokens.shape[1]))))
        features = self._family.features()[start:]
        if self._added:
            features = np.concatenate([features, self._logarithms()[start:]], axis=1)
        return np.minimum(tokens, largest), features

    def _logarithms(self) -> np.ndarray:
        """Logarithms of the costs, [cells, costs], with the sign of the cost."""
        costs = self._family.costs(self._family.cost_names())
        return (np.sign(costs) * np.log1p(np.abs(costs))).astype(np.float32)

    def _fit_size(self) -> None:
        """Finds the size of the surrogates; new ones are made if cells have outgrown it."""
        tokens, space = self._family.tokens(), self._family.space
        if self._added is None:
            # A space whose features hold the logarithm of a cost has chosen what is of use.
            self._added = not any(
                np.allclose(costs, feature)
                for costs in self._logarithms().T
                for feature in self._family.features().T
            )
        needed = tokens.shape[1], int(tokens.max(initial=0))
        if self._size[0] >= needed[0] > 0 and self._size[1] >= needed[1]:
            return
        if self._family.numbered:
            self._size = space.length, space.vocabulary_size
        else:
            # Spaces that do not tell their size get room to grow.
            self._size = (
                max(getattr(space, 'length', 0), -(-needed[0] // 8) * 8, 1),
                max(getattr(space, 'vocabulary_size', 0), -(-needed[1] // 16) * 16, 1),
            )
        self._surrogates = {}
