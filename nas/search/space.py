"""Search spaces: what a search needs to know of cells. The cells of DPP-Net are one space.

A space starts from a root and grows one decision at a time. The search grows, mutates and encodes
cells and reads their exact costs only through this interface, so it runs on any space that offers
it.
"""

import functools
import re
from collections.abc import Callable

import numpy as np

from nas.cells import cost, plan
from nas.cells.cell import CONVS, NORMS, Cell
from nas.cells.skeleton import Skeleton

_LONGEST = 1000  # decisions after which random growth ends by itself


class Space:
    """The interface of a space, with defaults for its optional methods.

    A space has `root`, a hashable cell, and the methods `grow` and `encode`; it may be any object
    that has them, of this class or not. `str` of a cell identifies it.

    Attributes:
        root: the cell without decisions, where every search starts.
        length, vocabulary_size: optional: the most tokens of a cell and the largest token, of a
            space of this class whose `encode` gives numbers from 1 up and pads with 0.
        appends: whether growing puts tokens behind those of the cell.
        foreign: whether the space is an object of another class.
    """

    root = None
    appends = False
    foreign = False

    def grow(self, cell):
        """Returns the cells with one more decision, always in the same order; () at the end."""
        raise NotImplementedError

    def encode(self, cell):
        """Returns the decisions in the cell, in order, for the surrogate.

        Any sequence of anything hashable: whole numbers (also 0), strings, of any length. Equal
        decisions have to be equal tokens. Numbers on a scale, such as a width of 37, belong into
        `features`.
        """
        raise NotImplementedError

    def tokens(self, cell) -> tuple[str, ...]:
        """The names of the decisions, by which users forbid them."""
        return tuple(re.findall(r'[A-Za-z]\w*', str(cell)))

    def key(self, cell) -> str:
        """Canonical form: of all cells with the same key, only one is evaluated."""
        return str(cell)

    def complete(self, cell) -> bool:
        """Whether the cell can be evaluated; incomplete cells are only grown."""
        return cell != self.root

    def level(self, cell) -> int | None:
        """Number of decisions in the cell; None lets the search count growth steps instead."""
        return None

    def costs(self, cell) -> dict[str, float]:
        """Objectives that are known exactly without evaluating, by name."""
        return {}

    def features(self, cell) -> tuple[float, ...]:
        """Numbers for the surrogate besides the tokens; the same count for every cell."""
        return ()

    def mutate(self, cell) -> tuple | None:
        """Cells one change away at the same level; None lets `Family.mutate` find them."""
        return None

    def sample(self, random: np.random.Generator):
        """A random cell, maybe incomplete; None lets the search grow one by random decisions."""
        del random

    def parse(self, text: str):
        """Inverse of `str`. A search resumes without it, since it meets its own cells again."""
        raise ValueError(
            f'this space cannot read the cell {text!r}; give it a method parse(text), the inverse '
            'of str(cell)'
        )

    def record(self, cell) -> dict:
        """Further entries about the cell in the log of evaluations."""
        return {}


def random_cell(space: Space, random: np.random.Generator, grow: Callable | None = None):
    """A random cell, maybe incomplete: as the space draws one, or by random decisions.

    Args:
        space: the cells.
        random: gives the decisions, and how many of them are taken.
        grow: stands for `space.grow`, for example to remember what was grown.
    """
    cell = space.sample(random)
    if cell is not None:
        return cell
    grow, path = grow or space.grow, [space.root]
    while len(path) <= _LONGEST and (children := grow(path[-1])):
        path.append(children[random.integers(len(children))])
    return path[random.integers(1, len(path))] if len(path) > 1 else space.root


class _Foreign(Space):
    """An object that is no `Space`: it has `root`, `grow` and `encode`, maybe other methods."""

    foreign = True

    def __init__(self, space):
        missing = [name for name in ('root', 'grow', 'encode') if not hasattr(space, name)]
        if missing:
            raise ValueError(
                f'space {space!r} has no {missing[0]}; a space has root, grow(cell) and '
                'encode(cell)'
            )
        self.root = space.root
        plain = type(self.root)
        if plain.__str__ is object.__str__ and plain.__repr__ is object.__repr__:
            raise ValueError(
                f'cells of class {plain.__name__} have no text of their own, but str(cell) has to '
                'identify a cell, also in the next run; give the class a method __str__'
            )
        for name in (
            'grow',
            'encode',
            'key',
            'complete',
            'level',
            'costs',
            'features',
            'mutate',
            'sample',
            'parse',
            'record',
            'length',
            'vocabulary_size',
            'vocabulary',
            'tokens',
            'appends',
            # Of an object that stands for a space of this class.
            'foreign',
        ):
            if hasattr(space, name):
                setattr(self, name, getattr(space, name))


def as_space(space) -> Space:
    """Returns the space itself, or its methods with the defaults of `Space` where it has none.

    Raises:
        ValueError: if `root`, `grow` or `encode` is missing, or `str` does not identify a cell.
    """
    return space if isinstance(space, Space) else _Foreign(space)


class CellSpace(Space):
    """The cells of DPP-Net up to a level, counted on one skeleton.

    Its exact costs are `params`, `flops` and `macs` of the deployed network. Features for the
    surrogate are the logarithms of the costs and the number of each token.
    """

    root = Cell.ROOT
    appends = True

    def __init__(
        self,
        skeleton: Skeleton,
        *,
        levels: int = 6,
        norms: tuple[str, ...] = NORMS,
        convs: tuple[str, ...] = CONVS,
    ):
        """Defines the space.

        Args:
            skeleton: where the cells are placed.
            levels: largest number of tokens in a cell.
            norms, convs: the tokens to choose from.

        Raises:
            ValueError: if no complete cell would fit.
        """
        if levels < 2:
            raise ValueError(f'levels is {levels}, but the shortest cell has 2 tokens')
        self.skeleton, self.levels = skeleton, levels
        self.norms, self.convs = tuple(norms), tuple(convs)
        self.vocabulary = self.norms + self.convs
        self.length, self.vocabulary_size = levels, len(self.vocabulary)
        self.costs = functools.lru_cache(maxsize=None)(self._costs)

    def grow(self, cell: Cell) -> tuple[Cell, ...]:
        """The cells with one more op; none if the cell has the largest size."""
        if cell.level >= self.levels:
            return ()
        return cell.grow(norms=self.norms, convs=self.convs)

    def encode(self, cell: Cell) -> tuple[int, ...]:
        """A number from 1 up for each op; 0 pads."""
        return cell.encode(self.length, vocabulary=self.vocabulary)

    def tokens(self, cell: Cell) -> tuple[str, ...]:
        """The ops."""
        return cell.ops

    def key(self, cell: Cell) -> str:
        """The canonical form of the cell."""
        return cell.key

    def complete(self, cell: Cell) -> bool:
        """Whether the cell has a convolution that is not depthwise."""
        return cell.complete

    def level(self, cell: Cell) -> int:
        """Number of ops."""
        return cell.level

    def _costs(self, cell: Cell) -> dict[str, float]:
        return cost.count(plan.build(cell, self.skeleton))._asdict()

    def features(self, cell: Cell) -> tuple[float, ...]:
        """How often each op occurs, and the logarithms of the exact costs."""
        counts = tuple(float(cell.ops.count(token)) for token in self.vocabulary)
        return counts + tuple(float(np.log1p(value)) for value in self.costs(cell).values())

    def parse(self, text: str) -> Cell:
        """Reads tokens joined by hyphens."""
        return Cell.parse(text)
