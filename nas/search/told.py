"""Turns what somebody tells about a cell into the evaluation that is recorded."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nas.search.evaluations import Evaluation, Failure


def evaluation_of(
    cell,
    result: Any,
    *,
    level: int,
    costs: Mapping[str, float],
    needed: Sequence[str],
    predicted: Mapping[str, float],
) -> Evaluation:
    """Checks a result and completes it with the exact costs.

    Args:
        cell: the cell.
        result: objectives by name, or a `Failure`. Anything else, and a value that is no finite
            number, make a failed evaluation, whose reason names it.
        level: of the cell.
        costs: its exact costs by name.
        needed: objectives, and what constraints limit.
        predicted: what was predicted of the cell, by name.

    Raises:
        ValueError: an objective is missing.
    """
    predicted = dict(predicted)
    if isinstance(result, Failure):
        known = _numbers(result.objectives)
        return Evaluation(cell, level, known, result.status, result.reason, predicted)
    failed = lambda reason: Evaluation(cell, level, {}, 'failed', reason, predicted)
    if not isinstance(result, Mapping):
        return failed(
            f'the evaluation gave {_quoted(result)}; a dict of numbers by objective is accepted'
        )
    # What can be counted is counted, whatever a log or an evaluator says.
    told = {**costs, **result, **costs}
    missing = [name for name in needed if name not in told]
    if missing:
        raise ValueError(
            f'unknown objective {missing[0]!r}: cell {str(cell)!r} came with '
            f'{", ".join(map(str, told)) or "none"}'
        )
    values = _numbers(told)
    broken = [name for name in needed if name not in values]
    if broken:
        return failed(f'{broken[0]} is {_quoted(told[broken[0]])}')
    return Evaluation(cell, level, values, predicted=predicted)


def _numbers(values: Mapping) -> dict[str, float]:
    """The entries of a result that are finite numbers; a text is none."""
    numbers = {}
    for name, value in values.items():
        try:
            number = math.nan if isinstance(value, (str, bytes)) else float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            numbers[str(name)] = number
    return numbers


def _quoted(value) -> str:
    """A value for a sentence, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:80]}...'
