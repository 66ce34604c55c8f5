"""Pareto dominance and exact hypervolume; every objective is minimised.

Sorting and hypervolume are done by moocore (Lopez-Ibanez et al., the authors of the algorithms it
implements: Guerreiro & Fonseca 2017 for 3 and 4 objectives, Fonseca et al. 2006 beyond). What each
of many candidates would add to one front is in `nas.search.free_space`.
"""

import moocore
import numpy as np


def checked(points, name: str = 'points', *, objectives: int | None = None) -> np.ndarray:
    """Float64 [N, M], checked; an empty list counts as no points."""
    array = np.asarray(points, np.float64)
    if array.size == 0 and array.ndim < 2:
        array = array.reshape(0, objectives or 1)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f'{name} has shape {array.shape}; accepted is [points, objectives]')
    if np.isnan(array).any():
        row = int(np.isnan(array).any(axis=1).argmax())
        raise ValueError(f'{name} has NaN in row {row}; only numbers compare')
    if objectives is not None and array.shape[1] != objectives:
        raise ValueError(
            f'{name} has {array.shape[1]} objectives, but the reference has {objectives}'
        )
    return array


def _reference(reference, objectives: int | None) -> np.ndarray:
    """Float64 [M]; a single number stands for all objectives."""
    array = np.asarray(reference, np.float64)
    if array.ndim == 0 and objectives is not None:
        array = np.full(objectives, array)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f'reference is {reference}; accepted is one finite number per objective')
    return array


def inside(points, reference) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays, checked; keeps only points strictly better than the reference everywhere."""
    shape = np.shape(points)
    reference = _reference(reference, shape[1] if len(shape) == 2 else None)
    points = checked(points, objectives=reference.size)
    points = points[(points < reference).all(axis=1)]
    if np.isinf(points).any():
        raise ValueError(
            'points has -inf, whose hypervolume is infinite; accepted are finite numbers'
        )
    return points, reference


def non_dominated(points) -> np.ndarray:
    """Marks the points that no other point dominates.

    A point dominates another if it is nowhere worse and somewhere better, so equal points are all
    kept.

    Args:
        points: [N, M] objectives, all minimised; infinities are allowed.

    Returns:
        bool [N].

    Raises:
        ValueError: if the shape is wrong or a value is NaN.
    """
    points = checked(points)
    if len(points) == 0:
        return np.zeros(0, bool)
    return np.asarray(moocore.is_nondominated(_places(points), keep_weakly=True), bool)


def fronts(points, *, violation=None) -> np.ndarray:
    """Non-dominated sorting: 0 for the Pareto front, 1 for the front of the rest, and so on.

    Args:
        points: [N, M] objectives, all minimised.
        violation: [N], how far each point is over the constraints, 0 for a feasible one. Every
            feasible point comes before every infeasible one, and infeasible points are ordered by
            their violation (Deb et al. 2002).

    Returns:
        int64 [N], the rank of each point; equal points share one.

    Raises:
        ValueError: if a shape is wrong or a value is NaN, or a violation negative.
    """
    points = checked(points)
    if violation is None:
        violation = np.zeros(len(points))
    violation = np.asarray(violation, np.float64)
    if violation.shape != (len(points),) or not (violation >= 0).all():
        raise ValueError(
            f'violation {violation} must be a number from 0 up for each of {len(points)} points'
        )
    ranks = np.zeros(len(points), np.int64)
    feasible = violation == 0
    if feasible.any():
        ranks[feasible] = _sort(points[feasible])
    if not feasible.all():
        _, order = np.unique(violation[~feasible], return_inverse=True)
        ranks[~feasible] = order + (ranks[feasible].max() + 1 if feasible.any() else 0)
    return ranks


def _sort(points: np.ndarray) -> np.ndarray:
    """Ranks of at least one point; duplicates are sorted once, so that they share a rank."""
    unique, place = np.unique(points, axis=0, return_inverse=True)
    return np.asarray(moocore.pareto_rank(_places(unique)), np.int64)[place.reshape(-1)]


def _places(points: np.ndarray) -> np.ndarray:
    """Points with each value replaced by its rank within its objective; dominance stays the same.

    moocore 0.3 treats a point with an infinite objective as dominated, even by points that it beats
    in another objective.
    """
    columns = [np.unique(column, return_inverse=True)[1] for column in points.T]
    return np.stack(columns, axis=1).astype(np.float64)


def crowding(points) -> np.ndarray:
    """Crowding distance of the points of one front (Deb et al. 2002): larger is less crowded.

    Args:
        points: [N, M] objectives of one front.

    Returns:
        float64 [N]: the sum over the objectives of the distance between a point's two neighbours,
        as a part of the range; infinite at the ends of any objective. Of equal points one keeps its
        distance and the others get 0.
    """
    points = checked(points)
    if not np.isfinite(points).all():
        raise ValueError(
            'points has infinities, which have no distance; accepted are finite numbers'
        )
    distance = np.zeros(len(points))
    unique, first = np.unique(points, axis=0, return_index=True)
    sums = np.zeros(len(unique))
    for column in unique.T:
        order = np.argsort(column, kind='stable')
        spread = column[order[-1]] - column[order[0]] if len(column) else 0.0
        if spread > 0:
            sums[order[[0, -1]]] = np.inf
            sums[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    if len(unique) == 1:
        sums[:] = np.inf
    distance[first] = sums
    return distance


def hypervolume(points, reference) -> float:
    """Exact volume that the points dominate inside the reference.

    Args:
        points: [N, M] objectives, all minimised. Dominated and equal points add nothing, and
            neither does a point that is not better than the reference in every objective.
        reference: [M], or one number for all objectives.

    Returns:
        The volume, in the product of the objectives' units; 0.0 without points.

    Raises:
        ValueError: if the shapes do not fit or a value is NaN or -inf.
    """
    points, reference = inside(points, reference)
    return float(moocore.hypervolume(points, ref=reference)) if len(points) else 0.0


def hypervolume_by_step(points, reference) -> np.ndarray:
    """Hypervolume of the first 1, 2, ... N points, for example after each evaluation of a search.

    Args:
        points, reference: as for `hypervolume`, the points in order.

    Returns:
        float64 [N], never decreasing.
    """
    shape = np.shape(points)
    reference = _reference(reference, shape[1] if len(shape) == 2 else None)
    points = checked(points, objectives=reference.size)
    front, gains = np.zeros((0, reference.size)), np.zeros(len(points))
    for i, point in enumerate(points):
        if (point < reference).all() and not (front <= point).all(axis=1).any():
            # The point's own box without the part that the front covers: only points that reach
            # into the box count, far fewer than the front has (While et al. 2012).
            covered = np.maximum(front, point)
            gains[i] = np.prod(reference - point) - hypervolume(covered, reference)
            front = np.concatenate([front[~(front >= point).all(axis=1)], point[None]])
    return np.cumsum(np.maximum(gains, 0))
