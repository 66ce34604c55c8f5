"""Tabular benchmarks: spaces in which every cell has been trained, so that a search can be judged.

NAS-Bench-201 (Dong & Yang, ICLR 2020): six edges with five operations; latencies of devices from
HELP (Lee et al., NeurIPS 2021). NAS-Bench-Macro (Su et al., CVPR 2021): eight layers with three
blocks. In both, cells grow step by step: the root has operation 0 (`none`, identity) at every
place, and each step replaces one operation 0 by another one.
"""

import pathlib
from collections.abc import Callable

import numpy as np

from common import npz
from nas.search import pareto
from nas.search.space import Space
from nas.tables import nb201_encoding

MACRO_LAYERS, MACRO_BLOCKS = 8, 3
WORST_ERROR = 20.0  # percent: the reference of the hypervolume; worse cells contribute nothing


class TableSpace(Space):
    """A table as a space of strings that also answers evaluations.

    Every string of the table is a separate cell: isomorphic graphs differ in parameters and
    latency. A level is the number of operations other than 0.

    Attributes:
        cells: all strings of the table.
        ops: int [N, places] operation numbers in 0..choices-1.
        choices: number of operations at each place.
        values: objectives by name, each float64 [N] in the order of `cells`.
        reference: the worst value of each objective that still counts, by name.
    """

    def __init__(self, cells, ops, values, *, choices, tokens, features, vocabulary_size):
        """Assembles a space; the `load_` functions read one from a file.

        Args:
            cells: N strings.
            ops: int [N, places] operation numbers in 0..choices-1.
            values: dict of objective to [N]; only an evaluation reveals `error` (percent), all
                other objectives are known costs.
            choices: number of operations at each place.
            tokens: int [N, length] for the surrogate, 0 pads.
            features: float [N, F] for the surrogate.
            vocabulary_size: largest token.
        """
        self.cells, self.values = tuple(map(str, cells)), values
        self.length, self.vocabulary_size = tokens.shape[1], vocabulary_size
        self.ops, self.choices = np.asarray(ops), choices
        self._tokens, self._features = tokens, features
        self._row = {cell: row for row, cell in enumerate(self.cells)}
        self._place = choices ** np.arange(
            self.ops.shape[1]
        )  # ops @ place is a number for each cell
        self._by_number = {int(number): row for row, number in enumerate(self.ops @ self._place)}
        if 0 not in self._by_number:
            raise ValueError(
                'the table lacks the cell with operation 0 at every place, where a search starts'
            )
        self.root = self.cells[self._by_number[0]]
        self.reference = {
            name: WORST_ERROR if name == 'error' else float(column.max())
            for name, column in values.items()
        }

    def _changed(self, cell, *, grown: bool) -> tuple[str, ...]:
        """Cells with one 0 replaced (`grown`), or with one other operation changed or set to 0."""
        row = self._row[cell]
        number = int(self.ops[row] @ self._place)
        rows = []
        for op, place in zip(self.ops[row].tolist(), self._place.tolist()):
            if (op == 0) == grown:
                others = [new for new in range(self.choices) if new != op]
                rows += [self._by_number.get(number + (new - op) * place) for new in others]
        return tuple(self.cells[row] for row in rows if row is not None)

    def at(self, ops) -> str | None:
        """Returns the cell with these operation numbers [places], or None if the table lacks it."""
        row = self._by_number.get(int(np.asarray(ops, np.int64) @ self._place))
        return None if row is None else self.cells[row]

    def grow(self, cell: str) -> tuple[str, ...]:
        """Cells with another operation in place of one 0."""
        return self._changed(cell, grown=True)

    def mutate(self, cell: str) -> tuple[str, ...]:
        """Cells with another operation, or 0, in place of one operation that is not 0."""
        return self._changed(cell, grown=False)

    def level(self, cell: str) -> int:
        """Number of operations other than 0."""
        return int((self.ops[self._row[cell]] != 0).sum())

    def complete(self, cell: str) -> bool:
        """Whether the cell can be evaluated: every cell of a table can."""
        return True

    def encode(self, cell: str) -> tuple[int, ...]:
        """Tokens of the cell, for the surrogate."""
        return tuple(self._tokens[self._row[cell]].tolist())

    def features(self, cell: str) -> tuple[float, ...]:
        """Numbers for the surrogate besides the tokens."""
        return tuple(self._features[self._row[cell]].tolist())

    def costs(self, cell: str) -> dict[str, float]:
        """All objectives but the error."""
        row = self._row[cell]
        return {name: float(column[row]) for name, column in self.values.items() if name != 'error'}

    def evaluate(self, cell: str) -> dict[str, float]:
        """Looks up the objectives of a cell, instead of training it."""
        return {name: float(column[self._row[cell]]) for name, column in self.values.items()}

    def parse(self, text: str) -> str:
        """Returns the text itself. Raises ValueError if the table lacks it."""
        if text not in self._row:
            raise ValueError(f'cell {text!r} is not in the table')
        return text

    def record(self, cell: str) -> dict[str, str]:
        """Further entries of the log: the string again, as `arch`."""
        return {'arch': cell}

    def points(self, objectives) -> np.ndarray:
        """Objectives of all cells, [N, M], divided by `reference`.

        Raises:
            ValueError: for an objective that the table lacks.
        """
        unknown = [name for name in objectives if name not in self.values]
        if unknown:
            raise ValueError(
                f'unknown objective {unknown[0]!r}; the table has {", ".join(self.values)}'
            )
        return np.stack([self.values[name] / self.reference[name] for name in objectives], axis=1)

    def relative_hypervolume(self, cells, objectives) -> np.ndarray:
        """Hypervolume after each evaluation, as a part of the whole table's; reference (1, ..., 1).

        Args:
            cells: the evaluated cells in order.
            objectives: names.

        Returns:
            float64 [len(cells)] in [0, 1].
        """
        points = self.points(objectives)
        rows = np.array([self._row[cell] for cell in cells], int)
        found = pareto.hypervolume_by_step(points[rows], 1.0)
        return found / pareto.hypervolume(points, 1.0)


