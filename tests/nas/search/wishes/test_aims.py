"""Objectives by name and sign: what is maximised, and values of any sign and scale."""

import itertools

import numpy as np
import pytest

from nas.search import pareto
from nas.search.evaluations import Constraint
from nas.search.search import Search, run
from nas.search.wishes.aims import Aims
from nas.surrogate.surrogate import Surrogate


class Ladder:
    """README's smallest space: tuples of numbers from 0 up, without costs, features or `parse`."""

    root = ()

    def grow(self, cell):
        return [cell + (step,) for step in range(3)] if len(cell) < 4 else []

    def encode(self, cell):
        return cell


CELLS = [cell for size in range(1, 5) for cell in itertools.product(range(3), repeat=size)]


def error(cell):
    return 40 / (1 + sum((i + 1) * (step == 2) + (step == 1) for i, step in enumerate(cell)))


def seconds(cell):
    return 1.0 + sum(cell)


def measure(cell):
    return {
        'error': error(cell),
        'accuracy': 100 - error(cell),
        'loss': error(cell) - 60,
        'tiny': 1e-9 * error(cell),
        'seconds': seconds(cell),
    }


def light(*sizes, seed):
    return Surrogate.light(*sizes, seed=seed)


def search(objectives, **options):
    return Search(Ladder(), objectives, **{'surrogate': light, 'seed': 0} | options)


def volume(cells):
    return pareto.hypervolume([[error(c), seconds(c)] for c in cells], (25, 10))


def test_names_signs_and_their_inverse():
    aims = Aims.parse('error, -accuracy')
    assert (aims.names, aims.texts) == (('error', 'accuracy'), ('error', '-accuracy'))
    points = aims.points([{'error': 3.0, 'accuracy': 97.0}])
    np.testing.assert_array_equal(points, [[3.0, -97.0]])
    assert aims.values(points[0]) == {'error': 3.0, 'accuracy': 97.0}
    assert Aims.parse(('-a',)).maximised == ('a',)
    for wrong in ('', '-', 'a,', 'a,-a', ()):
        with pytest.raises(ValueError, match='different names'):
            Aims.parse(wrong)


@pytest.mark.parametrize('name', ['error', 'loss', 'tiny', '-accuracy'])
def test_an_objective_of_any_name_sign_and_scale_is_searched_alike(name):
    one = search(f'{name},seconds')
    found = run(one, measure, budget=45)
    drawn = [
        volume([CELLS[i] for i in np.random.default_rng(s).permutation(len(CELLS))[:45]])
        for s in range(9)
    ]
    assert volume([e.cell for e in found]) > max(np.median(drawn), 0.98 * volume(CELLS))
    # What is predicted has the natural value's size and sign, and tells cells apart.
    bare = name.removeprefix('-')
    pairs = [(e.predicted[bare], e.objectives[bare]) for e in found[20:] if e.predicted]
    predicted, told = np.array(pairs).T
    assert len(set(predicted.round(12))) > 10 and np.corrcoef(predicted, told)[0, 1] > 0.5
    assert one.rank_correlations(bare)


def test_the_front_the_reference_and_the_limits_of_what_is_maximised():
    one = search('-accuracy,seconds', reference={'accuracy': 70}, constraints=('accuracy>=65',))
    for cell in CELLS[:12]:
        one.tell(cell, measure(cell))
    told = [e for e in one.history if e.objectives['accuracy'] >= 65]
    best = {
        e.cell
        for e in told
        if not any(
            o.objectives['accuracy'] >= e.objectives['accuracy']
            and o.objectives['seconds'] <= e.objectives['seconds']
            and (o.objectives['accuracy'], o.objectives['seconds'])
            != (e.objectives['accuracy'], e.objectives['seconds'])
            for o in told
        )
    }
    assert len(told) < 12 and {e.cell for e in one.front()} == best
    assert one.reference()[0] == -70
    points, reference = one.boxed(one.history)
    assert reference[0] == 1 and points.shape == (12, 2)
    for e, point in zip(one.history, points):
        assert np.isinf(point).all() == (e not in told)
        assert e not in told or (point[0] < 1) == (e.objectives['accuracy'] > 70)


@pytest.mark.parametrize(
    'text, inside, outside', [('a<5', 4.9, 5), ('a<=5', 5, 5.1), ('a>-5', -4, -5), ('a>=2', 2, 1.9)]
)
def test_limits_hold_from_above_and_from_below(text, inside, outside):
    limit = Constraint.parse(text)
    assert limit.excess(inside) == 0 < limit.excess(outside)
    assert str(limit) == text and Constraint.parse(str(limit)) == limit


def test_a_search_resumes_although_its_space_has_no_parse(tmp_path):
    whole = run(search('loss,seconds'), measure, budget=30, path=tmp_path / 'log.jsonl')
    lines = (tmp_path / 'log.jsonl').read_text().splitlines(keepends=True)
    (tmp_path / 'cut.jsonl').write_text(''.join(lines[:17]))
    again = []

    def noted(cell):
        again.append(cell)
        return measure(cell)

    resumed = run(search('loss,seconds'), noted, budget=30, path=tmp_path / 'cut.jsonl')
    assert [e.cell for e in resumed] == [e.cell for e in whole]
    assert again == [e.cell for e in whole[17:]]
    assert [e.predicted for e in resumed] == [e.predicted for e in whole]


@pytest.mark.parametrize(
    'result, named',
    [
        (None, 'None'),
        ('3.1', '3.1'),
        ({'loss': 'low', 'seconds': 1}, "'low'"),
        ({'loss': None, 'seconds': 1}, 'None'),
        ({'loss': float('nan'), 'seconds': 1}, 'nan'),
        ({'loss': [1, 2], 'seconds': 1}, r'\[1, 2\]'),
    ],
)
def test_a_result_that_is_no_number_is_the_failure_of_its_cell(result, named):
    one = search('loss,seconds')
    evaluation = one.tell(one.ask(1)[0], result)
    assert evaluation.status == 'failed' and evaluation.objectives == {}
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(evaluation.reason)


def test_further_entries_of_a_result_need_not_be_numbers():
    one = search('loss,seconds')
    evaluation = one.tell(one.ask(1)[0], {'loss': 1, 'seconds': 2, 'note': 'x', 'rate': np.inf})
    assert evaluation.objectives == {'loss': 1.0, 'seconds': 2.0}


def test_without_a_feasible_cell_the_search_goes_where_limits_are_missed_least():
    one = search('error,seconds', constraints=('error<0.5',))
    found = run(one, measure, budget=40)
    assert one.front() == [] and min(error(c) for c in CELLS) > 0.5
    nearest = one.least_infeasible()
    assert nearest.objectives['error'] == min(e.objectives['error'] for e in found)
    assert nearest.objectives['error'] == min(error(c) for c in CELLS)
