"""The result files of a search, for a search of words with a known outcome."""

import csv
import json

import numpy as np
import pytest

from nas.search import results, search
from nas.search.evaluations import Failure
from nas.search.report import picks
from nas.search.search import Search

VALUES = {'a': (9.0, 1.0, 500), 'b': (5.0, 2.0, 400), 'c': (4.0, 6.0, 900), 'd': (6.0, 6.0, 950)}
NAMES = ('error', 'latency_ms', 'params')


class Letters:
    """Four cells of one letter."""

    root = ''

    def grow(self, cell):
        return tuple(VALUES) if cell == '' else ()

    def encode(self, cell):
        return ('.abcdxy'.index(cell),)


def told(cells='abcd', **options):
    one = Search(Letters(), NAMES, **options)
    evaluations = [one.tell(cell, dict(zip(NAMES, VALUES[cell]))) for cell in cells]
    return one, evaluations


def test_the_cells_that_stand_out():
    one, _ = told()
    chosen = {role: e.cell for role, e in results.standouts(one).items()}
    # Scaled to 0..1 over the front a, b, c: b lies at (0.2, 0.2, 0).
    assert chosen == {'most accurate': 'c', 'fastest': 'a', 'fewest params': 'b', 'balanced': 'b'}


def test_cells_beyond_the_reference_do_not_stand_out():
    one, _ = told(reference={'error': 8.0})
    picked = picks.pick(one)
    assert picked.chosen['fastest'].cell == 'b' == results.standouts(one)['fastest'].cell
    # a is faster: the rule says why it is not named.
    assert picked.rules['fastest'] == 'fastest with an error below 8 %'
    assert [e.cell for e in picked.left_out] == ['a'] and picked.limits == {'error': 8.0}
    assert results.standouts(Search(Letters(), NAMES)) == {}
    one, _ = told(reference={'error': 1.0})
    picked = picks.pick(one)
    assert picked.chosen['fastest'].cell == 'a'  # none is better than that
    assert picked.rules['fastest'] == 'fastest' and picked.limits == {} == dict(picked.left_out)


def test_errors_that_cannot_be_told_apart_go_to_the_faster():
    # b is 1 point worse than c, and three times faster.
    picked = picks.pick(told()[0], noise=lambda e: 1.2)
    assert picked.chosen['most accurate'].cell == 'b'
    assert picked.rules['most accurate'] == (
        'most accurate (fastest of the 2 cells within one standard error, 1.2 points, of the '
        'lowest error, 4 %)'
    )
    for noise in (lambda e: 0.9, lambda e: None, None):
        picked = picks.pick(told()[0], noise=noise)
        assert picked.chosen['most accurate'].cell == 'c'
        assert picked.rules['most accurate'] == 'most accurate'


def test_a_maximised_objective_is_shown_as_it_was_told(tmp_path):
    one = Search(Letters(), '-accuracy,latency_ms', reference={'accuracy': 60.0})
    evaluations = [
        one.tell(cell, {'accuracy': 60 + 10 * place - place * place, 'latency_ms': 1.0 + place})
        for place, cell in enumerate('abc')
    ]
    picked = picks.pick(one)
    assert picked.chosen['highest accuracy'].cell == 'c'
    assert picked.rules['fastest'] == 'fastest with an accuracy above 60'
    facts = results.write_results(tmp_path, one, evaluations, budget=3, seconds=1)
    assert facts['objectives'] == ['-accuracy', 'latency_ms']
    assert facts['reference']['accuracy'] == 60 and facts['limits'] == {'accuracy': 60.0}
    assert facts['chosen']['highest accuracy']['accuracy'] == 76
    assert (np.diff(facts['hypervolume']) >= 0).all() and facts['hypervolume'][-1] > 0
    with open(tmp_path / 'pareto.csv') as file:
        assert [float(row['accuracy']) for row in csv.DictReader(file)] == [76, 69, 60]
    assert 'accuracy 76, latency 3 ms' in results.story(one, facts)


