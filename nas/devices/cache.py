"""Measurements on disk, by device and network, so that nothing is timed twice."""

import contextlib
import hashlib
import json
import pathlib
import re

from common.run import atomic_path
from nas.cells.fingerprint import plan_hash
from nas.devices import lock
from nas.devices.base import Device, Measurement, Network, split_network

# The way devices measure is a part of the key, so that a new way measures everything again.
_METHOD = 'quietest round, '


class Cache:
    """A folder of measurements: one subfolder for each device, one JSON file for each plan.

    Files are written under a temporary name and renamed, so several processes may share a folder.
    """

    def __init__(self, folder):
        """Names the folder.

        Args:
            folder: created with the first measurement; `~` is expanded.
        """
        self.folder = pathlib.Path(folder).expanduser()

    @property
    def timing_lock(self) -> pathlib.Path:
        """The lock file for `nas.devices.lock`, shared by all users of the folder."""
        return self.folder / 'timing.lock'

    def path(self, device_name: str, key: str) -> pathlib.Path:
        """The file of one measurement; `key` is a `plan_hash`."""
        # Names hold spaces and slashes. Without these two names may look alike; the digest differs.
        readable = re.sub(r'[^A-Za-z0-9._=-]+', '_', device_name)[:60].strip('_')
        digest = hashlib.sha256(f'{_METHOD}{device_name}'.encode()).hexdigest()[:12]
        return self.folder / f'{readable}-{digest}' / f'{key}.json'

    def get(self, device_name: str, key: str) -> Measurement | None:
        """The stored measurement, None if there is none or its file cannot be read as one."""
        try:
            return Measurement.from_dict(json.loads(self.path(device_name, key).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def put(self, device_name: str, key: str, measurement: Measurement) -> None:
        """Stores a measurement in place of an earlier one."""
        path = self.path(device_name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(measurement.as_dict(), allow_nan=False) + '\n')


def measure(
    device: Device, network: Network, *, cache: Cache | None = None, timing_lock=None
) -> Measurement:
    """Measures a network on a device, or looks the measurement up.

    Processes that ask for the same device take turns, so that each of them finds what the others
    have measured. Estimates are neither stored nor looked up: they cost nothing. Failures are not
    stored: the next call tries again.

    Args:
        device: where to measure.
        network: see `Device.measure`.
        cache: where to look first and to store; None measures anew and stores nothing.
        timing_lock: path of the lock of `nas.devices.lock`, which an exclusive device holds alone
            while it measures; None if nothing else runs here anyway.

    Raises:
        DeviceError, ValueError: as `Device.measure` does.
    """
    alone = timing_lock is not None and device.exclusive

    def ask() -> Measurement:
        with lock.timing(timing_lock) if alone else contextlib.nullcontext():
            return device.measure(network)

    if cache is None or not device.exclusive:
        return ask()
    key = plan_hash(split_network(network)[0])
    found = cache.get(device.name, key)
    if found is not None:
        return found
    with lock.alone(cache.path(device.name, key).with_name('.lock')):
        found = cache.get(device.name, key)
        if found is None:
            found = ask()
            cache.put(device.name, key, found)
        return found
