"""The search beside random search: remembered cells, the common reference, a comparison."""

import json
import pathlib
import types

import numpy as np
import pytest

from common.patience import Unavailable
from experiments.benchmarks.search import against_random, volumes
from nas.cells import cost, plan, skeleton
from nas.cells.cell import Cell
from nas.search.evaluations import Failure, Outcome
from nas.search.space import CellSpace

PLAIN, GROUPED = Cell.parse('none-conv3x3'), Cell.parse('none-gconv3x3')
SETTINGS = """# A search that trains nothing, in the tests.
--mode=search
--dataset=digits
--objectives=error,params
--worst_error=20
--budget=10
--levels=2
--keep=2
--compilation_cache=
"""


class Known:
    """Stands for `Candidates`: errors by a rule of the cell and the seed; remembers what it was
    asked.
    """

    asked = []

    def __init__(self, *, seed, **unused_options):
        self._seed = seed

    def batch(self, cells, history=()):
        del history
        for index, cell in reversed(list(enumerate(cells))):
            Known.asked.append((self._seed, str(cell)))
            failed = 'dwconv3x3' in cell.ops
            error = 1.0 + self._seed + len(str(cell)) % 7
            yield index, Outcome(Failure('no') if failed else {'error': error}, 2.0)


@pytest.fixture
def space():
    Known.asked.clear()
    return CellSpace(skeleton.digits, levels=2)


def test_a_cell_is_evaluated_once_for_each_seed_and_after_a_restart(space, tmp_path):
    path = tmp_path / 'evaluated.jsonl'
    open_again = lambda seed: against_random.Remembered(Known(seed=seed), space, path, seed)
    first = open_again(0)
    outcomes = dict(first.batch([PLAIN, GROUPED]))
    assert outcomes[0].result['error'] == 1 + 12 % 7 and outcomes[1].result['error'] == 1 + 13 % 7
    # A trailing `none` changes nothing, so it is the same cell.
    same = Cell.parse('none-conv3x3-none')
    again = dict(open_again(0).batch([same, PLAIN]))
    assert again[0] == again[1] and again[0].result == outcomes[0].result and again[0].seconds == 2
    assert Known.asked == [(0, 'none-gconv3x3'), (0, 'none-conv3x3')]
    other = open_again(1)
    assert dict(other.batch([PLAIN]))[0].result['error'] == 2 + 12 % 7 and len(Known.asked) == 3
    params = cost.count(plan.build(PLAIN, skeleton.digits)).params
    assert (
        other.point(PLAIN, ('params', 'error')) == [params, 2 + 12 % 7]
        and other.seconds(PLAIN) == 2
    )


def test_failures_have_no_point(space, tmp_path):
    evaluator = against_random.Remembered(Known(seed=0), space, tmp_path / 'log.jsonl', 0)
    cells = [Cell.parse('none-dwconv3x3-none-conv1x1'), PLAIN]
    assert isinstance(dict(evaluator.batch(cells))[0].result, Failure)
    assert evaluator.point(cells[0], ('error',)) is None and evaluator.point(PLAIN, ('error',))


def test_what_was_not_evaluated_is_not_remembered_as_an_evaluation(space, tmp_path):
    away = types.SimpleNamespace(batch=lambda cells: [(0, Outcome(Unavailable('disk away')))])
    evaluator = against_random.Remembered(away, space, tmp_path / 'log.jsonl', 0)
    assert isinstance(dict(evaluator.batch([PLAIN]))[0].result, Unavailable)
    assert not (tmp_path / 'log.jsonl').exists()
    config = against_random.SearchConfig(objectives=('error',))
    with pytest.raises(Unavailable, match='disk away'):
        against_random.run_method('random', space, evaluator, 3, 0, config)


def test_random_search_begins_with_the_given_cells_too(space, tmp_path):
    evaluator = against_random.Remembered(Known(seed=0), space, tmp_path / 'log.jsonl', 0)
    config = against_random.SearchConfig(objectives=('error', 'params'), include=(str(GROUPED),))
    run = against_random.run_method('random', space, evaluator, 4, 0, config)
    assert run['cells'][0] == str(GROUPED) and len(set(run['cells'])) == 4


def test_random_cells_are_different_complete_and_of_every_level(space):
    wide = CellSpace(skeleton.digits, levels=4)
    cells = against_random.random_cells(wide, 40, seed=3)
    assert len({cell.key for cell in cells}) == len(cells) == 40
    assert all(cell.complete for cell in cells) and {cell.level for cell in cells} == {2, 3, 4}
    assert cells == against_random.random_cells(wide, 40, seed=3)
    assert cells[:10] == against_random.random_cells(wide, 10, seed=3)
    assert cells != against_random.random_cells(wide, 40, seed=4)
    # Three norms, and the five convolutions that are not depthwise; all cells, then no more.
    assert len(against_random.random_cells(space, 1000, seed=0)) == 15


def _run(method, seed, points):
    return {
        'method': method,
        'seed': seed,
        'budget': 4,
        'objectives': ['error', 'params'],
        'points': points,
        'cells': [''] * len(points),
        'seconds': 10.0,
    }


