"""Costs of depth networks, counted from their plans."""

from typing import NamedTuple

import numpy as np

from pano_depth.learning.cells.plan import Layer, Plan, needed


class Cost(NamedTuple):
    """Counts of a deployed depth network, for one panorama.

    Attributes:
        params: parameters; index tables are none.
        flops: multiply-adds of convolutions and their biases, one for each rectified element, k^2
            for each pooled one: the rule of CondenseNet's published counts. Normalisation,
            upsampling, sums and the way between panorama and faces add nothing.
        macs: multiply-adds of the weights of convolutions alone.
    """

    params: int
    flops: int
    macs: int


def count(plan: Plan) -> Cost:
    """Counts the deployed network: condensed learned groups, the finest head alone.

    Args:
        plan: from `cells.build.build`.
    """
    costs = [_count(layer) for layer in needed(plan)]
    return Cost(*(int(sum(column)) for column in zip(*costs)))


def _count(layer: Layer) -> tuple[int, int, int]:
    pixels = int(np.prod(layer.out_size))
    elements = pixels * layer.out_channels
    if layer.op in ('conv', 'lgconv', 'head'):
        shared = layer.condensation if layer.op == 'lgconv' else layer.groups
        weights = layer.kernel**2 * layer.in_channels * layer.out_channels // shared
        biases = layer.bias * layer.out_channels
        macs = weights * pixels
        return weights + biases, macs + biases * pixels, macs
    if layer.op == 'norm':
        return 2 * layer.out_channels, 0, 0
    rules = {'relu': elements, 'elu': elements, 'avgpool': layer.kernel**2 * elements}
    return 0, rules.get(layer.op, 0), 0
