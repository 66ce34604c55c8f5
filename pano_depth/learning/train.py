"""Self-supervised training of both networks, on one clip or on many."""

import contextlib
import dataclasses
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import logging
from jax import flatten_util
from jaxtyping import Float

from common import parallel
from common.options import option
from common.stopping import Stop
from pano_depth.kernels.shapes import Array, Real
from pano_depth.learning import augment
from pano_depth.learning.cells import build, condense
from pano_depth.learning.model import Grid, ModelConfig, init_params, param_shapes
from pano_depth.learning.objective import LossConfig, objective
from pano_depth.learning.triplets import Source


@dataclasses.dataclass(frozen=True)
class RecipeConfig:
    """How the networks are trained."""

    steps: int = option(3000, 'optimiser steps')
    batch_size: int = option(4, 'frame triplets in a global batch, a multiple of the devices')
    learning_rate: float = option(1e-3, 'peak rate of Adam; it falls to zero along a cosine')
    warmup: int = option(100, 'steps in which the rate rises from zero')
    depth_rate: float = option(1.0, "the depth network's rate relative to the pose network's")
    depth_start: int = option(
        100,
        'steps before the depth network begins to learn: while the pose is unknown its gradients'
        ' mislead',
    )
    clip_norm: float = option(1.0, 'largest norm of the gradient of each network')
    average: float = option(
        0.995, 'decay of the running average of the parameters, which evaluation and prediction use'
    )
    rotation: augment.Rotation = option(
        'yaw', 'random rotations of the whole sphere for each example'
    )
    mirror: bool = option(True, 'mirror half of the examples left to right')
    colour: float = option(
        0.2, 'how much brightness, gamma, saturation and tint of the input images vary'
    )
    seed: int = option(0, 'seed of initialisation, data order and augmentation')

    def __post_init__(self):
        least = {'steps': 1, 'batch_size': 1, 'warmup': 0, 'depth_start': 0, 'seed': 0}
        least |= dict.fromkeys(('learning_rate', 'depth_rate', 'clip_norm', 'average', 'colour'), 0)
        for name, low in least.items():
            if not low <= getattr(self, name) < math.inf:
                raise ValueError(f'{name} is {getattr(self, name)}, it has to be at least {low}')
        if self.average >= 1:
            raise ValueError(f'average is {self.average}, a decay, it has to be below 1')


class State(NamedTuple):
    """The state of training.

    Parameters are flat: a handful of long vectors compile several times faster than the updates of
    a hundred small arrays.

    Attributes:
        params: {'depth', 'pose'}, the parameters of each network as one vector.
        optimizer: state of the optimiser.
        average: running average of the parameters.
    """

    params: dict
    optimizer: optax.OptState
    average: dict


def make_optimizer(config: RecipeConfig) -> optax.GradientTransformation:
    """Adam for each network, with its own clipping and rate."""

    def one(rate, start):
        warmup = max(1, min(config.warmup, config.steps // 4))
        start = min(start, config.steps // 4)
        cosine = optax.warmup_cosine_decay_schedule(
            0.0, rate, warmup, max(config.steps - start, warmup + 1)
        )
        schedule = optax.join_schedules([optax.constant_schedule(0.0), cosine], [start])
        return optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.adam(schedule))

    transforms = {
        'depth': one(config.learning_rate * config.depth_rate, config.depth_start),
        'pose': one(config.learning_rate, 0),
    }
    return optax.multi_transform(transforms, {'depth': 'depth', 'pose': 'pose'})


def init_state(config: RecipeConfig, model: ModelConfig, params: dict | None = None) -> State:
    """The state before the first step; `params` to start from, else fresh ones from the seed."""
    params = init_params(config.seed, model) if params is None else params
    flat = flatten(params)
    return State(flat, make_optimizer(config).init(flat), flat)


def flatten(params: dict) -> dict[str, Float[jax.Array, ' _']]:
    """{network: parameters} -> {network: vector}, jax arrays."""
    return {name: flatten_util.ravel_pytree(tree)[0] for name, tree in params.items()}


def unflatten(flat: dict[str, Float[Array, ' _']], model: ModelConfig) -> dict:
    """The inverse of `flatten`: {network: vector} -> {network: parameters}."""
    shapes = param_shapes(model)
    return {
        name: flatten_util.ravel_pytree(
            jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes[name])
        )[1](flat[name])
        for name in flat
    }


def condense_state(state: State, model: ModelConfig, progress: float) -> State:
    """The state with the masks of learned groups pruned as far as the progress demands."""
    plan = build.build(model)
    params, average = unflatten(state.params, model), unflatten(state.average, model)
    params['depth'] = condense.prune(plan, params['depth'], progress)
    average['depth'] = condense.prune(plan, average['depth'], progress, by=params['depth'])
    return state._replace(params=flatten(params), average=flatten(average))


def make_step(
    config: RecipeConfig, model: ModelConfig, loss: LossConfig, sample: Callable
) -> Callable:
    """Compiles the training step for all devices.

    Args:
        config: configuration of the training.
        model: configuration of the networks.
        loss: configuration of their loss.
        sample: the method of a `Source`.

    Returns:
        step(state, batch, shared) -> (state, metrics), to be called with the batch from
        `parallel.local_shard` and shared = (step index, grid, mask, the source's shared arrays). A
        step whose loss is not finite leaves the state as it was.
    """
    optimizer = make_optimizer(config)

    def step(state, batch, index, grid, mask, shared):
        frames, truth = sample(batch['data'], shared)
        if truth is not None and truth.valid is not None:
            mask = truth.valid if mask is None else truth.valid * mask
        view_keys, colour_keys = jax.vmap(jax.random.split, out_axes=1)(batch['keys'])
        view = augment.views(view_keys, rotation=config.rotation, mirror=config.mirror)
        colours = augment.colours(colour_keys, config.colour)
        losses_of = lambda flat: objective(
            jax.lax.optimization_barrier(unflatten(flat, model)),
            frames,
            view,
            colours,
            mask,
            grid,
            model,
            loss,
            progress=index / config.steps,
            truth=truth,
        )
        gradients, metrics = jax.grad(losses_of, has_aux=True)(state.params)
        # Without the barrier XLA fuses the long concatenation into every use of it, and takes a
        # minute to compile.
        gradients, metrics = jax.lax.optimization_barrier(parallel.mean((gradients, metrics)))
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = jnp.minimum(config.average, (1.0 + index) / (10.0 + index))
        average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, state.average, params)
        metrics['gradient'] = optax.global_norm(gradients)
        finite = jnp.isfinite(metrics['loss']) & jnp.isfinite(metrics['gradient'])
        new = State(params, optimizer_state, average)
        return jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state), metrics

    return parallel.data_parallel(step, num_shared=4)


