"""The sizes of a search; loads neither JAX nor SciPy."""

import dataclasses

from common.options import option


@dataclasses.dataclass(frozen=True)
class PlannerConfig:
    """Sizes of a search.

    Raises:
        ValueError: on creation, for a size that is out of range.
    """

    # The first levels hold small cells, which may be of no use and teach little about large ones.
    initial: int = option(
        0,
        'number of cells that are known before the first level is grown: those that are missing are'
        ' drawn at random from the whole space',
    )
    # Lower levels keep fewer: their small cells teach little about the others.
    keep: int = option(
        6, 'K: number of cells evaluated on each level of growth, but at most l + 1 on level l'
    )
    # Cells grown from kept cells look alike; the surrogate would never learn about other cells.
    explore: float = option(
        0.5, 'part of the cells of a level that is grown at random from the root'
    )
    # Small batches: each one is chosen by a surrogate that knows the one before.
    batch: int = option(
        4,
        'least number of cells in a batch of the last stage; raise it to the number of workers if'
        ' these are more',
    )
    # The surrogate is fitted about as often in the first hundred evaluations as in the next four
    # hundred.
    batch_growth: float = option(
        0.05, 'a batch of the last stage has at least this part of the number of evaluations so far'
    )
    # Evaluated cells tell little about the value of cells that are unlike all of them.
    bold: float = option(
        0.5, 'part of a batch of the last stage that is chosen as if predictions were less certain'
    )
    doubt: float = option(5.0, 'factor on the predicted standard deviations for the part `bold`')
    bold_later: float = option(0.1, 'replaces `bold` after `settled` evaluations')
    settled: int = option(120, 'number of evaluations after which the search explores less')
    parents: int = option(
        100, 'number of well predicted cells that each of the `rounds` grows and mutates'
    )
    rounds: int = option(
        3, 'rounds of growing and mutating cells before each batch of the last stage'
    )
    pool: int = option(20_000, 'number of known cells after which no new ones are looked for')
    fewest: int = option(
        4, 'number of evaluations before the first prediction; until then the choice is random'
    )

    def __post_init__(self):
        for name in ('keep', 'batch', 'fewest'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}, it has to be at least 1')
        if self.initial < 0:
            raise ValueError(f'initial is {self.initial}, it has to be at least 0')
        for name in ('explore', 'bold', 'bold_later'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} is {getattr(self, name)}; accepted: between 0 and 1')
