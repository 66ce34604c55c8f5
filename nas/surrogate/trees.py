"""Boosted trees beside the networks and the Gaussian process.

Trees find which few of many inputs matter, and where: what smooth regressions blur. They tell no
deviation and do not extrapolate, so they have a part of the mean alone.
"""

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

MOST = 1000  # examples at most, as for the Gaussian process


class Trees:
    """Gradient boosting (Friedman, Annals of Statistics 2001), refitted from nothing each time."""

    def __init__(self, seed: int):
        """Seeds the parts of the examples that each tree sees."""
        self._seed = seed

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Learns inputs [N, F] and targets [N]; of more than `MOST` examples the last ones."""
        self._trees = GradientBoostingRegressor(
            n_estimators=300,
            learning_rate=0.05,
            max_depth=3,
            subsample=0.7,
            random_state=self._seed,
        )
        self._trees.fit(inputs[-MOST:], targets[-MOST:])

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Predicted targets [M] for inputs [M, F]."""
        return self._trees.predict(inputs) if len(inputs) else np.zeros(0)
