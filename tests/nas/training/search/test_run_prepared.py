"""A search of another task than classification: words, whose error is their distance from `bab`."""

import dataclasses
import json

import pytest

from common import options
from common.executors.serial import SerialExecutor
from common.options import option
from nas.devices.base import Measurement
from nas.search.config import PlannerConfig
from nas.search.rungs import Rungs
from nas.search.space import Space
from nas.training.candidates import Candidates
from nas.training.config import SearchConfig, SearchOptions
from nas.training.search.measuring import device_of, rungs_of
from nas.training.search.prepared import Prepared
from nas.training.search.result import Point, Result, candidate_seed
from nas.training.search.wishes import objectives_of, wanted_of
from nas.training.search_job import run_prepared, run_search

NAMES = ('error', 'latency_ms', 'params')


@dataclasses.dataclass(frozen=True)
class WordConfig(SearchOptions):
    """A search of words."""

    objectives: tuple[str, ...] | None = option(NAMES, 'what is minimised')
    planner: PlannerConfig = PlannerConfig(keep=2, batch=2, bold=0.25, fewest=99)  # no surrogate
    letters: str = option('ab', 'letters of words')
    target: str = option('bab', 'the best word')
    bench: str = option('a', 'where they are evaluated')


class Words(Space):
    """Words of at most three letters."""

    root = ''

    def __init__(self, letters):
        self._letters = letters

    def grow(self, cell):
        return tuple(cell + letter for letter in self._letters) if len(cell) < 3 else ()

    def encode(self, cell):
        return tuple(cell)

    def level(self, cell):
        return len(cell)

    def costs(self, cell):
        return {'params': float(len(cell)), 'flops': 2.0 * len(cell)}

    def parse(self, text):
        return text


@dataclasses.dataclass(frozen=True)
class WordResult(Result):
    """A result that carries a text."""

    text: str = ''


def run_word(job):
    """Evaluates a word in two epochs; stops it at a rung."""
    word, target, rungs, costs, seed = job
    error = 100 / 3 * sum(a != b for a, b in zip(f'{word:3}', target))
    reason = rungs.dominated(costs, 0, error) if rungs else None
    return WordResult(
        error,
        0.5,
        1 if reason else 2,
        2,
        (Point(1, 0.0, error),),
        (error,),
        'stopped' if reason else 'ok',
        reason or '',
        text=f'{word} {seed}',
    )


@dataclasses.dataclass(frozen=True)
class WordTask:
    """See `nas.training.search.task.Task`."""

    space: Words
    target: str

    objectives = ('params', 'flops')
    run = staticmethod(run_word)
    reference = 'a'

    def network(self, cell):
        return cell

    def counts(self, cell):
        return self.space.costs(cell)

    def job(self, cell, *, seed, rungs, costs, measured):
        assert measured == {'latency_ms': 1.0 + cell.count('b')}
        return cell, self.target, rungs, costs, seed

    def kept(self, cell, result):
        return {'spelt': result.text}


class Board:
    """A device that needs a millisecond, and one more for each b."""

    name, exclusive = 'board', False

    def __init__(self):
        self.measured = []

    def measure(self, network):
        self.measured.append(network)
        return Measurement(1.0 + network.count('b'))


def search(workdir, *, board=None, task='words', **values):
    """Runs a search of words as any other task would."""
    config = options.make(WordConfig, {'compilation_cache': '', 'measurement_cache': '', **values})

    def prepare(goes_on):
        space, names = Words(config.letters), objectives_of(config)
        candidates = Candidates(
            task=WordTask(space, config.target),
            executor=SerialExecutor(),
            device=board or Board(),
            objectives=wanted_of(config, names),
            seed=config.seed,
            rungs=rungs_of(config),
        )
        return Prepared(
            space,
            names,
            candidates,
            'words',
            record={'went_on': goes_on},
            writes=('words.txt',),
            write=lambda folder: (folder / 'words.txt').write_text(config.letters),
            next_steps=lambda role: [('says it', f'say the {role} word')],
            blocks=lambda page, search, picked: page.text(
                f'the front: {" ".join(str(e.cell) for e in search.front())}; {len(picked.chosen)}'
            ),
        )

    return run_prepared(config, workdir, prepare, beside={'task': task}, free=('bench',))


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """A whole search."""
    return search(tmp_path_factory.mktemp('whole') / 'run', budget=10)


