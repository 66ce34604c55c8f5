"""Chooses between the exact undominated space and its samples."""

import numpy as np

from nas.search import pareto
from nas.search.free_space.boxes import Boxes
from nas.search.free_space.samples import Samples

EXACT = 3  # objectives up to which the number of boxes grows no faster than the front
MOST_BOXES = 400  # for more objectives; a candidate is compared with each of them


def open_space(points, reference, lowest) -> Boxes | Samples:
    """Returns the space that a front leaves undominated inside the reference.

    It is exact for up to three objectives, and beyond as long as it has few boxes.

    Args:
        points: [N, M] evaluated objectives; N may be 0.
        reference: [M] or one number.
        lowest: [M] values that no candidate falls below.
    """
    points, reference = pareto.inside(points, reference)
    if len(reference) <= EXACT:
        return Boxes(points, reference)
    points = points[pareto.non_dominated(points)]
    boxes = Boxes(np.zeros((0, len(reference))), reference)
    for point in points[np.lexsort(points.T)]:
        boxes.add(point)
        if len(boxes) > MOST_BOXES:
            return Samples(points, reference, lowest)
    return boxes
