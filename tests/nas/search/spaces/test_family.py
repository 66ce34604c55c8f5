"""What a search takes of a user's space: tokens, features and costs."""

import numpy as np
import pytest

from nas.cells import skeleton
from nas.search.evaluations import Evaluation
from nas.search.forecast import Forecast
from nas.search.space import CellSpace, as_space
from nas.search.spaces.family import MOST_TOKENS, Family


class Words:
    root = ''

    def __init__(self, **methods):
        vars(self).update(methods)

    def grow(self, word):
        return [word + letter for letter in 'abc'] if len(word) < 3 else None

    def encode(self, word):
        return word


def family_of(space, *, steps=4):
    family = Family(as_space(space))
    family.grow(space.root)
    for _ in range(steps):
        family.grow_oldest()
    return family


@pytest.mark.parametrize(
    'encode',
    [
        lambda word: word,
        lambda word: ['abc'.index(letter) for letter in word],
        lambda word: np.array(['abc'.index(letter) - 7 for letter in word]),
        lambda word: tuple((letter, 'x') for letter in word),
    ],
)
def test_tokens_may_be_anything_hashable_and_zero_is_one_of_them(encode):
    family = family_of(Words(encode=encode), steps=20)
    tokens = family.tokens()
    assert tokens.shape == (39, 3) and set(np.unique(tokens)) == {0, 1, 2, 3}
    for word, row in zip(family.cells, tokens):
        assert (row > 0).sum() == len(word)
    for letter in 'abc':
        numbers = {
            row[i] for w, row in zip(family.cells, tokens) for i in range(len(w)) if w[i] == letter
        }
        assert len(numbers) == 1


def test_cells_of_a_space_that_numbers_its_tokens_keep_them():
    space = CellSpace(skeleton.tiny, levels=2)
    family = family_of(space)
    assert [tuple(row) for row in family.tokens()] == [space.encode(c) for c in family.cells]


@pytest.mark.parametrize(
    'methods, message',
    [
        ({'encode': lambda word: 5}, "encode gives 5 for cell 'a'"),
        ({'encode': lambda word: [[1], [2]]}, r'encode gives \[\[1\], \[2\]\]'),
        ({'features': lambda word: (np.nan,)}, "cell 'a' has features .*nan.*finite"),
        ({'features': lambda word: 'ab'}, 'a sequence of numbers'),
        (
            {'features': lambda word: (1.0,) * len(word)},
            "cell 'aa' has 2 features .* needs the same",
        ),
        ({'costs': lambda word: {'size': 'big'}}, 'a dict of numbers by name'),
        ({'costs': lambda word: {word[:1]: 1.0}}, "cell 'b' has 0 features and the costs b"),
    ],
)
def test_what_a_space_gives_is_checked_and_its_cell_is_named(methods, message):
    with pytest.raises(ValueError, match=message):
        family_of(Words(**methods))


def test_numbers_on_a_scale_are_no_tokens():
    steps = iter(range(10 * MOST_TOKENS))
    with pytest.raises(ValueError, match='belong into features'):
        family_of(Words(encode=lambda word: [next(steps) for _ in range(200)]))


def test_cells_need_a_text_of_their_own():
    with pytest.raises(ValueError, match='class Plain have no text .* __str__'):
        as_space(Words(root=type('Plain', (), {})()))


class Seen:
    """A surrogate that notes its inputs."""

    def __init__(self, length, vocabulary_size, features, *, seed):
        self.features = features

    def fit(self, tokens, features, values):
        assert features.shape[1] == self.features
        self.rows = features

    def predict(self, tokens, features):
        return np.zeros(len(tokens)), np.zeros(len(tokens))


@pytest.mark.parametrize(
    'methods, expected',
    [
        ({}, []),
        ({'costs': lambda w: {'size': -len(w), 'z': 0.0}}, [-np.log(2), 0.0]),
        ({'features': lambda w: (7.0,), 'costs': lambda w: {'size': len(w)}}, [7.0, np.log(2)]),
        (
            {
                'features': lambda w: (np.log1p(len(w)),),
                'costs': lambda w: {'size': len(w), 'z': 3.0},
            },
            [np.log(2)],
        ),
    ],
)
def test_surrogates_read_features_and_costs(methods, expected):
    family, made = family_of(Words(**methods)), []

    def make(*sizes, seed):
        made.append(Seen(*sizes, seed=seed))
        return made[-1]

    told = [Evaluation(cell, 1, {'loss': -1.0}) for cell in family.cells[:3]]
    forecast = Forecast(family, ('loss',), make, 0)
    forecast.fit(told)
    np.testing.assert_allclose(made[0].rows[0], expected, rtol=1e-6)
    assert forecast.predict()[0].shape == (len(family.cells), 1)


@pytest.mark.parametrize('names, whole', [('ab', ['a', 'b']), ('abcd', ['a'])])
def test_many_predicted_objectives_have_light_surrogates(names, whole):
    made = []

    class Noted(Seen):
        def __init__(self, *sizes, seed, light=False):
            super().__init__(*sizes, seed=seed)
            made.append(light)

        @classmethod
        def light(cls, *sizes, seed):
            return cls(*sizes, seed=seed, light=True)

    family = family_of(Words())
    told = [Evaluation(cell, 1, dict.fromkeys(names, 1.0)) for cell in family.cells[:3]]
    forecast = Forecast(family, tuple(names), Noted, 0)
    forecast.fit(told)
    assert made == [name not in whole for name in names]
