"""Keeps decoded images for later runs, in one file a data set."""

import contextlib
import hashlib
import pathlib
from collections.abc import Callable, Iterable

import numpy as np

from common.run import atomic_path
from nas.datasets.crops import Preparation
from nas.datasets.images import Dataset, Images
from nas.datasets.labels import TEST, TRAIN, VALIDATION

# Changes when other pixels or labels are read from the same files, so that none are kept.
_VERSION = 2


def kept(
    cache,
    path: pathlib.Path,
    names: Iterable[str],
    preparation: Preparation,
    options: tuple,
    read: Callable[[], Dataset],
) -> Dataset:
    """Reads a data set once, and from then on the file that keeps it.

    Args:
        cache: the folder of such files, or None to keep nothing.
        path: the folder or tar.
        names: of its images, or ('',) for a tar; a change of their names, sizes or dates makes
            another file.
        preparation, options: whatever else makes other pixels of the same files.
        read: reads the data set.
    """
    if cache is None:
        return read()
    key = _identity(path, names, (preparation, *options, _VERSION))
    stored = pathlib.Path(cache).expanduser() / f'{key}.npz'
    if stored.exists():
        with contextlib.suppress(Exception):  # A damaged archive can raise any exception.
            return _load(stored, preparation)
    dataset = read()
    _save(stored, dataset)
    return dataset


def _identity(path: pathlib.Path, names: Iterable[str], options: tuple) -> str:
    digest = hashlib.sha256(repr((str(path.resolve()), *options)).encode())
    for name in names:
        status = (path / name).stat()
        digest.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    return f'{path.name.partition(".")[0]}_{digest.hexdigest()[:16]}'


def _save(stored: pathlib.Path, dataset: Dataset) -> None:
    stored.parent.mkdir(parents=True, exist_ok=True)
    parts = dataset.parts()
    arrays = {role: part.images for role, part in parts.items()}
    arrays |= {f'{role}_labels': part.labels for role, part in parts.items()}
    arrays |= {f'{role}_name': np.array(part.name) for role, part in parts.items()}
    facts = {'classes': np.array(dataset.train.classes), 'note': np.array(dataset.note)}
    with atomic_path(stored) as temporary, open(temporary, 'wb') as file:
        np.savez(file, **arrays, **facts)


def _load(stored: pathlib.Path, preparation: Preparation) -> Dataset:
    with np.load(stored, allow_pickle=False) as arrays:
        classes = tuple(map(str, arrays['classes']))
        train, test, validation = (
            Images(
                str(arrays[f'{role}_name']),
                arrays[role],
                arrays[f'{role}_labels'],
                classes,
                preparation,
            )
            if role in arrays
            else None
            for role in (TRAIN, TEST, VALIDATION)
        )
        return Dataset(train, test, str(arrays['note']), validation)
