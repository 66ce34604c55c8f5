"""Chooses the cells to evaluate next, from what is predicted of them.

Cells are chosen one by one, each by the hypervolume that it is expected to add to the evaluated and
the already chosen cells. Cells that would add none follow by Pareto rank and crowding distance.
"""

import numpy as np

from nas.search import pareto
from nas.search.free_space.boxes import Boxes
from nas.search.free_space.open_space import open_space
from nas.search.free_space.samples import Samples

# Midpoints of five equal parts of the normal distribution: an expectation is the mean over them.
QUANTILES = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
REFRESHED = 16  # outdated expectations that are computed again at a time


def expected_improvement(space: Boxes | Samples, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Expected hypervolume improvement of independent normal candidates.

    Args:
        space: the space that the front leaves undominated.
        mean, std: float [N, M]; a standard deviation is 0 where an objective is known.

    Returns:
        float64 [N].
    """
    total = np.zeros(len(mean))
    # A candidate that adds nothing at its best quantile adds nothing at any other one.
    hopeful = np.flatnonzero(space.improvement(mean + QUANTILES[0] * std) > 0)
    if len(hopeful):
        levels = np.array(QUANTILES)[:, None, None]
        points = (mean[hopeful] + levels * std[hopeful]).reshape(-1, mean.shape[1])
        total[hopeful] = space.improvement(points).reshape(len(QUANTILES), -1).mean(axis=0)
    return total


def _space(mean, std, front, reference) -> Boxes | Samples:
    """What the front leaves undominated, down to the lowest values that candidates may have."""
    may_be = mean + QUANTILES[0] * std
    reached = may_be[(may_be < reference).all(axis=1)]
    lowest = reached.min(axis=0) if len(reached) else np.asarray(reference, np.float64)
    return open_space(front, reference, lowest)


def select(count: int, mean, std, front, reference, *, violation=None) -> list[int]:
    """Chooses candidates by Pareto rank and hypervolume contribution.

    The choice is greedy: the candidate with the largest expected hypervolume improvement is taken,
    and its mean joins the front before the next choice. Candidates without improvement are taken by
    Pareto rank, and within a rank by crowding distance. Candidates that are predicted to violate a
    constraint come last, by their violation.

    Args:
        count: how many to choose at most.
        mean, std: [N, M] predicted objectives, minimised, and their standard deviations.
        front: [K, M] objectives of evaluated cells.
        reference: [M] worst values that count.
        violation: [N] predicted excess over the constraints, 0 for none.

    Returns:
        Indices of min(count, N) different candidates, best first.
    """
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    violation = np.zeros(len(mean)) if violation is None else np.asarray(violation)
    space = _space(mean, std, front, reference)
    gains = np.where(violation > 0, 0, expected_improvement(space, mean, std))
    hopeful = np.flatnonzero(gains > 0)
    chosen = hopeful[_greedy(count, space, mean[hopeful], std[hopeful], gains[hopeful])].tolist()
    rest = np.setdiff1d(np.arange(len(mean)), chosen)
    if len(chosen) < count and len(rest):
        ranks, distance = pareto.fronts(mean[rest], violation=violation[rest]), np.zeros(len(rest))
        for rank in range(ranks.max() + 1):
            distance[ranks == rank] = pareto.crowding(mean[rest[ranks == rank]])
        chosen += rest[np.lexsort((-distance, ranks))][: count - len(chosen)].tolist()
    return chosen


def _greedy(count: int, space: Boxes | Samples, mean, std, gains) -> list[int]:
    """Up to `count` indices, as long as one improves the front; changes `space`."""
    chosen = []
    while len(chosen) < count and gains.max(initial=0) > 0:
        # Gains only shrink as the front grows, so a gain that was smaller before is not computed
        # again.
        fresh = np.zeros(len(gains), bool)
        while not fresh[best := int(gains.argmax())]:
            stale = np.argsort(-np.where(fresh, -1, gains), kind='stable')[:REFRESHED]
            gains[stale] = np.where(
                gains[stale] > 0, expected_improvement(space, mean[stale], std[stale]), 0
            )
            fresh[stale] = True
        if gains[best] > 0:
            chosen.append(best)
            space.add(mean[best])
            gains[best] = 0
    return chosen


def most_promising(count: int, mean, std, front, reference, *, violation=None) -> list[int]:
    """Up to `count` indices by expected improvement, each alone; arguments as for `select`."""
    gains = expected_improvement(_space(mean, std, front, reference), mean, std)
    if violation is not None:
        gains = np.where(violation > 0, 0, gains)
    return np.argsort(-gains, kind='stable')[: min(count, np.count_nonzero(gains))].tolist()
