"""The protocols of devices and of what they measure, and the measurement that they return."""

import dataclasses
import functools
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from common.patience import Unavailable
from nas.cells.fingerprint import plan_hash
from nas.cells.plan import Layer, Plan
from nas.networks.plan_model import PlanModel


class DeviceError(Unavailable):
    """A device gave no figures; the message is one sentence with the reason.

    The device may be away, so this says nothing about the network.
    """


class CannotRun(ValueError):
    """The device works, but cannot run this network; the message is one sentence."""


class Model(Protocol):
    """A network of any kind, with what devices need to measure it.

    Attributes:
        fingerprint: text that tells networks apart, but not their weights: two networks of one
            fingerprint have one latency, so that the cache of measurements takes the figures of
            one for the other.
    """

    fingerprint: str

    def inputs(self, batch: int) -> np.ndarray:
        """What one call of the ONNX file is fed with, [batch, ...] of any type."""
        ...

    def compiled(self, batch: int) -> tuple[Callable, tuple]:
        """One call of a whole batch, to be compiled.

        Args:
            batch: examples in the call.

        Returns:
            (function, arguments): `jax.jit(function)(*arguments)` is the call. Arguments are trees
            of NumPy or JAX arrays. The weights are among them: what a function closes over would
            be folded into the program, which changes both its time and its memory.
        """
        ...

    def export(self, path) -> None:
        """Writes the deployed network as an ONNX file of one input, whose first axis is free.

        Raises:
            ValueError: the network has no such file, or a package is missing.
        """
        ...

    def verify(self, path) -> None:
        """Compares the ONNX file with JAX. Raises ValueError if they differ."""
        ...


# A plan alone is enough, since latency does not depend on the weights. With weights, a network is
# (plan, variables).
Network = Plan | tuple[Plan, Any] | Model


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one network costs on one device.

    Attributes:
        latency_ms: median time of one call of the whole batch, in milliseconds, in the quietest of
            the timed rounds.
        p10_ms, p90_ms: 10th and 90th percentile of that round, None if a device does not report
            them.
        memory_mb: peak memory in megabytes (10^6 bytes); `note` says what it includes. None if
            unknown.
        baseline_mb: the part of `memory_mb` that was there before the network was loaded, None if
            unknown.
        batch_size: images in one call, None if unknown.
        device: the full name of the device, with what may change its figures.
        repeats: timed calls of that round, 0 if nothing was timed here or it is unknown.
        estimated: whether the figures come from a model instead of a clock.
        note: one or two sentences that a reader of the figures has to know.
        figures: further numbers that the device told, by name, such as `energy_mj`.
        device_id: which one of several devices of the same name it was, in the device's own words;
            None if it does not say.

    Raises:
        ValueError: on creation, for a latency that is not a positive number, a negative memory or
            number of repeats, or a note or an id that is no text.
    """

    latency_ms: float
    p10_ms: float | None = None
    p90_ms: float | None = None
    memory_mb: float | None = None
    baseline_mb: float | None = None
    batch_size: int | None = 1
    device: str = ''
    repeats: int = 0
    estimated: bool = False
    note: str = ''
    device_id: str | None = None
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for field, required in (
            ('latency_ms', True),
            ('p10_ms', False),
            ('p90_ms', False),
            ('memory_mb', False),
            ('baseline_mb', False),
        ):
            value = getattr(self, field)
            if value is None and not required:
                continue
            if not is_number(value) or value < 0 or (field.endswith('_ms') and value == 0):
                least = 'positive' if field.endswith('_ms') else 'non-negative'
                raise ValueError(f'{field} is {shown(value)}; a {least} finite number is accepted')
        if not is_number(self.repeats) or self.repeats != int(self.repeats) or self.repeats < 0:
            raise ValueError(
                f'repeats is {shown(self.repeats)}; a whole number of at least 0 is accepted'
            )
        if not isinstance(self.note, str):
            raise ValueError(f'note is {shown(self.note)}; a text is accepted')
        if not isinstance(self.figures, Mapping) or not all(map(is_number, self.figures.values())):
            raise ValueError(f'figures are {shown(self.figures)}; finite numbers are accepted')
        named = isinstance(self.device_id, str) and 0 < len(self.device_id.strip()) <= 200
        if self.device_id is not None and not named:
            raise ValueError(
                f'device_id is {shown(self.device_id)}; a text of 1 to 200 characters is accepted'
            )

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> 'Measurement':
        """The inverse of `as_dict`; raises ValueError for other fields than a measurement's."""
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or 'latency_ms' not in values or set(values) - names:
            raise ValueError(
                f'{values!r} is not a measurement; accepted fields: {", ".join(sorted(names))}'
            )
        return cls(**values)


