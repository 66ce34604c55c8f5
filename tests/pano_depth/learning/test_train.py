"""Training steps: what they change, what stops them, equal results on devices and after a stop."""

import dataclasses
import functools
import signal
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from common import logs, parallel
from common.checkpoint import Checkpoints
from common.run import open_run
from common.stopping import Stop, Stopped
from pano_depth.footage.clip import Clip
from pano_depth.learning import augment, checkpoints, session, sources, train
from pano_depth.learning import model as models
from pano_depth.learning.objective import LossConfig, objective

MODEL = models.ModelConfig(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8))
LOSS = LossConfig(pyramid=1, ssim_weight=0.0)  # compiles fastest
CONFIG = train.RecipeConfig(steps=12, batch_size=4, warmup=1, depth_start=0)


class Source:
    """Smooth random triplets; may turn into NaN, or fail, at a step."""

    shared = {}

    def __init__(self, *, nan_at=None, fail_at=None):
        self._nan_at, self._fail_at = nan_at, fail_at

    def batch(self, step, examples):
        if step == self._fail_at:
            raise RuntimeError('the power went off')
        frames = np.stack([self._triplet(step, example) for example in examples])
        return {'frames': np.full_like(frames, np.nan) if step == self._nan_at else frames}

    @staticmethod
    def _triplet(step, example):
        rng = np.random.default_rng([step, example])
        lat, lon = np.meshgrid(
            np.linspace(-1.5, 1.5, 32), np.arange(64) * np.pi / 32, indexing='ij'
        )
        phases = np.array([-0.1, 0, 0.1])[:, None, None, None] + rng.uniform(0, 6, 3)
        return (
            0.5 + 0.4 * np.sin(3 * lon[..., None] + phases) * np.cos(4 * lat[..., None] + phases)
        ).astype(np.float32)

    @staticmethod
    def sample(batch, shared):
        del shared
        return batch['frames'], None


@pytest.fixture(scope='module', autouse=True)
def compiled_quickly():
    """Switches optimisations off: compilation takes most of the time, and results do not change."""
    jax.config.update('jax_disable_most_optimizations', True)
    yield
    jax.config.update('jax_disable_most_optimizations', False)


@pytest.fixture(scope='module', autouse=True)
def steps_compiled_once():
    """Steps of equal configurations are compiled once for the module."""
    original = train.make_step
    train.make_step = functools.cache(original)
    yield
    train.make_step = original


@functools.cache
def _grid():
    return models.make_grid(MODEL)


def _fit(config=CONFIG, source=None, **options):
    """Trains; returns the states and metrics after every step, the start included."""
    states, rows = [train.init_state(config, MODEL)], []

    def on_step(done, state, metrics):
        assert done == len(states)
        states.append(state)
        rows.append(metrics)

    final = train.fit(
        states[0], source or Source(), config, MODEL, LOSS, _grid(), on_step=on_step, **options
    )
    assert _same(final, states[-1])
    return states, rows


