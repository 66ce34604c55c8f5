"""Served searches as runs in a directory, and the scheduler of the documentation."""

import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from common import options
from nas.search.evaluations import read_records
from nas.serve.serve_job import serve_search
from nas.training.config import SearchConfig
from tests.nas.made_ops import write_ops

ROOT = pathlib.Path(__file__).parents[3]
SMALL = {'stages': (1,), 'growth': (4,), 'keep': 3, 'batch': 4, 'budget': 6, 'levels': 2}


def config_of(**values):
    return options.make(SearchConfig, {**SMALL, **values})


def serve(workdir, *requests, overwrite=False, **values):
    """Answers to requests; a request may be a function of the answers before it."""
    answers = io.StringIO()

    class Requests:
        left = list(requests)

        def readline(self, longest):
            if not self.left:
                return b''
            request = self.left.pop(0)
            if callable(request):
                request = request([json.loads(line) for line in answers.getvalue().splitlines()])
            return json.dumps(request).encode() + b'\n'

    serve_search(config_of(**values), workdir, Requests(), answers, overwrite=overwrite)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def told(cell, error=5.0):
    return {'tell': {'cell': cell, 'objectives': {'error': error, 'latency_ms': 0.1 * len(cell)}}}


def cells_of(workdir):
    return [record['cell'] for record in read_records(workdir / 'evaluations.jsonl')[0]]


def test_a_search_goes_on_and_asks_again_for_what_was_never_told(tmp_path):
    run = tmp_path / 'run'
    first = serve(run, {'ask': 2}, lambda answers: told(answers[0]['cells'][1]))
    told_cell, open_cell = first[0]['cells'][1], first[0]['cells'][0]
    assert cells_of(run) == [told_cell] and first[1]['left'] == 5
    assert json.loads((run / 'run.json').read_text())['finished'] is None
    again = serve(run, {'ask': 1}, {'ask': 100})
    assert again[0] == {'cells': [open_cell], 'left': 5}
    assert told_cell not in again[1]['cells']


def test_a_whole_search_leaves_the_results_of_a_search(tmp_path, capsys):
    run, requests = tmp_path / 'run', []
    for _ in range(10):
        requests += [{'ask': 1}, lambda answers: told((answers[-1]['cells'] or ['bn-conv3x3'])[0])]
    answers = serve(run, *requests)
    assert {'cells': [], 'left': 0, 'done': True} in answers
    assert 'error' in answers[-1]  # told before
    record = json.loads((run / 'run.json').read_text())
    assert record['finished']
    files = {'evaluations.jsonl', 'pareto.csv', 'search.json', 'report.html'}
    assert files <= {path.name for path in run.iterdir()} and files <= set(record['files'])
    assert 'evaluations.jsonl.lock' in record['files']
    assert '--mode=serve\n' in (run / 'flags.txt').read_text()
    assert '6 evaluations' in capsys.readouterr().out
    serve(run, overwrite=True)
    assert not (run / 'pareto.csv').exists() and not (run / 'evaluations.jsonl').exists()


@pytest.mark.parametrize(
    'values, named',
    [
        ({'seed': 1}, 'holds a served search with --seed=0, not --seed=1'),
        ({'epochs': 3}, '--epochs belongs to --mode=search'),
        ({'device': ('xla',)}, '--device belongs to --mode=search'),
        ({'dataset': 'cifar10'}, '--dataset belongs to --mode=search'),
        ({'budget': 1}, '--budget=1 is smaller than a level'),
    ],
)
def test_what_is_refused(tmp_path, values, named):
    serve(tmp_path / 'run', {'ask': 1})
    with pytest.raises(ValueError, match=named):
        serve(tmp_path / 'run', {'ask': 1}, **values)


def test_own_ops_are_served(tmp_path):
    path = write_ops(tmp_path)
    cell = 'none-swish_conv'
    answers = serve(tmp_path / 'run', told(cell), {'front': True}, ops=path)
    assert answers[0]['told'] == cell and answers[1]['front'][0]['objectives']['params'] > 0
    assert (tmp_path / 'run' / 'ops' / 'my_ops.py').is_file()
    write_ops(tmp_path, 'import nothing\n')
    with pytest.raises(ValueError, match=r'another content of --ops=\S+my_ops.py \(line 1 was'):
        serve(tmp_path / 'run', ops=path)


def test_a_pipe_that_breaks_ends_the_server_in_good_order(tmp_path):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    requests = io.BytesIO(json.dumps(told('bn-conv1x1')).encode() + b'\n')
    serve_search(config_of(), tmp_path / 'run', requests, Broken())
    assert cells_of(tmp_path / 'run') == ['bn-conv1x1']


@pytest.mark.slow
def test_the_scheduler_of_the_documentation_goes_on_after_a_kill(tmp_path):
    command = [sys.executable, str(ROOT / 'experiments' / 'external_worker.py')]
    command += ['--budget=18', '--keep=3', '--batch=4', f'--workdir={tmp_path / "run"}']
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    killed = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert json.loads(killed.stdout.readline())['status'] == 'ok'
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    time.sleep(0.1)
    before = cells_of(tmp_path / 'run')
    assert before
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    # Answers alone go to stdout of the server; what it says stands on stderr.
    assert 'evaluations are in' in done.stderr and '18 evaluations' in done.stderr
    cells = cells_of(tmp_path / 'run')
    assert cells[: len(before)] == before and len(set(cells)) == len(cells) == 18
