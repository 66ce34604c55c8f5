"""Reads .npz files from unknown sources: it unpickles nothing and limits their size in memory."""

import contextlib

import numpy as np

MAX_BYTES = 1 << 31


@contextlib.contextmanager
def open_npz(path):
    """Opens a .npz file.

    Args:
        path: the file.

    Yields:
        `numpy.lib.npyio.NpzFile`, whose arrays are read when they are asked for.

    Raises:
        ValueError: its arrays would take more than `MAX_BYTES`.
        Exception: of many types, if the file is missing or damaged.
    """
    with np.load(path, allow_pickle=False) as stored:
        claimed = sum(entry.file_size for entry in stored.zip.infolist())
        if claimed > MAX_BYTES:
            raise ValueError(f'it unpacks to {claimed:,} bytes; accepted: at most {MAX_BYTES:,}')
        yield stored
