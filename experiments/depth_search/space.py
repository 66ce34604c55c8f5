"""The space of depth networks: cells grow op by op, the choices beside them move by steps."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from experiments.depth_search.cell import (
    BLOCKS,
    DOWNS,
    MERGES,
    WIDTHS,
    DepthCell,
    costs_of,
    levels_of,
    parse,
)
from nas.cells.cell import CONVS, NORMS
from nas.search.space import Space

_SHRINKING = (1, 2, 4)  # by which the network may see less than the panorama shows


def faces_of(panorama_height: int) -> tuple[int, ...]:
    """Pixels along a face for panoramas of a height, the largest first."""
    whole = panorama_height // 2
    return tuple(whole // n for n in _SHRINKING if whole % n == 0 and levels_of(whole // n))


class DepthSpace(Space):
    """Depth networks for panoramas of one height.

    Growing appends one op; from the second op on, what grows may also take one step in one of the
    choices beside the cell. The exact costs are `params`, `flops` and `macs` of the deployed
    network.
    """

    appends = True

    def __init__(self, panorama_height: int, *, levels: int = 6, forbid: Sequence[str] = ()):
        """Defines the space.

        Args:
            panorama_height: rows of the panoramas; it decides the sizes of the faces.
            levels: largest number of ops in a cell.
            forbid: as for `nas.search.spaces.restricted.restrict`. Choices beside the cell, such
                as l or f16, are taken out of the space here; tokens of cells are left to it.

        Raises:
            ValueError: nothing is left of a choice, or a run of tokens holds a choice.
        """
        faces = tuple(f'f{face}' for face in faces_of(panorama_height))
        every = {
            'widths': tuple(WIDTHS),
            'blocks': tuple(BLOCKS),
            'face': faces,
            'merge': MERGES,
            'down': tuple(DOWNS),
        }
        names = {text for texts in every.values() for text in texts}
        for text in forbid:
            if '-' in text and names & set(text.split('-')):
                raise ValueError(
                    f'--forbid={text} holds a choice; runs hold tokens alone, and each choice is'
                    ' forbidden by itself'
                )
        self.levels = levels
        self._offered = {
            name: tuple(text for text in texts if text not in forbid)
            for name, texts in every.items()
        }
        for name, texts in every.items():
            if not self._offered[name]:
                raise ValueError(
                    f'--forbid={",".join(forbid)} leaves no {name} of {", ".join(texts)}'
                )
        self.vocabulary = (*NORMS, *CONVS, *sorted(names))
        first = dict(zip(every, DepthCell(face=int(faces[0][1:])).choices))
        self.root = _with(
            DepthCell(),
            {name: _nearest(first[name], every[name], self._offered[name]) for name in every},
        )
        self.costs = functools.lru_cache(maxsize=None)(costs_of)

    def grow(self, cell: DepthCell) -> tuple[DepthCell, ...]:
        """Cells with one more op, each also with one choice moved by a step."""
        if cell.handmade or cell.level >= self.levels:
            return ()
        tokens = CONVS if cell.level % 2 else NORMS
        grown = [dataclasses.replace(cell, ops=(*cell.ops, token)) for token in tokens]
        if not cell.level:
            return tuple(grown)
        return tuple(near for one in grown for near in (one, *self._moved(one, steps=1)))

    def sample(self, random: np.random.Generator) -> DepthCell:
        """A random cell: a random number of random ops, and any choices; maybe incomplete."""
        pick = lambda texts: texts[random.integers(len(texts))]
        count = random.integers(1, self.levels + 1)
        ops = tuple(pick(CONVS if place % 2 else NORMS) for place in range(count))
        chosen = {name: pick(offered) for name, offered in self._offered.items()}
        return _with(dataclasses.replace(self.root, ops=ops), chosen)

    def _moved(self, cell: DepthCell, *, steps: int) -> Iterator[DepthCell]:
        """Cells with one other choice, at most so many steps away."""
        for (name, offered), now in zip(self._offered.items(), cell.choices):
            place = offered.index(now)
            for other, text in enumerate(offered):
                if other != place and abs(other - place) <= steps:
                    yield _with(cell, {name: text})

    def mutate(self, cell: DepthCell) -> tuple[DepthCell, ...]:
        """Cells with one other op, or one other choice."""
        if cell.handmade:
            return ()
        changed = list(self._moved(cell, steps=len(WIDTHS)))
        for place, op in enumerate(cell.ops):
            for token in CONVS if place % 2 else NORMS:
                if token != op:
                    ops = (*cell.ops[:place], token, *cell.ops[place + 1 :])
                    changed.append(dataclasses.replace(cell, ops=ops))
        return tuple(changed)

    def encode(self, cell: DepthCell) -> tuple[str, ...]:
        """The choices and the ops."""
        return (*cell.choices, *cell.ops)

    def tokens(self, cell: DepthCell) -> tuple[str, ...]:
        """The ops; choices are no part of them, so that cells with a prefix grow."""
        return cell.ops

    def key(self, cell: DepthCell) -> str:
        """The canonical form of the cell."""
        return cell.key

    def complete(self, cell: DepthCell) -> bool:
        """Whether a network can be built and has choices of this space."""
        return cell.complete and self._holds(cell)

    def _holds(self, cell):
        return all(text in offered for text, offered in zip(cell.choices, self._offered.values()))

    def level(self, cell: DepthCell) -> int:
        """Number of ops."""
        return cell.level

    def features(self, cell: DepthCell) -> tuple[float, ...]:
        """Logarithms of the exact costs and of the face, and how often each op occurs."""
        counts = tuple(float(cell.ops.count(token)) for token in NORMS + CONVS)
        logs = [math.log1p(value) for value in self.costs(cell).values()]
        return (*logs, math.log2(cell.face), *counts)

    def parse(self, text: str) -> DepthCell:
        """Reads a cell; see `cell.parse`.

        Raises:
            ValueError: there is no such cell in this space.
        """
        largest = int(self._offered['face'][0][1:])
        cell = parse(text, largest)
        for (name, offered), chosen in zip(self._offered.items(), cell.choices):
            if chosen not in offered:
                raise ValueError(f'{name} is {chosen}; accepted: {", ".join(offered)}')
        return cell


def _with(cell: DepthCell, choices: dict[str, str]) -> DepthCell:
    """The cell with other choices, given as texts."""
    fields = {name: int(text[1:]) if name == 'face' else text for name, text in choices.items()}
    return dataclasses.replace(cell, **fields)


def _nearest(wanted: str, every: Sequence[str], offered: Sequence[str]) -> str:
    """The choice that is the fewest steps away from the wanted one."""
    return min(offered, key=lambda text: abs(every.index(text) - every.index(wanted)))
