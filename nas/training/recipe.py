"""The training recipe: augmentation, SGD with a cosine, condensation of learned groups.

Source: CondenseNet (Huang et al., CVPR 2018, section 4.1 and its public code), which DPP-Net
follows: SGD with Nesterov momentum 0.9, weight decay 1e-4 on every parameter (as PyTorch's SGD
does), learning rate 0.1 annealed by a cosine per step; on CIFAR batch 64, 300 epochs, crops from a
frame of 4 zero pixels and mirror images.
"""

import contextlib
import functools
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from common import parallel
from common.stopping import Stop
from nas.cells.plan import Plan
from nas.networks import condense, network
from nas.training.batches import Data, augment, batch_indices, normalise, pick
from nas.training.config import RecipeConfig
from nas.training.data.feed import Request, StreamedData


class State(NamedTuple):
    """What training changes: the variables and the state of the optimiser.

    Attributes:
        params: parameters of the masked network.
        optimizer: state of the optimiser.
        batch_stats: running mean and variance of the normalisations.
        condensation: masks of the learned groups; empty without them. They change between steps
            only.
    """

    params: dict
    optimizer: optax.OptState
    batch_stats: dict
    condensation: dict


def _optimizer(config: RecipeConfig, steps: int) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(config.learning_rate, steps)
    return optax.chain(
        optax.add_decayed_weights(config.weight_decay),
        optax.sgd(schedule, config.momentum, nesterov=config.momentum > 0),
    )


def init_state(
    plan: Plan, config: RecipeConfig, *, steps: int, seed: int, variables: dict | None = None
) -> State:
    """The state before the first step.

    Args:
        plan: the network.
        config: the recipe.
        steps: of the whole training.
        seed: of the parameters.
        variables: of the masked network to start from, or None for fresh ones.
    """
    variables = network.init(jax.random.key(seed), plan) if variables is None else variables
    params = variables['params']
    return State(
        params,
        _optimizer(config, steps).init(params),
        variables.get('batch_stats', {}),
        variables.get('condensation', {}),
    )


def to_variables(state: State) -> dict:
    """The variables of the masked `Network` in a state."""
    return {'params': state.params} | _statistics_and_masks(state)


def _statistics_and_masks(state: State) -> dict:
    """The collections besides the parameters, empty ones left out."""
    collections = {'batch_stats': state.batch_stats, 'condensation': state.condensation}
    return {name: collection for name, collection in collections.items() if collection}


@functools.lru_cache(maxsize=4)
def make_step(plan: Plan, config: RecipeConfig, *, steps: int) -> Callable:
    """Compiles the training step for all devices.

    Statistics of normalisation, gradients and metrics are those of the global batch, so that the
    number of devices changes only rounding. Compiled steps of the last few networks are kept, so
    another seed needs no compilation.

    Args:
        plan: the network.
        config: the recipe.
        steps: of the whole training, over which the rate falls.

    Returns:
        step(state, batch, data, key, index) -> (state, metrics): batch = {'numbers' of the examples
        in the global batch, and the entries that `supply` of the data gives} from
        `parallel.local_shard`, data = `resident` of the result of `batches.place`, the PRNG key of
        the run, the index of the step, metrics = {'loss', 'error' in percent} of the batch and
        'gradient', the norm of its gradient.
    """
    optimizer = _optimizer(config, steps)
    net = network.Network(plan, dtype=jnp.dtype(config.dtype), axis_name=parallel.AXIS)

    def loss_of(params, state, images, labels):
        variables = {'params': params} | _statistics_and_masks(state)
        logits, updated = net.apply(variables, images, train=True, mutable=['batch_stats'])
        targets = optax.smooth_labels(
            jax.nn.one_hot(labels, logits.shape[-1]), config.label_smoothing
        )
        loss = optax.softmax_cross_entropy(logits, targets).mean()
        if config.lasso:
            loss += config.lasso * condense.group_lasso(plan, variables)
        error = 100 * (logits.argmax(axis=-1) != labels).mean()
        return loss, (updated.get('batch_stats', {}), {'loss': loss, 'error': error})

    def step(state, batch, data, key, index):
        images, labels = pick(batch, data)
        # Like `parallel.example_keys`: the augmentation does not depend on the number of devices.
        step_key = jax.random.fold_in(key, index)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(step_key, batch['numbers'])
        # Streamed images are random crops already.
        crop = config.crop if 'indices' in batch else 0
        images = normalise(augment(keys, images, crop=crop, mirror=config.mirror), data)
        gradient_of = jax.grad(loss_of, has_aux=True)
        gradient, (batch_stats, metrics) = gradient_of(state.params, state, images, labels)
        gradient, metrics = parallel.mean((gradient, metrics))
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        new = State(params, optimizer_state, batch_stats, state.condensation)
        return new, metrics | {'gradient': optax.global_norm(gradient)}

    return parallel.data_parallel(step, num_shared=3)


def train_steps(
    plan: Plan,
    config: RecipeConfig,
    data: Data | StreamedData,
    state: State,
    *,
    seed: int,
    start: int = 0,
    stop: Stop | None = None,
) -> Iterator[tuple[int, State, dict[str, float]]]:
    """Trains step by step and condenses learned groups when due; the caller logs, saves, stops.

    The device is always one step ahead of the yielded step, and does not wait for the caller.

    Args:
        plan, config: the network and the recipe.
        data: the training images, by `place`.
        state: by `init_state`, or of a checkpoint.
        seed: of the order of the examples and of their augmentation.
        start: number of steps that the state has behind it.
        stop: when this or another process gets a request to stop, training ends after the steps
            that are under way.

    Yields:
        (steps done, state after them, metrics of the last one as floats).

    Raises:
        FloatingPointError: 'loss is not finite at step N', or 'gradient is ...'; the state yielded
            last is valid.
        ValueError: the batch does not divide over the devices (the message names both numbers), or
            a streamed image cannot be read (the message names the file).
    """
    examples = data.examples
    steps = config.steps(examples)
    local = parallel.local_examples(config.batch_size)
    numbers = np.arange(local.start, local.stop)
    step, key = make_step(plan, config, steps=steps), jax.random.key(seed)
    # The first step count at which each event is due; rounding errors must not delay it by a step.
    due = {math.ceil(event * steps - 1e-6) for event in condense.events(plan)} | {steps}
    pending, state, stop = deque(), parallel.replicate(state), stop or Stop()

    def settle():
        done, result, metrics, _ = pending.popleft()
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        for name in ('loss', 'gradient'):
            if not np.isfinite(values[name]):
                raise FloatingPointError(f'{name} is not finite at step {done}')
        return done, result, values

    requests = (
        Request(
            batch_indices(seed, index, config.batch_size, examples)[local.start : local.stop],
            numbers,
            (seed, index),
        )
        for index in range(start, steps)
    )
    with contextlib.closing(data.supply(requests)) as supply:
        for index, part in enumerate(supply, start):
            batch = parallel.local_shard(part | {'numbers': numbers})
            state, metrics = step(state, batch, data.resident, key, np.int32(index))
            if index + 1 in due:
                pruned = condense.condense(
                    plan, jax.device_get(to_variables(state)), (index + 1) / steps
                )
                state = state._replace(
                    condensation=parallel.replicate(pruned.get('condensation', {}))
                )
            pending.append((index + 1, state, metrics, stop.vote()))
            if len(pending) > 1:
                ending = stop.carried(pending[0][-1])
                yield settle()
                if ending:
                    break
    while pending:
        yield settle()