def test_volumes_are_counted_from_one_reference():
    runs = [
        _run('search', 0, [[10, 8], None, [5, 9], [12, 2]]),
        _run('random', 0, [[30, 1], [10, 12], [11, 12], [6, 9]]),
    ]
    reference = volumes.reference_of(runs, 20)
    # Below 20 the front is (10, 8), (5, 9), (12, 2): params from 2 to 9.
    np.testing.assert_allclose(reference, [20, 9.7])
    # Without it also (30, 1): errors from 5 to 30, params from 1 to 9.
    np.testing.assert_allclose(volumes.reference_of(runs, None), [32.5, 9.8])
    reference = np.array([20.0, 10.0])
    # Boxes in units of 20 x 10: (10, 8) has 10 x 2; (5, 9) adds 5 x 1; (12, 2) adds 8 x 6.
    np.testing.assert_allclose(volumes.hypervolumes(runs[0], reference), [0.1, 0.1, 0.125, 0.365])
    np.testing.assert_allclose(volumes.hypervolumes(runs[1], reference), [0, 0, 0, 0.07])
    rows = volumes.summarise(runs, reference, 4)
    assert rows[0]['hypervolume'] == {
        '1': [pytest.approx(0.1)],
        '2': [pytest.approx(0.1)],
        '4': [pytest.approx(0.365)],
    }
    text = volumes.as_markdown(rows, {'error': 20.0, 'params': 10.0})
    assert '| search | 1 | 0.1000 (0.1000) | 0.1000 (0.1000) | 0.3650 (0.3650) | 10 |' in text
    assert 'ahead at the end in 1 of 1 seeds; median difference +0.2950' in text


def test_a_comparison_ends_in_a_table_and_goes_on_where_it_was(
    space, tmp_path, monkeypatch, capsys
):
    settings = tmp_path / 'settings.flags'
    settings.write_text(SETTINGS)
    options = types.SimpleNamespace(
        settings=str(settings), budget=None, seeds=1, output=str(tmp_path / 'out')
    )
    monkeypatch.setattr(against_random, 'Candidates', Known)
    monkeypatch.setattr(against_random, 'FLAGS', options)
    against_random.main()
    folder = tmp_path / 'out'
    written = json.loads((folder / 'table.json').read_text())
    assert written['reference']['error'] == 20 and written['budget'] == 10
    assert (folder / 'table.md').read_text() == capsys.readouterr().out
    assert (folder / 'curves.png').read_bytes().startswith(b'\x89PNG')
    runs = [json.loads(line) for line in (folder / 'curves.jsonl').read_text().splitlines()]
    assert [(run['method'], len(run['cells']), len(run['points'])) for run in runs] == [
        ('search', 10, 10),
        ('random', 10, 10),
    ]
    # Both share a space of 15 cells: what one has trained, the other has not trained again.
    assert len(Known.asked) == len(set(Known.asked)) <= 15
    asked = len(Known.asked)
    options.seeds = 2
    against_random.main()
    runs = [json.loads(line) for line in (folder / 'curves.jsonl').read_text().splitlines()]
    assert [(run['method'], run['seed']) for run in runs[2:]] == [('search', 1), ('random', 1)]
    assert {seed for seed, _ in Known.asked[asked:]} == {1}
    settings.write_text(SETTINGS + '--epochs=3\n')
    with pytest.raises(ValueError, match='holds a comparison with .*, not --epochs=3'):
        against_random.main()


def test_flagfiles_of_searches_are_settings():
    folder = pathlib.Path(against_random.__file__).parents[2] / 'flagfiles'
    digits = against_random.read_settings(folder / 'digits_cpu.flags')
    assert (digits.dataset, digits.budget, digits.levels, digits.worst_error) == (
        'digits',
        36,
        4,
        20,
    )
    cifar = against_random.read_settings(folder / 'cifar10_search_cpu.flags')
    assert against_random.objectives_of(cifar) == ('error', 'latency_ms', 'params')
    # A device in the file would stand beside the one that a second search names.
    assert cifar.measuring.device == () and cifar.dataset == 'cifar10'
    assert (cifar.sizes.stages, cifar.sizes.growth) == ((1, 1, 1), (8, 16, 32))


def test_a_search_of_depth_networks_has_its_own_cells_and_trainings(tmp_path):
    folder = pathlib.Path(against_random.__file__).parents[2] / 'flagfiles'
    config = against_random.read_settings(folder / 'depth_search_cpu.flags')
    assert against_random.objectives_of(config) == ('error', 'latency_ms')
    assert config.measuring.device == () and config.recipe.steps == 1000
    space, task = against_random.parts_of(config, tmp_path)
    cells = against_random.random_cells(space, 30, seed=0)
    assert len({space.key(cell) for cell in cells}) == 30
    # Choices are drawn, too, not reached step by step.
    assert len({cell.choices for cell in cells}) > 20
    counts = task.counts(cells[0])
    assert counts == space.costs(cells[0]) and counts['params'] > 0


@pytest.mark.parametrize(
    'text, message',
    [
        (None, 'is no file; a flagfile of nas-search is accepted'),
        ('--epoch=3\n', "Unknown command line flag 'epoch'"),
        ('--mode=train\n', '--mode=train is no search'),
        ('--constraints=params<10\n', '--constraints=params<10; a search of images'),
        ('--forbid=none\n', 'has --forbid=none; .* without --forbid is accepted'),
        ('--benchmark=nas_bench_201\n', 'has --benchmark=nas_bench_201; a search of images'),
    ],
)
def test_settings_that_are_no_search_are_refused(tmp_path, text, message):
    path = tmp_path / 'settings.flags'
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        against_random.read_settings(path)
