"""Devices and data parallelism: one `pmap` step over all devices of all hosts.

The state is replicated and the batch is split, first over the processes, then over each process's
devices. A step written for one device becomes data parallel by `data_parallel`, with `mean` around
its gradients and metrics:

    def step(state, batch, shared):
        loss, gradients = jax.value_and_grad(loss_fn)(state.params, batch, shared)
        gradients, loss = parallel.mean((gradients, loss))
        return update(state, gradients), {'loss': loss}

    state, metrics = parallel.data_parallel(step)(state, parallel.local_shard(batch), shared)
"""

import os
import re
import socket
import threading

import jax
import jax.numpy as jnp
import numpy as np

AXIS = 'batch'


def initialize(*, coordinator_address=None, num_processes=None, process_id=None, timeout=300.0):
    """Joins the other processes of a multi-host run; does nothing in a run of one process.

    Without arguments it recognises a Slurm step of several tasks and a TPU pod slice that names its
    workers in the environment. Call it before the first JAX operation; a second call does nothing.
    A Slurm task that is alone on its node computes on all GPUs of the node, other tasks on the GPU
    of their local rank.

    Args:
        coordinator_address: `host:port` of process 0, or None to look at the cluster's environment.
        num_processes: number of processes of the run; given together with the address.
        process_id: rank of this process, 0 <= process_id < num_processes; given together with the
            address.
        timeout: seconds to wait for the others.

    Raises:
        ValueError: if only some of the arguments are given, one is out of range, the port of
            process 0 is taken, or the processes do not all come within the time.
    """
    arguments = (coordinator_address, num_processes, process_id)
    missing = [value is None for value in arguments]
    if any(missing) and not all(missing):
        raise ValueError(
            'coordinator_address, num_processes and process_id go together, but only some are '
            f'given: {coordinator_address!r}, {num_processes!r}, {process_id!r}'
        )
    if num_processes is not None and not 0 <= process_id < num_processes:
        raise ValueError(
            f'process_id is {process_id}, it has to be at least 0 and below num_processes = '
            f'{num_processes}'
        )
    if coordinator_address is not None and not re.fullmatch(r'.+:\d{1,5}', coordinator_address):
        raise ValueError(f'coordinator_address is {coordinator_address!r}; host:port is accepted')
    if jax.distributed.is_initialized() or (all(missing) and not _in_cluster(os.environ)):
        return
    if process_id == 0:
        _check_free(coordinator_address)
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    # This service would take SIGTERM away from `common.stopping`, with which the processes agree on
    # where to stop.
    jax.config.update('jax_enable_preemption_service', False)
    _join(arguments, timeout)
    if all(missing) and _alone_on_node(os.environ):
        # By default JAX takes one GPU for each Slurm task.
        for name in ('jax_cuda_visible_devices', 'jax_rocm_visible_devices'):
            jax.config.update(name, 'all')


def _join(arguments, timeout):
    """Calls `jax.distributed.initialize`; raises ValueError where JAX would abort the process."""
    # When its own timeout is over, JAX logs a stack and aborts; while it waits, it lets no Ctrl-C
    # through.
    failed = []

    def initialize():
        try:
            jax.distributed.initialize(*arguments, initialization_timeout=int(timeout) + 600)
        except Exception as error:
            failed.append(error)

    joining = threading.Thread(target=initialize, daemon=True)
    joining.start()
    joining.join(timeout)
    address, count, rank = arguments
    who = 'this process' if rank is None else f'process {rank} of {count}'
    if joining.is_alive():
        where = ''
        if address is not None:
            where = f'; coordinator_address is {address}, where {_answer(address)}'
        raise ValueError(
            f'{who} waited {timeout:g} s for the others, which did not all come{where}'
        )
    if failed:
        raise ValueError(f'{who} cannot join the others: {failed[0]}') from failed[0]


def _check_free(address):
    """Raises ValueError if a port is taken; there, JAX would end in a segmentation fault."""
    try:
        socket.create_server(('', int(address.rpartition(':')[2]))).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f'coordinator_address is {address}, but process 0 cannot listen there: {error}'
        ) from error


def _answer(address):
    """The result of a connection to a coordinator, in a few words."""
    try:
        host, _, port = address.rpartition(':')
        socket.create_connection((host.strip('[]'), int(port)), 5).close()
        return 'the coordinator answers'
    except (OSError, OverflowError) as error:
        return f'nothing answers ({error})'


def _in_cluster(environment):
    """Whether the environment of this process says that it is one of several."""
    # A batch script without srun sees SLURM_NTASKS too, but is a single process; only srun names
    # the nodes.
    slurm = int(environment.get('SLURM_NTASKS', 1)) > 1 and 'SLURM_STEP_NODELIST' in environment
    workers = (
        environment.get('TPU_PROCESS_ADDRESSES') or environment.get('TPU_WORKER_HOSTNAMES') or ''
    )
    return slurm or ',' in workers