def _same(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_parameters_survive_the_flat_form():
    params = models.init_params(3, MODEL)
    flat = train.flatten(params)
    assert all(vector.ndim == 1 for vector in flat.values())
    assert _same(train.unflatten(flat, MODEL), params)


def test_steps_change_both_networks_once_their_rates_are_not_zero():
    states, rows = _fit()
    # The warm-up of one step starts from a rate of zero.
    assert _same(states[1].params, states[0].params)
    for network in ('depth', 'pose'):
        assert not np.array_equal(states[2].params[network], states[1].params[network])
        moved = np.abs(states[3].params[network] - states[2].params[network])
        assert (moved > 0).mean() > 0.9 and moved.max() < 1.1e-2
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    # The average follows at the decay that grows towards that of the configuration: 1/10, 2/11,
    # 3/12.
    expected = states[0].params['pose']
    for index in range(3):
        decay = (1 + index) / (10 + index)
        expected = decay * expected + (1 - decay) * states[index + 1].params['pose']
    np.testing.assert_allclose(states[3].average['pose'], expected, atol=1e-6)


def test_the_depth_network_waits_for_depth_start():
    config = dataclasses.replace(CONFIG, depth_start=3)
    optimizer = train.make_optimizer(config)
    params = {'depth': jnp.ones(4), 'pose': jnp.ones(4)}
    state, moved = optimizer.init(params), {'depth': [], 'pose': []}
    for _ in range(6):
        updates, state = optimizer.update(jax.tree.map(jnp.ones_like, params), state, params)
        for network in moved:
            moved[network].append(bool(np.any(updates[network])))
    # One more step of each is the start of its warm-up.
    assert moved == {'depth': [False] * 4 + [True] * 2, 'pose': [False] + [True] * 5}


def test_nan_stops_training_with_the_step_and_the_loss_named():
    states = [train.init_state(CONFIG, MODEL)]
    with pytest.raises(ValueError, match=r"stopped at step 3: the loss 'photometric' is nan"):
        train.fit(
            states[0],
            Source(nan_at=2),
            CONFIG,
            MODEL,
            LOSS,
            _grid(),
            on_step=lambda done, state, metrics: states.append(state),
        )
    assert len(states) == 3
    assert all(np.isfinite(leaf).all() for state in states for leaf in jax.tree.leaves(state))


def test_a_step_on_nan_leaves_the_state_as_it_was():
    step = train.make_step(CONFIG, MODEL, LOSS, Source.sample)
    keys = parallel.example_keys(jax.random.key(0), 0, 4)
    state = train.init_state(CONFIG, MODEL)
    for index, source in ((2, Source()), (3, Source(nan_at=3))):
        batch = parallel.local_shard({'data': source.batch(index, range(4)), 'keys': keys})
        before, (state, metrics) = state, step(state, batch, np.int32(index), _grid(), None, {})
        assert _same(state, before) == (index == 3) == bool(np.isnan(metrics['loss']))


@pytest.mark.parametrize('batch_size', [1, 6])
def test_a_batch_that_does_not_divide_over_the_devices_is_refused(batch_size):
    config = dataclasses.replace(CONFIG, batch_size=batch_size)
    with pytest.raises(ValueError, match=f'batch_size is {batch_size}.*multiple of the 4 devices'):
        train.fit(None, Source(), config, MODEL, LOSS, _grid())


def test_four_devices_compute_what_one_does():
    assert jax.local_device_count() == 4
    states, rows = _fit()
    optimizer = train.make_optimizer(CONFIG)
    grid = _grid()
    params = models.init_params(CONFIG.seed, MODEL)
    state = optimizer.init(train.flatten(params))

    @jax.jit
    def gradient(params, frames, view, colours, progress):
        return jax.grad(
            lambda p: objective(
                p, frames, view, colours, None, grid, MODEL, LOSS, progress=progress
            ),
            has_aux=True,
        )(params)

    for index in range(3):
        keys = [
            jax.random.fold_in(jax.random.fold_in(jax.random.key(CONFIG.seed), index), example)
            for example in range(4)
        ]
        view_keys, colour_keys = (
            jnp.stack(pair) for pair in zip(*(jax.random.split(key) for key in keys))
        )
        view = augment.views(view_keys, rotation=CONFIG.rotation, mirror=CONFIG.mirror)
        gradients, metrics = gradient(
            params,
            Source().batch(index, range(4))['frames'],
            view,
            augment.colours(colour_keys, CONFIG.colour),
            index / CONFIG.steps,
        )
        assert rows[index]['gradient'] == pytest.approx(
            float(optax.global_norm(gradients)), rel=2e-3
        )
        for name, value in metrics.items():
            assert rows[index][name] == pytest.approx(float(value), rel=1e-3, abs=1e-6), name
        flat = train.flatten(params)
        updates, state = optimizer.update(train.flatten(gradients), state, flat)
        params = train.unflatten(optax.apply_updates(flat, updates), MODEL)
    for network, vector in train.flatten(params).items():
        # Adam turns the rounding of the smallest gradients into steps of full length, of a few
        # parameters.
        assert np.mean(np.abs(vector - states[3].params[network])) < 2e-5


def _train_in(path, source, config=CONFIG, stop=None):
    often = session.LogConfig(log_every=1, checkpoint_every=5)
    with open_run(path, '--x=1\n') as run:
        return session.train_in(run, source, config, MODEL, LOSS, _grid(), logs=often, stop=stop)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """An unbroken run, and one that failed at step 7 and was started again."""
    folder = tmp_path_factory.mktemp('runs')
    unbroken = _train_in(folder / 'unbroken', Source())
    with pytest.raises(RuntimeError, match='the power went off'):
        _train_in(folder / 'broken', Source(fail_at=7))
    steps_then = [row['step'] for row in logs.read_metrics(folder / 'broken')]
    with Checkpoints(folder / 'broken' / 'checkpoints') as checkpoints:
        saved_then = checkpoints.metadata()
    resumed = _train_in(folder / 'broken', Source())
    return types.SimpleNamespace(
        folder=folder,
        unbroken=unbroken,
        resumed=resumed,
        steps_then=steps_then,
        saved_then=saved_then,
    )


class Stopping(Source):
    """Asks for a stop at a step."""

    def __init__(self, stop, step):
        super().__init__()
        self._stop, self._step = stop, step

    def batch(self, step, examples):
        if step == self._step:
            self._stop.on_signal(signal.SIGTERM)
        return super().batch(step, examples)


def test_the_last_step_of_a_stopped_run_is_saved_though_no_checkpoint_is_due(tmp_path):
    stop = Stop()
    with pytest.raises(Stopped):
        _train_in(tmp_path / 'run', Stopping(stop, 7), stop=stop)
    last = logs.read_metrics(tmp_path / 'run')[-1]['step']
    with Checkpoints(tmp_path / 'run' / 'checkpoints') as checkpoints:
        assert checkpoints.latest_step() == last and last % 5 and last < CONFIG.steps


def test_a_resumed_run_ends_with_the_same_parameters_to_the_bit(runs):
    assert (
        runs.steps_then[:5] == [1, 2, 3, 4, 5]
        and len(runs.steps_then) < 8
        and runs.saved_then is not None
    )
    assert _same(runs.resumed, runs.unbroken)
    losses = [
        [row['loss'] for row in logs.read_metrics(runs.folder / name)]
        for name in ('unbroken', 'broken')
    ]
    assert losses[0] == losses[1]


def test_the_log_of_a_resumed_run_has_each_step_once(runs):
    for name in ('unbroken', 'broken'):
        rows = logs.read_metrics(runs.folder / name)
        assert [row['step'] for row in rows] == list(range(1, CONFIG.steps + 1))
        assert {'loss', 'photometric', 'smooth', 'pose', 'gradient', 'steps_per_second'} <= set(
            rows[0]
        )


def test_a_finished_run_trains_no_further(runs):
    class Forbidden(Source):
        def batch(self, step, examples):
            raise AssertionError('a finished run reads no data')

    assert _same(_train_in(runs.folder / 'unbroken', Forbidden()), runs.unbroken)


def test_a_run_of_another_length_is_refused(runs):
    with pytest.raises(ValueError, match='12 steps, not 20.*another --workdir'):
        _train_in(runs.folder / 'unbroken', Source(), dataclasses.replace(CONFIG, steps=20))


def test_the_model_is_read_back_from_a_run(runs):
    for path in (runs.folder / 'unbroken', runs.folder / 'unbroken' / 'checkpoints'):
        params, config = checkpoints.load_model(path)
        assert config == MODEL and _same(params, runs.unbroken)
    with pytest.raises(ValueError, match='holds no checkpoint'):
        checkpoints.load_model(runs.folder)


def test_masks_of_frames_train_as_a_mask_of_all_frames():
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 256, (6, 8, 16, 3), np.uint8), 4, axis=1).repeat(4, axis=2)
    mask = np.ones((32, 64), bool)
    mask[20:, 10:40] = False
    recipe = dataclasses.replace(CONFIG, steps=2, warmup=0)

    def trained(frames, mask=None, valid=None):
        clip = Clip('noise', frames)
        source = sources.ClipSource(clip, stride=1, batch_size=4, valid=valid)
        state = train.init_state(recipe, MODEL)
        grid = models.make_grid(MODEL)
        return train.fit(state, source, recipe, MODEL, LOSS, grid, mask=mask).params

    close = lambda a, b, **limits: all(np.allclose(a[name], b[name], **limits) for name in a)
    fixed, same = mask.astype(np.float32), np.broadcast_to(mask, (6, 32, 64))
    one = trained(frames, mask=fixed)
    assert close(one, trained(frames, valid=same), atol=1e-6)
    # Masks that hide nothing: the program of before, which is compiled once.
    assert not close(one, trained(frames, valid=np.ones_like(same)), atol=1e-4)
    # Both at once: what either hides does not count, and what it holds does not matter.
    own = np.broadcast_to(np.roll(mask, 30, axis=1), (6, 32, 64))
    spoilt = np.where((own & mask)[..., None], frames, 255 - frames)
    both = trained(frames, mask=fixed, valid=own)
    assert close(both, trained(spoilt, mask=fixed, valid=own), atol=1e-6)
    assert not close(both, one, atol=1e-4)


def test_a_saturated_head_is_warned_of_every_hundred_steps(caplog):
    for step, saturated in ((100, 0.95), (101, 0.95), (200, 0.5)):
        train.check_metrics(step, {'saturated': saturated})
    (record,) = caplog.records
    assert 'step 100: the depth head is saturated at 95 %' in record.getMessage()