def _read(path) -> dict[str, np.ndarray]:
    path = pathlib.Path(path)
    try:
        with npz.open_npz(path) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise ValueError(f'table {path} cannot be read: {error.strerror or error}') from error
    except Exception as error:  # a damaged archive can raise any exception
        raise ValueError(f'table {path} is not an intact npz file: {error}') from error


def _column(path, table, name: str) -> np.ndarray:
    if name not in table:
        raise ValueError(f'table {path} has no column {name}; it has {", ".join(sorted(table))}')
    return table[name]


def _mean_error(path, name: str, accuracies: np.ndarray) -> np.ndarray:
    """100 minus the mean over the seeds that have a value; [N, seeds] -> [N]."""
    there = np.isfinite(accuracies)
    if not there.any(axis=1).all():
        row = int(there.any(axis=1).argmin())
        raise ValueError(f'table {path}: column {name} has no number in row {row}')
    return 100 - np.where(there, accuracies, 0).sum(axis=1, dtype=np.float64) / there.sum(axis=1)


def _positive(path, name: str, column: np.ndarray) -> np.ndarray:
    column = np.asarray(column, np.float64)
    if not (np.isfinite(column) & (column >= 0)).all():
        raise ValueError(f'table {path}: column {name} holds negative or missing values')
    return column


