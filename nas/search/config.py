"""The sizes of a search, known without JAX or SciPy."""

import dataclasses

from common.options import option


@dataclasses.dataclass(frozen=True)
class PlannerConfig:
    """Sizes of a search.

    Raises:
        ValueError: on creation, for a size that is out of range.
    """

    # Not all at once: the small cells of the first levels teach little about the others.
    keep: int = option(
        6, 'K: cells evaluated on each level of the growth; on level l at most l + 1'
    )
    # What is grown from what was kept looks alike: a surrogate would never learn of anything else.
    explore: float = option(0.5, 'part of them that is grown at random from the root')
    batch: int = option(8, 'least number of cells in a batch of the last stage')
    # The surrogate is fitted about as often in the first hundred evaluations as in the next four
    # hundred.
    batch_growth: float = option(0.05, 'a batch has at least this part of the evaluations so far')
    # What cells unlike all others are worth is not known from those evaluated so far.
    bold: float = option(
        0.25, 'part of such a batch that is chosen as if predictions were less certain'
    )
    doubt: float = option(5.0, 'how many times as large their standard deviation is taken for that')
    bold_later: float = option(0.1, 'that part, once there are `settled` evaluations')
    settled: int = option(120, 'evaluations after which a search looks about less')
    parents: int = option(
        100, 'predicted cells that each round of looking for new ones grows and mutates'
    )
    rounds: int = option(3, 'how many such rounds precede a batch')
    pool: int = option(20_000, 'no new cells are looked for once so many are known')
    fewest: int = option(
        4, 'evaluations before anything is predicted; until then cells are drawn at random'
    )

    def __post_init__(self):
        for name in ('keep', 'batch', 'fewest'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}, it has to be at least 1')
        for name in ('explore', 'bold', 'bold_later'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} is {getattr(self, name)}; accepted: between 0 and 1')
