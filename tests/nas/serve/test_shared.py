"""Several processes evaluate one search through its log, also when one of them is killed."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from nas.search import loop
from nas.search.evaluations import Failure, read_records
from nas.serve.shared import SharedSearch
from tests.nas.serve.numbers import error_of, make

WORKER = """
import os, sys, time
from nas.serve.shared import SharedSearch
from tests.nas.serve.numbers import error_of, make
shared = SharedSearch(make(), sys.argv[1], budget=int(sys.argv[2]))
print('ready', flush=True)
sys.stdin.readline()
for cell in shared.cells(pause=0.01):
    if sys.argv[3] == 'hang':
        print(cell, flush=True)
        time.sleep(600)
    shared.tell(cell, {'error': error_of(cell)}, extra={'worker': os.getpid()})
    time.sleep(0.02)
"""


def cells_of(path):
    return [record['cell'] for record in read_records(path)[0]]


def start(path, budget, kind='work'):
    command = [sys.executable, '-c', WORKER, str(path), str(budget), kind]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def begin(*workers):
    """Lets workers begin together, when all of them have loaded their modules."""
    for worker in workers:
        assert worker.stdout.readline() == 'ready\n'
    for worker in workers:
        worker.stdin.write('\n')
        worker.stdin.flush()


def check_shared(path, budget):
    """The log holds as many different cells as the budget, those of a search of one process."""
    records, notice = read_records(path)
    assert len(records) == budget and not notice
    assert [record['index'] for record in records] == list(range(budget))
    assert len(set(cells_of(path))) == budget
    alone = loop.run(make(), lambda cell: {'error': error_of(cell)}, budget=budget)
    assert sorted(e.cell for e in alone) == sorted(cells_of(path))
    return records


def test_several_share_a_search_and_evaluate_no_cell_twice(tmp_path):
    path, failures = tmp_path / 'evaluations.jsonl', []

    def work(name):
        try:
            shared = SharedSearch(make(), path, budget=30)
            together.wait()
            for cell in shared.cells(pause=0.005):
                time.sleep(0.002)
                shared.tell(cell, {'error': error_of(cell)}, extra={'worker': name})
        except Exception as error:
            failures.append(error)

    together = threading.Barrier(3)
    threads = [threading.Thread(target=work, args=(name,)) for name in 'abc']
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert {record['worker'] for record in check_shared(path, 30)} == set('abc')


@pytest.mark.slow
def test_processes_share_a_search_and_evaluate_no_cell_twice(tmp_path):
    path = tmp_path / 'evaluations.jsonl'
    workers = [start(path, 30) for _ in range(3)]
    begin(*workers)
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    pids = {worker.pid for worker in workers}
    assert {record['worker'] for record in check_shared(path, 30)} == pids


def test_cells_of_a_killed_process_are_evaluated_by_others(tmp_path):
    path = tmp_path / 'evaluations.jsonl'
    killed = start(path, 12, 'hang')
    begin(killed)
    held = killed.stdout.readline().strip()
    shared = SharedSearch(make(), path, budget=12)
    assert held not in shared.ask(100)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert shared.ask(100) == [held]
    assert shared.ask(100) == []


def test_a_killed_search_goes_on_where_its_log_ends(tmp_path):
    path = tmp_path / 'evaluations.jsonl'
    shared = SharedSearch(make(), path, budget=20)
    for cell in shared.cells():
        shared.tell(cell, {'error': error_of(cell)})
        if len(shared.evaluations) == 8:
            break
    with open(path, 'a') as file:
        file.write('{"index": 8, "cell": "12')  # what a kill leaves of a line
    again = SharedSearch(make(), path, budget=20)
    for cell in again.cells():
        again.tell(cell, {'error': error_of(cell)})
    whole = loop.run(make(), lambda cell: {'error': error_of(cell)}, budget=20)
    assert cells_of(path) == [e.cell for e in whole]
    assert [e.objectives for e in again.evaluations] == [e.objectives for e in whole]
    front = {e.cell for e in again.front()}
    again.search.settle()
    assert front == {e.cell for e in again.search.front()}
    assert again.done and again.ask(5) == [] and again.left == 0
    # The loop of one process takes the log as its own.
    assert len(loop.run(make(), error_of, budget=20, path=path)) == 20


def test_claims_of_two_searches_in_one_process(tmp_path):
    path = tmp_path / 'evaluations.jsonl'
    first, second = (SharedSearch(make(), path, budget=12) for _ in range(2))
    mine, others = first.ask(1), second.ask(100)
    assert len(mine) == 1 and others and not set(mine) & set(others)
    assert first.ask(100) == [] and first.asked == 1
    assert first.release(mine[0]) and not first.release(mine[0])
    assert second.ask(100) == [mine[0]]
    second.close()
    assert set(first.ask(100)) == {mine[0], *others}
    first.close()
    assert [file.name for file in tmp_path.iterdir()] == ['evaluations.jsonl.lock']


def test_an_evaluation_waits_for_the_batch_of_another(tmp_path):
    path = tmp_path / 'evaluations.jsonl'
    first, second = (SharedSearch(make(), path, budget=12) for _ in range(2))
    held, found = first.ask(100), []
    waiting = threading.Thread(
        target=lambda: found.append(next(second.cells(pause=0.01))), daemon=True
    )
    waiting.start()
    waiting.join(0.2)
    assert not found
    for cell in held:
        first.tell(cell, {'error': error_of(cell)})
    waiting.join(10)
    assert found and found[0] not in held


@pytest.mark.parametrize(
    'cell, result, message',
    [
        ('', {'error': 1.0}, 'only complete cells can'),
        ('11111', {'error': 1.0}, 'has not one to four digits'),
        ('12', {}, "unknown objective 'error'"),
    ],
)
def test_results_that_are_refused_leave_nothing(tmp_path, cell, result, message):
    shared = SharedSearch(make(), tmp_path / 'evaluations.jsonl', budget=12)
    with pytest.raises(ValueError, match=message):
        shared.tell(cell, result)
    assert not shared.path.exists()
    assert shared.tell('12', {'error': 2.0}).status == 'ok'
    with pytest.raises(ValueError, match='told before'):
        shared.tell('12', {'error': 2.0})
    assert shared.tell('13', Failure('no memory')).reason == 'no memory'
    assert len(cells_of(shared.path)) == 2


def test_the_front_holds_to_the_limits_of_the_search(tmp_path):
    search = make(constraints=('error>=2', 'size<4'))
    shared = SharedSearch(search, tmp_path / 'evaluations.jsonl', budget=12)
    for cell, error in (('1', 1.0), ('12', 5.0), ('123', 3.0), ('1231', 2.5)):
        shared.tell(cell, {'error': error})
    assert [e.cell for e in shared.front()] == ['12', '123']


def test_no_more_cells_are_asked_for_than_the_budget_has_left(tmp_path):
    shared = SharedSearch(make(), tmp_path / 'evaluations.jsonl', budget=5)
    assert len(shared.ask(1)) == 1
    # Results of cells that nobody asked for use up the budget, too.
    for cell in ('111', '112', '113', '121'):
        shared.tell(cell, {'error': 1.0})
    assert shared.left == shared.asked == 1 < len(shared._batch)
    assert shared.ask(100) == []


def test_wrong_uses(tmp_path):
    path = tmp_path / 'evaluations.jsonl'
    with pytest.raises(ValueError, match='budget is 0'):
        SharedSearch(make(), path, budget=0)
    shared = SharedSearch(make(), path, budget=3)
    with pytest.raises(ValueError, match='n is 0'):
        shared.ask(0)
    path.write_text(json.dumps({'cell': 'x', 'status': 'ok', 'objectives': {}}) + '\n')
    with pytest.raises(ValueError, match='line 1 does not fit this search'):
        shared.ask(1)
