"""Data parallelism on four simulated CPU devices."""

import os
import pathlib
import re
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from common import parallel
from common.stopping import Stop

OPTIMIZER = optax.adam(1e-2)


def make_step(average):
    """One Adam step of a least-squares fit; `average` is what makes it data parallel."""

    def loss_fn(params, batch, scale):
        return jnp.mean((batch['x'] @ params['w'] + params['b'] - scale * batch['y']) ** 2)

    def step(state, batch, scale):
        params, opt_state = state
        loss, gradients = average(jax.value_and_grad(loss_fn)(params, batch, scale))
        updates, opt_state = OPTIMIZER.update(gradients, opt_state)
        return (optax.apply_updates(params, updates), opt_state), {'loss': loss}

    return step


def problem(batch_size):
    rng = np.random.default_rng(0)
    params = {'w': jnp.asarray(rng.normal(size=(5, 2)), jnp.float32), 'b': jnp.zeros(2)}
    batch = {
        'x': rng.normal(size=(batch_size, 5)).astype(np.float32),
        'y': rng.normal(size=(batch_size, 2)).astype(np.float32),
    }
    return (params, OPTIMIZER.init(params)), batch


def test_step_on_four_devices_equals_one_device():
    assert jax.local_device_count() == 4
    state, batch = problem(16)
    single = jax.jit(make_step(lambda tree: tree))
    parallel_step = parallel.data_parallel(make_step(parallel.mean))
    expected, actual = state, state
    for _ in range(3):
        expected, expected_metrics = single(expected, batch, 2.0)
        actual, metrics = parallel_step(actual, parallel.local_shard(batch), 2.0)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), actual, expected
    )
    np.testing.assert_allclose(metrics['loss'], expected_metrics['loss'], rtol=1e-5)
    assert not np.allclose(actual[0]['w'], state[0]['w'])


def test_data_parallel_uses_every_device_and_any_number_of_shared_arguments():
    def step(state, batch, first, second):
        return state + parallel.mean(
            jax.lax.axis_index(parallel.AXIS) * first + batch.sum() * second
        )

    actual = parallel.data_parallel(step, num_shared=2)(
        1.0, parallel.local_shard(np.ones((8, 1))), 2.0, 10.0
    )
    assert actual.shape == ()
    assert float(actual) == 1.0 + 2.0 * 1.5 + 10.0 * 2.0


def test_local_shard_keeps_the_order_of_the_examples():
    batch = {'a': np.arange(24).reshape(8, 3), 'keys': jax.random.split(jax.random.key(0), 8)}
    shards = parallel.local_shard(batch)
    assert shards['a'].shape == (4, 2, 3) and shards['keys'].shape == (4, 2)
    np.testing.assert_array_equal(shards['a'][1, 0], [6, 7, 8])


@pytest.mark.parametrize('size', [0, 3, 6])
def test_a_batch_that_does_not_divide_is_refused_with_both_numbers(size):
    with pytest.raises(ValueError, match=rf'\({size}, 2\).* 4 devices'):
        parallel.local_shard(np.zeros((size, 2)))
    with pytest.raises(ValueError, match=rf'batch_size is {size}.* 4 devices'):
        parallel.example_keys(jax.random.key(0), 0, size)


@pytest.mark.parametrize('make_key', [jax.random.key, jax.random.PRNGKey])
def test_example_keys_depend_on_step_and_global_index_only(make_key, monkeypatch):
    def values(step):
        keys = parallel.example_keys(make_key(7), step, 8)
        return np.asarray(jax.vmap(jax.random.uniform)(keys))

    whole = values(3)
    assert len(np.unique(whole)) == 8
    assert not np.intersect1d(whole, values(4)).size
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(jax, 'device_count', lambda: 8)
    halves = []
    for index in range(2):
        monkeypatch.setattr(jax, 'process_index', lambda index=index: index)
        halves.append(values(3))
    np.testing.assert_array_equal(np.concatenate(halves), whole)


def test_initialize_refuses_partial_arguments_and_ignores_a_single_process(monkeypatch):
    with pytest.raises(ValueError, match='go together'):
        parallel.initialize(coordinator_address='localhost:1')
    with pytest.raises(ValueError, match='process_id is 2'):
        parallel.initialize(coordinator_address='localhost:1', num_processes=2, process_id=2)
    monkeypatch.setenv('SLURM_NTASKS', '4')  # a batch script outside srun
    monkeypatch.delenv('SLURM_STEP_NODELIST', raising=False)
    parallel.initialize()
    assert not jax.distributed.is_initialized() and parallel.is_main()


def test_processes_with_different_numbers_of_devices_are_refused(monkeypatch):
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(jax, 'device_count', lambda: 6)
    with pytest.raises(ValueError, match='this process has 4 of the 6 devices of 2 processes'):
        parallel.local_examples(12)


