"""The surrogate on a made-up space with known errors, and the encoding of NAS-Bench-201 cells."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats

from nas.surrogate import lstm
from nas.surrogate import surrogate as surrogate_lib
from nas.surrogate.surrogate import Surrogate, SurrogateConfig
from nas.surrogate.value_scale import ValueScale
from nas.tables import nb201_encoding as encoding

LENGTH, VOCABULARY = 5, 3
CONFIG = SurrogateConfig(
    members=3,
    embedding=8,
    hidden=8,
    dense=16,
    steps=200,
    warm_steps=40,
    batch=16,
    weight_decay=0.1,
    capacity=64,
)


def made_up(count, seed):
    """Cells whose error falls with each token 1 and rises where a 3 follows a 2, and features
    beside them.
    """
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, VOCABULARY + 1, (count, LENGTH))
    tokens[np.arange(LENGTH) >= rng.integers(1, LENGTH + 1, count)[:, None]] = 0
    pairs = ((tokens[:, :-1] == 2) & (tokens[:, 1:] == 3)).sum(axis=1)
    features = rng.normal(size=(count, 2)) * [1, 1000]
    return (
        tokens,
        features,
        10 * np.exp(0.5 * pairs - 0.2 * (tokens == 1).sum(axis=1) + 0.3 * features[:, 0]),
    )


@pytest.fixture(scope='module')
def fitted():
    """A surrogate fitted to 60 made-up cells."""
    surrogate = Surrogate(LENGTH, VOCABULARY, 2, config=CONFIG)
    surrogate.fit(*made_up(60, 0))
    return surrogate


def tau(surrogate, tokens, features, errors):
    return stats.kendalltau(surrogate.predict(tokens, features)[0], errors).statistic


def test_ranks_cells_that_it_has_not_seen_by_tokens_and_features(fitted):
    tokens, features, errors = made_up(300, 1)
    assert tau(fitted, tokens, features, errors) > 0.65
    mean, std = fitted.predict(tokens, features)
    assert mean.shape == std.shape == (300,) and mean.dtype == np.float64
    assert np.median(np.abs(mean - errors) / errors) < 0.2, (
        'percent, not the standardised logarithm'
    )
    assert (std > 0).mean() > 0.95, 'none only where all members are at the end of the scale'
    # Each of the two inputs tells something that the other does not.
    assert tau(fitted, tokens, features[::-1], errors) < 0.5
    assert tau(fitted, tokens[::-1], features, errors) < 0.6


def test_order_of_tokens_counts(fitted):
    swapped = fitted.predict(np.array([[1, 2, 3, 0, 0], [1, 3, 2, 0, 0]]), np.zeros((2, 2)))[0]
    assert swapped[0] > 1.05 * swapped[1]


def test_order_counts_for_the_gaussian_process_alone_too():
    surrogate = Surrogate(
        LENGTH, VOCABULARY, 2, config=dataclasses.replace(CONFIG, process=1.0, steps=1)
    )
    surrogate.fit(*made_up(60, 0))
    early, late = surrogate.predict(np.array([[1, 2, 2, 2, 2], [2, 2, 2, 2, 1]]), np.zeros((2, 2)))[
        0
    ]
    assert abs(early / late - 1) > 1e-3


def test_deviations_are_a_part_of_those_of_the_gaussian_process():
    tokens, features, _ = made_up(50, 1)
    small, large = (
        Surrogate(LENGTH, VOCABULARY, 2, config=dataclasses.replace(CONFIG, spread=spread, steps=1))
        for spread in (0.01, 0.02)
    )
    for surrogate in (small, large):
        surrogate.fit(*made_up(60, 0))
    (mean, std), (same, twice) = (
        surrogate.predict(tokens, features) for surrogate in (small, large)
    )
    np.testing.assert_array_equal(mean, same)
    np.testing.assert_allclose(twice, 2 * std, rtol=1e-2)


@pytest.mark.parametrize('trees_from, differ', [(60, True), (61, False)])
def test_trees_join_once_there_are_enough_examples(fitted, trees_from, differ):
    config = dataclasses.replace(CONFIG, trees=1.0, trees_from=trees_from)
    surrogate, tested = Surrogate(LENGTH, VOCABULARY, 2, config=config), made_up(300, 1)
    surrogate.fit(*made_up(60, 0))
    mean, other = surrogate.predict(*tested[:2])[0], fitted.predict(*tested[:2])[0]
    assert (np.abs(mean - other) > 1e-6).any() == differ
    assert tau(surrogate, *tested) > 0.5


def test_doubt_grows_far_from_the_examples(fitted):
    tokens, features, _ = made_up(60, 0)
    near, far = (fitted.predict(tokens, scale * features) for scale in (1, 6))
    assert np.median(far[1] / far[0]) > 1.5 * np.median(near[1] / near[0])


def test_predictions_do_not_depend_on_the_other_cells_asked_for(fitted, monkeypatch):
    tokens, features, _ = made_up(surrogate_lib.CHUNK + 7, 2)
    whole = fitted.predict(tokens, features)
    for rows in ([3], list(range(surrogate_lib.CHUNK - 2, surrogate_lib.CHUNK + 7))):
        part = fitted.predict(tokens[rows], features[rows])
        np.testing.assert_allclose(part, np.stack(whole)[:, rows], rtol=1e-4, atol=1e-6)
    assert [part.shape for part in fitted.predict(tokens[:0], features[:0])] == [(0,), (0,)]


def test_later_fits_learn_more_without_compiling_again_and_repeat_exactly():
    tokens, features, errors = made_up(60, 0)
    tested, programs = made_up(300, 1), lstm.train._cache_size
    runs = []
    for _ in range(2):
        surrogate, taus = Surrogate(LENGTH, VOCABULARY, 2, config=CONFIG, seed=3), []
        surrogate.fit(tokens[:12], features[:12], errors[:12])
        compiled = programs()
        taus.append(tau(surrogate, *tested))
        for count in (25, 60):
            surrogate.fit(tokens[:count], features[:count], errors[:count])
            taus.append(tau(surrogate, *tested))
        assert programs() == compiled
        runs.append(surrogate.predict(*tested[:2]))
    np.testing.assert_array_equal(*runs)
    assert taus[2] > taus[0] + 0.05 and taus[2] > 0.65


def test_another_seed_gives_another_ensemble(fitted):
    other = Surrogate(LENGTH, VOCABULARY, 2, config=CONFIG, seed=1)
    other.fit(*made_up(60, 0))
    tokens, features, _ = made_up(5, 2)
    assert (other.predict(tokens, features)[0] != fitted.predict(tokens, features)[0]).all()


def test_one_example_is_enough_and_errors_of_zero_are_errors():
    surrogate, (tokens, features, errors) = (
        Surrogate(LENGTH, VOCABULARY, 2, config=CONFIG),
        made_up(5, 0),
    )
    surrogate.fit(tokens[:1], features[:1], errors[:1])
    mean, _ = surrogate.predict(tokens, features)
    assert (mean >= errors[0] / 2.01).all() and (mean <= errors[0] * 2.01).all()
    surrogate.fit(tokens, features, np.zeros(5))
    assert (surrogate.predict(tokens, features)[0] < 1).all()


def test_works_without_features_and_beyond_its_capacity():
    config = SurrogateConfig(
        members=3, embedding=8, hidden=8, dense=16, steps=150, batch=8, capacity=2
    )
    surrogate = Surrogate(LENGTH, VOCABULARY, 0, config=config)
    tokens, none = np.array([[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [3, 1, 0, 0, 0]]), np.zeros((3, 0))
    surrogate.fit(tokens, none, [5.0, 20.0, 60.0])
    mean, _ = surrogate.predict(tokens, none)
    assert (np.diff(mean) > 5).all()


@pytest.mark.parametrize(
    'change, message',
    [
        ({'values': [1.0, np.nan, 2.0]}, 'values must be finite numbers, not nan'),
        ({'values': [1.0, -np.inf, 2.0]}, 'values must be finite numbers, not -inf'),
        ({'values': [1.0, 2.0]}, r'values have shape \(2,\)'),
        (
            {'tokens': np.zeros((0, LENGTH), int), 'features': np.zeros((0, 2)), 'values': []},
            'at least one cell',
        ),
        ({'tokens': np.ones((3, 4), int)}, r'tokens are int64 of shape \(3, 4\)'),
        ({'tokens': np.ones((3, LENGTH))}, 'tokens are float64'),
        ({'tokens': np.full((3, LENGTH), 4)}, 'between 4 and 4; accepted is 1 to 3'),
        ({'tokens': np.full((3, LENGTH), -1)}, 'between -1 and -1'),
        ({'tokens': np.tile([1, 0, 2, 0, 0], (3, 1))}, 'at the end only'),
        ({'features': np.zeros((3, 3))}, r'features have shape \(3, 3\); accepted is \(3, 2\)'),
        ({'features': np.full((3, 2), np.inf)}, 'features must be finite'),
    ],
)
def test_bad_examples_are_named_and_change_nothing(fitted, change, message):
    good = dict(zip(('tokens', 'features', 'values'), made_up(3, 0)))
    before = fitted.predict(good['tokens'], good['features'])
    with pytest.raises(ValueError, match=message):
        fitted.fit(**{**good, **change})
    np.testing.assert_array_equal(fitted.predict(good['tokens'], good['features']), before)


def test_wrong_sizes_and_a_prediction_before_the_first_fit_are_refused():
    with pytest.raises(ValueError, match='not been fitted'):
        Surrogate(LENGTH, VOCABULARY, 0).predict(np.ones((1, LENGTH), int), np.zeros((1, 0)))
    with pytest.raises(ValueError, match='length is 0'):
        Surrogate(0, VOCABULARY, 0)
    with pytest.raises(ValueError, match='features is -1'):
        Surrogate(LENGTH, VOCABULARY, -1)
    with pytest.raises(ValueError, match='members must be positive, not 0'):
        SurrogateConfig(members=0)


def test_the_scale_keeps_order_and_resolution_beside_hopeless_cells():
    errors = np.concatenate([np.linspace(5, 12, 40), [90.0, 89.0]])
    scale = ValueScale(errors)
    np.testing.assert_allclose(scale.values(scale.targets(errors)), errors, rtol=1e-5)
    targets = scale.targets(errors)
    assert (np.argsort(targets) == np.argsort(errors)).all()
    assert abs(targets.mean()) < 1e-5 and targets.std() == pytest.approx(1, abs=1e-4)
    logs = np.log(errors)
    assert np.ptp(targets[:40]) > 1.5 * np.ptp(logs[:40]) / logs.std()
    assert scale.values(np.array([1e6]))[0] == pytest.approx(180), 'at most twice the worst example'


@pytest.mark.parametrize('factor', [1e-9, 1.0, 1e12])
@pytest.mark.parametrize('offset', [0.0, -50.0, -1000.0])
def test_values_of_any_sign_and_size_return_from_the_scale(factor, offset):
    values = factor * (np.linspace(1, 90, 30) + offset)
    scale = ValueScale(values)
    targets = scale.targets(values)
    assert (np.diff(targets) > 0).all() and targets.std() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(scale.values(targets), values, rtol=1e-4, atol=1e-5 * factor)


@pytest.mark.parametrize('values', [[0.0], [-3.0, -3.0], [0.0, 0.0, 7.0], [1e-20, 1e20, -1e20]])
def test_odd_examples_have_a_scale(values):
    scale = ValueScale(values)
    back = scale.values(scale.targets(values))
    assert np.isfinite(back).all() and (np.sign(back[1:]) >= np.sign(values[1:])).all()


@pytest.mark.parametrize('change', [lambda v: -v, lambda v: v - 1e3, lambda v: 1e-7 * v])
def test_values_of_any_sign_and_size_are_ranked_as_errors_are(change):
    tokens, features, values = made_up(60, 0)
    tested = made_up(300, 1)
    surrogate = Surrogate(LENGTH, VOCABULARY, 2, config=CONFIG)
    surrogate.fit(tokens, features, change(values))
    assert tau(surrogate, tested[0], tested[1], change(tested[2])) > 0.55


ALL_OPS = np.array(list(itertools.product(range(5), repeat=6)))


def ways_by_search(ops):
    """The ways of one cell by walking its edges from node 0, each as the operations that change
    something.
    """
    found, stack = [], [(0, ())]
    while stack:
        node, way = stack.pop()
        if node == 3:
            found.append(
                '>'.join(encoding.OPS[op] for op in way if op != encoding.SKIP) or 'identity'
            )
            continue
        stack += [
            (end, way + (op,))
            for (start, end), op in zip(encoding.EDGES, ops)
            if start == node and op != encoding.NONE
        ]
    return sorted(found)


def test_tokens_are_the_ways_through_the_cell():
    tokens = encoding.encode_batch(ALL_OPS)
    assert tokens.shape == (15625, encoding.LENGTH) and len(encoding.TOKENS) == 40
    for row in np.random.default_rng(0).permutation(len(ALL_OPS))[:1500]:
        names = sorted(encoding.TOKENS[token - 1] for token in tokens[row] if token)
        assert names == ways_by_search(ALL_OPS[row].tolist())
    assert (np.diff(tokens, axis=1) <= 0).all(), 'one order for one set of ways, padding at the end'


def test_features_count_what_is_live():
    arch = '|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|none~2|'
    names = [encoding.TOKENS[token - 1] for token in encoding.encode(arch) if token]
    assert names == ['nor_conv_3x3>avg_pool_3x3', 'identity']  # 0->2 ends at node 2
    # Live edges: a skip, a 3x3, a pool. Two ways, the longer has 1 convolution, 1 wide, 1 pool, 2
    # ops; 1, 1, 1 in all; ways of 0 and of 2 operations, with 0 and with 1 convolution, one each;
    # fewest 0 and 0.
    expected = [1, 0, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0]
    np.testing.assert_array_equal(encoding.features(arch), expected)


def test_dead_edges_and_the_names_of_inner_nodes_change_nothing():
    ops = ALL_OPS[np.random.default_rng(1).permutation(len(ALL_OPS))[:2000]]
    for same in (
        encoding.live_ops(ops),
        np.where(ops[:, 2:3] == 0, ops[:, [1, 0, 2, 3, 5, 4]], ops),
    ):
        np.testing.assert_array_equal(encoding.encode_batch(same), encoding.encode_batch(ops))
        np.testing.assert_array_equal(encoding.features_batch(same), encoding.features_batch(ops))
    assert not encoding.encode_batch(np.zeros((1, 6), int)).any()


@pytest.mark.parametrize(
    'arch, message',
    [
        ('|none~0|+|none~0|none~1|', 'not a cell of four nodes'),
        ('|none~0|+|none~0|conv~1|+|none~0|none~1|none~2|', "has 'conv~1' as input 1"),
        ('|none~0|+|none~0|none~0|+|none~0|none~1|none~2|', "has 'none~0' as input 1"),
    ],
)
def test_strings_that_are_no_cell_are_refused(arch, message):
    with pytest.raises(ValueError, match=message):
        encoding.parse(arch)
