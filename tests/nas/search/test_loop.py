"""The loop beyond `test_search.py`: evaluators of whole batches, and the end of a run."""

import json
import os
import signal

import numpy as np
import pytest

from common.stopping import Stopped, on_signals
from nas.search import loop
from nas.search.evaluations import Failure, Outcome, read_records
from nas.search.search import PlannerConfig, Search


class Numbers:
    """Cells are strings of digits 1 to 3, up to four long."""

    root = ''

    def grow(self, cell):
        return tuple(cell + digit for digit in '123') if len(cell) < 4 else ()

    def encode(self, cell):
        return tuple(int(digit) for digit in cell)

    def costs(self, cell):
        return {'size': float(len(cell))}

    def parse(self, text):
        if not set(text) <= set('123'):
            raise ValueError(f'cell {text!r} is no number')
        return text

    def record(self, cell):
        return {'arch': f'<{cell}>'}


class Mean:
    """A surrogate that knows nothing."""

    def __init__(self, *sizes, seed):
        pass

    def fit(self, tokens, features, errors):
        pass

    def predict(self, tokens, features):
        return np.ones(len(tokens)), np.ones(len(tokens))


def make():
    return Search(Numbers(), 'error,size', surrogate=Mean, config=PlannerConfig(keep=3, batch=4))


def error_of(cell):
    return 50 - sum(map(int, cell))


class Batches:
    """Evaluates batches backwards and notes what it is told."""

    def __init__(self):
        self.histories, self.replayed = [], []

    def batch(self, cells, history):
        self.histories.append([e.cell for e in history])
        for i in reversed(range(len(cells))):
            yield (
                i,
                Outcome(
                    {'error': error_of(cells[i])}, seconds=1.5, extra={'epochs': len(cells[i])}
                ),
            )

    def replay(self, cell, result, record):
        self.replayed.append((cell, dict(result), record['epochs']))


def test_evaluators_of_batches_see_earlier_batches_alone_and_what_the_log_held(tmp_path):
    path, first = tmp_path / 'log.jsonl', Batches()
    done = loop.run(make(), first, budget=9, path=path)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record['arch'] for record in records] == [f'<{e.cell}>' for e in done]
    assert [record['index'] for record in records] == list(range(9))
    assert {(record['seconds'], record['epochs'] == record['level']) for record in records} == {
        (1.5, True)
    }
    sizes = [len(history) for history in first.histories]
    assert sizes == [0, 2, 5, 8]  # a level holds 2, 3, 3 cells
    # A run that was cut within a batch shows the evaluator the same history as the whole run did.
    path.write_text(''.join(path.read_text().splitlines(keepends=True)[:4]))
    second = Batches()
    again = loop.run(make(), second, budget=9, path=path)
    assert [e.cell for e in again] == [e.cell for e in done]
    assert [len(history) for history in second.histories] == [2, 5, 8]
    assert second.histories[0] == first.histories[1]
    assert second.replayed == [(e.cell, e.objectives, e.level) for e in done[:4]]


def test_the_last_evaluations_are_part_of_the_result_though_their_batch_stays_open():
    one = make()
    done = loop.run(one, lambda cell: {'error': error_of(cell)}, budget=10)
    assert len(done) == 10 and {e.cell for e in one.history} == {e.cell for e in done}
    best = min(done, key=lambda e: e.objectives['error'])
    assert min(e.objectives['error'] for e in one.front()) == best.objectives['error']


def test_a_space_that_is_smaller_than_the_budget_ends_the_run():
    done = loop.run(make(), lambda cell: {'error': error_of(cell)}, budget=1000)
    assert len(done) == len({e.cell for e in done}) == 3 + 9 + 27 + 81


