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

from common.run import atomic_path, jsonable

EVALUATIONS_FILE = 'evaluations.jsonl'
STATUSES = ('ok', 'failed', 'stopped')


@dataclasses.dataclass(frozen=True)
class Failure:
    """An evaluation without a result; it counts in the budget.

    Attributes:
        reason: one sentence.
        status: 'failed', or 'stopped' for a candidate that early stopping ended.
        objectives: what was measured of a stopped candidate; the surrogate learns from it, but it
            never enters the front.
    """

    reason: str
    status: str = 'failed'
    objectives: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.status not in STATUSES[1:]:
            raise ValueError(
                f'status {self.status!r} of a failure is unknown; accepted: failed, stopped'
            )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an evaluator returns for one cell.

    Attributes:
        result: objectives by name, or a `Failure`.
        seconds: of its training, 0 if it was not trained.
        extra: further entries of its record.
    """

    result: Mapping[str, float] | Failure
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
    """An upper limit: `name` has to stay below `limit`, or at most reach it if not `strict`."""

    name: str
    limit: float
    strict: bool = True

    @classmethod
    def parse(cls, text: str) -> 'Constraint':
        """Reads 'latency_ms<50' or 'params<=1e6'.

        Raises:
            ValueError: for any other form.
        """
        match = re.fullmatch(r'\s*(\w+)\s*(<=?)\s*([^\s<=]+)\s*', text)
        try:
            limit = float(match[3])
        except (TypeError, ValueError):
            limit = math.nan
        if not math.isfinite(limit):
            raise ValueError(
                f"constraint {text!r} is not understood; the form is 'latency_ms<50' or "
                "'params<=1e6'"
            )
        return cls(match[1], limit, match[2] == '<')

    def excess(self, values) -> np.ndarray:
        """How far values exceed the limit, relative to the limit; 0 for values within it."""
        values = np.asarray(values, np.float64)
        over = values >= self.limit if self.strict else values > self.limit
        return np.where(
            over, np.maximum(values - self.limit, 1e-12) / max(abs(self.limit), 1e-12), 0.0
        )


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
