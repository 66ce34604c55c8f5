"""The cells that a search has seen, how they were grown, and the arrays that surrogates read."""

import math

import numpy as np

from nas.search.space import Space

MOST_TOKENS = 1000  # different ones: more are no decisions


class Family:
    """The cells that a search has seen, how they were grown, and the arrays that a surrogate reads.

    Attributes:
        cells: complete cells, one for each key, in the order of their discovery.
        row: place in `cells` by key.
        numbered: whether the space itself gives tokens from 1 up and tells their sizes. The tokens
            of other spaces are numbered here, in the order in which they are met.
    """

    def __init__(self, space: Space):
        self.space = space
        self.cells, self.row = [], {}
        sizes = hasattr(space, 'length') and hasattr(space, 'vocabulary_size')
        self.numbered = sizes and not space.foreign
        self._numbers = {}
        self._texts = {}
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
                tokens, features, costs = self._read(cell)
                self.row[key] = len(self.cells)
                self.cells.append(cell)
                self._tokens.append(tokens)
                self._features.append(features)
                self._costs.append(costs)

    def _read(self, cell) -> tuple[tuple, tuple, dict]:
        """Tokens, features and costs that the space gives. Raises ValueError for unusable ones."""
        encoded = self.space.encode(cell)
        try:
            tokens = tuple(encoded)
            if not self.numbered:
                tokens = tuple(self._numbers.setdefault(t, len(self._numbers) + 1) for t in tokens)
        except TypeError:
            raise ValueError(
                f'encode gives {encoded!r} for cell {str(cell)!r}; a sequence of whole numbers or '
                'strings is accepted'
            ) from None
        if len(self._numbers) > MOST_TOKENS:
            raise ValueError(
                f'encode gives more than {MOST_TOKENS} different tokens, now {encoded!r}; numbers '
                'on a scale belong into features(cell)'
            )
        features, costs = self.space.features(cell), self.space.costs(cell)
        try:
            features = tuple(float(value) for value in features)
            costs = {str(name): float(value) for name, value in costs.items()}
        except (TypeError, ValueError, AttributeError):
            raise ValueError(
                f'cell {str(cell)!r} has features {features!r} and costs {costs!r}; accepted are '
                'a sequence of numbers, and a dict of numbers by name'
            ) from None
        if not all(map(math.isfinite, (*features, *costs.values()))):
            raise ValueError(
                f'cell {str(cell)!r} has features {features} and costs {costs}; finite numbers '
                'are accepted'
            )
        if self.cells and (
            len(features) != len(self._features[0]) or set(costs) != set(self._costs[0])
        ):
            raise ValueError(
                f'cell {str(cell)!r} has {len(features)} features and the costs '
                f'{", ".join(costs) or "none"}, but cell {str(self.cells[0])!r} has '
                f'{len(self._features[0])} and {", ".join(self._costs[0]) or "none"}; every cell '
                'needs the same'
            )
        return tokens, features, costs

    def grow(self, cell) -> tuple:
        """Grows a cell, adds the complete cells among the results, and remembers their choices."""
        # A space may say None at its end.
        grown = self.space.grow(cell)
        children = () if grown is None else tuple(grown)
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

    def named(self, text: str):
        """The cell with this text among those met, or None."""
        if text not in self._texts:
            for cell in self.cells[len(self._texts) :]:
                self._texts[str(cell)] = cell
        return self._texts.get(text)

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
