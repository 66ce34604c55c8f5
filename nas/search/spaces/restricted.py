"""A space without the cells that a user forbids, or with the cells of given beginnings alone."""

import itertools
from collections.abc import Iterator, Sequence

from nas.search.evaluations import Constraint
from nas.search.space import Space, as_space

_DRAWS = 100  # random cells among which one has to be left
WALKED = 5000  # cells looked at before a search, to see that something is left


class NothingFeasible(ValueError):
    """No cell satisfies the limits; the message names the nearest.

    Attributes:
        exit_code: of the program that ends with it.
    """

    exit_code = 3


class Restricted(Space):
    """Another space with fewer cells.

    Where growth appends tokens (`Space.appends`), forbidden cells are not grown either. In other
    spaces, growth may lead through them, but they are never evaluated.
    """

    def __init__(self, space, *, forbid: Sequence[str] = (), prefixes: Sequence[str] = ()):
        """Restricts a space; arguments as for `restrict`, which also checks them."""
        self._space = as_space(space)
        self._runs = [tuple(text.split('-')) for text in forbid]
        self._prefixes = [tuple(text.split('-')) for text in prefixes]
        self.root, self.appends = self._space.root, self._space.appends
        self.foreign = self._space.foreign

    def __getattr__(self, name):
        # Only what neither this class nor `Space` has: sizes, and what the space adds.
        if name.startswith('_'):
            raise AttributeError(name)
        return getattr(self._space, name)

    def _clean(self, tokens) -> bool:
        """Whether no forbidden run of tokens is among the tokens."""
        return not any(
            tokens[start : start + len(run)] == run
            for run in self._runs
            for start in range(len(tokens) - len(run) + 1)
        )

    def _leads(self, cell) -> bool:
        """Whether cells that are left may grow from the cell."""
        if not self.appends:
            return True
        tokens = self._space.tokens(cell)
        return self._clean(tokens) and (
            not self._prefixes
            or any(all(a == b for a, b in zip(tokens, prefix)) for prefix in self._prefixes)
        )

    def grow(self, cell):
        """The cells with one more decision from which cells that are left may grow."""
        return tuple(child for child in self._space.grow(cell) or () if self._leads(child))

    def complete(self, cell) -> bool:
        """Whether the cell can be evaluated and is left."""
        if not self._space.complete(cell):
            return False
        tokens = self._space.tokens(cell)
        return self._clean(tokens) and (
            not self._prefixes or any(tokens[: len(p)] == p for p in self._prefixes)
        )

    def mutate(self, cell):
        """Cells one change away that are left; None if the space does not tell."""
        mutants = self._space.mutate(cell)
        return None if mutants is None else tuple(m for m in mutants if self.complete(m))

    def sample(self, random):
        """A random cell of those that are left; None if chance does not meet one."""
        for _ in range(_DRAWS):
            cell = self._space.sample(random)
            if cell is None or self.complete(cell):
                return cell
        return None

    def encode(self, cell):
        """As in the whole space."""
        return self._space.encode(cell)

    def key(self, cell):
        """As in the whole space."""
        return self._space.key(cell)

    def level(self, cell):
        """As in the whole space."""
        return self._space.level(cell)

    def tokens(self, cell):
        """As in the whole space."""
        return self._space.tokens(cell)

    def costs(self, cell):
        """As in the whole space."""
        return self._space.costs(cell)

    def features(self, cell):
        """As in the whole space."""
        return self._space.features(cell)

    def parse(self, text):
        """As in the whole space."""
        return self._space.parse(text)

    def record(self, cell):
        """As in the whole space."""
        return self._space.record(cell)


def restrict(space, *, forbid: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Space:
    """Returns the space with fewer cells, or the space itself if nothing is asked.

    Args:
        space: as for `nas.search.Search`.
        forbid: tokens that no cell may hold, or runs of tokens joined by hyphens, such as
            `none-dwconv3x3`, that no cell may hold one after the other.
        prefixes: beginnings, tokens joined by hyphens; cells begin with one of them.

    Raises:
        ValueError: a token is unknown to the space, or no cell is left.
    """
    if not forbid and not prefixes:
        return as_space(space)
    known = getattr(space, 'vocabulary', None)
    for flag, texts in (('forbid', forbid), ('prefix', prefixes)):
        for text in texts:
            unknown = [token for token in text.split('-') if token not in (known or ())]
            if unknown and known is not None:
                raise ValueError(
                    f'--{flag}={text} names {unknown[0]!r}, which is no token of this space; '
                    f'accepted: {", ".join(known) or "none"}'
                )
    restricted = Restricted(space, forbid=forbid, prefixes=prefixes)
    if next(complete_cells(restricted), None) is None:
        flags = [f'--forbid={",".join(forbid)}'] * bool(forbid)
        flags += [f'--prefix={",".join(prefixes)}'] * bool(prefixes)
        raise ValueError(f'{" with ".join(flags)} leaves no cell to search')
    return restricted


def complete_cells(space: Space) -> Iterator:
    """Cells of a space that can be evaluated, one for each key, those with few decisions first."""
    waiting, seen, keys = [space.root], {str(space.root)}, set()
    for cell in waiting:
        for child in space.grow(cell) or ():
            if str(child) in seen:
                continue
            seen.add(str(child))
            waiting.append(child)
            if space.complete(child) and space.key(child) not in keys:
                keys.add(space.key(child))
                yield child


def check_feasible(space: Space, constraints: Sequence[Constraint]) -> None:
    """Checks before a search that its exactly known limits leave a cell.

    Spaces with more than `WALKED` cells over the limits are not looked through to the end.

    Args:
        space: the cells.
        constraints: the limits; those on objectives that are measured do not count here.

    Raises:
        NothingFeasible: no cell satisfies them; the message names the nearest.
    """
    best = None
    cells = complete_cells(space)
    for cell in itertools.islice(cells, WALKED):
        costs = space.costs(cell)
        exact = [c for c in constraints if c.name in costs]
        excess = sum(float(c.excess(costs[c.name])) for c in exact)
        if not excess:
            return
        if best is None or excess < best[0]:
            values = ', '.join(f'{c.name} {costs[c.name]:,.10g}' for c in exact)
            best = excess, cell, values, ','.join(map(str, exact))
    if best and next(cells, None) is None:
        raise NothingFeasible(
            f'--constraints={best[3]} leaves no cell to search; the nearest is {best[1]} with '
            f'{best[2]}'
        )


def included_cells(space: Space, cells: Sequence) -> list:
    """The cells that a search begins with, one for each key.

    Args:
        space: the space, restricted or not.
        cells: cells, or texts that the space parses.

    Raises:
        ValueError: a cell is none of the space, or is left out of it.
    """
    found = {}
    for given in cells:
        try:
            whole = isinstance(given, type(space.root)) and not isinstance(given, str)
            cell = given if whole else space.parse(given)
            space.encode(cell)
            fits = space.complete(cell)
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f'--include={given} is no cell of this space: {error}') from error
        if not fits:
            raise ValueError(
                f'--include={given} cannot be evaluated: it is incomplete, or --forbid or --prefix '
                'leaves it out'
            )
        found.setdefault(space.key(cell), cell)
    return list(found.values())
