"""A table of trained cells as a search space: growth, mutation, look-ups, and its true front."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from common.report.drawing import Row
from nas.search import pareto
from nas.search.evaluations import Evaluation
from nas.search.space import Space

# Percent: the reference of the hypervolume, unless all cells are worse. Worse cells add nothing.
WORST_ERROR = 20.0


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

    def __init__(
        self,
        cells,
        ops,
        values: Mapping[str, np.ndarray],
        *,
        choices: int,
        tokens: np.ndarray,
        features: np.ndarray,
        vocabulary_size: int,
        worst_error: float | None = None,
        error_noise: np.ndarray | None = None,
        draw: Callable[[str], Sequence[Row]] | None = None,
    ):
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
            worst_error: the reference of `error` in percent; default `WORST_ERROR`, or the largest
                error of the table if no cell is better than that.
            error_noise: [N] standard errors of the errors, NaN where they are not known.
            draw: gives the rows of the drawing of a cell, for reports.

        Raises:
            ValueError: the table lacks the root, or no cell is better than `worst_error`.
        """
        self.cells, self.values = tuple(map(str, cells)), values
        self.length, self.vocabulary_size = tokens.shape[1], vocabulary_size
        self.ops, self.choices = np.asarray(ops), choices
        self._tokens, self._features = tokens, features
        self._noise, self._draw = error_noise, draw
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
        self.reference = {name: _worst(column) for name, column in values.items()}
        self.reference['error'] = _worst_error(values['error'], worst_error)

    @functools.cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the operations in the strings of all cells."""
        return tuple(sorted({token for cell in self.cells for token in self.tokens(cell)}))

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

    def noise(self, evaluation: Evaluation) -> float | None:
        """Standard error of a cell's error over its seeds, or None where there is none."""
        if self._noise is None:
            return None
        one = float(self._noise[self._row[evaluation.cell]])
        return one if np.isfinite(one) else None

    def drawing(self, cell: str) -> Sequence[Row]:
        """Rows of a drawing of the cell, see `common.report.page.Report.drawing`."""
        return self._draw(cell) if self._draw is not None else ()

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


def _worst(column: np.ndarray) -> float:
    """The largest value of a column; something above it if there is only one value."""
    low, high = float(column.min()), float(column.max())
    return high if low < high else 1.1 * high or 1.0


def _worst_error(errors: np.ndarray, given: float | None) -> float:
    """The reference of the errors. Raises ValueError if no cell is better than the given one."""
    lowest = float(errors.min())
    if given is None:
        return WORST_ERROR if lowest < WORST_ERROR else _worst(errors)
    if lowest >= given:
        raise ValueError(
            f'--worst_error={given:g} leaves no cell of the table; the lowest error is {lowest:.4g}'
        )
    return float(given)
