"""Estimates for the devices of the DPP-Net paper, fitted to its published rows.

DPP-Net (Dong et al., ECCV 2018) timed six or seven networks on CIFAR-10 images on a workstation
(i5-7600 and Titan X), an embedded board (Jetson TX1) and a phone (Redmi Note 4, Cortex-A53), and
printed the phone's memory. A figure is modelled as a constant and at most two more terms, with
non-negative weights, chosen by leave-one-out error. So few rows support no more terms, and even
these fits are weak: the error is part of the device's name and of every result.
"""

import dataclasses
import functools
import itertools
import logging

import numpy as np
from scipy.optimize import nnls

from nas.cells import published, zoo
from nas.cells.cost import count
from nas.cells.plan import Plan
from nas.devices.base import CannotRun, Measurement, Network, is_model, split_network

DEVICES = ('workstation', 'embedded', 'phone')
_MEMORY = 3  # column of the phone's memory
# Seconds by device and the phone's megabytes, by network; None where nothing was printed.
_PUBLISHED = {
    row.network: tuple(
        float(text) if text else None
        for text in (row.workstation, row.embedded, row.phone, row.phone_memory)
    )
    for row in published.CIFAR10
}
_MAX_TERMS = 3
ONLY_PLANS = (
    'is fitted to the published classification networks and estimates such plans alone; accepted'
    ' are devices that time a network: xla, onnx, command'
)

# Possible terms besides the constant. Time depends on work, memory traffic and calls that libraries
# run slowly; memory depends on weights and activations.
_OF_LATENCY = ('gflops', 'mb', 'grouped', 'learned')
_OF_MEMORY = ('mparams', 'mb')
_logger = logging.getLogger(__name__)


def terms(plan: Plan) -> dict[str, float]:
    """The terms of a plan, for one image.

    Returns:
        'constant'; 'gflops', the published measure in 10^9; 'mparams', parameters in 10^6; 'mb',
        megabytes that layers read and write, in float32; 'grouped', hundreds of convolutions with
        groups; 'learned', hundreds of convolutions with learned groups, which gather their inputs
        first.
    """
    cost = count(plan)
    moved = sum(
        layer.in_channels * layer.in_size**2 + layer.out_channels * layer.out_size**2
        for layer in plan
    )
    grouped = sum(layer.groups > 1 for layer in plan if layer.op in ('conv', 'lgconv'))
    learned = sum(layer.op == 'lgconv' for layer in plan)
    return {
        'constant': 1.0,
        'gflops': cost.flops / 1e9,
        'mparams': cost.params / 1e6,
        'mb': 4e-6 * moved,
        'grouped': grouped / 100,
        'learned': learned / 100,
    }


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fitted figure: the sum of `weights[term] * terms(plan)[term]`.

    Attributes:
        weights: by term, non-negative.
        rows: number of published rows behind it.
        error: leave-one-out error: mean relative error of the rows, each predicted by a fit to the
            others, with terms chosen anew.
    """

    weights: dict[str, float]
    rows: int
    error: float

    def __call__(self, plan: Plan) -> float:
        """The estimated figure of a network."""
        values = terms(plan)
        return sum(weight * values[term] for term, weight in self.weights.items())


def _solve(columns: np.ndarray, figures: np.ndarray) -> np.ndarray:
    """Non-negative weights [terms] that minimise the squared RELATIVE error of `figures` [rows]."""
    return nnls(columns / figures[:, None], np.ones(len(figures)))[0]


def _left_out_errors(rows: np.ndarray, figures: np.ndarray, choose) -> np.ndarray:
    """Relative error [n] of every row, predicted from the others; `choose` finds the terms."""
    errors = []
    for row, figure in enumerate(figures):
        rest_rows, rest = np.delete(rows, row, axis=0), np.delete(figures, row)
        chosen = choose(rest_rows, rest)
        errors.append(abs(rows[row, chosen] @ _solve(rest_rows[:, chosen], rest) - figure) / figure)
    return np.array(errors)


def _choose(rows: np.ndarray, figures: np.ndarray) -> list[int]:
    """Columns with the least leave-one-out error: the constant, column 0, and up to two others."""
    others = range(1, rows.shape[1])
    choices = [[0, *more] for n in range(_MAX_TERMS) for more in itertools.combinations(others, n)]
    # Rounded, since a term of weight 0 changes only the last digit, and then the shortest choice,
    # which comes first, has to win.
    return min(
        choices,
        key=lambda chosen: _left_out_errors(rows, figures, lambda *_: chosen).mean().round(6),
    )


@functools.cache
def fit(column: int) -> Fit:
    """Fits a column of the published table: 0 to 2 are milliseconds, 3 is the phone's megabytes."""
    published = {name: row[column] for name, row in _PUBLISHED.items() if row[column] is not None}
    figures = np.array(list(published.values())) * (1 if column == _MEMORY else 1e3)
    names = ('constant', *(_OF_MEMORY if column == _MEMORY else _OF_LATENCY))
    table = [terms(zoo.NETWORKS[name].plan()) for name in published]
    rows = np.array([[row[name] for name in names] for row in table])
    chosen = _choose(rows, figures)
    weights = dict(zip((names[i] for i in chosen), _solve(rows[:, chosen], figures).tolist()))
    return Fit(weights, len(figures), float(_left_out_errors(rows, figures, _choose).mean()))


class ProfileDevice:
    """Estimates latency, and for the phone memory, from the plan alone.

    Attributes:
        name, exclusive: see `nas.devices.base.Device`.
        latency, memory: the fits behind it, with their leave-one-out errors; memory is None except
            for the phone.
    """

    exclusive = False  # it computes, it does not time
    only_plans = True

    def __init__(self, device: str):
        """Fits the published rows of a device.

        Args:
            device: 'workstation', 'embedded' or 'phone'.

        Raises:
            ValueError: if there are no published rows of the device.
        """
        if device not in DEVICES:
            raise ValueError(
                f'no rows of device {device!r} are published; accepted: {", ".join(DEVICES)}'
            )
        self.latency = fit(DEVICES.index(device))
        self.memory = fit(_MEMORY) if device == 'phone' else None
        self.name = f'profile:{device} (estimate, error {_error(self.latency)})'
        errors = f'latency {_error(self.latency)}'
        errors += f', of memory {_error(self.memory)}' if self.memory else ''
        self._note = (
            f'estimate from {self.latency.rows} published rows of DPP-Net, leave-one-out error of '
            f'{errors}; the batch size behind the rows is not published'
        )
        _logger.warning('%s: %s', self.name, self._note)

    def measure(self, network: Network) -> Measurement:
        """The estimate, with its error in the note. See `Device.measure`."""
        if is_model(network):
            raise CannotRun(f'{self.name} {ONLY_PLANS}')
        plan, _ = split_network(network)
        return Measurement(
            self.latency(plan),
            memory_mb=self.memory(plan) if self.memory else None,
            batch_size=None,
            device=self.name,
            estimated=True,
            note=self._note,
        )


def _error(fitted: Fit) -> str:
    return f'{100 * fitted.error:.0f} %'
