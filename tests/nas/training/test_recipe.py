"""The training recipe on a network of a few thousand parameters."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from common import parallel
from nas.cells.cell import Cell
from nas.cells.plan import build
from nas.cells.skeleton import Skeleton
from nas.datasets.images import Images
from nas.networks import condense, network
from nas.training import batches, recipe, score
from nas.training.recipe import RecipeConfig

SKELETON = Skeleton(name='test', size=4, channels=1, classes=3, stages=(1,), growth=(4,), stem=8)
PLAN = build(Cell.parse('bn_relu-lgconv1x1'), SKELETON)
CONFIG = RecipeConfig(epochs=8, batch_size=16, crop=1, weight_decay=1e-3, mirror=True)


def make_images(examples=40):
    """Images whose mean brightness is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(examples) % 3
    noise = rng.integers(0, 40, (examples, 4, 4, 1))
    images = (80 * labels[:, None, None, None] + noise).astype(np.uint8)
    return Images('made', images, labels, ('a', 'b', 'c'))


@pytest.fixture(scope='module')
def data():
    images = make_images()
    return batches.place(images, images.statistics())


@pytest.fixture(scope='module')
def run(data):
    """States and metrics of every step of a whole training."""
    state = recipe.init_state(PLAN, CONFIG, steps=CONFIG.steps(40), seed=1)
    return list(recipe.train_steps(PLAN, CONFIG, data, state, seed=3))


def test_every_example_comes_once_in_every_pass_and_no_batch_is_short():
    stream = np.concatenate([batches.batch_indices(5, step, 16, 40) for step in range(10)])
    assert stream.shape == (160,) and stream.dtype == np.int32
    passes = stream.reshape(4, 40)
    for one in passes:
        np.testing.assert_array_equal(np.sort(one), np.arange(40))
    assert (passes[0] != passes[1]).any() and (
        batches.batch_indices(6, 0, 16, 40) != stream[:16]
    ).any()
    np.testing.assert_array_equal(
        np.bincount(batches.batch_indices(0, 1, 50, 20), minlength=20).clip(2, 3),
        np.bincount(batches.batch_indices(0, 1, 50, 20), minlength=20),
    )
    assert RecipeConfig(epochs=3, batch_size=16).steps(40) == 8


def test_augmentation_makes_all_crops_and_mirror_images_and_nothing_else():
    image = np.arange(1, 10, dtype=np.uint8).reshape(3, 3, 1)
    keys = jax.random.split(jax.random.key(0), 400)
    out = np.asarray(
        jax.jit(lambda keys, images: batches.augment(keys, images, crop=1, mirror=True))(
            keys, np.broadcast_to(image, (400, 3, 3, 1))
        )
    )
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    crops = [padded[i : i + 3, j : j + 3] for i in range(3) for j in range(3)]
    expected = {bytes(np.ascontiguousarray(c)) for crop in crops for c in (crop, crop[:, ::-1])}
    assert {bytes(one) for one in out} == expected and out.dtype == np.uint8
    same = batches.augment(keys[:2], out[:2], crop=0, mirror=False)
    np.testing.assert_array_equal(same, out[:2])


@jax.jit
def oracle_gradient(params, rest, images, labels, mean, std, keys):
    """Gradient of the mean loss and new statistics, with everything on one device."""

    def loss_fn(params):
        crops = batches.augment(keys, images, crop=1, mirror=True)
        logits, updated = network.Network(PLAN).apply(
            {'params': params} | rest,
            (crops / 255.0 - mean) / std,
            train=True,
            mutable=['batch_stats'],
        )
        return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels].mean(), updated

    return jax.grad(loss_fn, has_aux=True)(params)


def oracle_step(state, data, indices, keys, count, steps):
    """One step of SGD as PyTorch's documentation writes it."""
    state, data = jax.device_get((state, data))
    rest = {'batch_stats': state.batch_stats, 'condensation': state.condensation}
    gradient, updated = oracle_gradient(
        state.params, rest, data.images[indices], data.labels[indices], data.mean, data.std, keys
    )
    rate = 0.1 * 0.5 * (1 + np.cos(np.pi * count / steps))
    decayed = jax.tree.map(lambda g, p: g + 1e-3 * p, gradient, state.params)
    momentum = optax.tree_utils.tree_get(state.optimizer, 'trace')
    momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, decayed)
    params = jax.tree.map(lambda p, g, m: p - rate * (g + 0.9 * m), state.params, decayed, momentum)
    return params, updated['batch_stats']


