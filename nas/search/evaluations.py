"""Results of evaluated cells: the records, constraints on them, and their log on disk.

`evaluations.jsonl` is the complete record of a search: one line per evaluated cell, in the order of
the results. A new search of the same seed that is told these lines again is in the same state.
"""

import dataclasses
import json
import math
import os
import pathlib
import re
import sys
from collections.abc import Mapping

import numpy as np

from common.failure import KINDS, Failure
from common.patience import Unavailable
from common.run import atomic_path, jsonable

EVALUATIONS_FILE = 'evaluations.jsonl'
STATUSES = ('ok', *KINDS)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an evaluator returns for one cell.

    Attributes:
        result: objectives by name, or a `Failure`. Or an `Unavailable`, which is not recorded: the
            cell is evaluated again.
        seconds: of its training, 0 if it was not trained.
        extra: further entries of its record.
    """

    result: Mapping[str, float] | Failure | Unavailable
    seconds: float = 0.0
    extra: Mapping[str, object] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluated cell.

    Attributes:
        cell: the cell.
        level: number of decisions in it.
        objectives: measured and exactly known values by name; empty for a failed cell.
        status, reason: 'ok' and '', or those of the `Failure`.
        predicted: predictions of the objectives that were not known exactly.
    """

    cell: object
    level: int
    objectives: dict[str, float]
    status: str = 'ok'
    reason: str = ''
    predicted: dict[str, float] = dataclasses.field(default_factory=dict)

    def result(self) -> dict[str, float] | Failure:
        """The result that was told."""
        return (
            self.objectives
            if self.status == 'ok'
            else Failure(self.reason, self.status, self.objectives)
        )


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A limit: `name` has to stay below `limit`, or at most reach it if not `strict`.

    With `least`, the limit is a lower one: the value has to be above it.
    """

    name: str
    limit: float
    strict: bool = True
    least: bool = False

    @classmethod
    def parse(cls, text: str) -> 'Constraint':
        """Reads 'latency_ms<50', 'params<=1e6' or 'accuracy>=90'.

        Raises:
            ValueError: for any other form.
        """
        match = re.fullmatch(r'\s*(\w+)\s*([<>]=?)\s*([^\s<>=]+)\s*', text)
        try:
            limit = float(match[3])
        except (TypeError, ValueError):
            limit = math.nan
        if not math.isfinite(limit):
            raise ValueError(
                f"constraint {text!r} is not understood; the form is 'latency_ms<50', "
                "'params<=1e6' or 'accuracy>=90'"
            )
        return cls(match[1], limit, '=' not in match[2], '>' in match[2])

    def __str__(self) -> str:
        return f'{self.name}{"<>"[self.least]}{"" if self.strict else "="}{self.limit:.10g}'

    def excess(self, values) -> np.ndarray:
        """How far values miss the limit, relative to the limit; 0 for values within it."""
        missed = np.asarray(values, np.float64) - self.limit
        missed = -missed if self.least else missed
        over = missed >= 0 if self.strict else missed > 0
        return np.where(over, np.maximum(missed, 1e-12) / max(abs(self.limit), 1e-12), 0.0)


def to_record(
    index: int, evaluation: Evaluation, *, seconds: float = 0.0, extra: Mapping | None = None
) -> dict:
    """The line of an evaluation, as a flat record.

    Args:
        index: its number in the file, from 0.
        evaluation: the evaluation.
        seconds: how long it took.
        extra: what the space adds, such as `arch` of a table.
    """
    return {
        'index': index,
        'level': evaluation.level,
        'cell': str(evaluation.cell),
        'status': evaluation.status,
        'objectives': evaluation.objectives,
        'seconds': round(seconds, 3),
        'reason': evaluation.reason,
        'predicted': evaluation.predicted,
        **(extra or {}),
    }


def append_record(path, record: Mapping) -> None:
    """Appends one line to the log, all of it or nothing, and waits until it is on disk.

    Raises:
        OSError: it cannot be written, for example because the disk is full.
    """
    line = (json.dumps(jsonable(record), allow_nan=False) + '\n').encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        try:
            written = os.write(descriptor, line)
            # A disk that fills up takes a part of the line; the next write raises the reason.
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def read_records(path, *, repair: bool = False) -> tuple[list[dict], str]:
    """Reads a log of evaluations.

    Args:
        path: the file; a missing file has no records.
        repair: moves an incomplete last line, as a kill may leave it, from the file to
            `NAME.corrupt` beside it. Otherwise the line is only ignored.

    Returns:
        The records in order, and a sentence about the line that was set aside, or ''.

    Raises:
        ValueError: if any other line is not a record; the message names the line.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return [], ''
    lines = path.read_bytes().splitlines(keepends=True)
    records = []
    for number, line in enumerate(lines, 1):
        problem = _problem(line, records)
        if not problem:
            continue
        if number < len(lines):
            raise ValueError(f'{path} line {number} {problem}; only the last line may be damaged')
        if repair:
            with open(path.with_name(path.name + '.corrupt'), 'ab') as aside:
                aside.write(line)
            with atomic_path(path) as temporary:
                temporary.write_bytes(b''.join(lines[:-1]))
        return records, f'{path} line {number} {problem} and was set aside'
    return records, ''


def _problem(line: bytes, records: list[dict]) -> str:
    """Adds the record of a line to `records`, or returns what is wrong with the line."""
    if not line.endswith(b'\n'):
        return 'ends early'
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return 'is not JSON'
    if not isinstance(record, dict) or not isinstance(record.get('cell'), str):
        return 'is not a record of a cell'
    objectives = record.get('objectives')
    if record.get('status') not in STATUSES or not isinstance(objectives, dict):
        return 'has no known status or no objectives'
    if not all(map(_is_number, objectives.values())):
        return 'has objectives that are not finite numbers'
    if not isinstance(record.get('reason', ''), str):
        return 'has a reason that is no text'
    records.append(record)
    return ''


def _is_number(value) -> bool:
    """Whether a value is a finite number that a float can hold."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def result_of(record: Mapping) -> dict[str, float] | Failure:
    """What a record tells: objectives by name, or a `Failure`."""
    if record['status'] == 'ok':
        return dict(record['objectives'])
    return Failure(record.get('reason', ''), record['status'], dict(record['objectives']))
