"""nas.search.earlier.prior: earlier values inform about unseen cells, and nothing else."""

import itertools

import numpy as np
import pytest

from nas.search.earlier.prior import COPIES, Informed
from nas.search.search import Search


class Words:
    """Words of up to four letters; a letter costs by its place."""

    root = ''

    def grow(self, word):
        return tuple(word + letter for letter in 'abc') if len(word) < 4 else ()

    def encode(self, word):
        return [1 + 'abc'.index(letter) for letter in word]

    def parse(self, text):
        return text

    def record(self, word):
        return {'letters': len(word)}


ALL = [''.join(letters) for n in (1, 2, 3, 4) for letters in itertools.product('abc', repeat=n)]


def error(word):
    worth = {'a': 0.0, 'b': 3.0, 'c': 6.0}
    return 60 - sum(worth[letter] * (1 - 0.2 * place) for place, letter in enumerate(word))


def elsewhere(word):
    """The error with another recipe: on another scale, with noise."""
    noise = np.random.default_rng(sum(map(ord, word)) * 7 + len(word)).normal()
    return 3 * error(word) - 20 + 2 * noise


TOLD = [(word, {'error': elsewhere(word)}) for word in ALL[::3]]


def ranks(values):
    return np.argsort(np.argsort(values))


def test_predictions_of_unseen_cells_follow_the_earlier_values():
    space = Informed(Words(), TOLD)
    unseen = [word for word in ALL if word not in dict(TOLD)]
    rows = [space.features(word) for word in unseen]
    assert {len(row) for row in rows} == {COPIES} and all(len(set(row)) == 1 for row in rows)
    found = np.corrcoef(ranks([row[0] for row in rows]), ranks([error(w) for w in unseen]))[0, 1]
    assert found > 0.9
    assert np.isfinite([space.features(word) for word in ('', 'aaaa', 'cccc')]).all()


def test_every_value_has_its_own_prediction_and_few_values_have_none():
    told = [(word, {'error': error(word), 'time': float(len(word))}) for word in ALL[::3]]
    told += [('ab', {'energy': 1.0})]
    first, second = Informed(Words(), told).features('abca')[:2]
    assert first == pytest.approx(error('abca'), abs=3) and second == pytest.approx(4, abs=0.5)
    assert len(Informed(Words(), told).features('abca')) == 2 * COPIES
    assert Informed(Words(), told[:3]).features('ab') == ()


def test_equal_values_predict_themselves():
    space = Informed(Words(), [(word, {'error': 7.0}) for word in ('a', 'b', 'ab', 'ba', 'abc')])
    assert space.features('cc')[0] == pytest.approx(7)


def test_all_else_is_as_in_the_space():
    plain, space = Words(), Informed(Words(), TOLD)
    assert space.root == '' and space.grow('a') == plain.grow('a') and space.parse('ab') == 'ab'
    assert space.record('ab') == {'letters': 2} and list(space.encode('ab')) == [1, 2]
    with pytest.raises(AttributeError):
        space.no_such_thing  # noqa: B018


class Nearest:
    """A surrogate that predicts by its first feature alone."""

    def __init__(self, length, vocabulary_size, features, *, seed):
        assert features == COPIES

    def fit(self, tokens, features, values):
        self._line = np.polyfit(features[:, 0], values, 1)

    def predict(self, tokens, features):
        return np.polyval(self._line, features[:, 0]), np.ones(len(features))


def test_a_search_reads_it_through_its_surrogate_and_counts_none_of_it():
    one = Search(Informed(Words(), TOLD), 'error', surrogate=Nearest)
    assert not one.front()
    for _ in range(30):
        (word,) = one.ask(1)
        one.tell(word, {'error': error(word)})
    predicted = [e.predicted['error'] for e in one.history if 'error' in e.predicted]
    told = [e.objectives['error'] for e in one.history if 'error' in e.predicted]
    assert len(told) > 10 and np.corrcoef(predicted, told)[0, 1] > 0.8
    assert {str(e.cell) for e in one.history} & {word for word, _ in TOLD}
