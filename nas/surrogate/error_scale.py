"""The scale on which the networks learn errors."""

import numpy as np

LOWEST_ERROR = 1e-2  # percent: an error of 0 has no logarithm


class ErrorScale:
    """The logarithm of errors, compressed far from most examples, with mean 0 and deviation 1.

    Otherwise a few bad cells, with ten times the usual error, would take up the whole scale and
    leave no resolution where a search needs it. An inverse hyperbolic sine about the median keeps
    the order of all errors.
    """

    def __init__(self, errors):
        """Fits the scale to errors [N] >= 0 in percent."""
        logs = self._logs(errors)
        self._center = np.median(logs)
        # For a normal distribution this is the standard deviation (Huber, Robust Statistics, 1981).
        self._spread = _positive(
            1.4826 * np.median(np.abs(logs - self._center)), _positive(logs.std(), 1.0)
        )
        values = self._compressed(logs)
        self._mean, self._deviation = values.mean(), _positive(values.std(), 1.0)
        # Far from the examples, outputs of a network are arbitrary. They are limited to the range
        # from half the best to twice the worst error.
        self._range = self._compressed(np.array([logs.min() - np.log(2), logs.max() + np.log(2)]))

    @staticmethod
    def _logs(errors):
        return np.log(np.maximum(errors, LOWEST_ERROR))

    def _compressed(self, logs):
        return np.arcsinh((logs - self._center) / self._spread)

    def targets(self, errors):
        """Errors in percent -> training targets of the networks, float32."""
        return ((self._compressed(self._logs(errors)) - self._mean) / self._deviation).astype(
            np.float32
        )

    def errors(self, outputs):
        """Outputs of the networks -> errors in percent; the inverse of `targets`."""
        values = np.clip(outputs * self._deviation + self._mean, *self._range)
        return np.exp(np.sinh(values) * self._spread + self._center)


def _positive(number, otherwise):
    """The number, or `otherwise` if the number is zero up to rounding."""
    return number if number > 1e-6 else otherwise
