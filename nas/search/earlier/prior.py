"""What an earlier search with another recipe or device tells a surrogate.

Its values do not hold here, but the order of cells often does. A regression on the earlier values
predicts one for every cell, and these predictions join the features that the surrogate reads. So
the surrogate learns from the search's own evaluations how much they are worth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nas.search.space import Space, as_space

FEWEST = 4  # values from which a regression is fitted
MOST = 1000  # values that it learns, the last ones
# A surrogate that reads tens of features would hardly see a single one among them.
COPIES = 4
_TOKEN = 0.5  # size of one token, beside features of deviation 1
_LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the kernel, in median distances
_NOISES = (0.03, 0.1, 0.3, 1.0)


class Informed:
    """A space whose features also hold predictions by earlier values.

    All else is as in the space itself; `nas.search.Search` takes it like any other object that has
    the methods of a space.
    """

    def __init__(self, space: Space, told: Sequence[tuple[Any, Mapping[str, float]]]):
        """Learns the earlier values.

        Args:
            space: the space.
            told: (cell, values by name), such as the `prior` of `warm_start.Earlier`. Names with
                fewer than `FEWEST` values are left out.
        """
        self._space = as_space(space)
        self._regressions = []
        for name in dict.fromkeys(name for _, values in told for name in values):
            pairs = [(cell, values[name]) for cell, values in told if name in values][-MOST:]
            if len(pairs) >= FEWEST:
                cells, values = zip(*pairs)
                parts = zip(*map(self._parts, cells))
                self._regressions.append(Regression(*parts, np.array(values, np.float64)))
        self._known = {}

    def __getattr__(self, name: str):
        # Copies and pickles ask for attributes before there is a space.
        if name.startswith('__') or '_space' not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._space, name)

    def features(self, cell) -> tuple[float, ...]:
        """The features of the space, and a prediction of each earlier value."""
        key = self._space.key(cell)
        if key not in self._known:
            predicted = tuple(one.predict(*self._parts(cell)) for one in self._regressions)
            self._known[key] = COPIES * predicted
        return tuple(self._space.features(cell)) + self._known[key]

    def _parts(self, cell) -> tuple[np.ndarray, np.ndarray]:
        """Features [F] and tokens [any length] of a cell."""
        features = np.asarray(self._space.features(cell), np.float64)
        return features, np.asarray(self._space.encode(cell), np.int64)


class Regression:
    """Kernel ridge regression on features, and on how often and how late each token stands.

    Its widths are those with the least leave-one-out error.

    Source: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), section 5.4.2.
    """

    def __init__(
        self, features: Sequence[np.ndarray], tokens: Sequence[np.ndarray], values: np.ndarray
    ):
        """Learns `values` [N] of cells with features [N, F] and tokens [N, any length]."""
        features = np.stack(features)
        self._mean, spread = features.mean(axis=0), features.std(axis=0)
        self._spread = np.where(spread > 1e-9, spread, 1.0)
        self._kinds = np.arange(max((int(one.max(initial=0)) for one in tokens), default=0) + 1)
        self._length = max(len(one) for one in tokens)
        self._rows = np.stack([self._row(*parts) for parts in zip(features, tokens)])
        self._offset, self._scale = values.mean(), values.std() or 1.0
        targets = (values - self._offset) / self._scale
        squares = np.square(self._rows).sum(axis=1)
        products = self._rows @ self._rows.T
        distances = np.maximum(squares[:, None] + squares[None] - 2 * products, 0)
        self._unit = np.sqrt(np.median(distances)) or 1.0
        least = np.inf
        for length in _LENGTHS:
            kernel = self._kernel(distances, length)
            for noise in _NOISES:
                inverse = np.linalg.inv(kernel + noise * np.eye(len(values)))
                weights = inverse @ targets
                error = np.square(weights / np.diag(inverse)).mean()
                if error < least:
                    least, self._weights, self._chosen = error, weights, length

    def predict(self, features: np.ndarray, tokens: np.ndarray) -> float:
        """The value of a cell with features [F] and tokens [any length]."""
        distances = np.square(self._rows - self._row(features, tokens)).sum(axis=1)
        deviation = self._kernel(distances, self._chosen) @ self._weights
        return float(self._offset + self._scale * deviation)

    def _row(self, features: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        scaled = np.clip((features - self._mean) / self._spread, -5, 5)
        there = tokens[:, None] == self._kinds
        late = np.arange(len(tokens)) / max(self._length - 1, 1)
        return np.concatenate([scaled, _TOKEN * there.sum(axis=0), _TOKEN * late @ there])

    def _kernel(self, distances: np.ndarray, length: float) -> np.ndarray:
        """Matern-5/2 of squared distances."""
        scaled = np.sqrt(5 * distances) / (length * self._unit)
        return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