def check_metrics(step: int, metrics: dict[str, float]) -> None:
    """Raises ValueError naming the step and the loss if a metric is not finite.

    Every hundred steps it warns of a depth head that may have stopped learning.
    """
    bad = [name for name, value in metrics.items() if not np.isfinite(value)]
    if bad:
        terms = 'photometric', 'smooth', 'pose', 'logit', 'truth_depth', 'truth_pose', 'prior'
        culprit = next((name for name in terms if name in bad), bad[0])
        raise ValueError(
            f'training stopped at step {step}: the loss {culprit!r} is {metrics[culprit]}; the'
            ' parameters and checkpoints are those from before that step. Look for NaN in the'
            ' footage, or lower --learning_rate.'
        )
    if metrics['saturated'] > 0.9 and step % 100 == 0:
        logging.warning(
            'step %d: the depth head is saturated at %.0f %% of the pixels and may have stopped'
            ' learning; raise --depth_start or lower --depth_rate',
            step,
            100 * metrics['saturated'],
        )


def fit(
    state: State,
    source: Source,
    config: RecipeConfig,
    model: ModelConfig,
    loss: LossConfig,
    grid: Grid,
    *,
    mask: Real[Array, 'height width'] | None = None,
    start: int = 0,
    on_step: Callable[[int, State, dict[str, float]], None] | None = None,
    stop: Stop | None = None,
) -> State:
    """Trains from step `start` to `config.steps`.

    Args:
        state: to start from.
        source: of the frame triplets.
        config: configuration of the training.
        model: configuration of the networks.
        loss: configuration of their loss.
        grid: of the model.
        mask: 1 where the images count, or None. A source whose frames have masks of their own has
            them in its `Truth`; what either hides does not count.
        start: number of steps that are done.
        on_step: called as on_step(done, state, metrics) with the number of steps done, the state
            and the metrics as floats; it logs and saves. It runs one step behind the device, which
            never waits for it.
        stop: request to stop. Once this process or another one has it, training ends after the
            steps in progress. None: never.

    Returns:
        The state after the last step.

    Raises:
        ValueError: a loss is not finite (names the step and the loss), or the batch does not divide
            over the devices.
    """
    step, stop = make_step(config, model, loss, source.sample), stop or Stop()
    key = jax.random.key(config.seed)
    examples = parallel.local_examples(config.batch_size)
    plan = None if loss.learn == 'motion' else build.build(model)
    events = condense.steps_of_events(plan, config.steps) if plan else ()
    state, shared = parallel.replicate((state, (grid, mask, source.shared)))
    pending = deque()

    def settle():
        """Completes the oldest step in progress; returns whether training has to stop."""
        done, result, metrics, vote = pending.popleft()
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        check_metrics(done, values)
        if on_step is not None:
            on_step(done, result, values)
        return stop.carried(vote)

    def load(index):
        return parallel.local_shard(
            {
                'data': source.batch(index, examples),
                'keys': parallel.example_keys(key, index, config.batch_size),
            }
        )

    with contextlib.closing(_read_ahead(load, range(start, config.steps))) as batches:
        for index, batch in enumerate(batches, start):
            state, metrics = step(state, batch, np.int32(index), *shared)
            if index + 1 in events:
                state = parallel.replicate(
                    condense_state(jax.device_get(state), model, (index + 1) / config.steps)
                )
            pending.append((index + 1, state, metrics, stop.vote()))
            if len(pending) > 1 and settle():
                break
    while pending:
        settle()
    return state


def _read_ahead(load, indices):
    """Yields load(index) of each index; one thread reads the next while the device computes."""
    waiting = None
    with ThreadPoolExecutor(1) as reader:
        for index in indices:
            following = reader.submit(load, index)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
