"""What a function of one cell may return and raise."""

import re

import numpy as np
import pytest

from common.patience import Unavailable
from nas.search.batches.cell_by_cell import CellByCell, Guarded
from nas.search.evaluations import Failure


def result_of(value):
    """The result of an evaluation that returns or raises a value."""

    def evaluate(cell):
        if isinstance(value, BaseException):
            raise value
        return value

    outcome = Guarded(evaluate)('cell')
    assert outcome.seconds >= 0
    return outcome.result


@pytest.mark.parametrize(
    'value', [{'error': 3}, {'error': np.float32(3.5), 'loss': -1}, Failure('no'), {}]
)
def test_objectives_and_failures_are_passed_on(value):
    assert result_of(value) == value


@pytest.mark.parametrize(
    'value, message',
    [
        (None, 'evaluate returned None; a dict of objectives'),
        (3.0, 'evaluate returned 3.0; a dict'),
        ('done', "evaluate returned 'done'; a dict"),
        ({'error': 'low'}, "evaluate returned 'low' as error; a number"),
        ({'error': '3'}, "evaluate returned '3' as error; a number"),
        ({'error': None}, 'evaluate returned None as error'),
        ({'error': True}, 'evaluate returned True as error'),
        ({'error': 10**400}, 'evaluate returned 1000.* as error'),
        ({3: 3.0}, 'evaluate named an objective 3; a text'),
        (ValueError('no kernel'), '^ValueError: no kernel$'),
        (MemoryError(), '^MemoryError: $'),
    ],
)
def test_anything_else_is_the_failure_of_the_cell(value, message):
    result = result_of(value)
    assert isinstance(result, Failure) and re.search(message, result.reason), result
    assert len(result.reason) < 400


@pytest.mark.parametrize(
    'error, message',
    [
        (Unavailable('the board is off'), 'the board is off'),
        (ConnectionRefusedError('refused'), 'ConnectionRefusedError: refused'),
        (TimeoutError('too late'), 'TimeoutError: too late'),
        (FileNotFoundError(2, 'No such file', 'a.png'), 'FileNotFoundError: .*a.png'),
    ],
)
def test_files_and_networks_are_not_the_fault_of_the_cell(error, message):
    result = result_of(error)
    assert type(result) is Unavailable and re.fullmatch(f'.*{message}.*', str(result))


def test_after_something_is_missing_no_further_cell_is_evaluated():
    calls = []

    def evaluate(cell):
        calls.append(cell)
        if cell == 'b':
            raise OSError('away')
        return {'error': 1.0}

    outcomes = dict(CellByCell(evaluate).batch('abc'))
    assert calls == ['a', 'b'] and isinstance(outcomes[1].result, Unavailable)
