"""The exact space that a front leaves undominated, as boxes."""

import numpy as np

from nas.search import pareto


class Boxes:
    """The undominated part of objective space inside the reference, as disjoint boxes.

    The boxes are those of the local upper bounds of the front (Klamroth, Lacour & Vanderpooten
    2015; Lacour, Klamroth & Fonseca 2017): a bound u is the worst corner of a region that holds no
    point of the front, and z_j(u) is the point that bounds it in objective j. There are 2N+1 of
    them for 3 objectives, but their number grows with N to the power of half the objectives.
    """

    def __init__(self, points, reference):
        """Starts from a front.

        Args:
            points: [N, M] evaluated objectives; N may be 0.
            reference: [M] or one number.
        """
        points, self._reference = pareto.inside(points, reference)
        size = self._reference.size
        self._upper = self._reference[None].copy()  # [U, M]
        # Component k of the point that bounds u in objective j; dummy points stand at the
        # reference.
        self._bounding = np.full((1, size, size), -np.inf)  # [U, j, k]
        self._bounding[0][np.diag_indices(size)] = self._reference
        for point in points[np.lexsort(points.T)]:
            self.add(point)

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self._upper)

    def add(self, point) -> None:
        """Removes what one more point [M] dominates: nothing, if the point is itself dominated."""
        point = np.asarray(point, np.float64)
        inside = (point < self._upper).all(axis=1)
        if not inside.any():
            return
        upper, bounding = self._upper[inside], self._bounding[inside]
        new_upper, new_bounding = [self._upper[~inside]], [self._bounding[~inside]]
        for j in range(self._reference.size):
            # The bound moves to the point in objective j if the bounding points of the other
            # objectives stay valid.
            others = np.delete(bounding, j, axis=1)[:, :, j].max(axis=1, initial=-np.inf)
            kept = point[j] >= others
            moved, by = upper[kept].copy(), bounding[kept].copy()
            moved[:, j] = point[j]
            by[:, j] = point
            new_upper.append(moved)
            new_bounding.append(by)
        self._upper, self._bounding = np.concatenate(new_upper), np.concatenate(new_bounding)

    def improvement(self, points) -> np.ndarray:
        """Hypervolume that each point alone would add to the front.

        Args:
            points: [N, M] candidates.

        Returns:
            float64 [N]; 0 for dominated points and points beyond the reference.
        """
        points = pareto.checked(points, objectives=self._reference.size)
        lower = np.full_like(self._upper, -np.inf)
        for k in range(1, self._reference.size):
            lower[:, k] = self._bounding[:, :k, k].max(axis=1)
        gains = np.zeros(len(points))
        step = max(1, 2_000_000 // len(self._upper))  # bounds the memory of an intermediate array
        for start in range(0, len(points), step):
            part = points[start : start + step]
            volume = np.ones((len(part), len(self._upper)))
            for k in range(self._reference.size):
                volume *= np.maximum(
                    self._upper[:, k] - np.maximum(lower[:, k], part[:, k, None]), 0
                )
            gains[start : start + step] = volume.sum(axis=1)
        return gains