class Giving:
    """An executor that gives some candidates up by itself."""

    def map(self, function, jobs):
        for index, job in enumerate(jobs):
            yield index, Failure('lost') if job.endswith('1') else function(job)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_search_that_was_stopped_goes_on_to_the_same_end(tmp_path, number):
    path, calls = tmp_path / 'log.jsonl', []

    def evaluate(cell):
        calls.append(cell)
        if len(calls) == 7:
            os.kill(os.getpid(), number)
        return {'error': error_of(cell)}

    # Jobs in the background start with it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with (
        pytest.raises(Stopped, match=f': 6 of 20 evaluations are in {path}; '),
        on_signals() as stop,
    ):
        loop.run(make(), evaluate, budget=20, path=path, stop=stop)
    signal.signal(signal.SIGINT, before)
    # What was being evaluated has not failed: the next run evaluates it.
    records, notice = read_records(path)
    assert [record['cell'] for record in records] == calls[:6] and not notice
    done = loop.run(make(), evaluate, budget=20, path=path)
    assert calls[7] == calls[6]
    assert [e.cell for e in done] == [e.cell for e in loop.run(make(), evaluate, budget=20)]


@pytest.mark.parametrize('when', ['told', 'shown'])
def test_a_request_while_a_result_is_written_down_waits_until_it_is(tmp_path, when):
    path, search = tmp_path / 'log.jsonl', make()
    ask = lambda *unused: os.kill(os.getpid(), signal.SIGTERM)
    if when == 'told':
        tell = search.tell
        search.tell = lambda *result: (tell(*result), ask())[0]
    with pytest.raises(Stopped, match=': 1 of 9 evaluations'), on_signals() as stop:
        loop.run(
            search,
            lambda cell: {'error': error_of(cell)},
            budget=9,
            path=path,
            stop=stop,
            on_evaluation=ask if when == 'shown' else None,
        )
    assert len(read_records(path)[0]) == 1


def test_what_an_executor_gives_up_is_a_failure(tmp_path):
    path = tmp_path / 'log.jsonl'
    done = loop.run(
        make(), lambda cell: {'error': error_of(cell)}, budget=12, executor=Giving(), path=path
    )
    assert {e.reason for e in done if e.cell.endswith('1')} == {'lost'}
    assert all(e.status == 'ok' for e in done if not e.cell.endswith('1'))
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record['seconds'] for record in records if record['status'] == 'failed'][0] == 0


def test_nothing_but_failures_stops_with_the_reasons_also_when_started_again(tmp_path):
    calls = []

    def fail(cell):
        calls.append(cell)
        raise MemoryError('card' if len(calls) % 3 else 'host')

    for budget in (20, 6):
        reasons = (
            r'^all of the first \d+ candidates failed: MemoryError: card \(\d times\); '
            r'MemoryError: host .*; once the reason is gone, --retry_failed evaluates them again'
        )
        with pytest.raises(ValueError, match=reasons):
            loop.run(make(), fail, budget=budget, path=tmp_path / f'log{budget}.jsonl')
    assert len(calls) < 20
    with pytest.raises(ValueError, match='all of the first 6'):
        loop.run(make(), fail, budget=6, path=tmp_path / 'log6.jsonl')


def test_a_log_of_another_space_is_named(tmp_path):
    path = tmp_path / 'log.jsonl'
    loop.run(make(), lambda cell: {'error': error_of(cell)}, budget=4, path=path)
    lines = path.read_text().splitlines()
    for broken, message in (
        ({'cell': 'abc'}, "'abc' is no number"),
        ({'objectives': {'loss': 1}}, 'unknown objective'),
        ({'cell': json.loads(lines[0])['cell']}, 'told before'),
    ):
        path.write_text(
            '\n'.join([lines[0], json.dumps(json.loads(lines[1]) | broken), *lines[2:]]) + '\n'
        )
        with pytest.raises(
            ValueError, match=f'log.jsonl line 2 does not fit this search: .*{message}'
        ):
            loop.run(make(), error_of, budget=4, path=path)


def test_a_budget_below_a_level_is_refused():
    loop.check_budget(6, 6)
    with pytest.raises(ValueError, match='--budget=5 is smaller than a level of 6'):
        loop.check_budget(5, 6)
    with pytest.raises(ValueError, match='keep is 0'):
        PlannerConfig(keep=0)
