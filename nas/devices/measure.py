"""Measures one network on several devices, or on one that may be away."""

import contextlib
from typing import Any

from nas.devices import cache, specs
from nas.devices.base import CannotRun, Device, DeviceError, Measurement, Network, is_model
from nas.devices.config import MeasureConfig
from nas.devices.profile import ONLY_PLANS
from nas.devices.same_device import SameDevice


def open_cache(config: MeasureConfig) -> cache.Cache | None:
    """Opens the cache of measurements, or returns None if there is none.

    Raises:
        ValueError: its directory could not be made or written.
    """
    if not config.measurement_cache:
        return None
    return cache.Cache(config.measurement_cache, remeasure=config.remeasure)


def measure_on(network: Network, config: MeasureConfig) -> dict[str, dict[str, Any]]:
    """Measures a network on devices, one after the other.

    Args:
        network: see `Device.measure`.
        config: the devices, see `nas.devices.specs.open_device`; each text may name several,
            separated by commas.

    Returns:
        By device text: the fields of a `Measurement`, or {'error': reason} if the device failed.

    Raises:
        ValueError: a device is unknown or absent, or the cache cannot be used; raised before
            anything is measured.
    """
    names = [spec for text in config.device for spec in specs.split_specs(text)]
    devices = {spec: specs.open_device(spec) for spec in names}
    store, results = open_cache(config), {}
    for spec, device in devices.items():
        try:
            found = cache.measure(
                device, network, cache=store, timing_lock=store and store.timing_lock
            )
            results[spec] = found.as_dict()
        except (CannotRun, DeviceError) as error:
            results[spec] = {'error': str(error)}
    return results


def check_takes(device: Device, network: Network) -> None:
    """Raises ValueError if a device measures no networks of this kind, see `Device`."""
    if getattr(device, 'only_plans', False) and is_model(network):
        raise ValueError(f'device {device.name} {ONLY_PLANS}')


def measure_fairly(device: SameDevice, network: Network, reference: Network) -> Measurement:
    """Measures a network, and tells a network that fails from a device that is away.

    The network fails if the device gives no figures of it twice, while it measures another one
    before and after the second time.

    Args:
        device: where to measure.
        network: see `Device.measure`.
        reference: a small network that devices can run.

    Raises:
        CannotRun: the device is there, but does not measure this network.
        DeviceError: the device is away, or is another one.
        OSError, ValueError: as `Device.measure` and the cache do.
    """
    for _ in range(2):
        try:
            return device.measure(network)
        except CannotRun:
            raise
        except DeviceError as error:
            reason = error
        try:
            with contextlib.suppress(CannotRun):  # that is an answer, too
                device.measure(reference, look_up=False)
        except DeviceError:
            raise reason from None
    raise CannotRun(f'{reason} (twice, while another network was measured)') from reason
