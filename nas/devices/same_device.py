"""One device for a whole search: the same script and the same board from the first cell on."""

from typing import Any

from nas.devices import cache as measurements
from nas.devices.base import Device, DeviceError, Measurement, Network, identity_of


class SameDevice:
    """Measures on a device, and refuses figures of another one under its name.

    Attributes:
        device: the device.
    """

    def __init__(self, device: Device, *, cache: measurements.Cache | None = None):
        """Remembers the device as it is now.

        Args:
            device: where to measure.
            cache: of measurements, or None.
        """
        self.device, self._cache = device, cache
        self._identity = identity_of(device)
        self._boards = set()  # the one board that has answered, None if it has no name

    def facts(self, board: str | None = None) -> dict[str, Any]:
        """What figures depend on, for a record: `name`, `identity`, and `id` of a board."""
        facts = {'name': self.device.name, 'identity': self._identity}
        return facts if board is None else {**facts, 'id': board}

    @property
    def board(self) -> str | None:
        """What the board calls itself; None if it does not say, or before the first figure."""
        return next(iter(self._boards), None)

    def expect(self, board: str | None) -> None:
        """Takes in which board an earlier run has measured on."""
        self._boards = self._boards or {board}

    def measure(self, network: Network, *, look_up: bool = True) -> Measurement:
        """Measures a network or looks it up, see `nas.devices.cache.measure`.

        Args:
            network: see `Device.measure`.
            look_up: whether the cache may answer in place of the device.

        Raises:
            CannotRun, DeviceError, ValueError: as there; a DeviceError also if the device is
                another one.
        """
        lock = self._cache and self._cache.timing_lock
        cache = self._cache if look_up else None
        found = measurements.measure(self.device, network, cache=cache, timing_lock=lock)
        if identity_of(self.device) != self._identity:
            raise DeviceError(
                f'{self.device.name}: a file that the command names has changed since the search'
                ' began, so that figures cannot be compared; restore it, or start another search'
                ' with --warm_start, which measures again'
            )
        if self._boards and found.device_id not in self._boards:
            if self._cache is not None:
                self._cache.forget(self._identity)
            (board,) = self._boards
            raise DeviceError(
                f'{self.device.name}: {_board(found.device_id)} answers, but the search measures on'
                f' {_board(board)}; connect that one, or start another search with --warm_start,'
                ' which measures again'
            )
        self._boards = {found.device_id}
        return found


def _board(name: str | None) -> str:
    return 'a board without an id' if name is None else f'board {name!r}'
