"""Puts the images of folders and tars together: what every reader of them does in the same way."""

import contextlib
import pathlib
from collections.abc import Callable

import numpy as np

from nas.datasets import files, labels
from nas.datasets.crops import Preparation
from nas.datasets.images import Dataset, Images, split
from nas.datasets.labels import TEST, TRAIN, VALIDATION, Labelled, Part

TEST_SHARE = 0.2
# Images that decide whether a data set is grey.
_LOOKED_AT = 64


def labelled(path: pathlib.Path, found: files.Found) -> Labelled:
    """What names of images mean, see `labels.label`; other formats are named if there are none."""
    if not found.names and found.others:
        raise ValueError(f'{path} holds no images; {found.note()}')
    return labels.label(path, found.names, found.folders)


def dataset_of(path: pathlib.Path, parts: dict, notes: tuple[str, ...]) -> Dataset:
    """The data set of splits; if there are none, a fifth is taken of what there is."""
    if TEST not in parts:
        everything = parts[TRAIN]
        _check_enough(path, everything)
        train, test = split(everything.labels, TEST_SHARE, seed=0)
        parts = {
            TRAIN: everything.take(train, f'{path.name} train'),
            TEST: everything.take(test, f'{path.name} test'),
        }
        fifth = 'has no test folder, so a fixed fifth of each class is the test split'
        notes = (f'{path.name} {fifth}', *notes)
    elif VALIDATION in parts:
        notes = (f'{parts[VALIDATION].name} is held out and chosen by', *notes)
    return Dataset(parts[TRAIN], parts[TEST], '; '.join(notes), parts.get(VALIDATION))


def in_memory(
    path: pathlib.Path,
    part: Part,
    pixels: np.ndarray,
    classes: tuple[str, ...],
    preparation: Preparation,
) -> Images:
    """A split from its pixels [N, S, S, C]."""
    name = f'{path.name} {part.folder}'.strip()
    return Images(name, pixels, part.labels, classes, preparation)


def stacked(decoded, count: int, name_of: Callable[[int], str]) -> np.ndarray:
    """Images one after the other as one array; they have to be squares of one size."""
    pixels = None
    for index, image in enumerate(decoded):
        height, width, channels = image.shape
        if height != width or pixels is not None and image.shape != pixels.shape[1:]:
            raise ValueError(
                f'{name_of(index)} is {width} x {height} pixels; without a size all have to be '
                'squares of one size'
            )
        if pixels is None:
            pixels = np.empty((count, height, width, channels), np.uint8)
        pixels[index] = image
    return pixels


def looked_at(count: int) -> list[int]:
    """The images that decide whether a data set is grey."""
    return np.unique(np.linspace(0, count - 1, _LOOKED_AT).astype(int)).tolist()


@contextlib.contextmanager
def named(name: str):
    """Names the image in whatever goes wrong."""
    try:
        yield
    except Exception as error:  # Damaged images raise almost anything.
        text = str(error).removeprefix('image cannot be read: ') or type(error).__name__
        raise ValueError(f'{name} cannot be read: {text}') from error


def _check_enough(path: pathlib.Path, images) -> None:
    counts = np.bincount(images.labels)
    if counts.min() < 2:
        few = [images.classes[label] for label in np.flatnonzero(counts < 2)]
        raise ValueError(
            f'{path}: {len(few)} of {len(counts)} classes have a single image, among them'
            f' {few[0]!r}; without a test folder at least 2 are needed, one to train on and one to'
            ' test on'
        )
