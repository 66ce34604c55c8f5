"""Reads a folder of images or a tar of one: a folder per class, `train/` and `test/` optional."""

import contextlib
import hashlib
import io
import os
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from common.run import atomic_path
from nas.datasets import tars
from nas.datasets.images import FORMATS, Dataset, Images, fit_image, split

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.pgm', '.gif', '.tif', '.tiff')
TEST_SHARE = 0.2
_SPLITS = {'train': 'train', 'test': 'test', 'val': 'test', 'validation': 'test'}
_ACCEPTED = (
    'accepted: PATH/<class>/x.jpg, or PATH/train/<class>/x.jpg and PATH/test/<class>/x.jpg, '
    'or a tar of either'
)


def open_folder(
    path, *, size: int | None = None, channels: int | None = None, cache=None
) -> Dataset:
    """Reads a folder of images, or a tar of one (.tar, .tar.gz, ...) without unpacking it.

    Classes are numbered in the order of their names. If `train/` and `test/` (or `val/`) are
    missing, a fixed fifth of each class is the test split, and the note says so.

    Args:
        path: the folder or tar.
        size: side in pixels to which images are resized; None if all are squares of the same size
            already.
        channels: 1, 3, or None for those of the first image.
        cache: folder that keeps the decoded images for later runs, as one file, or None.

    Raises:
        ValueError: the path does not exist or has no images; an image is damaged; images differ in
            size and `size` is None; a class has no training images; or `tars.files` refuses the
            tar. The message names the file.
    """
    path = pathlib.Path(path).expanduser()
    if not path.exists():
        raise ValueError(f'image folder {path} does not exist; {_ACCEPTED}')
    stored = (
        None if cache is None else pathlib.Path(cache) / f'{_identity(path, size, channels)}.npz'
    )
    if stored is not None and stored.exists():
        with contextlib.suppress(Exception):  # A damaged archive can raise any exception.
            return _load(stored, path.name)
    dataset = _decode(path, _walk(path) if path.is_dir() else tars.files(path), size, channels)
    if stored is not None:
        _save(stored, dataset)
    return dataset


def _walk(root: pathlib.Path) -> Iterator[tars.Entry]:
    for folder, names, files in os.walk(root, followlinks=True):
        names.sort()
        for name in sorted(files):
            file = pathlib.Path(folder) / name
            yield file.relative_to(root).as_posix(), file.read_bytes


def _decode(
    path: pathlib.Path, entries: Iterator[tars.Entry], size: int | None, channels: int | None
) -> Dataset:
    """Decodes one image at a time; sorts the examples by name, whatever the order in the tar."""
    found: list[tuple[str, str, str, np.ndarray]] = []  # (name, split, class, pixels)
    for name, read in entries:
        parts = pathlib.PurePosixPath(name).parts
        if not name.lower().endswith(SUFFIXES) or any(part[0] == '.' for part in parts):
            continue
        if len(parts) < 2:
            raise ValueError(f'{path}: image {name} lies in no folder of a class; {_ACCEPTED}')
        try:
            with Image.open(io.BytesIO(read()), formats=FORMATS) as image:
                pixels = fit_image(image, size, channels)
        except Exception as error:  # A damaged image can raise almost any exception.
            raise ValueError(f'{path}: image {name} cannot be read: {error}') from error
        channels = channels or pixels.shape[2]
        height, width, _ = pixels.shape
        if size is None and (height != width or found and pixels.shape != found[0][3].shape):
            raise ValueError(
                f'{path}: image {name} is {width} x {height} pixels; without a size all have to '
                'be squares of one size'
            )
        above = _SPLITS.get(parts[-3].lower(), '') if len(parts) > 2 else ''
        found.append((name, above, parts[-2], pixels))
    if not found:
        raise ValueError(f'{path} holds no images; {_ACCEPTED}')
    return _assemble(path, sorted(found, key=lambda entry: entry[0]))


def _assemble(path: pathlib.Path, found: list[tuple[str, str, str, np.ndarray]]) -> Dataset:
    splits = {above for _, above, _, _ in found}
    if splits not in ({''}, {'train', 'test'}):
        stray = next(name for name, above, _, _ in found if above == '' or splits == {above})
        where = 'neither split' if '' in splits else 'the only split'
        raise ValueError(f'{path}: image {stray} is in {where}; {_ACCEPTED}')
    training = {label for _, above, label, _ in found if above != 'test'}
    for name, _, label, _ in found:
        if label not in training:
            raise ValueError(
                f'{path}: test image {name} is of class {label!r}, which has no training images'
            )
    classes = tuple(sorted(training))
    numbers = {label: number for number, label in enumerate(classes)}
    everything = Images(
        path.name,
        np.stack([pixels for *_, pixels in found]),
        np.array([numbers[label] for _, _, label, _ in found]),
        classes,
    )
    is_test = np.array([above == 'test' for _, above, _, _ in found])
    note = ''
    if is_test.any():
        train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    else:
        train, test = split(everything.labels, TEST_SHARE, seed=0)
        note = f'{path.name} has no test folder, so a fixed fifth of each class is the test split'
    parts = everything.take(train, f'{path.name} train'), everything.take(test, f'{path.name} test')
    return Dataset(*parts, note)


def _identity(path: pathlib.Path, size: int | None, channels: int | None) -> str:
    """A key that changes with the names, sizes and dates of the files."""
    digest = hashlib.sha256(repr((str(path.resolve()), size, channels)).encode())
    for file in sorted(path.rglob('*')) if path.is_dir() else [path]:
        status = file.stat()
        digest.update(
            repr((str(file.relative_to(path)), status.st_size, status.st_mtime_ns)).encode()
        )
    return f'{path.name.partition(".")[0]}_{digest.hexdigest()[:16]}'


def _save(stored: pathlib.Path, dataset: Dataset) -> None:
    stored.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(stored) as temporary, open(temporary, 'wb') as file:
        np.savez(
            file,
            train=dataset.train.images,
            train_labels=dataset.train.labels,
            test=dataset.test.images,
            test_labels=dataset.test.labels,
            classes=np.array(dataset.train.classes),
            note=dataset.note,
        )


def _load(stored: pathlib.Path, name: str) -> Dataset:
    with np.load(stored, allow_pickle=False) as arrays:
        classes = tuple(map(str, arrays['classes']))
        train, test = (
            Images(f'{name} {part}', arrays[part], arrays[f'{part}_labels'], classes)
            for part in ('train', 'test')
        )
        return Dataset(train, test, str(arrays['note']))
