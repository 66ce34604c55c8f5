"""The objectives of a search by name, and whether each is minimised or maximised.

A `-` before a name asks for large values: `-accuracy`. Logs, tables and limits hold the values as
they are told. Dominance, hypervolume and the choice of cells compare them after a change of sign,
so that less is better everywhere.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Aims:
    """Names of the objectives without their `-`, and their signs: -1 for what is maximised."""

    names: tuple[str, ...]
    signs: tuple[int, ...]

    @classmethod
    def parse(cls, objectives: Sequence[str] | str) -> 'Aims':
        """Reads names, as a sequence or comma-separated.

        Raises:
            ValueError: none is given, or one twice, also with both signs.
        """
        texts = objectives.split(',') if isinstance(objectives, str) else objectives
        texts = [str(text).strip() for text in texts]
        names = tuple(text.removeprefix('-').strip() for text in texts)
        if not all(names) or len(set(names)) < max(len(names), 1):
            listed = ','.join(texts)
            raise ValueError(f'--objectives={listed}: one or more different names are accepted')
        return cls(names, tuple(-1 if text.startswith('-') else 1 for text in texts))

    @property
    def texts(self) -> tuple[str, ...]:
        """The names as a user writes them, with `-` before what is maximised."""
        return tuple(f'-{name}' if sign < 0 else name for name, sign in zip(self.names, self.signs))

    @property
    def maximised(self) -> tuple[str, ...]:
        """Names of the objectives that are maximised."""
        return tuple(name for name, sign in zip(self.names, self.signs) if sign < 0)

    def points(self, rows: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Values by name -> what is minimised, float64 [N, M]."""
        values = np.array([[row[name] for name in self.names] for row in rows], np.float64)
        return values.reshape(-1, len(self.names)) * self.signs

    def values(self, point) -> dict[str, float]:
        """What is minimised, [M] -> values by name."""
        return dict(zip(self.names, (np.asarray(point, np.float64) * self.signs).tolist()))
