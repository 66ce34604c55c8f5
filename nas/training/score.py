"""The scores of a network on a split: loss, top-1 and top-5 error."""

import contextlib
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from common import parallel
from nas.cells.plan import Plan
from nas.networks import network
from nas.training.batches import Data, normalise, pick
from nas.training.data.feed import Request, StreamedData
from nas.training.recipe import State, to_variables

TOP = 5  # `top5_error` tells nothing of fewer classes


class Scores(NamedTuple):
    """Means over a split: loss in nats, error and top-5 error in percent."""

    loss: float
    error: float
    top5_error: float


@functools.lru_cache(maxsize=4)
def make_scorer(
    plan: Plan, *, batch_size: int = 256, dtype: str = 'float32'
) -> Callable[[State, Data | StreamedData], Scores]:
    """Compiles the evaluation of a masked network for all devices.

    Args:
        plan: the network.
        batch_size: images in a global batch, rounded up to a multiple of the devices; the last
            batch is padded and the padding weighs nothing.
        dtype: type of computation.

    Returns:
        score(state, data) -> `Scores` of all images of `data`. Raises ValueError if a streamed
        image cannot be read; names the file.
    """
    devices = jax.device_count()
    batch_size = -(-batch_size // devices) * devices
    local = parallel.local_examples(batch_size)
    net = network.Network(plan, dtype=jnp.dtype(dtype))

    def sums(state, batch, data):
        (images, labels), weights = pick(batch, data), batch['weights']
        logits = net.apply(to_variables(state), normalise(images, data))
        truth = jnp.take_along_axis(logits, labels[:, None], axis=-1)
        # A label that ties with another class ranks behind it, so that constant logits score
        # nothing.
        rank = (logits >= truth).sum(axis=-1) - 1
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        values = jnp.stack([losses, rank > 0, rank >= TOP])
        return jax.lax.psum((values * weights).sum(axis=-1), parallel.AXIS)

    compiled = parallel.data_parallel(sums)

    def score(state, data):
        examples, total, state = data.examples, 0, parallel.replicate(state)
        firsts = range(0, examples, batch_size)
        numbers = np.arange(local.start, local.stop)
        requests = (Request(np.minimum(first + numbers, examples - 1), numbers) for first in firsts)
        with contextlib.closing(data.supply(requests)) as supply:
            for first, part in zip(firsts, supply):
                batch = parallel.local_shard(
                    part | {'weights': np.float32(first + numbers < examples)}
                )
                total += np.asarray(compiled(state, batch, data.resident), np.float64)
        loss, error, top5_error = (total / examples).tolist()
        return Scores(loss, 100 * error, 100 * top5_error)

    return score
