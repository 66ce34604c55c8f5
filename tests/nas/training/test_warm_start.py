"""A warm start takes over what was made with the same, and no other number, whatever a log says."""

import contextlib
import io
import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

from common import options
from nas.cells import cost, plan
from nas.search.earlier.warm_start import TAKEN_FILE
from nas.training import evaluate, search_job
from nas.training.candidates import Candidates
from nas.training.config import SearchConfig
from tests.nas.made_tables import write_table

SIZES = {'stages': (1,), 'growth': (4,)}
BASE = {
    'keep': 2,
    'budget': 4,
    'levels': 3,
    'fewest': 100,  # no surrogate, which takes seconds to compile
    'epochs': 2,
    'device': ('profile:phone',),
    'measurement_cache': '',
    **SIZES,
}


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """Training returns an error that tells its epochs; no file is written outside the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))

    def train(job):
        error = 10.0 * job.config.epochs + len(str(job.cell)) / 10
        return evaluate.Result(error, 1.5, job.config.epochs, job.config.epochs, ())

    monkeypatch.setattr(evaluate, 'run_job', train)


def search(workdir, **values):
    """Runs a search; (result, what it printed about the warm start)."""
    config = options.make(SearchConfig, {**BASE, **values})
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = search_job.run_search(config, workdir)
    return result, [line for line in printed.getvalue().splitlines() if line.startswith('warm')]


def read(folder, name='evaluations.jsonl'):
    return [json.loads(line) for line in (pathlib.Path(folder) / name).read_text().splitlines()]


def edit(folder, change):
    """Changes every record of a log."""
    records = read(folder)
    for record in records:
        change(record)
    text = ''.join(json.dumps(record) + '\n' for record in records)
    (pathlib.Path(folder) / 'evaluations.jsonl').write_text(text)


WARM = {'warm_start': '~/first/evaluations.jsonl', 'seed': 7}


def test_an_own_objective_holds_only_with_the_same_content_of_its_file(monkeypatch):
    path = pathlib.Path('mine.py')
    path.write_text('def effort(facts):\n    return 1.0\n')

    def train(job):
        values = {own.name: len(str(job.cell)) for own in job.own}
        return evaluate.Result(9.0, 1.5, 2, 2, (), own=values)

    monkeypatch.setattr(evaluate, 'run_job', train)
    own = {'objective': ('mine.py:effort',), 'objectives': ('error', 'params'), 'device': ()}
    search('first', **own)
    assert pathlib.Path('first/objectives/effort.py').read_text() == path.read_text()
    _, lines = search('same', **own, **WARM)
    assert lines[-1] == 'warm start: 4 of 4 evaluations taken over'
    path.write_text('def effort(facts):\n    return 2.0\n')
    with pytest.raises(ValueError, match=r'effort of 4 cells .* was made with another content of'):
        search('other', **own, **WARM)
    # The other values do not depend on the function.
    _, lines = search('without', objectives=('error', 'params'), device=(), **WARM)
    assert lines[-1] == 'warm start: 4 of 4 evaluations taken over'
    message = r'another content of --objective=mine.py:effort \(line 2 was .return 1.0., and is'
    with pytest.raises(ValueError, match=message):
        search('first', **{**own, 'budget': 6})


def test_every_line_says_what_it_was_made_with():
    search('first')
    held = json.loads(pathlib.Path('first/run.json').read_text())['made_with']
    for row in read('first'):
        assert set(row['made_with']) == {'data', 'recipe', 'skeleton', 'device', 'versions'}
        facts = {part: held[part][key] for part, key in row['made_with'].items()}
        assert facts['data']['name'].startswith('digits') and facts['recipe']['epochs'] == 2
        assert facts['skeleton']['stages'] == [1] and 'profile:phone' in facts['device']['name']
        assert facts['versions']['jax']


def test_what_was_made_with_the_same_is_taken_over():
    first, _ = search('first')
    second, said = search('second', **WARM)
    assert said == ['warm start: 4 of 4 evaluations taken over']
    assert not {row['cell'] for row in read('second')} & {row['cell'] for row in read('first')}
    known = {str(e.cell): e.objectives for e in second.search._knowledge.evaluations.values()}
    assert all(known[str(e.cell)] == e.objectives for e in first.evaluations)
    taken = {row['cell']: row['objectives'] for row in read('second', TAKEN_FILE)}
    assert set(taken) == {str(e.cell) for e in first.evaluations}


def test_counted_costs_are_counted_again_whatever_a_log_says():
    search('first')
    edit('first', lambda row: row['objectives'].update(params=1.0, flops=-5.0))
    second, _ = search('second', **WARM)
    for e in second.search._knowledge.evaluations.values():
        counts = cost.count(plan.build(e.cell, second.search.space.skeleton))
        assert (e.objectives['params'], e.objectives['flops']) == (counts.params, counts.flops)
    # They depend on no training, so that they are no reason to leave a cell out.
    _, said = search('third', **WARM, epochs=3, objectives=('latency_ms', 'params'))
    assert said == ['warm start: 4 of 4 evaluations taken over']
    # The same of a search that goes on with its own log.
    assert {e.objectives['params'] for e in search('first')[0].evaluations} != {1.0}


def test_latencies_of_another_device_are_measured_again():
    search('first')
    second, said = search('second', **WARM, device=('profile:workstation',))
    assert said[-1] == 'warm start: 4 of 4 evaluations taken over'
    assert said[0].startswith('warm start: latency_ms of 4 cells of') and said[0].endswith(
        'measured again'
    )
    assert 'was measured on profile:phone' in said[0] and 'not profile:workstation' in said[0]
    here = {e.objectives['latency_ms'] for e in second.evaluations}
    all_ = {e.objectives['latency_ms'] for e in second.search._knowledge.evaluations.values()}
    old = {row['objectives']['latency_ms'] for row in read('first')}
    assert not all_ & old and max(all_) < 10 * min(here)


def test_what_was_measured_again_is_kept_for_a_search_that_goes_on(monkeypatch):
    search('first')
    once, _ = search('second', **WARM, device=('profile:workstation',))
    monkeypatch.setattr(Candidates, 'measure', lambda *given: pytest.fail('measured'))
    again, said = search('second', **WARM, device=('profile:workstation',))
    assert said[-1] == 'warm start: 4 of 4 evaluations taken over'
    assert [e.objectives for e in again.front()] == [e.objectives for e in once.front()]


@pytest.mark.parametrize(
    'values, sentence',
    [
        ({'epochs': 3}, 'error of 4 cells of .*first was trained with epochs 2, not 3'),
        ({'validation_share': 0.2}, 'with validation_share 0.1, not 0.2'),
        (
            {'growth': (8,)},
            'error of 4 cells .* with a skeleton of growth 4, not 8; stem 8, not 16',
        ),
        ({'dataset': 'folder:~/images'}, 'error of 4 cells .* is of digits.*, not images'),
    ],
)
def test_errors_of_another_origin_are_refused(values, sentence, tmp_path):
    search('first')
    for number in range(10 if 'dataset' in values else 0):
        (tmp_path / 'images' / f'{number}').mkdir(parents=True)
        for index in range(20):
            pixels = np.full((8, 8), 20 * number + index, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f'images/{number}/{index}.png')
    with pytest.raises(ValueError, match=sentence) as caught:
        search('second', **{**WARM, **values})
    assert '--warm_start_as=prior' in str(caught.value) and '\n' not in str(caught.value)
    assert not (tmp_path / 'second').exists()


def test_a_log_of_an_older_version_is_refused_but_informs():
    search('first')
    edit('first', lambda row: row.pop('made_with'))
    with pytest.raises(ValueError, match='error of 4 cells .* with an unknown data: its record'):
        search('second', **WARM)
    result, said = search('second', **WARM, warm_start_as='prior')
    assert said == ['warm start: 4 of 4 evaluations inform the surrogate, none counts as evaluated']
    # An older search itself goes on as it is.
    assert len(search('first', budget=5)[0].evaluations) == 5


def test_a_prior_never_stands_on_the_front():
    search('first')
    result, _ = search('second', **WARM, warm_start_as='prior', epochs=3)
    assert len(result.search._knowledge.evaluations) == 4
    assert min(e.objectives['error'] for e in result.front()) > 30
    again, _ = search('second', **WARM, warm_start_as='prior', epochs=3, budget=5)
    assert [str(e.cell) for e in again.evaluations[:4]] == [str(e.cell) for e in result.evaluations]


def test_a_log_without_its_run_json_is_still_told_apart(tmp_path):
    search('first')
    (tmp_path / 'first' / 'run.json').unlink()
    assert search('second', **WARM)[1][-1].endswith('4 of 4 evaluations taken over')
    with pytest.raises(ValueError, match='error of 4 cells of .* was made with another recipe'):
        search('third', **WARM, epochs=3)


def write_board(path, *, latency, board=None):
    told = {'latency_ms': latency} | ({} if board is None else {'id': board})
    path.write_text(f'print({json.dumps(json.dumps(told))})\n')


def test_a_board_is_known_by_its_script_and_its_id(tmp_path):
    pytest.importorskip('onnx')
    script = tmp_path / 'board.py'
    device = {'device': (f'command:{sys.executable} ~/board.py {{model}}',)}
    write_board(script, latency=1.0, board='A')
    search('first', **device)
    assert {row['device_id'] for row in read('first')} == {'A'}
    write_board(script, latency=3.0, board='A')
    with pytest.raises(ValueError, match='holds a search that was measured on .* another script'):
        search('first', **device, budget=5)
    _, said = search('second', **WARM, **device)
    assert said[-1] == 'warm start: 4 of 4 evaluations taken over' and len(said) == 2
    rows = [*read('second'), *read('second', TAKEN_FILE)]
    assert {row['objectives']['latency_ms'] for row in rows} == {3.0}


def test_an_own_objective_of_a_named_board_is_left_out_and_says_so(tmp_path, monkeypatch):
    pytest.importorskip('onnx')
    write_board(tmp_path / 'board.py', latency=1.0, board='A')
    (tmp_path / 'mine.py').write_text('def effort(facts):\n    return 1.0\n')
    given = {
        'device': (f'command:{sys.executable} ~/board.py {{model}}',),
        'objective': ('mine.py:effort',),
        'objectives': ('error', 'latency_ms'),
    }
    result = evaluate.Result(9.0, 1.5, 2, 2, (), own={'effort': 1.0})
    monkeypatch.setattr(evaluate, 'run_job', lambda job: result)
    search('first', **given)
    message = r'effort of 4 cells of .*first was measured on board A: left out \(--warm_start_as'
    with pytest.raises(ValueError, match=message):
        search('second', **given, **WARM)


def test_a_search_does_not_go_on_with_another_board(tmp_path):
    pytest.importorskip('onnx')
    device = {'device': (f'command:{sys.executable} ~/board.py {{model}}',)}
    write_board(tmp_path / 'board.py', latency=1.0)
    told = 'import pathlib; print(\'{"latency_ms": 1, "id": "%s"}\' % open(\'name\').read())'
    (tmp_path / 'board.py').write_text(told)
    (tmp_path / 'name').write_text('A')
    search('first', **device)
    (tmp_path / 'name').write_text('B')
    with pytest.raises((ValueError, OSError), match="'B' answers, .* measures on board 'A'"):
        search('first', **device, budget=5, device_retries=0)
    assert len(read('first')) == 4
    (tmp_path / 'name').write_text('A')
    assert len(search('first', **device, budget=5)[0].evaluations) == 5


def test_of_another_table_costs_are_looked_up_and_errors_refused(tmp_path):
    write_table(tmp_path / 'one.npz')
    columns = write_table(tmp_path / 'dearer.npz')
    write_table(tmp_path / 'dearer.npz', params=columns['params'] * 2)
    write_table(tmp_path / 'other.npz', c10_valid200_seeds=columns['c10_valid200_seeds'] - 1)
    table = lambda name: {
        'benchmark': 'nas_bench_201',
        'table': f'~/{name}.npz',
        'device': ('phone',),
        'budget': 8,
    }
    search('first', **table('one'))
    result, said = search('second', **{**WARM, **table('dearer')})
    assert said == ['warm start: 8 of 8 evaluations taken over']
    space = result.search.space
    for e in result.search._knowledge.evaluations.values():
        assert e.objectives['params'] == space.costs(e.cell)['params']
    with pytest.raises(ValueError, match='is of table nas_bench_201 with other content'):
        search('third', **{**WARM, **table('other')})


def test_a_board_that_is_away_is_asked_again_before_the_search_begins(monkeypatch):
    search('first')
    measure, asked = Candidates.measure, []

    def away(self, cell):
        asked.append(str(cell))
        if len(asked) < 3:
            raise OSError('the board is asleep')
        return measure(self, cell)

    monkeypatch.setattr(Candidates, 'measure', away)
    other = {**WARM, 'device': ('profile:workstation',), 'device_pause': 0.01}
    with pytest.raises(OSError, match='the board is asleep .2 attempts in a row failed'):
        search('second', **other, device_retries=1)
    assert not pathlib.Path('second', TAKEN_FILE).exists()
    asked.clear()
    assert search('second', **other)[1][-1].endswith('4 of 4 evaluations taken over')
    assert asked[0] == asked[1] == asked[2] != asked[3]