class Device(Protocol):
    """Something that networks are measured on.

    Attributes:
        name: identifies the device in caches and tables: hardware, threads, batch size, versions.
        exclusive: whether nothing else may run on this machine while it measures.

    A device may also have `identity`, a text with everything that a figure depends on: the name and
    what a name is too short for, such as the content of a script. See `identity_of`. One whose
    `tells_more` is true may tell further `figures`, which can be objectives; one whose `only_plans`
    is true takes no `Model`.
    """

    name: str
    exclusive: bool

    def measure(self, network: Network) -> Measurement:
        """Measures one network.

        Args:
            network: a plan, measured with random weights, or (plan, variables) of the deployed
                network, or a `Model`.

        Raises:
            CannotRun: if the device works, but cannot run this network; the message is the reason.
            DeviceError: if there are no figures for another or an unknown reason.
            ValueError: if the network cannot be built at all.
        """
        ...


def identity_of(device: Device) -> str:
    """What figures of a device depend on, as text: its `identity` now, or its name."""
    return getattr(device, 'identity', device.name)


def is_number(value: object) -> bool:
    """Whether a value is a finite number that a float can hold."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def shown(value: object) -> str:
    """A value as it stands in a message: in one line, not long, and printable everywhere."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # deep lists, and numbers of thousands of digits
        return f'a {type(value).__name__} too deep or too long to show'
    return text if len(text) <= 200 else f'{text[:200]}...'


def split_network(network: Network) -> tuple[Plan, Any | None]:
    """Returns (plan, variables), with variables None for a bare plan; else raises ValueError."""
    if isinstance(network, tuple) and network:
        if all(isinstance(layer, Layer) for layer in network):
            return network, None
        if len(network) == 2 and isinstance(network[0], tuple) and isinstance(network[1], dict):
            return network
    raise ValueError(
        f'network is a {type(network).__name__} that is neither a plan (a tuple of layer '
        'records) nor (plan, variables)'
    )


def is_model(network: Network) -> bool:
    """Whether a network is a `Model`, no plan."""
    methods = (getattr(network, name, None) for name in ('inputs', 'compiled', 'export', 'verify'))
    return isinstance(getattr(network, 'fingerprint', None), str) and all(map(callable, methods))


def as_model(network: Network) -> Model:
    """The network as a `Model`, that of a bare plan with random weights.

    Raises:
        ValueError: it is no network, or cannot be built.
    """
    if is_model(network):
        return network
    plan, variables = split_network(network)
    return PlanModel.random(plan) if variables is None else PlanModel(plan, variables)


def fingerprint_of(network: Network) -> str:
    """The key of a network in the cache of measurements, 64 hexadecimal digits.

    Raises:
        ValueError: it is no network.
    """
    if is_model(network):
        # Of any length and with any letters, while the key is the name of a file.
        return hashlib.sha256(f'model {network.fingerprint}'.encode(errors='replace')).hexdigest()
    return plan_hash(split_network(network)[0])


def check_at_least(least: int, **options: int) -> None:
    """Raises ValueError for the first option that is not a whole number of at least `least`."""
    for name, value in options.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f'{name} is {value!r}; a whole number of at least {least} is accepted')


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


@functools.cache
def processor() -> str:
    """Model of this machine's processor, or its architecture if the system does not name it."""
    try:
        with open('/proc/cpuinfo') as lines:
            models = [
                line.partition(':')[2].strip() for line in lines if line.startswith('model name')
            ]
    except OSError:
        models = []
    return models[0] if models else platform.processor() or platform.machine()
