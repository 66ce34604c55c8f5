"""The scores of a network on a split: loss, top-1 and top-5 error."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from common import parallel
from nas import network
from nas.batches import Data, normalise
from nas.plan import Plan
from nas.recipe import State, to_variables


class Scores(NamedTuple):
    """Means over a split: loss in nats, percent of wrong answers, and of labels not among the best five."""

    loss: float
    error: float
    top5_error: float


@functools.lru_cache(maxsize=4)
def make_scorer(plan: Plan, *, batch_size: int = 256,
                dtype: str = 'float32') -> Callable[[State, Data], Scores]:
    """Compiles the evaluation of a masked network for all devices.

    Args:
        plan: the network.
        batch_size: images in a global batch, rounded up to a multiple of the devices; the last batch is
            padded and the padding weighs nothing.
        dtype: type of computation.

    Returns:
        score(state, data) -> `Scores` of all images of `data`.
    """
    devices = jax.device_count()
    batch_size = -(-batch_size // devices) * devices
    local = parallel.local_examples(batch_size)
    net = network.Network(plan, dtype=jnp.dtype(dtype))

    def sums(state, batch, data):
        labels, weights = data.labels[batch['indices']], batch['weights']
        logits = net.apply(to_variables(state), normalise(data.images[batch['indices']], data))
        truth = jnp.take_along_axis(logits, labels[:, None], axis=-1)
        # A label that ties with another class is behind it: a network of constant logits knows nothing.
        rank = (logits >= truth).sum(axis=-1) - 1
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        values = jnp.stack([losses, rank > 0, rank > 4])
        return jax.lax.psum((values * weights).sum(axis=-1), parallel.AXIS)

    compiled = parallel.data_parallel(sums)

    def score(state, data):
        examples, total, state = len(data.labels), 0, parallel.replicate(state)
        for first in range(0, examples, batch_size):
            indices = first + np.arange(batch_size)[local.start:local.stop]
            batch = {'indices': np.minimum(indices, examples - 1), 'weights': np.float32(indices < examples)}
            total += np.asarray(compiled(state, parallel.local_shard(batch), data), np.float64)
        loss, error, top5_error = (total / examples).tolist()
        return Scores(loss, 100 * error, 100 * top5_error)

    return score
