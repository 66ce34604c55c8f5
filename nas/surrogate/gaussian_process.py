"""A Gaussian process beside the networks, which is unsure about cells unlike its examples.

Networks that have learned the same examples agree with each other even far from these examples, and
a search that trusts them never looks there. The deviation of a Gaussian process grows with the
distance from the examples.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

MOST = 1000  # examples at most: prediction time grows with their square
GROWTH = 1.2  # the kernel is fitted again when the examples have grown by this factor
CHUNK = 4096  # rows predicted at a time


class GaussianProcess:
    """Regression with a Matern-5/2 kernel of one length for all inputs, and noise.

    Source: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 5.
    """

    def __init__(self):
        self._kernel = ConstantKernel(1.0, (0.1, 10)) * Matern(
            5.0, (0.5, 100), nu=2.5
        ) + WhiteKernel(0.05, (1e-3, 1))
        self._fitted_on = 0

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Learns inputs [N, F] of deviation about 1, and targets [N] of mean 0 and deviation 1.

        The kernel is fitted by the marginal likelihood, starting from the last kernel, and only if
        there are `GROWTH` times as many examples as at its last fit. Of more than `MOST` examples
        the process learns `MOST`, spread evenly over the sorted targets.
        """
        if len(targets) > MOST:
            rows = np.argsort(targets, kind='stable')[
                np.linspace(0, len(targets) - 1, MOST).astype(int)
            ]
            inputs, targets = inputs[rows], targets[rows]
        due = len(targets) >= GROWTH * self._fitted_on
        self._process = GaussianProcessRegressor(
            self._kernel, optimizer='fmin_l_bfgs_b' if due else None
        )
        with warnings.catch_warnings():
            # A length or noise at its bound is no error: the examples may be free of noise.
            warnings.simplefilter('ignore', ConvergenceWarning)
            self._process.fit(inputs, np.asarray(targets, np.float64))
        if due:
            self._kernel, self._fitted_on = self._process.kernel_, len(targets)

    def predict(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, float64 [M] each, at inputs [M, F], without the noise."""
        parts = [
            self._process.predict(inputs[start : start + CHUNK], return_std=True)
            for start in range(0, len(inputs), CHUNK)
        ] or [(np.zeros(0), np.zeros(0))]
        mean, std = (np.concatenate(columns) for columns in zip(*parts))
        return mean, np.sqrt(np.maximum(std**2 - self._kernel.k2.noise_level, 0))
