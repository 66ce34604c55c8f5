"""The rows of a table on their way from a public file to an npz file."""

import dataclasses
import reprlib
from collections.abc import Sequence

import numpy as np

from nas.tables import nb201_encoding

# Parameters and multiply-adds are counted in millions by some files.
_MILLION, _FEWEST_PARAMS, _FEWEST_MACS = 1e6, 1000, 100_000


@dataclasses.dataclass
class Rows:
    """Cells and what is known of them.

    Attributes:
        archs: N strings, all different.
        accuracies: for each, one number in percent for each seed.
        params, macs: for each cell, or None if the file has none.
        order: cells by their public number, where the file has one; None stands for a cell that it
            has no numbers of. Lists of latencies without names are in this order.
    """

    archs: list[str]
    accuracies: list[Sequence[float]]
    params: list[float] | None = None
    macs: list[float] | None = None
    order: list[str] | None = None

    def columns(self) -> dict[str, np.ndarray]:
        """The columns `arch`, `c10_valid200_seeds`, `params` and `macs` of the npz file."""
        seeds = max(map(len, self.accuracies))
        accuracies = np.full((len(self.archs), seeds), np.nan, np.float32)
        for row, values in enumerate(self.accuracies):
            accuracies[row, : len(values)] = values
        found = {'arch': np.array(self.archs), 'c10_valid200_seeds': accuracies}
        if self.params is not None:
            found['params'] = counts(self.params, _FEWEST_PARAMS)
        if self.macs is not None:
            found['macs'] = counts(self.macs, _FEWEST_MACS)
        return found


def number(value, name: str) -> float:
    """A number of a file. Raises ValueError that names its column for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f'{name} is {reprlib.repr(value)}; a number is accepted') from None


def checked_arch(path, arch: str) -> str:
    """A cell of NAS-Bench-201. Raises ValueError that names the file if it is none."""
    try:
        nb201_encoding.parse(arch)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return arch


def counts(values: Sequence[float], fewest: int) -> np.ndarray:
    """Counts as whole numbers; where the largest is below `fewest`, they are in millions."""
    numbers = np.asarray(values, np.float64)
    if numbers.max(initial=0) < fewest:
        numbers = numbers * _MILLION
    return np.rint(numbers).astype(np.int64)
