"""Learned groups of depth networks: pruned by schedule, kept through a training, then deployed."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from pano_depth.learning import checkpoints, train
from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense
from pano_depth.learning.model import ModelConfig
from pano_depth.learning.objective import LossConfig

MODEL = ModelConfig(
    face_size=8, depth_channels=(8, 8), pose_channels=(8,), depth_cell=('bn_relu', 'lgconv1x1')
)
PLAN = build.build(MODEL)
CONFIG = train.RecipeConfig(steps=8, batch_size=4, warmup=1, depth_start=0)
LOSS = LossConfig(pyramid=1, ssim_weight=0.0, lasso_weight=1e-3)


def _live(params, groups=4):
    """Inputs that each group keeps, by layer."""
    masks = {layer.name: params[layer.name]['mask'] for layer in PLAN if layer.op == 'lgconv'}
    return {name: (mask > 0.5)[:, :groups].sum(axis=0).tolist() for name, mask in masks.items()}


def test_events_are_in_the_first_half_and_take_a_quarter_each():
    assert condense.events(PLAN) == pytest.approx((1 / 6, 1 / 3, 1 / 2))
    assert condense.steps_of_events(PLAN, 12) == {2, 4, 6}
    assert condense.steps_of_events(PLAN, 1) == {1}
    made = build.build(dataclasses.replace(MODEL, depth_cell=()))
    assert condense.events(made) == () and not condense.steps_of_events(made, 12)
    params = models.init_params(0, MODEL)['depth']
    kept = [_live(condense.prune(PLAN, params, progress)) for progress in (0.1, 0.2, 0.4, 1.0)]
    assert [live['level1_cell0_1'] for live in kept] == [[8] * 4, [6] * 4, [4] * 4, [2] * 4]
    assert [live['up0_cell_1'][0] for live in kept] == [16, 12, 8, 4]


def test_the_smallest_weights_of_a_group_go_first():
    params = models.init_params(0, MODEL)['depth']
    kernel = params['level1_cell0_1']['kernel'][0, 0]
    pruned = condense.prune(PLAN, params, 0.2)['level1_cell0_1']['mask']
    for group in range(4):
        gone = np.flatnonzero(pruned[:, group] < 0.5)
        order = np.argsort(np.abs(kernel[:, group::4]).sum(axis=1))
        assert set(gone) == set(order[:2])
    assert params['level1_cell0_1']['mask'].all(), 'what was given is not changed'


def test_the_deployed_network_gives_the_same_depth_with_fewer_weights():
    grid = models.make_grid(MODEL)
    params = condense.prune(PLAN, models.init_params(1, MODEL)['depth'], 1.0)
    images = np.random.default_rng(0).random((2, *grid.rays.shape), np.float32)
    (trained,) = models.depth_network(MODEL).apply({'params': params}, images, grid.rays)
    small = condense.deploy(PLAN, params)
    network = models.depth_network(MODEL, deployed=True)
    (deployed,) = network.apply({'params': small}, images, grid.rays)
    assert np.abs(deployed - trained).max() < 1e-6 < np.std(trained)
    assert small['level1_cell0_1']['kernel'].shape == (1, 1, 2, 8)
    assert small['level1_cell0_1']['index'].shape == (8,)
    # What is not condensed yet is pruned by the same rule.
    fresh = models.init_params(1, MODEL)['depth']
    for leaf, other in zip(*map(jax.tree.leaves, (condense.deploy(PLAN, fresh), small))):
        np.testing.assert_array_equal(leaf, other)


def test_the_lasso_ends_with_the_last_event_and_its_gradient_is_finite():
    params = models.init_params(0, MODEL)['depth']
    half = condense.prune(PLAN, params, 0.4)
    done = condense.prune(PLAN, params, 0.5)
    values = [float(condense.lasso(PLAN, one)) for one in (params, half, done)]
    assert values[0] > values[1] > values[2] == 0
    by_hand = sum(
        np.sqrt((params[name]['kernel'][0, 0][:, group::4] ** 2).sum(axis=1)).sum()
        for name in _live(params)
        for group in range(4)
    )
    assert values[0] == pytest.approx(by_hand, rel=1e-5)
    zero = jax.tree.map(np.zeros_like, params)
    gradients = jax.grad(lambda p: condense.lasso(PLAN, p))(condense.prune(PLAN, zero, 0.0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


class _Source:
    """Random triplets."""

    shared = {}

    def batch(self, step, examples):
        draw = lambda example: np.random.default_rng([step, example]).random((3, 16, 32, 3))
        return {'frames': np.stack([draw(example) for example in examples]).astype(np.float32)}

    @staticmethod
    def sample(batch, shared):
        return batch['frames'], None


@pytest.fixture(scope='module')
def states():
    """The states of a training, and those of one that went on after its third step."""
    jax.config.update('jax_disable_most_optimizations', True)
    original = train.make_step
    train.make_step = functools.cache(original)
    grid, found = models.make_grid(MODEL), {}

    def fit(name, state, start):
        found[name], found[f'{name}_lasso'] = [state], []

        def on_step(done, state, metrics):
            found[name].append(state)
            found[f'{name}_lasso'].append(metrics['lasso'])

        train.fit(state, _Source(), CONFIG, MODEL, LOSS, grid, start=start, on_step=on_step)

    fit('whole', train.init_state(CONFIG, MODEL), 0)
    # As it comes back from a checkpoint.
    saved = checkpoints.to_saved(jax.device_get(found['whole'][3]), MODEL)
    fit('resumed', checkpoints.from_saved(saved), 3)
    train.make_step = original
    jax.config.update('jax_disable_most_optimizations', False)
    return found


def test_training_prunes_at_its_events_and_masks_stay_masks(states):
    counts = []
    for state in states['whole']:
        trees = [train.unflatten(part, MODEL)['depth'] for part in (state.params, state.average)]
        live = [_live(tree)['level1_cell0_1'][0] for tree in trees]
        assert live[0] == live[1]
        values = np.unique(trees[0]['level1_cell0_1']['mask'])
        assert set(values) <= {0.0, 1.0}, 'no step changes a mask'
        counts.append(live[0])
    assert counts == [8, 8, 6, 4, 2, 2, 2, 2, 2]
    assert [value > 0 for value in states['whole_lasso']] == 4 * [True] + 4 * [False]
    moved = [np.asarray(state.params['depth']) for state in states['whole']]
    assert all(np.abs(b - a).max() > 0 for a, b in zip(moved[1:], moved[2:]))


def test_a_training_that_goes_on_ends_the_same(states):
    for a, b in zip(*(jax.tree.leaves(states[name][-1]) for name in ('whole', 'resumed'))):
        np.testing.assert_array_equal(a, b)


def test_the_average_gets_the_masks_of_the_parameters():
    flat, other = (train.flatten(models.init_params(seed, MODEL)) for seed in (0, 1))
    state = train.condense_state(train.State(flat, (), other), MODEL, 0.4)
    params, average = (
        train.unflatten(part, MODEL)['depth'] for part in (state.params, state.average)
    )
    for layer in condense.learned_groups(PLAN):
        masks = (tree[layer.name]['mask'] for tree in (params, average))
        np.testing.assert_array_equal(*masks)
        kernels = (tree[layer.name]['kernel'] for tree in (params, average))
        assert not np.array_equal(*kernels)


def test_condensed_groups_outlive_files_and_further_training(tmp_path):
    params = models.init_params(1, MODEL)
    params['depth'] = condense.prune(PLAN, params['depth'], 1.0)
    masks = {one.name: params['depth'][one.name]['mask'] for one in condense.learned_groups(PLAN)}
    checkpoints.save_weights(tmp_path / 'weights.npz', params, MODEL)
    stored, model = checkpoints.start_model(str(tmp_path / 'weights.npz'))
    assert model == MODEL
    # A training that starts from them, as adaptation does, has its events once more.
    state = train.init_state(CONFIG, model, stored)
    for progress in (1 / 6, 1.0):
        pruned = train.condense_state(state, model, progress)
        for part in (pruned.params, pruned.average):
            depth = train.unflatten(part, model)['depth']
            for name, mask in masks.items():
                np.testing.assert_array_equal(depth[name]['mask'], mask)
