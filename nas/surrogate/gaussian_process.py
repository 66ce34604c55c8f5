"""A Gaussian process beside the networks: what it has seen nothing like, it is unsure of.

Networks that have all seen the same examples agree where they have seen none, and a search that
believes them never looks there. The deviation of a Gaussian process grows with the distance from
the examples.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

MOST = 1000  # examples: predictions take time with their square
GROWTH = 1.2  # the kernel is fitted again when there are so many times as many examples
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
        """Learns from inputs [N, F] of about unit deviation and targets [N] of mean 0 and deviation
        1.

        The kernel is fitted by the marginal likelihood, from where it was; not every time. Of more
        than `MOST` examples it takes as many, evenly by target.
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
            # A length or noise at its bound is no error: the examples may well be without noise.
            warnings.simplefilter('ignore', ConvergenceWarning)
            self._process.fit(inputs, np.asarray(targets, np.float64))
        if due:
            self._kernel, self._fitted_on = self._process.kernel_, len(targets)

    def predict(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, each float64 [M], of the function at inputs [M, F], noise
        left out.
        """
        parts = [
            self._process.predict(inputs[start : start + CHUNK], return_std=True)
            for start in range(0, len(inputs), CHUNK)
        ] or [(np.zeros(0), np.zeros(0))]
        mean, std = (np.concatenate(columns) for columns in zip(*parts))
        return mean, np.sqrt(np.maximum(std**2 - self._kernel.k2.noise_level, 0))
