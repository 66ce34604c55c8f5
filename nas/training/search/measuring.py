"""What the options of a search ask of devices and of early stopping."""

from collections.abc import Collection

from nas.devices import specs
from nas.devices.base import Device
from nas.search.rungs import Rungs
from nas.training.config import SearchOptions


def device_of(
    config: SearchOptions, wanted: Collection[str], told: Collection[str]
) -> Device | None:
    """Opens the one device that candidates are measured on.

    Args:
        config: the search.
        wanted: names of what it needs of a candidate, see `wanted_of`.
        told: names of what training, counts and functions tell; a device measures the others.

    Returns:
        The device; None if nothing is measured.

    Raises:
        ValueError: several devices are named, or one that is unknown or absent.
    """
    if not set(wanted) - set(told):
        return None
    named = config.measuring.device
    if len(named) > 1 or any(len(specs.split_specs(text)) > 1 for text in named):
        raise ValueError(f'--device names {", ".join(named)}; a search measures on one')
    return specs.open_device(named[0] if named else 'xla')


def rungs_of(config: SearchOptions) -> Rungs | None:
    """Early stopping, or None without it."""
    return Rungs(margin=config.rung_margin) if config.early_stopping else None
