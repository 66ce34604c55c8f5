"""Reads the npz file of a table column by column, and names the file and the column that is wrong.

The layout: one row for each cell, named by the column `arch`; every other column has as many rows.
"""

import pathlib

import numpy as np

from common import npz


class Columns:
    """The columns of a table.

    Attributes:
        path: the npz file.
        archs: the N strings of the column `arch`, all different.
    """

    def __init__(self, path):
        """Reads the file.

        Args:
            path: npz file with a column `arch`.

        Raises:
            ValueError: it cannot be read, or `arch` is missing, empty or names a cell twice.
        """
        self.path, self._columns = pathlib.Path(path), _read(pathlib.Path(path))
        archs = self._column('arch')
        if archs.ndim != 1 or not len(archs):
            raise ValueError(
                f'table {path}: column arch has the shape {list(archs.shape)}; accepted: [N] '
                'strings, one for each cell'
            )
        self.archs = [str(arch) for arch in archs]
        seen = set()
        for row, arch in enumerate(self.archs):
            if arch in seen:
                raise ValueError(
                    f'table {path}: column arch names {arch!r} again in row {row}; every cell may '
                    'stand in one row only'
                )
            seen.add(arch)

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def named(self, prefix: str) -> list[str]:
        """What follows a prefix in the names of columns, sorted."""
        return sorted(n.removeprefix(prefix) for n in self._columns if n.startswith(prefix))

    def numbers(self, name: str) -> np.ndarray:
        """A column of finite numbers from 0 up, float64 [N].

        Raises:
            ValueError: it is missing, of another shape, or holds something else.
        """
        column = self._numbers(name)
        if column.ndim != 1:
            raise ValueError(
                f'table {self.path}: column {name} has the shape {list(column.shape)}; accepted: '
                f'[{len(self.archs)}], one number for each cell'
            )
        good = np.isfinite(column) & (column >= 0)
        if not good.all():
            row = int(good.argmin())
            raise ValueError(
                f'table {self.path}: column {name} holds {column[row]:g} in row {row}; negative or '
                'missing values are not accepted'
            )
        return column

    def errors(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """100 minus the mean accuracy over the seeds that have a value, and its standard error.

        Args:
            name: column of accuracies in percent, [N] or [N, seeds]; NaN where a seed is missing.

        Returns:
            (errors, standard errors of these means), both float64 [N] in percentage points; NaN for
            the second where there is one seed only.

        Raises:
            ValueError: it is missing, of another shape, or holds something else.
        """
        column = self._numbers(name)
        if column.ndim > 2 or not column[:1].size:
            raise ValueError(
                f'table {self.path}: column {name} has the shape {list(column.shape)}; accepted: '
                f'[{len(self.archs)}] or [{len(self.archs)}, seeds]'
            )
        column = column.reshape(len(self.archs), -1)
        there = np.isfinite(column)
        known = there.any(axis=1)
        if not known.all():
            raise ValueError(
                f'table {self.path}: column {name} has no number in row {int(known.argmin())}'
            )
        inside = (column >= 0) & (column <= 100) | ~there
        if not inside.all():
            row = int(inside.all(axis=1).argmin())
            raise ValueError(
                f'table {self.path}: column {name} holds {column[row][~inside[row]][0]:g} in row '
                f'{row}; accuracies are percentages from 0 to 100'
            )
        if 0 < column[there].max() <= 1:
            raise ValueError(
                f'table {self.path}: column {name} holds {column[there].max():g} at most; '
                'accuracies are percentages from 0 to 100, not parts of 1'
            )
        count = there.sum(axis=1)
        mean = np.where(there, column, 0).sum(axis=1) / count
        squares = np.where(there, (column - mean[:, None]) ** 2, 0).sum(axis=1)
        one = np.sqrt(squares / np.maximum(count - 1, 1) / count)
        return 100 - mean, np.where(count > 1, one, np.nan)

    def _column(self, name):
        if name not in self._columns:
            known = ', '.join(sorted(self._columns)) or 'none'
            raise ValueError(f'table {self.path} has no column {name}; it has {known}')
        return self._columns[name]

    def _numbers(self, name):
        """A column as float64 [N, ...]."""
        column = self._column(name)
        if column.dtype.kind not in 'biuf':
            raise ValueError(
                f'table {self.path}: column {name} is of the type {column.dtype}; numbers are '
                'accepted'
            )
        if column.shape[:1] != (len(self.archs),):
            rows = len(column) if column.ndim else 'no'
            raise ValueError(
                f'table {self.path}: column {name} has {rows} rows, but arch has {len(self.archs)}'
            )
        return column.astype(np.float64)


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """All columns by name."""
    found, name = {}, None
    try:
        with npz.open_npz(path) as file:
            for name in file.files:
                found[name] = file[name]
    except OSError as error:
        raise ValueError(f'table {path} cannot be read: {error.strerror or error}') from error
    except Exception as error:  # a damaged archive can raise any exception
        where = '' if name is None else f' (column {name})'
        raise ValueError(f'table {path} is not an intact npz file{where}: {error}') from error
    return found