def test_hypervolume_by_evaluation_in_the_order_of_the_log():
    reference = dict(zip(NAMES, (10.0, 10.0, 1000.0)))
    one, evaluations = told(reference=reference, constraints=('latency_ms<5',))
    found = results.hypervolume_by_evaluation(one, [evaluations[2], evaluations[0], evaluations[1]])
    # c is too slow; a fills 0.1 * 0.9 * 0.5; b 0.5 * 0.8 * 0.6, of which a has 0.1 * 0.8 * 0.5.
    np.testing.assert_allclose(found, [0, 0.045, 0.045 + 0.24 - 0.04])
    assert results.hypervolume_by_evaluation(Search(Letters(), NAMES), []) == []


def test_files_tell_the_same(tmp_path):
    one, evaluations = told('abc')
    evaluations.append(one.tell('d', Failure('lost', 'stopped', dict(zip(NAMES, VALUES['d'])))))
    facts = results.write_results(
        tmp_path, one, evaluations, budget=9, seconds=1.24, title='Words', extra={'note': 'few'}
    )
    assert json.loads((tmp_path / 'search.json').read_text()) == facts
    assert (facts['budget'], facts['evaluations'], facts['stopped'], facts['failed']) == (
        9,
        4,
        1,
        0,
    )
    assert (facts['note'], facts['seconds'], sorted(facts['front'])) == (
        'few',
        1.2,
        ['a', 'b', 'c'],
    )
    assert facts['chosen']['fastest'] == {
        'cell': 'a',
        'error': 9.0,
        'latency_ms': 1.0,
        'params': 500,
    }
    assert (
        len(facts['hypervolume']) == 4 and facts['hypervolume'][-1] == facts['hypervolume'][-2] > 0
    )
    with open(tmp_path / 'pareto.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['cell'] for row in rows] == ['c', 'b', 'a']  # by error
    assert float(rows[1]['latency_ms']) == 2 and rows[1]['chosen as'] == 'fewest params, balanced'
    assert (tmp_path / 'pareto.png').read_bytes().startswith(b'\x89PNG')
    page = (tmp_path / 'report.html').read_text()
    assert 'Words' in page and 'scaled to 0..1' in page and 'most accurate' in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'pareto.csv',
        'pareto.png',
        'report.html',
        'search.json',
    ]


@pytest.mark.parametrize(
    'objectives, count', [(('error',), 1), (NAMES, 2), (('error', 'latency_ms'), 1)]
)
def test_pictures_hold_every_evaluation_of_any_number_of_objectives(objectives, count):
    one = Search(Letters(), objectives)
    for cell in 'abcd':
        one.tell(cell, dict(zip(NAMES, VALUES[cell])))
    figure = results.front_figure(one)
    plots = [axis for axis in figure.axes if axis.collections and axis.get_xlabel()]
    assert len(plots) == count
    for axis, name in zip(plots, objectives[1:]):
        drawn = axis.collections[0].get_offsets()
        place = NAMES.index(name)
        expected = [(VALUES[cell][place], VALUES[cell][0]) for cell in 'abcd']
        np.testing.assert_allclose(sorted(map(tuple, np.asarray(drawn))), sorted(expected))
    figure.draw_without_rendering()


def test_a_search_without_success_can_still_be_written(tmp_path):
    one = Search(Letters(), NAMES)
    evaluations = [one.tell('a', Failure('no'))]
    facts = results.write_results(tmp_path, one, evaluations, budget=6, seconds=1)
    assert facts['front'] == [] and facts['chosen'] == {} and facts['hypervolume'] == [0]


def test_a_table_in_columns():
    text = results.text_table(
        ['cell', 'params', 'latency_ms', 'chosen as'],
        [['abc', 1322.0, 0.0812, 'fastest'], ['b', None, 20.0, '']],
    )
    assert text.splitlines() == [
        'cell  params  latency, ms  chosen as',
        'abc    1,322       0.0812  fastest',
        'b          -      20.0000',
    ]


def test_settled_searches_hold_what_came_of_an_open_batch():
    one = Search(Letters(), ('error',), config=search.PlannerConfig(keep=4))
    asked = one.ask(2)
    for cell in asked[:1]:
        one.tell(cell, {'error': 3.0})
    assert len(asked) == 2 and one.history == [] and one.front() == []
    one.settle()
    assert [e.cell for e in one.history] == asked[:1] == [e.cell for e in one.front()]
