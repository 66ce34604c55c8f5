"""Checkpoints: round trips, damage, what stays on disk."""

import json
import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from common.checkpoint import Checkpoints


class State(NamedTuple):
    step: jax.Array
    params: dict
    opt_state: tuple
    key: jax.Array


def make_state(seed=0, width=64):
    """A state as a training loop has it, after one Adam step."""
    rng = np.random.default_rng(seed)
    params = {
        'dense': {
            'kernel': jnp.asarray(rng.normal(size=(32, width)), jnp.float32),
            'bias': jnp.ones(width, jnp.bfloat16),
        },
        'empty': jnp.zeros((0, 3)),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    updates, opt_state = optimizer.update(params, optimizer.init(params), params)
    return State(
        jnp.int32(seed), optax.apply_updates(params, updates), opt_state, jax.random.key(seed)
    )


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected)):
        assert a.dtype == b.dtype
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def files_of(path):
    return [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]


def flip_payload_byte(path):
    """Changes one byte in the middle of the largest file, where the arrays are."""
    largest = max(files_of(path), key=os.path.getsize)
    with open(largest, 'r+b') as file:
        file.seek(os.path.getsize(largest) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0x10]))


def test_round_trip_of_an_optax_state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = make_state(3)
    with Checkpoints('relative/checkpoints') as checkpoints:
        assert checkpoints.restore(state) is None and checkpoints.latest_step() is None
        assert not os.path.exists('relative')
        checkpoints.save(10, state, {'epoch': 2, 'loss': 0.5})
    with Checkpoints(tmp_path / 'relative' / 'checkpoints') as checkpoints:
        step, restored, metadata = checkpoints.restore(make_state(0))
        assert (step, metadata) == (10, {'epoch': 2, 'loss': 0.5})
        assert_same(restored, state)
        assert isinstance(restored, State) and isinstance(
            restored.params['dense']['kernel'], jax.Array
        )
        shapes = jax.eval_shape(lambda: make_state(0))._replace(key=jax.random.key(1))
        assert_same(checkpoints.restore(shapes)[1], state)


def test_numpy_templates_keep_wide_dtypes_and_python_scalars(tmp_path):
    state = {'table': np.arange(3, dtype=np.int64) + 2**40, 'best': 0.25, 'done': True}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, state)
        template = {'table': np.zeros(3, np.int64), 'best': 0.0, 'done': False}
        _, restored, metadata = checkpoints.restore(template)
    np.testing.assert_array_equal(restored['table'], state['table'])
    assert restored['best'] == 0.25 and restored['done'] is True and metadata == {}


def damage_by_truncation(path):
    largest = max(files_of(path), key=os.path.getsize)
    os.truncate(largest, os.path.getsize(largest) // 2)


def damage_metadata(path):
    name = os.path.join(path, 'metadata', 'metadata')
    with open(name) as file:
        record = json.load(file)
    record['metadata'] = record['metadata'].replace('200', '900')
    with open(name, 'w') as file:
        json.dump(record, file)


def damage_by_emptying(path):
    for name in files_of(path):
        os.remove(name)


# TensorStore reports reads that were still going on when the first one failed to a closed event
# loop.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize(
    'damage', [flip_payload_byte, damage_by_truncation, damage_metadata, damage_by_emptying]
)
def test_a_damaged_latest_step_falls_back_to_the_previous_one(tmp_path, damage, caplog):
    first, second = make_state(1), make_state(2)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(100, first, {'seen': 100})
        checkpoints.save(200, second, {'seen': 200})
        assert_same(checkpoints.restore(first)[1], second)
        damage(tmp_path / '200')
        with caplog.at_level('WARNING'):
            step, restored, metadata = checkpoints.restore(second)
        assert (step, metadata) == (100, {'seen': 100})
        assert_same(restored, first)
        warnings = [
            record.getMessage() for record in caplog.records if record.levelname == 'WARNING'
        ]
        assert (
            len(warnings) == 1 and str(tmp_path / '200') in warnings[0] and '\n' not in warnings[0]
        )
        with pytest.raises(ValueError, match='damaged'):
            checkpoints.restore(second, step=200)
        checkpoints.save(200, second, {'seen': 201})
        assert checkpoints.restore(first)[::2] == (200, {'seen': 201})


def test_when_all_are_damaged_nothing_starts_over_silently(tmp_path):
    state = make_state()
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state)
        flip_payload_byte(tmp_path / '1')
        with pytest.raises(ValueError, match=r'all checkpoints .* damaged'):
            checkpoints.restore(state)


def test_keep_and_leftovers_of_a_killed_save(tmp_path):
    state = {'w': jnp.ones(4)}
    (tmp_path / '7.orbax-checkpoint-tmp').mkdir()
    (tmp_path / '3.discarded').mkdir()
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest_step() is None
        for step in (5, 10, 15):
            checkpoints.save(step, state)
        assert sorted(os.listdir(tmp_path)) == ['10', '15']
        assert checkpoints.steps() == [10, 15]


def test_saving_an_earlier_step_leaves_the_abandoned_continuation(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (10, 20, 30):
            checkpoints.save(step, {'w': jnp.float32(step)})
        step, state, _ = checkpoints.restore({'w': jnp.float32(0)}, step=10)
        assert (step, float(state['w'])) == (10, 10.0)
        checkpoints.save(20, {'w': jnp.float32(-1)})
        assert checkpoints.steps() == [10, 20]
        assert float(checkpoints.restore(state)[1]['w']) == -1.0


def test_a_template_that_does_not_fit_is_named(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, make_state(width=64))
        with pytest.raises(ValueError, match=r'params\.dense\.bias .*\[64\].*\[32\]'):
            checkpoints.restore(make_state(width=32))
        with pytest.raises(ValueError, match='has no leaf extra'):
            checkpoints.restore({**make_state()._asdict(), 'extra': jnp.zeros(2)})
        with pytest.raises(ValueError, match='has a leaf opt_state'):
            checkpoints.restore({**make_state()._asdict(), 'opt_state': ()})
        with pytest.raises(ValueError, match=r'no checkpoint of step 2 .*\[1\]'):
            checkpoints.restore(make_state(), step=2)


@pytest.mark.parametrize(
    'arguments, message',
    [((-1, {'w': 1.0}), 'step is -1'), ((1, {'w': 1.0}, {'a': {1, 2}}), 'JSON')],
)
def test_bad_arguments_write_nothing(tmp_path, arguments, message):
    with Checkpoints(tmp_path / 'new') as checkpoints, pytest.raises(ValueError, match=message):
        checkpoints.save(*arguments)
    assert not (tmp_path / 'new').exists()
    with pytest.raises(ValueError, match='keep is 0'):
        Checkpoints(tmp_path, keep=0)
