"""Exact costs of a plan, counted by the rule of the published figures.

CondenseNet's public code counts by this rule, and so do DPP-Net's tables. It counts the deployed
network, in which a learned-group convolution keeps only 1/condensation of its weights.
"""

from typing import NamedTuple

from nas.cells.plan import CUSTOM_OPS, Layer, Plan


class Cost(NamedTuple):
    """Counts of one layer or one network for one image.

    Attributes:
        params: trainable parameters of the deployed network.
        flops: the published measure: multiply-adds of convolutions and classifiers, plus one per
            rectified element, k^2 per pooled output, and one per bias of a classifier.
            Normalisation and additions add nothing.
        macs: multiply-adds of convolution and classifier weights alone.
    """

    params: int
    flops: int
    macs: int


def _conv(layer: Layer) -> Cost:
    weights = layer.kernel**2 * layer.in_channels * layer.out_channels
    # A learned-group convolution keeps 1/condensation of a dense kernel, whatever its number of
    # groups.
    weights //= layer.condensation if layer.op == 'lgconv' else layer.groups
    macs = weights * layer.out_size**2
    return Cost(weights + layer.bias * layer.out_channels, macs, macs)


def _linear(layer: Layer) -> Cost:
    weights = layer.in_channels // layer.condensation * layer.out_channels
    bias = layer.bias * layer.out_channels
    return Cost(weights + bias, weights + bias, weights)


def _bn(layer: Layer) -> Cost:
    return Cost(2 * layer.out_channels, 0, 0)


def _rectifier(layer: Layer) -> Cost:
    return Cost(0, layer.out_channels * layer.out_size**2, 0)


def _pool(layer: Layer) -> Cost:
    return Cost(0, layer.kernel**2 * layer.out_channels * layer.out_size**2, 0)


def _free(layer: Layer) -> Cost:
    del layer
    return Cost(0, 0, 0)


_RULES = {
    'conv': _conv,
    'lgconv': _conv,
    'linear': _linear,
    'bn': _bn,
    'relu': _rectifier,
    'relu6': _rectifier,
    'avgpool': _pool,
    'maxpool': _pool,
    'globalpool': _pool,
    'input': _free,
    'concat': _free,
    'add': _free,
    'shuffle': _free,
}


def _registered(layer: Layer) -> Cost:
    """The cost of a record by the count that is registered with its op."""
    about = f'op {layer.op!r} from {layer.in_channels} to {layer.out_channels} channels'
    try:
        found = tuple(CUSTOM_OPS[layer.op].count(layer))
        cost = Cost(*map(int, found))
        if cost != found:
            raise ValueError(found)
    except Exception as error:
        text = ' '.join(f'{type(error).__name__}: {error}'.split())[:300]
        raise ValueError(
            f'{about}: its count has to give (params, flops, macs), three whole numbers: {text}'
        ) from error
    if min(cost) < 0:
        raise ValueError(f'{about}: its count gives {tuple(cost)}, of which none may be negative')
    return cost


def count_layer(layer: Layer) -> Cost:
    """Returns the cost of one record, by the op's rule or by the count registered with it.

    Raises:
        ValueError: if the op is neither built in nor registered, or the registered count fails or
            does not give three whole numbers of at least 0.
    """
    if layer.op in _RULES:
        return _RULES[layer.op](layer)
    if layer.op in CUSTOM_OPS:
        return _registered(layer)
    raise ValueError(
        f'layer {layer.name!r}: no count is known for op {layer.op!r}; '
        'register one with nas.cells.plan.register_op'
    )


def count(plan: Plan) -> Cost:
    """Returns the cost of the deployed (converted) network, for one image.

    Source: `measure_model` of the CondenseNet code (Huang et al., CVPR 2018). The counts are
    exactly the published ones: CondenseNet-86 has 520,202 parameters and 65,816,394 FLOPs.

    Args:
        plan: the layer records of `nas.cells.plan.build` or of a network in `nas.cells.zoo`.
    """
    costs = [count_layer(layer) for layer in plan]
    return Cost(*(sum(column) for column in zip(*costs)))