def load_nas_bench_201(path, *, device: str | None = None) -> TableSpace:
    """Reads a table of NAS-Bench-201.

    Args:
        path: npz file with `arch` strings, `params`, `c10_valid200_seeds` [N, seeds] (percent, NaN
            where a seed is missing), and `lat_NAME` (milliseconds) for each device; `macs` is
            optional.
        device: NAME of the latency column; None leaves latency out.

    Returns:
        The space with objectives `error` (100 - mean over the seeds), `latency_ms`, `params`,
        `flops` (the MACs).

    Raises:
        ValueError: if the file or a column is missing or not as described, or the device is
            unknown; the message then lists the known devices.
    """
    table = _read(path)
    archs = _column(path, table, 'arch')
    ops = np.array([nb201_encoding.parse(str(arch)) for arch in archs])
    name = 'c10_valid200_seeds'
    values = {'error': _mean_error(path, name, _column(path, table, name))}
    if device is not None:
        devices = sorted(name.removeprefix('lat_') for name in table if name.startswith('lat_'))
        if device not in devices:
            raise ValueError(
                f'unknown device {device!r}; table {path} has {", ".join(devices) or "none"}'
            )
        values['latency_ms'] = _positive(path, f'lat_{device}', table[f'lat_{device}'])
    values['params'] = _positive(path, 'params', _column(path, table, 'params'))
    if 'macs' in table:
        values['flops'] = _positive(path, 'macs', table['macs'])
    costs = np.stack(
        [np.log1p(values[name]) for name in values if name in ('latency_ms', 'params')], axis=1
    )
    features = np.concatenate([nb201_encoding.features_batch(ops), costs], axis=1)
    return TableSpace(
        archs,
        ops,
        values,
        choices=len(nb201_encoding.OPS),
        features=features,
        tokens=nb201_encoding.encode_batch(ops),
        vocabulary_size=len(nb201_encoding.TOKENS),
    )


def load_nas_bench_macro(path, *, device: str | None = None) -> TableSpace:
    """Reads a table of NAS-Bench-Macro.

    Args:
        path: npz file with `arch` strings of eight digits 0, 1, 2 (identity and two inverted
            residual blocks), `acc` or `acc_seeds` (percent), `params` and `flops`.
        device: must be None: the table has no latencies.

    Returns:
        The space with objectives `error` (100 - mean accuracy), `flops`, `params`.

    Raises:
        ValueError: if the file or a column is missing or not as described, or a device is asked
            for.
    """
    if device is not None:
        raise ValueError(f'unknown device {device!r}; NAS-Bench-Macro has no latencies')
    table = _read(path)
    archs = [str(arch) for arch in _column(path, table, 'arch')]
    wrong = [arch for arch in archs if len(arch) != MACRO_LAYERS or set(arch) - set('012')]
    if wrong:
        raise ValueError(f'table {path} has arch {wrong[0]!r}; the form is eight digits 0, 1 or 2')
    ops = np.array([[int(digit) for digit in arch] for arch in archs])
    name = 'acc_seeds' if 'acc_seeds' in table else 'acc'
    accuracies = _column(path, table, name)
    values = {'error': _mean_error(path, name, accuracies.reshape(len(archs), -1))}
    values |= {
        name: _positive(path, name, _column(path, table, name)) for name in ('flops', 'params')
    }
    counts = np.stack([(ops == op).sum(axis=1) for op in range(MACRO_BLOCKS)], axis=1)
    features = np.concatenate(
        [ops == 1, ops == 2, counts, np.log1p(values['flops'])[:, None]], axis=1
    )
    tokens = np.arange(MACRO_LAYERS) * MACRO_BLOCKS + ops + 1
    return TableSpace(
        archs,
        ops,
        values,
        choices=MACRO_BLOCKS,
        tokens=tokens,
        features=features,
        vocabulary_size=MACRO_LAYERS * MACRO_BLOCKS,
    )


BENCHMARKS: dict[str, Callable[..., TableSpace]] = {
    'nas_bench_201': load_nas_bench_201,
    'nas_bench_macro': load_nas_bench_macro,
}
# Default objectives of each table: three where latencies are known.
OBJECTIVES = {
    'nas_bench_201': ('error', 'latency_ms', 'params'),
    'nas_bench_macro': ('error', 'flops'),
}