def test_a_step_on_four_devices_is_sgd_on_the_whole_batch(run, data):
    assert jax.device_count() == 4
    steps = CONFIG.steps(40)
    for count in (1, 4):  # with momentum behind it, and after a condensation
        state = run[count - 1][1]
        keys = parallel.example_keys(jax.random.key(3), count, 16)
        indices = batches.batch_indices(3, count, 16, 40)
        params, batch_stats = oracle_step(state, data, indices, keys, count, steps)
        close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)
        jax.tree.map(close, run[count][1].params, params)
        jax.tree.map(close, run[count][1].batch_stats, batch_stats)


def test_training_learns_and_condenses_on_schedule(run, data):
    assert [done for done, _, _ in run] == list(range(1, 21))
    score_of = score.make_scorer(PLAN, batch_size=12)
    assert score_of(run[-1][1], data).error < 10 < score_of(run[0][1], data).error
    # Three events, at 1/6, 2/6 and 3/6 of 20 steps, each of 2 of the 8 inputs in each of 4 groups.
    masks = [jax.tree.leaves(state.condensation)[0] for _, state, _ in run]
    assert [int(mask.sum()) for mask in masks] == 3 * [32] + 3 * [24] + 3 * [16] + 11 * [8]
    assert condense.fully_condensed(PLAN, recipe.to_variables(run[-1][1]))


def test_a_resumed_run_goes_on_as_if_unbroken(run, data):
    state = jax.device_get(run[9][1])
    again = list(recipe.train_steps(PLAN, CONFIG, data, state, seed=3, start=10))
    assert [done for done, _, _ in again] == list(range(11, 21))
    jax.tree.map(np.testing.assert_array_equal, again[-1][1].params, run[-1][1].params)


def test_scores_count_every_image_once_whatever_the_batch(run, data):
    state = run[-1][1]
    images = (data.images / 255.0 - data.mean) / data.std
    logits = jax.jit(network.Network(PLAN).apply)(recipe.to_variables(state), images)
    wrong = np.mean(np.argmax(logits, axis=-1) != np.asarray(data.labels))
    loss = -np.mean(np.asarray(jax.nn.log_softmax(logits))[np.arange(40), data.labels])
    for batch_size in (12, 40):
        scores = score.make_scorer(PLAN, batch_size=batch_size)(state, data)
        np.testing.assert_allclose(scores, (loss, 100 * wrong, 0), rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_is_reported_with_its_step(run, data):
    broken = data._replace(mean=data.mean * np.nan)
    with pytest.raises(FloatingPointError, match='loss is not finite at step 11'):
        next(recipe.train_steps(PLAN, CONFIG, broken, run[9][1], seed=3, start=10))


def test_bfloat16_label_smoothing_and_lasso_train_too(run, data):
    config = dataclasses.replace(CONFIG, dtype='bfloat16', label_smoothing=0.1, lasso=1e-3)
    state = recipe.init_state(PLAN, config, steps=20, seed=1)
    loss = next(recipe.train_steps(PLAN, config, data, state, seed=3))[2]['loss']
    reference = run[0][2]['loss']
    assert np.isfinite(loss) and loss != reference
    np.testing.assert_allclose(loss, reference, rtol=0.5)


def test_a_batch_that_does_not_divide_is_refused_with_the_numbers(data):
    config = dataclasses.replace(CONFIG, batch_size=18)
    state = recipe.init_state(PLAN, config, steps=20, seed=1)
    with pytest.raises(ValueError, match='batch_size is 18.* 4 devices'):
        next(recipe.train_steps(PLAN, config, data, state, seed=3))


@pytest.mark.parametrize(
    'field, value',
    [
        ('epochs', 0),
        ('learning_rate', -1.0),
        ('momentum', 1.0),
        ('label_smoothing', float('nan')),
        ('crop', -1),
        ('dtype', 'float64'),
    ],
)
def test_bad_recipes_are_refused(field, value):
    with pytest.raises(ValueError, match=f'{field} is'):
        RecipeConfig(**{field: value})
