"""Search spaces: what a search needs to know of cells. The cells of DPP-Net are one space.

A space starts from a root and grows one decision at a time. The search grows, mutates and encodes
cells and reads their exact costs only through this interface, so it runs on any space that offers
it.
"""

import functools

import numpy as np

from nas.cells import cost, plan
from nas.cells.cell import CONVS, NORMS, Cell
from nas.cells.skeleton import Skeleton


class Space:
    """The interface of a space, with defaults for its optional methods.

    A space has `root`, a hashable cell, and the methods `grow` and `encode`; it may be any object
    that has them, of this class or not. `str` of a cell identifies it.
    """

    root = None

    def grow(self, cell):
        """Returns the cells with one more decision, always in the same order; () at the end."""
        raise NotImplementedError

    def encode(self, cell):
        """Returns the cell as a sequence of token numbers from 1 up, for the surrogate; 0 pads."""
        raise NotImplementedError

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

    def parse(self, text: str):
        """Inverse of `str`, needed to resume from a file."""
        raise ValueError(f'this space cannot read cells such as {text!r}: it has no parse method')

    def record(self, cell) -> dict:
        """Further entries about the cell in the log of evaluations."""
        return {}


class _Foreign(Space):
    """An object that is no `Space`: it has `root`, `grow` and `encode`, maybe other methods."""

    def __init__(self, space):
        missing = [name for name in ('root', 'grow', 'encode') if not hasattr(space, name)]
        if missing:
            raise ValueError(
                f'space {space!r} has no {missing[0]}; a space has root, grow(cell) and '
                'encode(cell)'
            )
        self.root = space.root
        for name in (
            'grow',
            'encode',
            'key',
            'complete',
            'level',
            'costs',
            'features',
            'mutate',
            'parse',
            'record',
            'length',
            'vocabulary_size',
        ):
            if hasattr(space, name):
                setattr(self, name, getattr(space, name))


def as_space(space) -> Space:
    """Returns the space itself, or its methods with the defaults of `Space` where it has none.

    Raises:
        ValueError: if `root`, `grow` or `encode` is missing.
    """
    return space if isinstance(space, Space) else _Foreign(space)


class CellSpace(Space):
    """The cells of DPP-Net up to a level, counted on one skeleton.

    Its exact costs are `params`, `flops` and `macs` of the deployed network. Features for the
    surrogate are the logarithms of the costs and the number of each token.
    """

    root = Cell.ROOT

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


class Family:
    """The cells that a search has seen, how they were grown, and the arrays that a surrogate reads.

    Attributes:
        cells: complete cells, one for each key, in the order of their discovery.
        row: place in `cells` by key.
    """

    def __init__(self, space: Space):
        self.space = space
        self.cells, self.row = [], {}
        self._paths = {str(space.root): ()}  # by str(cell): its growth choices from the root
        self._grown = set()  # str of the cells that have been grown
        self._ungrown = {}  # cells that have not been grown, complete or not, by str
        self._tokens, self._features, self._costs = [], [], []

    def add(self, cells) -> None:
        """Adds complete cells; skips known and incomplete ones."""
        for cell in cells:
            if not self.space.complete(cell):
                continue
            key = self.space.key(cell)
            if key not in self.row:
                self.row[key] = len(self.cells)
                self.cells.append(cell)
                self._tokens.append(tuple(self.space.encode(cell)))
                self._features.append(tuple(self.space.features(cell)))
                self._costs.append(self.space.costs(cell))

    def grow(self, cell) -> tuple:
        """Grows a cell, adds the complete cells among the results, and remembers their choices."""
        children = tuple(self.space.grow(cell))
        self._grown.add(str(cell))
        self._ungrown.pop(str(cell), None)
        self._ungrown.update(
            (str(child), child) for child in children if str(child) not in self._grown
        )
        path = self._paths.get(str(cell))
        if path is not None:
            for choice, child in enumerate(children):
                self._paths.setdefault(str(child), path + (choice,))
        self.add(children)
        return children

    def grow_oldest(self) -> bool:
        """Grows the cell that has waited longest to be grown; returns whether there was one."""
        if not self._ungrown:
            return False
        self.grow(next(iter(self._ungrown.values())))
        return True

    def mutate(self, cell) -> tuple:
        """Adds and returns cells one change away: the space's own, or with one choice changed.

        After the changed choice, the later choices of the cell are repeated, as indices into what
        `grow` offers then. A cell that was not grown here has no recorded choices and so no
        mutations.
        """
        mutants = self.space.mutate(cell)
        if mutants is None:
            mutants = tuple(self._change_choices(cell))
        self.add(mutants)
        return mutants

    def _change_choices(self, cell):
        path, prefix = self._paths.get(str(cell), ()), self.space.root
        for place, kept in enumerate(path):
            offered = self.grow(prefix)
            for choice, mutant in enumerate(offered):
                for later in path[place + 1 :] if choice != kept else ():
                    children = self.grow(mutant)
                    if not children:
                        break
                    mutant = children[later % len(children)]
                if choice != kept:
                    yield mutant
            prefix = offered[kept]

    def level(self, cell) -> int:
        """The level that the space gives, or the number of growth steps; 0 if that is unknown."""
        level = self.space.level(cell)
        return len(self._paths.get(str(cell), ())) if level is None else level

    def tokens(self) -> np.ndarray:
        """Tokens of all cells, int32 [N, longest], padded with 0."""
        length = max((len(row) for row in self._tokens), default=0)
        padded = [row + (0,) * (length - len(row)) for row in self._tokens]
        return np.array(padded, np.int32).reshape(-1, length)

    def features(self) -> np.ndarray:
        """Features of all cells, float32 [N, F]."""
        return np.array(self._features, np.float32).reshape(len(self.cells), -1)

    def costs(self, names) -> np.ndarray:
        """Exact costs of all cells, float64 [N, len(names)]."""
        rows = [[costs[name] for name in names] for costs in self._costs]
        return np.array(rows, np.float64).reshape(len(rows), len(names))

    def cost_names(self) -> tuple[str, ...]:
        """Names of the costs that the space knows, empty before the first complete cell."""
        return tuple(self._costs[0]) if self._costs else ()
