"""Whole searches whose board goes away: nothing is recorded of it, and the same command goes on."""

import contextlib
import io
import json
import pathlib
import sys

import pytest

from common import options
from common.patience import Unavailable
from nas.search.evaluations import Failure
from nas.training import evaluate, search_job
from nas.training.config import SearchConfig

pytest.importorskip('onnx')

# Refuses after as many calls as the file `off_after` says.
BOARD = """
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, 'calls'), 'a') as file:
    file.write('x')
calls = os.path.getsize(os.path.join(here, 'calls'))
if calls > int(open(os.path.join(here, 'off_after')).read()):
    sys.exit('ssh: connect to host board port 22: Connection refused')
print(json.dumps({'latency_ms': 1 + os.path.getsize(sys.argv[1]) / 1e5}))
"""


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A folder with the script of a board that may go off; training takes no time."""
    monkeypatch.setattr(
        evaluate, 'run_job', lambda job: evaluate.Result(20.0, 1.5, 9, 9, (), (30.0, 25.0))
    )
    folder = tmp_path / 'board'
    folder.mkdir()
    (folder / 'board.py').write_text(BOARD)
    switch(folder, 10**6)
    return folder


def switch(folder, calls):
    """Lets the board answer so many calls from now on."""
    (folder / 'calls').write_text('')
    (folder / 'off_after').write_text(str(calls))


def calls(folder):
    return len((folder / 'calls').read_text())


def run(folder, workdir, **values):
    """Runs a search in this process; returns what it printed."""
    given = {
        'device': (f'command:{sys.executable} {folder}/board.py {{model}}',),
        'budget': 8,
        'keep': 3,
        'levels': 2,
        'device_pause': 0.01,
        'compilation_cache': '',
        'measurement_cache': f'{workdir}_cache',
    }
    config = options.make(SearchConfig, {**given, **values})
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        search_job.run_search(config, workdir)
    return printed.getvalue()


def read(workdir):
    path = pathlib.Path(workdir) / 'evaluations.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def record_of(workdir):
    return json.loads((pathlib.Path(workdir) / 'run.json').read_text())


def test_a_board_that_goes_off_ends_the_search_and_the_same_command_goes_on(board, tmp_path):
    run(board, tmp_path / 'whole')
    switch(board, 3)
    for asked in (3 + 4 * 2, 4 * 2):  # a cell and the reference, four times
        with pytest.raises(Unavailable, match='Connection refused .4 attempts in a row failed.'):
            run(board, tmp_path / 'broken')
        assert calls(board) == asked
        assert read(tmp_path / 'broken') == read(tmp_path / 'whole')[:3]
        assert '3 of 8 evaluations' in record_of(tmp_path / 'broken')['interrupted_by']
        assert not (tmp_path / 'broken' / 'search.json').exists()
        switch(board, 0)
    switch(board, 10**6)
    printed = run(board, tmp_path / 'broken', device_retries=1)
    assert '8 evaluations, 0 failed' in printed
    assert read(tmp_path / 'broken') == read(tmp_path / 'whole')
    assert record_of(tmp_path / 'broken')['interrupted_by'] is None


def test_real_failures_are_done_again_with_retry_failed(board, tmp_path, monkeypatch):
    trained = evaluate.run_job
    monkeypatch.setattr(evaluate, 'run_job', lambda job: Failure('no memory'))
    with pytest.raises(ValueError, match='no memory .*--retry_failed evaluates them again'):
        run(board, tmp_path / 'run', budget=6)
    failed = [record['cell'] for record in read(tmp_path / 'run')]
    monkeypatch.setattr(evaluate, 'run_job', trained)
    with pytest.raises(ValueError, match='no memory'):
        run(board, tmp_path / 'run', budget=6)
    printed = run(board, tmp_path / 'run', budget=6, retry_failed=True)
    assert f'{len(failed)} failed evaluations are done again' in printed
    assert '6 evaluations, 0 failed' in printed
    assert [record['cell'] for record in read(tmp_path / 'run')][: len(failed)] == failed
    assert 'evaluations.jsonl.failed' in record_of(tmp_path / 'run')['files']
