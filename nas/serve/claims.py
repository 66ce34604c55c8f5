"""Claims of cells: which process evaluates which cell, until it tells the result or dies.

A claim is the lock of a file that is named after the cell. The system releases the locks of a
process when it ends, also by kill -9, so that no claim outlives the process that would keep it.
All calls have to hold one lock that all processes share, since they make and remove these files.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib


class Claims:
    """The claims that one process holds on the cells of a search."""

    def __init__(self, folder):
        """Names the folder of the lock files, which is created with the first claim."""
        self._folder = pathlib.Path(folder)
        self._held: dict[str, int] = {}  # descriptors by key

    def __contains__(self, key: str) -> bool:
        """Whether this process holds the claim of a cell."""
        return key in self._held

    def __len__(self) -> int:
        """Number of claims that this process holds."""
        return len(self._held)

    def take(self, key: str) -> bool:
        """Claims a cell by its key; returns whether nobody else has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # A descriptor that a started program does not inherit: the claim ends with this process.
        descriptor = os.open(self._path(key), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._held[key] = descriptor
        return True

    def drop(self, key: str) -> None:
        """Gives a claim back, if this process holds it."""
        descriptor = self._held.pop(key, None)
        if descriptor is not None:
            self._path(key).unlink(missing_ok=True)
            os.close(descriptor)

    def close(self) -> None:
        """Gives all claims back."""
        for key in list(self._held):
            self.drop(key)
        with contextlib.suppress(OSError):  # there are claims of others
            self._folder.rmdir()

    def _path(self, key):
        return self._folder / hashlib.sha256(key.encode()).hexdigest()[:32]