@pytest.mark.parametrize(
    'address, rank, sentence',
    [
        ('localhost', 0, "coordinator_address is 'localhost'; host:port is accepted"),
        (
            'localhost:{free}',
            1,
            (
                'process 1 of 2 waited 1 s for the others, which did not all come; '
                'coordinator_address is localhost:.*, where nothing answers .*refused'
            ),
        ),
        (
            'localhost:{taken}',
            0,
            'coordinator_address is localhost:.*, but process 0 cannot listen .*in use',
        ),
        (
            'localhost:99999',
            0,
            'coordinator_address is localhost:99999, but process 0 cannot listen .*port',
        ),
    ],
)
def test_processes_that_cannot_meet_end_with_a_sentence(address, rank, sentence):
    with socket.socket() as probe:
        probe.bind(('', 0))
        free = probe.getsockname()[1]
    with socket.create_server(('', 0)) as taken:
        address = address.format(free=free, taken=taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, '-c', ONE_OF_TWO, address, str(rank)],
            text=True,
            timeout=60,
            stderr=subprocess.PIPE,
            env={**os.environ, 'PYTHONPATH': ROOT},
            check=False,
        )
    assert done.returncode == 1
    assert re.fullmatch(f'ValueError: {sentence}.*', done.stderr.splitlines()[-1]), done.stderr


def test_devices_summary():
    assert parallel.devices_summary() == {
        'platform': 'cpu',
        'kind': jax.devices()[0].device_kind,
        'count': 4,
        'processes': 1,
    }


ROOT = str(pathlib.Path(parallel.__file__).parents[1])
ONE_OF_TWO = """
import sys
from common import parallel
parallel.initialize(coordinator_address=sys.argv[1], num_processes=2, process_id=int(sys.argv[2]),
                    timeout=1.0)
"""

TWO_PROCESSES = """
import os, sys, time
import jax, numpy as np
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
from common import parallel
port, rank = sys.argv[1], int(sys.argv[2])
if port == 'slurm':
    os.environ |= {'SLURM_JOB_ID': str(os.getppid()), 'SLURM_STEP_NODELIST': 'localhost',
                   'SLURM_NTASKS': '2', 'SLURM_PROCID': str(rank), 'SLURM_LOCALID': str(rank),
                   'SLURM_STEP_TASKS_PER_NODE': '1(x2)'}
    parallel.initialize()
    assert jax.config.values['jax_cuda_visible_devices'] == 'all'
else:
    parallel.initialize(coordinator_address=f'localhost:{port}', num_processes=2, process_id=rank)
mean = lambda state, batch, shared: state + parallel.mean(batch.mean()) * shared
step = parallel.data_parallel(mean)
batch = np.arange(8, dtype=np.float32)[np.asarray(parallel.local_examples(8))]
state = np.float32(0)
for _ in range(2):
    state = step(state, parallel.local_shard(batch), 2.0)
if parallel.is_main():
    time.sleep(2)
    open(sys.argv[3], 'w').close()
parallel.wait_for_all()
assert os.path.exists(sys.argv[3])
print('main' if parallel.is_main() else 'other', jax.device_count(), float(state))
"""


@pytest.mark.parametrize('how', ['by hand', 'slurm'])
def test_two_processes_average_over_all_their_devices_and_wait_for_each_other(how, tmp_path):
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        port = how if how == 'slurm' else str(probe.getsockname()[1])
    written = str(tmp_path / 'written')
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', TWO_PROCESSES, port, str(rank), written],
            text=True,
            stdout=subprocess.PIPE,
            env={**os.environ, 'PYTHONPATH': ROOT},
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=100)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    # Gloo writes lines of its own, before or after.
    found = [re.findall(r'(main|other) (\d+) (\S+)', output) for output in outputs]
    assert found == [[('main', '4', '14.0')], [('other', '4', '14.0')]]


def test_processes_wait_and_vote_on_all_of_their_devices(monkeypatch):
    # Whoever waits for its first device alone may end while the others are left with half a
    # collective.
    waited, wait = [], jax.block_until_ready
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(
        jax,
        'block_until_ready',
        lambda array: waited.append(len(array.addressable_shards)) or wait(array),
    )
    parallel.wait_for_all()
    stop = Stop()
    assert not stop.carried(stop.vote())
    assert waited == [4, 4]


ONE_PROCESS = """
import os, signal, sys
import jax
jax.config.update('jax_platforms', 'cpu')
from common import parallel
received = []
signal.signal(signal.SIGTERM, lambda *given: received.append(given))
parallel.initialize(coordinator_address=f'localhost:{sys.argv[1]}', num_processes=1, process_id=0)
os.kill(os.getpid(), signal.SIGTERM)
print(jax.device_count(), len(received))
"""


def test_sigterm_still_reaches_a_process_that_has_joined_a_run():
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        port = str(probe.getsockname()[1])
    done = subprocess.run(
        [sys.executable, '-c', ONE_PROCESS, port],
        text=True,
        timeout=60,
        stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': ROOT},
        check=True,
    )
    assert done.stdout.split()[-1] == '1'