def test_the_search_finds_the_word_and_writes_its_files(found):
    assert 'bab' in {e.cell for e in found.front()} and len(found.evaluations) == 10
    names = {path.name for path in found.workdir.iterdir()}
    assert {'pareto.csv', 'pareto.png', 'search.json', 'report.html', 'words.txt'} <= names
    assert '--task=words\n' in (found.workdir / 'flags.txt').read_text()
    record = json.loads((found.workdir / 'run.json').read_text())
    assert record['finished'] and record['went_on'] is False and 'words.txt' in record['files']
    log = (found.workdir / 'evaluations.jsonl').read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert all(
        line['spelt'] == f'{line["cell"]} {candidate_seed(0, line["cell"])}' for line in lines
    )
    assert lines[0]['objectives']['latency_ms'] == 1 + lines[0]['cell'].count('b')


def test_the_report_holds_the_blocks_and_the_next_steps(found):
    page = (found.workdir / 'report.html').read_text()
    front = ' '.join(e.cell for e in found.front())
    assert f'the front: {front}; ' in page and 'say the most accurate word' in page
    assert page.index('the front: ') > page.index('say the ')


def test_a_search_goes_on_as_if_it_had_not_stopped(found, tmp_path):
    search(tmp_path / 'run', budget=4)
    board = Board()
    again = search(tmp_path / 'run', board=board, budget=10, bench='b')
    cells = [e.cell for e in found.evaluations]
    assert [e.cell for e in again.evaluations] == cells and board.measured == cells[4:]
    assert [e.objectives for e in again.evaluations] == [e.objectives for e in found.evaluations]
    assert json.loads((tmp_path / 'run' / 'run.json').read_text())['went_on'] is True


def test_cells_are_stopped_early_by_what_earlier_ones_reached(tmp_path):
    result = search(tmp_path / 'run', budget=14)
    stopped = [e for e in result.evaluations if e.status == 'stopped']
    assert stopped and all('a candidate no worse in params, flops' in e.reason for e in stopped)
    assert stopped[0].objectives.keys() >= {'error', 'latency_ms'}
    full = search(tmp_path / 'full', budget=14, early_stopping=False)
    assert {e.status for e in full.evaluations} == {'ok'}


def test_another_task_or_other_options_in_a_workdir_are_refused(found):
    before = (found.workdir / 'run.json').read_bytes()
    with pytest.raises(ValueError, match='holds a search with --task=words, not --task=songs'):
        search(found.workdir, task='songs', budget=10)
    with pytest.raises(ValueError, match='holds a search with --target=bab, not --target=aaa'):
        search(found.workdir, target='aaa', budget=10)
    with pytest.raises(ValueError, match='--task=words, not no --task; it goes on'):
        run_search(SearchConfig(), found.workdir)
    assert (found.workdir / 'run.json').read_bytes() == before


def test_what_the_task_does_not_tell_is_refused_in_its_own_words(tmp_path):
    message = "'accuracy' is unknown; .*, params, flops, what your own device tells .*[.]{3}[)]$"
    with pytest.raises(ValueError, match=message):
        search(tmp_path / 'run', objectives=('error', 'accuracy'))
    assert not (tmp_path / 'run').exists()


def test_a_device_is_opened_only_for_what_nothing_else_tells():
    config = options.make(WordConfig, {'device': ('profile:phone',)})
    told = {'error', 'params', 'flops'}
    assert device_of(config, ('error', 'params'), told) is None
    assert device_of(config, NAMES, told).name.startswith('profile:phone')
    with pytest.raises(ValueError, match='names xla,onnx; a search measures on one'):
        device_of(options.make(WordConfig, {'device': ('xla,onnx',)}), NAMES, told)
    assert rungs_of(config) == Rungs() and objectives_of(config) == NAMES
