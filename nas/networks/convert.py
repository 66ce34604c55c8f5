"""Conversion of a trained masked network into the smaller one that is deployed.

Source: CondenseNet (Huang et al., CVPR 2018), Figure 3 (right): after condensation, a learned group
convolution is an index layer, a standard grouped convolution and a shuffle.
"""

import numpy as np

from common.layers import condensation
from nas.cells.plan import Layer, Plan
from nas.networks import condense


def convert(plan: Plan, variables: dict) -> dict:
    """Makes the variables of `Network(plan, deployed=True)`, which gives the same logits.

    Args:
        plan: the layer records.
        variables: of the masked network after its last pruning event; they are not changed.

    Returns:
        The variables without masks. A learned group convolution has a kernel [1, 1, in /
        condensation, out], whose output channel g * n + j (n = out / groups) is channel j * groups
        + g of the masked one, and an int32 index [groups * in / condensation] of input channels,
        group by group, each ascending. A condensed classifier has a kernel [in / condensation,
        classes] and an index [in / condensation].

    Raises:
        ValueError: if the variables are not those of the masked network, or not fully condensed.
    """
    if not condense.fully_condensed(plan, variables):
        raise ValueError(
            'the masks are not fully condensed, so a conversion would change the results; train'
            ' past progress 0.5, or prune first: nas.networks.condense.condense(plan, variables,'
            ' 1.0)'
        )
    params, constants = dict(variables['params']), dict(variables.get('constants', {}))
    for layer in plan:
        masks = variables.get('condensation', {}).get(layer.name)
        if masks is not None and layer.op in ('lgconv', 'linear'):
            kernel, index = _convert_layer(
                layer, np.asarray(params[layer.name]['kernel']), np.asarray(masks['mask'])
            )
            params[layer.name] = {**params[layer.name], 'kernel': kernel}
            constants[layer.name] = {'index': index}
    converted = {name: tree for name, tree in variables.items() if name != 'condensation'}
    return {**converted, 'params': params} | ({'constants': constants} if constants else {})


def _convert_layer(
    layer: Layer, kernel: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (kernel, index) of one layer."""
    groups = layer.groups if layer.op == 'lgconv' else 1
    condensed, index = condensation.condense(kernel.reshape(mask.shape), mask, groups)
    return condensed.reshape(kernel.shape[:-2] + condensed.shape[2:]), index
