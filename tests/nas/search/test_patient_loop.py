"""The loop while a board is away, and failures that are evaluated again."""

import errno
import json

import pytest

from common.patience import Patience, Unavailable
from nas.search import loop
from tests.nas.search.test_loop import error_of, make


class Board:
    """An evaluation that fails at some of its calls."""

    def __init__(self, fails=lambda call: False, error=None):
        self.calls, self._fails = [], fails
        self._error = error or ConnectionRefusedError('refused')

    def __call__(self, cell):
        self.calls.append(cell)
        if self._fails(len(self.calls)):
            raise self._error
        return {'error': error_of(cell)}


SOON = Patience(pause=0.01)


def test_a_board_that_is_away_for_a_while_changes_nothing(tmp_path):
    whole, broken, said = tmp_path / 'whole', tmp_path / 'broken', []
    loop.run(make(), Board(), budget=14, path=whole)
    # Two failures in a row, three times.
    board = Board(lambda call: call in (1, 2, 7, 8, 15, 16))
    loop.run(make(), board, budget=14, path=broken, patience=SOON, on_notice=said.append)
    assert cells_of(broken) == cells_of(whole) and len(board.calls) == 14 + 6
    assert len(said) == 6 and 'refused; trying again in 0.05 s (2 of 3)' in said[1]


@pytest.mark.parametrize('error', [ConnectionRefusedError('refused'), Unavailable('refused')])
def test_a_board_that_stays_away_ends_the_search_which_then_goes_on(tmp_path, error):
    path, whole = tmp_path / 'log.jsonl', tmp_path / 'whole'
    loop.run(make(), Board(), budget=14, path=whole)
    board = Board(lambda call: call > 6, error)
    for total in (10, 14):
        with pytest.raises(Unavailable) as caught:
            loop.run(make(), board, budget=14, path=path, patience=SOON)
        # It was asked four times each time, and nothing is recorded of it.
        assert len(board.calls) == total and len(set(board.calls)) == 7
        assert cells_of(path) == cells_of(whole)[:6]
    for part in (
        'refused (4 attempts in a row failed)',
        'once it works',
        f'6 of 14 evaluations are in {path}; the same command goes on',
    ):
        assert part in str(caught.value)
    loop.run(make(), Board(), budget=14, path=path)
    assert cells_of(path) == cells_of(whole)


def cells_of(path):
    """What the log says of each cell, without the time."""
    return [{**json.loads(line), 'seconds': 0} for line in path.read_text().splitlines()]


def test_a_log_that_cannot_be_written_is_no_pause(tmp_path, monkeypatch):
    def fail(path, record):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(loop, 'append_record', fail)
    board = Board()
    with pytest.raises(OSError, match='No space left') as caught:
        loop.run(make(), board, budget=9, path=tmp_path / 'log.jsonl', patience=SOON)
    assert len(board.calls) == 1 and not isinstance(caught.value, Unavailable)


def test_failed_evaluations_are_done_again_when_asked_for(tmp_path):
    path, said = tmp_path / 'log.jsonl', []
    broken = Board(lambda call: call in (2, 4, 9), ValueError('no kernel'))
    done = loop.run(make(), broken, budget=14, path=path)
    failed = [e.cell for e in done if e.status == 'failed']
    assert failed == [broken.calls[call - 1] for call in (2, 4, 9)]
    # Without the option, a failure stays.
    loop.run(make(), Board(), budget=14, path=path)
    assert len(cells_of(path)) == 14 and 'failed' in path.read_text()
    board = Board()
    again = loop.run(make(), board, budget=14, path=path, retry_failed=True, on_notice=said.append)
    assert board.calls[: len(failed)] == failed
    assert {e.status for e in again} == {'ok'} and len({e.cell for e in again}) == len(again) == 14
    records = cells_of(path)
    assert [record['index'] for record in records] == list(range(14))
    aside = cells_of(tmp_path / 'log.jsonl.failed')
    assert [record['cell'] for record in aside] == failed and '3 failed' in said[0]
    # A killed retry ends like an unbroken one: 11 evaluations had succeeded before.
    lines = path.read_text().splitlines(keepends=True)
    for kept in (11, 12, 13):
        path.write_text(''.join(lines[:kept]))
        loop.run(make(), Board(), budget=14, path=path, retry_failed=True)
        assert cells_of(path) == records


def test_a_retry_that_fails_again_is_recorded_again(tmp_path):
    path = tmp_path / 'log.jsonl'
    bad = lambda cell: {'error': error_of(cell)} if not cell.startswith('2') else {'error': 'x'}
    first = loop.run(make(), bad, budget=9, path=path)
    again = loop.run(make(), bad, budget=9, path=path, retry_failed=True)
    failed = [e.cell for e in first if e.status == 'failed']
    assert failed and {e.cell for e in again if e.status == 'failed'} >= set(failed)
    assert len(cells_of(path)) == 9
