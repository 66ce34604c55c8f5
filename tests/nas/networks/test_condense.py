"""Condensation: the pruning schedule, by the rule in words, and the group lasso."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nas.cells import plan
from nas.cells.cell import Cell
from nas.cells.plan import Builder
from nas.cells.skeleton import tiny
from nas.networks import condense, network
from nas.networks.network import Network

IN, OUT, GROUPS, FACTOR = 12, 8, 2, 4


def one_layer(groups=GROUPS, condensation=FACTOR, classifier=1):
    b = Builder(4, 3)
    x = b.lgconv(b.conv(0, IN), OUT, groups=groups, condensation=condensation)
    b.classifier(x, 6, condensation=classifier)
    return b.plan()


LAYERS = one_layer()
NAME = next(layer.name for layer in LAYERS if layer.op == 'lgconv')


@pytest.fixture
def variables():
    return network.init(jax.random.key(0), LAYERS)


def live_inputs(variables, name=NAME, groups=GROUPS):
    """The set of live inputs of each group; the outputs of a group must agree."""
    mask = variables['condensation'][name]['mask']
    sets = [frozenset(np.flatnonzero(mask[:, o])) for o in range(mask.shape[1])]
    assert all(sets[o] == sets[o % groups] for o in range(len(sets)))
    assert set(np.unique(mask)) <= {0, 1}
    return sets[:groups]


def smallest(variables, group, candidates, number):
    """The inputs with the smallest sum of |w| over the outputs o with o mod groups = group."""
    kernel = variables['params'][NAME]['kernel'][0, 0]
    sums = {i: sum(abs(float(kernel[i, o])) for o in range(group, OUT, GROUPS)) for i in candidates}
    return frozenset(sorted(sums, key=sums.get)[:number])


def with_kernel(variables, kernel, name=NAME):
    return {**variables, 'params': {**variables['params'], name: {'kernel': kernel}}}


def test_schedule():
    """C - 1 events, at i / (2 (C - 1)), each takes a C-th of the inputs."""
    assert condense.events(LAYERS) == pytest.approx((1 / 6, 1 / 3, 1 / 2))
    assert condense.events(one_layer(condensation=2, classifier=2)) == (0.5,)
    assert condense.events(one_layer(condensation=1)) == ()


@pytest.mark.parametrize(
    'progress, live',
    [
        (0, 12),
        (0.16, 12),
        (1 / 6, 9),
        (0.33, 9),
        (1 / 3, 6),
        (0.49, 6),
        (0.5, 3),
        (0.75, 3),
        (1, 3),
    ],
)
def test_events_by_progress(variables, progress, live):
    pruned = condense.condense(LAYERS, variables, progress)
    assert [len(group) for group in live_inputs(pruned)] == [live] * GROUPS
    assert condense.fully_condensed(LAYERS, pruned) == (live == 3)
    assert variables['condensation'][NAME]['mask'].all()


@pytest.mark.parametrize('steps', [7, 12, 29, 60, 97])
def test_events_survive_rounding_of_the_progress(variables, steps):
    """Event i is due at step ceil(i * steps / 6) whatever steps is."""
    for step in range(steps):
        pruned = condense.condense(LAYERS, variables, step / steps)
        assert len(live_inputs(pruned)[0]) == 12 - 3 * min(6 * step // steps, 3)


def test_the_smallest_go_group_by_group_and_stay_gone(variables):
    everything = set(range(IN))
    first = condense.condense(LAYERS, variables, 0.2)
    left = live_inputs(first)
    for group in range(GROUPS):
        assert everything - left[group] == smallest(variables, group, everything, 3)
    assert left[0] != left[1]
    # Weights change between the events, also those that are gone: they must not come back.
    kernel = np.random.default_rng(1).normal(size=(1, 1, IN, OUT)).astype(np.float32)
    kernel[0, 0, sorted(everything - left[0])] = 100
    moved = with_kernel(first, kernel)
    second = condense.condense(LAYERS, moved, 0.4)
    for group in range(GROUPS):
        assert left[group] - live_inputs(second)[group] == smallest(moved, group, left[group], 3)


def test_calling_again_changes_nothing_and_skipping_catches_up(variables):
    once = condense.condense(LAYERS, variables, 0.35)
    twice = condense.condense(LAYERS, once, 0.35)
    jax.tree.map(np.testing.assert_array_equal, once, twice)
    stepwise = variables
    for progress in np.linspace(0, 1, 50):
        stepwise = condense.condense(LAYERS, stepwise, progress)
    jax.tree.map(np.testing.assert_array_equal, stepwise, condense.condense(LAYERS, variables, 1.0))


def test_a_condensed_classifier_is_masked_at_the_last_event():
    layers = one_layer(classifier=2)
    variables = network.init(jax.random.key(0), layers)
    name = layers[-1].name
    before, after = (condense.condense(layers, variables, progress) for progress in (0.49, 0.5))
    assert before['condensation'][name]['mask'].all()
    kernel = variables['params'][name]['kernel']
    largest = sorted(range(OUT), key=lambda i: -abs(kernel[i]).sum())[: OUT // 2]
    expected = np.isin(np.arange(OUT), largest)[:, None] * np.ones(6)
    np.testing.assert_array_equal(after['condensation'][name]['mask'], expected)
    assert condense.fully_condensed(layers, after) and not condense.fully_condensed(layers, before)


def test_networks_without_learned_groups_pass_through():
    layers = plan.build(Cell.parse('bn-conv1x1'), tiny)
    variables = network.init(jax.random.key(0), layers)
    assert condense.condense(layers, variables, 1.0) is variables
    assert condense.fully_condensed(layers, variables)
    assert condense.group_lasso(layers, variables) == 0


def test_pruning_does_not_compile_again():
    layers = plan.build(
        Cell.parse('bn-lgconv1x1'), dataclasses.replace(tiny, stages=(1,), growth=(4,))
    )
    variables = jax.device_put(network.init(jax.random.key(0), layers))
    images, compiled = jnp.ones((1, 8, 8, 3)), 0

    @jax.jit
    def apply(variables):
        nonlocal compiled
        compiled += 1
        return Network(layers).apply(variables, images)

    logits = [
        apply(condense.condense(layers, variables, progress)) for progress in (0, 0.2, 0.4, 1)
    ]
    assert compiled == 1
    assert all(abs(a - b).max() > 0 for a, b in zip(logits, logits[1:]))


def test_group_lasso_by_hand(variables):
    kernel = np.zeros((1, 1, IN, OUT), np.float32)
    # Input 0 reaches group 0 (outputs 0, 2, 4, 6) with 3, 4 and group 1 with 5; input 1 group 1
    # with -2.
    kernel[0, 0, 0, [0, 2, 1]] = 3, 4, 5
    kernel[0, 0, 1, 7] = -2
    variables = with_kernel(variables, kernel)
    value, gradient = jax.value_and_grad(
        lambda params: condense.group_lasso(LAYERS, {**variables, 'params': params})
    )(variables['params'])
    assert value == pytest.approx(5 + 5 + 2)
    expected = np.zeros((IN, OUT))
    expected[0, [0, 2, 1]] = 0.6, 0.8, 1
    expected[1, 7] = -1
    np.testing.assert_allclose(gradient[NAME]['kernel'][0, 0], expected, atol=1e-6)
    mask = np.ones((IN, OUT), np.float32)
    mask[0, 0::2] = 0
    masked = {**variables, 'condensation': {NAME: {'mask': mask}}}
    assert condense.group_lasso(LAYERS, masked) == pytest.approx(5 + 2)


def test_group_lasso_ends_with_the_last_event(variables):
    values = [
        float(condense.group_lasso(LAYERS, condense.condense(LAYERS, variables, progress)))
        for progress in (0, 0.2, 0.4, 0.5)
    ]
    assert values[0] > values[1] > values[2] > 0 == values[3]


def test_bad_input(variables):
    for progress in (-0.1, 1.1, float('nan')):
        with pytest.raises(ValueError, match='progress is .*between 0 and 1'):
            condense.condense(LAYERS, variables, progress)
    deployed = network.init(jax.random.key(0), LAYERS, deployed=True)
    for function in (
        condense.fully_condensed,
        condense.group_lasso,
        lambda *a: condense.condense(*a, 0.5),
    ):
        with pytest.raises(ValueError, match=f"layer '{NAME}'.*not those of the masked network"):
            function(LAYERS, deployed)
