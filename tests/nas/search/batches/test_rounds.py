"""Rounds over a batch of which something is missing."""

import pytest

from common.patience import Patience, Unavailable
from common.stopping import Stop
from nas.search.batches import rounds
from nas.search.evaluations import Outcome

AWAY = Unavailable('away')


class Evaluator:
    """Of each call, a dict says what does not come: 'unavailable', 'left out' or 'raises'."""

    def __init__(self, *missing):
        self.missing, self.calls = list(missing), []

    def batch(self, cells, history):
        self.calls.append(''.join(cells))
        missing = self.missing.pop(0) if self.missing else {}
        for number, cell in enumerate(cells):
            what = missing.get(cell)
            if what == 'raises':
                raise OSError('the node is gone')
            if what != 'left out':
                yield number, Outcome(AWAY if what else {'error': ord(cell)})


def run(evaluator, retries=3, said=None):
    return list(
        rounds.outcomes(
            evaluator,
            list('abcd'),
            [],
            patience=Patience(retries, 0.0),
            stop=Stop(),
            say=(said if said is not None else []).append,
        )
    )


def test_what_is_missing_is_evaluated_in_the_next_rounds_with_its_own_index():
    evaluator, said = Evaluator({'b': 'unavailable', 'c': 'left out'}, {'c': 'raises'}), []
    results = run(evaluator, said=said)
    assert evaluator.calls == ['abcd', 'bc', 'c']
    assert [index for index, _ in results] == [0, 3, 1, 2]
    assert all(outcome.result == {'error': ord('abcd'[i])} for i, outcome in results)
    assert [line.partition(';')[0] for line in said] == ['away', 'the node is gone']


def test_failures_count_only_in_a_row():
    away = {'b': 'unavailable', 'c': 'unavailable', 'd': 'unavailable'}
    evaluator = Evaluator(away, away, {'c': 'left out', 'd': 'left out'}, {'c': 'raises'})
    assert len(run(evaluator, retries=2)) == 4
    assert evaluator.calls == ['abcd', 'bcd', 'bcd', 'cd', 'cd']


def test_the_last_attempt_ends_it_with_the_reason():
    evaluator = Evaluator(*[dict.fromkeys('abcd', 'left out')] * 9)
    with pytest.raises(Unavailable, match='4 cells were not evaluated .3 attempts in a row'):
        run(evaluator, retries=2)
    assert len(evaluator.calls) == 3


def test_an_error_of_whoever_takes_the_outcomes_is_no_failure_of_the_evaluator():
    evaluator = Evaluator()
    outcomes = rounds.outcomes(
        evaluator, list('ab'), [], patience=Patience(), stop=Stop(), say=lambda text: None
    )
    with pytest.raises(OSError, match='mine'):
        for _ in outcomes:
            raise OSError('mine')
    outcomes.close()
    assert evaluator.calls == ['ab']
