"""The space that a front leaves undominated, as samples: for many objectives.

The number of boxes grows with the front to the power of half the objectives: a few thousand for 51
points and 6 objectives, each of which every candidate would have to be compared with. Samples of
the space cost the same for any number of objectives, and all candidates are judged by the same
ones, so that their order is hardly disturbed (Bader & Zitzler, HypE, Evolutionary Computation
2011).
"""

import numpy as np
from scipy.stats import qmc

from nas.search import pareto

SAMPLES = 4096  # wanted in the undominated space
MOST_DRAWN = 2**17  # drawn at most to find them
_DRAWN = 2**13  # at a time
_STEPS = 1024  # of a candidate's values within an objective
_CHUNK = 8192  # candidates at a time


class Samples:
    """Evenly spread points of the undominated space between the lowest values and the reference.

    A table holds for each objective and each of about `_STEPS` values which samples are no better
    than it, as bits. What a candidate dominates are the samples in all of its rows.
    """

    def __init__(self, points, reference, lowest):
        """Draws the samples, the same ones in every call.

        Args:
            points: [N, M] evaluated objectives; N may be 0.
            reference: [M] or one number.
            lowest: [M] values that no candidate falls below; what lies below does not count.
        """
        points, reference = pareto.inside(points, reference)
        lowest = np.minimum(lowest, reference)
        # A Sobol sequence without its random shift: even, and equal in every version of SciPy.
        sequence, size = qmc.Sobol(len(reference), scramble=False), reference - lowest
        kept, drawn = [], 0
        while drawn < MOST_DRAWN and sum(map(len, kept)) < SAMPLES:
            drawn += _DRAWN
            new = lowest + size * (sequence.random(_DRAWN) + 0.5 / MOST_DRAWN)
            kept.append(new[~_dominated(new, points)])
        self._samples = np.concatenate(kept)
        self._volume = float(np.prod(size)) / drawn  # that one sample stands for
        self._sorted = np.sort(self._samples, axis=0)
        self._stride = -(-len(self._samples) // _STEPS) or 1
        places = np.argsort(np.argsort(self._samples, axis=0, kind='stable'), axis=0)
        steps = self._stride * np.arange(len(self._samples) // self._stride + 2)
        self._rows = [_bits(column >= steps[:, None]) for column in places.T]
        self._free = _bits(np.ones((1, len(self._samples)), bool))[0]

    def add(self, point) -> None:
        """Removes what one more point [M] dominates."""
        self._free &= ~_bits((self._samples >= point).all(axis=1)[None])[0]

    def improvement(self, points) -> np.ndarray:
        """Estimated hypervolume that each point alone would add to the front.

        Args:
            points: [N, M] candidates.

        Returns:
            float64 [N]; 0 for dominated points and points beyond the reference.
        """
        points = pareto.checked(points, objectives=self._samples.shape[1])
        counts = np.zeros(len(points), np.int64)
        for start in range(0, len(points), _CHUNK):
            part = points[start : start + _CHUNK]
            common = np.broadcast_to(self._free, (len(part), len(self._free)))
            for rows, ordered, values in zip(self._rows, self._sorted.T, part.T):
                place = np.searchsorted(ordered, values)
                # Rounded so that what a dominated candidate adds is 0.
                common = common & rows[-(-place // self._stride)]
            counts[start : start + _CHUNK] = np.bitwise_count(common).sum(axis=1, dtype=np.int64)
        return self._volume * counts


def _dominated(samples: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether any of the points is nowhere worse, bool [N] for samples [N, M]."""
    found = np.zeros(len(samples), bool)
    for point in points:
        found[~found] = (point <= samples[~found]).all(axis=1)
    return found


def _bits(rows: np.ndarray) -> np.ndarray:
    """Rows of truth values [R, S] as words of 64 of them; the last word is filled with False."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 64)))
    return np.packbits(padded, axis=1).view(np.uint64)
