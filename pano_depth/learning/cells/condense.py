"""Condensation of the learned groups of a depth network: pruned in training, then deployed.

Masks are leaves of the parameters, 1 where a weight counts, so that checkpoints and weights hold
them; no gradient changes them. Source: CondenseNet (Huang et al., CVPR 2018), section 3.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from common.layers import condensation
from pano_depth.learning.cells.network import INDEX, MASK
from pano_depth.learning.cells.plan import Layer, Plan, needed


def learned_groups(plan: Plan) -> Iterator[Layer]:
    """The learned-group convolutions of a network."""
    return (layer for layer in plan if layer.op == 'lgconv')


def events(plan: Plan) -> tuple[float, ...]:
    """The progress in [0, 1] of every pruning event, ascending; () without learned groups."""
    found = {e for layer in learned_groups(plan) for e in condensation.events(layer.condensation)}
    return tuple(sorted(found))


def steps_of_events(plan: Plan, steps: int) -> frozenset[int]:
    """Numbers of finished steps, of so many, after which `prune` has something to do."""
    # A rounding error must not put an event off to the step after it.
    return frozenset(max(1, math.ceil(event * steps - 1e-6)) for event in events(plan))


def prune(
    plan: Plan, params: Mapping[str, Any], progress: float, *, by: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Prunes masks as far as the progress of the training demands.

    A call does all events that are due and not done yet, so that a late one makes up for others.

    Args:
        plan: of the depth network.
        params: of the depth network, with masks; they are not changed.
        progress: finished part of the training, 0 to 1; from 0.5 on every layer is condensed.
        by: parameters whose masks are taken instead, after pruning of the same event.

    Returns:
        The parameters with new masks.
    """
    new = dict(params)
    for layer in learned_groups(plan):
        if by is not None:
            mask = by[layer.name][MASK]
        else:
            kernel, mask = (np.asarray(params[layer.name][leaf]) for leaf in ('kernel', MASK))
            mask = (mask > 0.5).astype(mask.dtype)
            keep = condensation.kept(layer.in_channels, layer.condensation, progress)
            magnitudes = np.abs(kernel.reshape(mask.shape).astype(np.float64))
            pruned = condensation.prune(magnitudes, mask, layer.groups, keep)
            mask = mask if pruned is None else pruned
        new[layer.name] = {**params[layer.name], MASK: mask}
    return new


def lasso(plan: Plan, params: Mapping[str, Any]) -> Float[jax.Array, '']:
    """The group lasso of all learned groups: a scalar without weight, 0 once they are condensed."""
    total = jnp.zeros(())
    for layer in learned_groups(plan):
        mask = jax.lax.stop_gradient(params[layer.name][MASK] > 0.5).astype(jnp.float32)
        weights = params[layer.name]['kernel'].reshape(mask.shape)
        total += condensation.lasso(weights, mask, layer.groups, layer.condensation)
    return total


def deploy(plan: Plan, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the deployed depth network, which gives the same depth at the finest scale.

    Learned groups get a kernel [1, 1, in / condensation, out] and an index, see
    `common.layers.condensation.condensed_conv`; heads of coarser scales are left out. Learned
    groups that are not fully condensed are, first, pruned: a network that has not been trained far
    enough gives another depth after that.

    Args:
        plan: of the depth network.
        params: of the depth network, as it is trained.
    """
    plan = needed(plan)
    params = prune(plan, params, 1.0)
    roots = {layer.name.split('/')[0] for layer in plan}
    deployed = {name: tree for name, tree in params.items() if name in roots}
    for layer in learned_groups(plan):
        kernel, mask = (np.asarray(params[layer.name][leaf]) for leaf in ('kernel', MASK))
        kernel, index = condensation.condense(kernel.reshape(mask.shape), mask, layer.groups)
        deployed[layer.name] = {'kernel': kernel, INDEX: index}
    return deployed
