"""Condensation of learned group convolutions: pruning by schedule, and the group lasso.

Source: CondenseNet (Huang et al., CVPR 2018), sections 3.1 and 3.2. A learned group convolution
with condensation factor C starts dense. In the first half of the training, C - 1 pruning events
each remove 1/C of the inputs from every group for good: those with the smallest weights. Group
lasso makes the outputs of a group agree on the inputs that they do not need. The masks are data,
not code: pruning changes their values between two steps, and nothing is compiled again.
"""

import jax
import jax.numpy as jnp
import numpy as np

from common.layers import condensation
from nas.cells.plan import Layer, Plan


def events(plan: Plan) -> tuple[float, ...]:
    """Returns the progress in [0, 1] of every pruning event, ascending; empty if nothing condenses.

    Between two events `condense` changes nothing, so a training loop needs to call it only after
    each event.
    """
    return tuple(sorted({progress for layer in plan for progress in _events(layer)}))


def _events(layer: Layer) -> list[float]:
    if layer.op == 'lgconv':
        return condensation.events(layer.condensation)
    # A condensed classifier is masked once, with the last event of the convolutions.
    return [0.5] if layer.op == 'linear' and layer.condensation > 1 else []


def _masked_layers(plan: Plan) -> list[Layer]:
    return [
        layer
        for layer in plan
        if layer.op == 'lgconv' or layer.op == 'linear' and layer.condensation > 1
    ]


def _keep(layer: Layer, progress: float) -> int:
    """Inputs that each group keeps at some progress."""
    if layer.op == 'linear':
        due = progress + 1e-9 >= _events(layer)[0]
        return layer.in_channels // layer.condensation if due else layer.in_channels
    return condensation.kept(layer.in_channels, layer.condensation, progress)


def _weights_and_mask(layer: Layer, variables: dict) -> tuple[jax.Array, jax.Array]:
    """The kernel as [in, out] and its mask."""
    try:
        mask = variables['condensation'][layer.name]['mask']
        return variables['params'][layer.name]['kernel'].reshape(mask.shape), mask
    except (KeyError, TypeError) as error:
        raise ValueError(
            f'layer {layer.name!r}: the variables hold no such kernel and mask, so they are not '
            'those of the masked network of this plan'
        ) from error


def condense(plan: Plan, variables: dict, progress: float) -> dict:
    """Prunes the masks as far as the training progress demands. Call it between two steps.

    Output channel o of a learned group convolution belongs to group o mod groups. A call applies
    all events that are due and not yet done, so a second call changes nothing, and a late call
    makes up for skipped events.

    Args:
        plan: the layer records.
        variables: of the masked network; they are not changed.
        progress: finished part of the training in [0, 1]. From 0.5 on every layer is fully
            condensed.

    Returns:
        The variables with new masks, of the same shapes, types and placement.

    Raises:
        ValueError: if `progress` is out of range, or the variables are not those of the masked
            network.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f'progress is {progress}, but must be between 0 and 1')
    masks = dict(variables.get('condensation', {}))
    for layer in _masked_layers(plan):
        weights, mask = _weights_and_mask(layer, variables)
        pruned = condensation.prune(
            np.abs(np.asarray(weights, np.float64)),
            np.asarray(mask),
            _groups(layer),
            _keep(layer, progress),
        )
        if pruned is not None:
            # The mask stays on the same devices; otherwise the next step would be compiled again.
            masks[layer.name] = {
                'mask': (
                    jax.device_put(pruned, mask.sharding) if isinstance(mask, jax.Array) else pruned
                )
            }
    return {**variables, 'condensation': masks} if masks else variables


def _groups(layer: Layer) -> int:
    """All classes of a condensed classifier share their inputs."""
    return layer.groups if layer.op == 'lgconv' else 1


def fully_condensed(plan: Plan, variables: dict) -> bool:
    """Whether every event has been applied, so that `nas.networks.convert.convert` loses nothing.

    Raises:
        ValueError: if the variables are not those of the masked network.
    """
    for layer in _masked_layers(plan):
        mask = np.asarray(_weights_and_mask(layer, variables)[1])
        keep = layer.in_channels // layer.condensation
        if not condensation.is_condensed(mask, _groups(layer), keep):
            return False
    return True


def group_lasso(plan: Plan, variables: dict) -> jax.Array:
    """Returns the group lasso of the learned group convolutions: an unweighted scalar.

    It is the sum over layers, groups g and inputs i of the l2 norm of the live weights from i to
    the outputs of g (Huang et al., section 3.1; weighted with 1e-5 there). A fully condensed layer
    adds nothing. The result is differentiable with respect to the kernels, also where they are
    zero.

    Args:
        plan: the layer records.
        variables: at least 'params' and 'condensation' of the masked network.

    Raises:
        ValueError: if the variables are not those of the masked network.
    """
    total = jnp.zeros(())
    for layer in plan:
        if layer.op == 'lgconv':
            weights, mask = _weights_and_mask(layer, variables)
            total += condensation.lasso(weights, mask, layer.groups, layer.condensation)
    return total
