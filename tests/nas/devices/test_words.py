"""nas.devices.words: `~` as in a shell, and scripts that are known by their content."""

import shlex
import sys

import pytest

from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.devices.base import DeviceError, Measurement
from nas.devices.cache import Cache
from nas.devices.command import CommandDevice
from nas.devices.same_device import SameDevice
from nas.devices.words import content_of, split_words

PLAN, OTHER = (
    plan_lib.build(Cell.parse(cell), SKELETONS['tiny']) for cell in ('bn-conv1x1', 'bn-conv3x3')
)


@pytest.mark.parametrize(
    'template, words',
    [
        ('~/bench {model}', ['/home/me/bench', '{model}']),
        ('python ~/bench.py {model}', ['python', '/home/me/bench.py', '{model}']),
        # The shell of the board reads what is quoted.
        ("ssh board '~/bench {model}'", ['ssh', 'board', '~/bench {model}']),
        ('ssh board "~/bench" {model}', ['ssh', 'board', '~/bench', '{model}']),
        ('run a~/b {model}', ['run', 'a~/b', '{model}']),
        ('~/run --note="a b" {model}', ['/home/me/run', '--note=a b', '{model}']),
    ],
)
def test_a_tilde_means_what_it_means_in_a_shell(template, words, monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    assert split_words(template) == words


def test_files_are_known_by_their_content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('bench.py', 'table.json', 'out.csv'):
        (tmp_path / name).write_text('1')
    words = [sys.executable, 'bench.py', '--table=table.json', 'out.csv', '{model}', 'x' * 5000]
    before = content_of(words)
    assert content_of(words) == before
    for name, changes in (('out.csv', False), ('bench.py', True), ('table.json', True)):
        (tmp_path / name).write_text('22')
        assert (content_of(words) != before) == changes, name
        before = content_of(words)
    assert content_of(['no such program', '{model}']) == content_of([])


def test_the_identity_of_a_command_follows_its_script(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    script = tmp_path / 'bench.py'
    script.write_text('1')
    device = CommandDevice(f'{sys.executable} ~/bench.py {{model}}')
    name, before = device.name, device.identity
    script.write_text('2')
    assert device.name == name and device.identity != before and name in before


class Board:
    """A device whose board and script may be exchanged."""

    name, exclusive, identity, board = 'bench', True, 'script 1', 'A'

    def measure(self, network):
        return Measurement(1.0, device_id=self.board)


@pytest.mark.parametrize('cached', [False, True])
def test_a_search_keeps_to_one_board_and_one_script(cached, tmp_path):
    board = Board()
    same = SameDevice(board, cache=Cache(tmp_path) if cached else None)
    assert same.board is None and same.facts() == {'name': 'bench', 'identity': 'script 1'}
    same.measure(PLAN)
    assert same.board == 'A' and same.facts('A')['id'] == 'A'
    board.board = 'B'
    with pytest.raises(DeviceError, match="'B' answers, but the search measures on board 'A'"):
        same.measure(OTHER)
    # Once the right one is back, it is asked and not the cache.
    board.board = 'A'
    assert same.measure(OTHER).device_id == 'A'
    board.identity = 'script 2'
    with pytest.raises(DeviceError, match='has changed since the search began'):
        same.measure(PLAN)


def test_a_search_that_goes_on_expects_its_board():
    same = SameDevice(Board())
    same.expect('C')
    with pytest.raises(DeviceError, match="board 'A' answers, .* on board 'C'"):
        same.measure(PLAN)


@pytest.mark.parametrize('printed, board', [('"B 7"', 'B 7'), ('17', '17'), ('null', None)])
def test_a_board_tells_its_id(printed, board):
    pytest.importorskip('onnx')
    script = f"""print('{{"latency_ms": 1, "id": {printed}}}')"""
    device = CommandDevice(shlex.join([sys.executable, '-c', script, '{model}']))
    assert device.measure(PLAN).device_id == board


@pytest.mark.parametrize('printed', ['[1]', '""', 'true', '1.5', f'"{"x" * 300}"'])
def test_an_id_that_is_no_text_is_refused(printed):
    pytest.importorskip('onnx')
    script = f"""print('{{"latency_ms": 1, "id": {printed}}}')"""
    device = CommandDevice(shlex.join([sys.executable, '-c', script, '{model}']))
    with pytest.raises(DeviceError, match='no measurement: device_id is .* text of 1 to 200'):
        device.measure(PLAN)
