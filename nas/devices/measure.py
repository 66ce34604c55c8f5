"""Measures one network on several devices."""

from typing import Any

from nas.cells.plan import Plan
from nas.devices import cache, specs
from nas.devices.base import DeviceError
from nas.devices.config import MeasureConfig


def open_cache(config: MeasureConfig) -> cache.Cache | None:
    """Opens the cache of measurements, or returns None if there is none."""
    return cache.Cache(config.measurement_cache) if config.measurement_cache else None


def measure_on(plan: Plan, config: MeasureConfig) -> dict[str, dict[str, Any]]:
    """Measures a network on devices, one after the other.

    Args:
        plan: the network.
        config: the devices, see `nas.devices.specs.open_device`; each text may name several,
            separated by commas.

    Returns:
        By device text: the fields of a `Measurement`, or {'error': reason} if the device failed.

    Raises:
        ValueError: a device is unknown or absent; raised before anything is measured.
    """
    names = [spec for text in config.device for spec in specs.split_specs(text)]
    devices = {spec: specs.open_device(spec) for spec in names}
    store, results = open_cache(config), {}
    for spec, device in devices.items():
        try:
            found = cache.measure(
                device, plan, cache=store, timing_lock=store and store.timing_lock
            )
            results[spec] = found.as_dict()
        except DeviceError as error:
            results[spec] = {'error': str(error)}
    return results
