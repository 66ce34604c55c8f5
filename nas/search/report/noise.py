"""How far an error may be off, since it was counted on few images or trained with few seeds."""

import math

from nas.search.evaluations import Evaluation
from nas.search.report.picks import ERROR, Noise


def of_images(count: int) -> Noise:
    """The standard error of an error that was counted on some images.

    A share p of n images has the standard error sqrt(p (1 - p) / n). The share is moved towards a
    half by one image each way, since even no wrong image leaves a doubt.

    Args:
        count: number of held-out images, n.

    Returns:
        A function from an evaluation to percentage points, None if it has no error.
    """

    def noise(evaluation: Evaluation) -> float | None:
        error = evaluation.objectives.get(ERROR)
        if error is None or count < 1:
            return None
        share = (min(max(error, 0.0), 100.0) / 100 * count + 1) / (count + 2)
        return 100 * math.sqrt(share * (1 - share) / (count + 2))

    return noise
