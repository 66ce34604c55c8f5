"""The scale on which a surrogate learns an objective, of any sign and size."""

import numpy as np

LOWEST_PART = 0.1  # of the lowest positive value stands for 0, which has no logarithm


class ValueScale:
    """A scale with mean 0 and deviation 1 on the examples, compressed far from most of them.

    Otherwise a few bad cells, with ten times the usual error, would take up the whole scale and
    leave no resolution where a search needs it. An inverse hyperbolic sine about the median keeps
    the order of all values. Values that are nowhere negative, such as errors and times, are first
    turned into logarithms, since their differences count as factors.
    """

    def __init__(self, values):
        """Fits the scale to finite values [N], at least one."""
        values = np.asarray(values, np.float64)
        self._logarithmic = bool((values >= 0).all() and (values > 0).any())
        if self._logarithmic:
            self._lowest = LOWEST_PART * values[values > 0].min()
        plain = self.plain(values)
        usual = 1.0 if self._logarithmic else float(np.abs(plain).max()) or 1.0
        # Differences below this are rounding.
        self._least = 1e-12 * max(float(np.abs(plain).max()), 1e-300)
        self._center = np.median(plain)
        # For a normal distribution this is the standard deviation (Huber, Robust Statistics, 1981).
        self._spread = self._positive(
            1.4826 * np.median(np.abs(plain - self._center)), self._positive(plain.std(), usual)
        )
        compressed = self._compressed(plain)
        self._mean, self._deviation = compressed.mean(), compressed.std()
        if not self._deviation > 1e-9:
            self._deviation = 1.0
        # Far from the examples, the outputs of a network are arbitrary. They are limited to the
        # range from half the best to twice the worst value, or as far beyond the examples as these
        # reach.
        beyond = np.log(2) if self._logarithmic else self._positive(np.ptp(plain), usual)
        self._range = self._compressed(np.array([plain.min() - beyond, plain.max() + beyond]))

    def _positive(self, number, otherwise):
        """The number, or `otherwise` if the number is zero up to rounding."""
        return number if number > self._least else otherwise

    def plain(self, values) -> np.ndarray:
        """Values -> their logarithms, or the values themselves if some are negative, float64."""
        values = np.asarray(values, np.float64)
        return np.log(np.maximum(values, self._lowest)) if self._logarithmic else values

    def _compressed(self, plain):
        return np.arcsinh((plain - self._center) / self._spread)

    def targets(self, values):
        """Values -> training targets of the networks, float32."""
        return self.standardised(self.plain(values)).astype(np.float32)

    def standardised(self, plain) -> np.ndarray:
        """What `plain` gives -> the scale of the targets."""
        return (self._compressed(plain) - self._mean) / self._deviation

    def values(self, outputs):
        """Outputs of the networks -> values; the inverse of `targets`."""
        compressed = np.clip(outputs * self._deviation + self._mean, *self._range)
        plain = np.sinh(compressed) * self._spread + self._center
        return np.exp(plain) if self._logarithmic else plain
