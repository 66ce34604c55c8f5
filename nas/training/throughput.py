"""Measures whether a step waits for its input: its time with and without making the batch."""

import itertools
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from common import parallel
from nas.cells.plan import Plan
from nas.training import recipe
from nas.training.batches import Data, batch_indices
from nas.training.data.feed import Request, StreamedData
from nas.training.recipe import RecipeConfig, State

_WARM_UP, _ROUNDS = 3, 2


class InputWait(NamedTuple):
    """Times of a step in milliseconds.

    Attributes:
        share: part of the time of a step in which the device waits for its input, in [0, 1].
        step_ms: of the training loop.
        fixed_batch_ms: of the same step on one repeated batch.
    """

    share: float
    step_ms: float
    fixed_batch_ms: float


def _fixed_batch(step, batch, data: Data, state: State, key: jax.Array) -> Iterator[None]:
    """Repeats the step on one batch for ever, one step ahead, as `recipe.train_steps` does."""
    pending = deque()
    for index in itertools.count():
        state, metrics = step(state, batch, data, key, np.int32(index))
        pending.append(metrics)
        if len(pending) > 1:
            jax.device_get(pending.popleft())
            yield


def _step_ms(steps: Iterator, count: int) -> float:
    """Mean time of `count` steps, after a few to warm up."""
    deque(itertools.islice(steps, _WARM_UP), maxlen=0)
    start = time.perf_counter()
    done = sum(1 for _ in itertools.islice(steps, count))
    return 1e3 * (time.perf_counter() - start) / done


def input_share(
    plan: Plan,
    config: RecipeConfig,
    data: Data | StreamedData,
    state: State,
    *,
    seed: int,
    steps: int = 50,
) -> InputWait:
    """Measures how much of a training step the device spends waiting for its input.

    Two rounds of the training loop from its first step, and two of the step on one prepared batch,
    take turns; the faster round of each counts. The state is not changed.

    Args:
        plan, config, data, seed: as for `recipe.train_steps`.
        state: of the network at any step.
        steps: number of steps in a round; fewer if the whole training has fewer.

    Raises:
        ValueError: the training is shorter than 5 steps, or its batch does not divide over the
            devices.
    """
    examples = data.examples
    total = config.steps(examples)
    if total < _WARM_UP + 2:
        raise ValueError(
            f'a training of {total} steps is too short to time; at least {_WARM_UP + 2} are needed'
        )
    local = parallel.local_examples(config.batch_size)
    indices = batch_indices(seed, 0, config.batch_size, examples)[local.start : local.stop]
    numbers = np.arange(local.start, local.stop)
    (part,) = data.supply([Request(indices, numbers, (seed, 0))])
    batch = parallel.local_shard(part | {'numbers': numbers})
    if 'images' in batch:
        # Images on the host would be sent to the device with every step.
        batch = jax.pmap(lambda images: images)(batch)
    step, key = recipe.make_step(plan, config, steps=total), jax.random.key(seed)
    state = parallel.replicate(state)
    real, fixed = [], []
    for _ in range(_ROUNDS):
        real.append(_step_ms(recipe.train_steps(plan, config, data, state, seed=seed), steps))
        fixed.append(_step_ms(_fixed_batch(step, batch, data.resident, state, key), steps))
    return InputWait(max(0.0, 1 - min(fixed) / min(real)), min(real), min(fixed))