def _alone_on_node(environment):
    """Whether every node of this Slurm step runs one task; Slurm writes this as in `1(x4)`."""
    return (
        re.fullmatch(r'1(\(x\d+\))?', environment.get('SLURM_STEP_TASKS_PER_NODE', '')) is not None
    )


def is_main():
    """Whether this is process 0, the one that writes files and prints."""
    return jax.process_index() == 0


def wait_for_all():
    """Waits until all processes of a run call this, for example for one that still writes.

    Call it before a process ends: at its end JAX waits only five minutes for the other processes,
    and then aborts all of them.
    """
    # JAX's own `sync_global_devices` returns when the first device of this process is done. If the
    # process then ends, the collective of the others stays incomplete, and they never end.
    if jax.process_count() > 1:
        barrier = data_parallel(lambda unused_state, one: jax.lax.psum(one, AXIS), num_shared=0)
        jax.block_until_ready(barrier(None, np.ones(jax.local_device_count(), np.int32)))


def local_shard(batch):
    """Splits a batch over the devices of this process.

    Args:
        batch: pytree of arrays [B, ...], the examples of this process.

    Returns:
        The same pytree with leaves [local devices, B / local devices, ...].

    Raises:
        ValueError: if B is not a multiple of the number of local devices.
    """
    devices = jax.local_device_count()

    def split(leaf):
        leaf = leaf if hasattr(leaf, 'reshape') else np.asarray(leaf)
        if not leaf.ndim or leaf.shape[0] == 0 or leaf.shape[0] % devices:
            raise ValueError(
                f'the batch of shape {leaf.shape} does not divide over {devices} devices: '
                f'its first axis has to be a positive multiple of {devices}'
            )
        return leaf.reshape((devices, leaf.shape[0] // devices) + leaf.shape[1:])

    return jax.tree.map(split, batch)


def data_parallel(step, *, num_shared=1):
    """Compiles a step for all devices: `(state, batch, *shared) -> (state, metrics)`.

    The state and the shared arguments (tables, schedules) are the same on every device, plain
    arrays without a device axis; the batch comes from `local_shard`. The step runs inside the axis
    `AXIS` and has to make what it returns equal on all devices with `mean`; until then, gradients
    belong to the local examples only.

    Args:
        step: function `(state, batch [B / devices, ...], *shared) -> outputs`.
        num_shared: number of arguments after the batch.

    Returns:
        A function of the same arguments, with the batch [local devices, B / devices, ...], and
        replicated outputs.
    """
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0) + (None,) * num_shared, out_axes=None)


def replicate(tree):
    """Puts a pytree on every device, in the form that steps of `data_parallel` return.

    A step is compiled for the place of its arguments. If it were called first with a state on the
    host and then with the state that it returned, it would be compiled twice.

    Args:
        tree: arrays on the host or on devices; every process has the same ones.
    """
    mesh = jax.sharding.Mesh(np.array(jax.devices()), (AXIS,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def put(leaf):
        if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
            return leaf
        host = np.asarray(leaf)
        # Unlike `device_put`, this needs no transfer between the hosts of a run of several
        # processes.
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(put, tree)


def mean(tree):
    """The mean of a pytree over all devices of all hosts, inside a step of `data_parallel`."""
    return jax.lax.pmean(tree, AXIS)


def local_examples(batch_size):
    """The indices, within the global batch, of the examples that this process loads.

    Args:
        batch_size: size of the global batch.

    Returns:
        A `range` of batch_size / processes consecutive indices.

    Raises:
        ValueError: if the batch does not divide over all devices of all processes, or these have
            different numbers of devices.
    """
    devices, local, processes = jax.device_count(), jax.local_device_count(), jax.process_count()
    if devices != local * processes:
        raise ValueError(
            f'this process has {local} of the {devices} devices of {processes} processes; all '
            'processes need the same number of devices'
        )
    if batch_size < 1 or batch_size % devices:
        raise ValueError(
            f'batch_size is {batch_size}, it has to be a positive multiple of the {devices} devices'
            + f' of {processes} processes' * (processes > 1)
        )
    size = batch_size // processes
    return range(jax.process_index() * size, (jax.process_index() + 1) * size)


def example_keys(key, step, batch_size):
    """A PRNG key for every example of this process, whatever the number of devices and processes.

    Args:
        key: PRNG key of the run, the same in every process.
        step: index of the training step, a Python or traced integer.
        batch_size: size of the global batch.

    Returns:
        [batch_size / processes] keys, of the kind of `key`: example i of the global batch has
        `fold_in(fold_in(key, step), i)`.

    Raises:
        ValueError: if the batch does not divide over all devices of all processes.
    """
    examples = local_examples(batch_size)
    indices = jnp.arange(examples.start, examples.stop, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.fold_in(key, step), indices)


def devices_summary():
    """What the run computes on: platform, kind of device, number of devices and of processes."""
    device = jax.devices()[0]
    return {
        'platform': device.platform,
        'kind': device.device_kind,
        'count': jax.device_count(),
        'processes': jax.process_count(),
    }
