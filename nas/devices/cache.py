"""Measurements on disk, by device and network, so that nothing is timed twice."""

import contextlib
import hashlib
import json
import logging
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from common.run import atomic_path, check_folder
from common.run.record import versions
from nas.devices import lock
from nas.devices.base import Device, Measurement, Network, fingerprint_of, identity_of

# The way devices measure is a part of the key, so that a new way measures everything again.
METHOD = 'quietest round, 2'
_MOST = 1 << 20  # bytes of a file; one of a measurement has about a thousand
_logger = logging.getLogger(__name__)


class Cache:
    """A folder of measurements: one subfolder for each device, one JSON file for each network.

    A file says what was measured on what, and holds a checksum; a file that does not fit the
    question, or is damaged, is as good as none. Files are written under a temporary name and
    renamed, so several processes may share a folder.
    """

    def __init__(self, folder, *, remeasure: bool = False):
        """Names the folder.

        Args:
            folder: created with the first measurement; `~` is expanded.
            remeasure: whether what the folder held before is measured again.

        Raises:
            ValueError: the folder could not be made or written.
        """
        self.folder = pathlib.Path(folder).expanduser()
        check_folder('measurement_cache', str(self.folder))
        self._remeasure = remeasure
        self._own = set()  # what this process has stored
        self._boards = {}  # what devices of this process call themselves, by identity

    @property
    def timing_lock(self) -> pathlib.Path:
        """The lock file for `nas.devices.lock`, shared by all users of the folder."""
        return self.folder / 'timing.lock'

    def path(self, identity: str, key: str) -> pathlib.Path:
        """The file of one measurement: `identity` of `identity_of`, `key` of `fingerprint_of`."""
        # Names hold spaces and slashes. Without these two names may look alike; the digest differs.
        readable = re.sub(r'[^A-Za-z0-9._=-]+', '_', identity)[:60].strip('_')
        digest = hashlib.sha256(f'{METHOD}, {identity}'.encode(errors='replace')).hexdigest()[:16]
        return self.folder / f'{readable}-{digest}' / f'{key}.json'

    def get(self, identity: str, key: str) -> Measurement | None:
        """The stored measurement.

        None if there is none, its file is damaged or says that something else was measured, or it
        may be of another board: of a device that names its boards, one measurement of this process
        has to tell which of them is there.
        """
        if self._remeasure and (identity, key) not in self._own:
            return None
        path = self.path(identity, key)
        try:
            with open(path, 'rb') as file:
                record = json.loads(file.read(_MOST))
            entry, checksum = record['entry'], record['checksum']
            if checksum != _checksum(entry) or entry['measured'] != _measured(identity, key):
                raise ValueError('it does not belong to this network and device')
            found = Measurement.from_dict(entry['measurement'])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            _logger.warning('%s cannot be used and is measured again: %s', path, _reason(error))
            return None
        return found if found.device_id == self._boards.get(identity) else None

    def put(self, identity: str, key: str, measurement: Measurement) -> None:
        """Stores a measurement in place of an earlier one; warns if it cannot be written."""
        self._boards[identity] = measurement.device_id
        entry = {
            'measurement': measurement.as_dict(),
            'measured': _measured(identity, key),
            'versions': versions(),
        }
        record = {'entry': entry, 'checksum': _checksum(entry)}
        path = self.path(identity, key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(record, allow_nan=False) + '\n')
        except OSError as error:
            _logger.warning('the measurement is not kept in %s: %s', path, _reason(error))
            return
        self._own.add((identity, key))

    def forget(self, identity: str) -> None:
        """Lets the next measurement tell which board is there."""
        self._boards.pop(identity, None)

    @contextlib.contextmanager
    def turn(self, identity: str, key: str) -> Iterator[None]:
        """Waits until no other process measures the same; without that if there is no lock."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock.alone(self.path(identity, key).with_name('.lock')))
            except OSError as error:
                _logger.warning('%s cannot be locked: %s', self.folder, _reason(error))
            yield


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
        CannotRun, DeviceError, ValueError: as `Device.measure` does.
    """
    alone = timing_lock is not None and device.exclusive

    def ask() -> Measurement:
        with lock.timing(timing_lock) if alone else contextlib.nullcontext():
            return device.measure(network)

    if cache is None or not device.exclusive:
        return ask()
    identity, key = identity_of(device), fingerprint_of(network)
    found = cache.get(identity, key)
    if found is not None:
        return found
    with cache.turn(identity, key):
        found = cache.get(identity, key)
        if found is None:
            found = ask()
            # If a script has changed meanwhile, nobody knows whose figures these are.
            if identity_of(device) == identity:
                cache.put(identity, key, found)
        return found


def _measured(identity: str, key: str) -> dict[str, str]:
    """What a file has to say of itself."""
    return {'device': identity, 'plan': key, 'method': METHOD}


def _checksum(entry: Mapping[str, Any]) -> str:
    text = json.dumps(entry, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode(errors='replace')).hexdigest()


def _reason(error: Exception) -> str:
    text = getattr(error, 'strerror', None) or f'{error or type(error).__name__}'
    return ' '.join(text.split())[:200]
