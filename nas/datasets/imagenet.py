"""Data sets that are streamed: image folders of any size, and ImageNet as TFDS has prepared it.

Source: O. Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge (IJCV 2015):
1,281,167 training and 50,000 validation images in 1,000 classes.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from nas.datasets.image_folder import SUFFIXES, TEST_SHARE
from nas.datasets.images import Dataset, split
from nas.datasets.streamed import StreamedImages

SIZE, CHANNELS = 224, 3
# Mean and deviation of the training images in [0, 1], in common use since Krizhevsky's code and
# ResNet's code in Torch.
MOMENTS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

_TRAIN, _TESTS = 'train', ('val', 'validation', 'test')
_ACCEPTED = 'accepted: PATH/train/<class>/x.jpg and PATH/val/<class>/x.jpg, or PATH/<class>/x.jpg'


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFiles:
    """`Encoded` files below a folder; `names` are relative to `root`, `labels` are [N] int32."""

    root: pathlib.Path
    names: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> tuple[bytes, int]:
        """The bytes of a file and its label. Raises OSError."""
        with open(os.path.join(self.root, self.names[index]), 'rb') as file:
            return file.read(), int(self.labels[index])

    def name(self, index: int) -> str:
        """The path of a file below the root."""
        return f'{self.root}: image {self.names[index]}'


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """`Encoded` records of a random-access source of TFDS, which leaves the images encoded."""

    source: object
    title: str

    labels = None  # known only when an image is read

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int) -> tuple[bytes, int]:
        """The image file in a record, and its label."""
        record = self.source[index]
        return record['image'], int(record['label'])

    def name(self, index: int) -> str:
        """The number of a record and the split that it is in."""
        return f'{self.title}: record {index}'


def decoded_bytes(path, *, size: int, channels: int | None) -> int:
    """The memory in bytes that the images below a folder would take; 0 if it is not a folder."""
    return (
        sum(len(files) for _, files in _walk(pathlib.Path(path)))
        * size
        * size
        * (channels or CHANNELS)
    )


def open_files(
    path, *, size: int | None = None, channels: int | None = None, moments=None
) -> Dataset:
    """Opens a folder of images for streaming: lists the files and decodes none.

    If there is a folder `train`, the classes are the folders in it, sorted, and the test split is
    the first of `val`, `validation` and `test` that exists. Otherwise the classes are the folders
    of `path`, and a fixed fifth of each is the test split. Images may lie in subfolders of their
    class.

    Args:
        path: the folder.
        size: side in pixels to which crops are resized; None for 224.
        channels: 1 or 3; None for 3.
        moments: (mean, std) by which images are normalised, or None for those of a sample.

    Raises:
        ValueError: the path does not exist or is a tar; there are no images; a class folder has no
            images; an image is in no class folder; or classes are in one split only. The message
            names the file or folder.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_dir():
        what = 'is a file, and only folders are streamed' if path.exists() else 'does not exist'
        raise ValueError(f'image folder {path} {what}; {_ACCEPTED}')
    options = {'size': size or SIZE, 'channels': channels or CHANNELS, 'moments': moments}
    if not (path / _TRAIN).is_dir():
        classes, files = _list(path, '')
        train, test = split(files.labels, TEST_SHARE, seed=0)
        parts = (
            StreamedImages(f'{path.name} {name}', files, rows, classes, **options)
            for name, rows in (('train', train), ('test', test))
        )
        note = f'{path.name} has no test folder, so a fixed fifth of each class is the test split'
        return Dataset(*parts, f'{note}; {_note(options["size"])}')
    test = next((name for name in _TESTS if (path / name).is_dir()), None)
    if test is None:
        raise ValueError(f'{path} has a folder train, but none of {", ".join(_TESTS)}; {_ACCEPTED}')
    found = {name: _list(path, name) for name in (_TRAIN, test)}
    parts = (
        StreamedImages(f'{path.name} {name}', files, np.arange(len(files)), classes, **options)
        for name, (classes, files) in found.items()
    )
    return Dataset(*parts, _note(options['size']))


def open_folder(path, *, size: int | None = None, channels: int | None = None) -> Dataset:
    """Opens ImageNet as a folder of images; arguments and errors are those of `open_files`."""
    return open_files(path, size=size, channels=channels, moments=_moments(channels))


def open_tfds(*, size: int | None = None, channels: int | None = None, data_dir=None) -> Dataset:
    """Opens `imagenet2012` as TFDS prepared it, in array_record files; downloads nothing.

    Args:
        size, channels: as for `open_files`.
        data_dir: TFDS's folder, or None for its default.

    Raises:
        ValueError: if it is not prepared there.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder('imagenet2012', data_dir=data_dir, file_format='array_record')
    # The images are decoded when they are read, since only a part of each is needed.
    decoders = {'image': tfds.decode.SkipDecoding()}
    try:
        sources = {
            name: builder.as_data_source(name, decoders=decoders)
            for name in ('train', 'validation')
        }
    except Exception as error:  # TFDS passes on exceptions of many types.
        where = builder.data_path.parent.parent
        raise ValueError(
            f'imagenet2012 is not prepared by TFDS as array_record in {where}; give '
            f'imagenet:PATH instead ({_ACCEPTED})'
        ) from error
    classes = tuple(builder.info.features['label'].names)
    parts = []
    for name, source in sources.items():
        title = f'imagenet2012 {name}'
        parts.append(
            StreamedImages(
                title,
                Records(source, title),
                np.arange(len(source)),
                classes,
                size or SIZE,
                channels or CHANNELS,
                _moments(channels),
            )
        )
    return Dataset(*parts, _note(size or SIZE))


def _moments(channels: int | None) -> tuple | None:
    return None if channels == 1 else MOMENTS


def _note(size: int) -> str:
    return f'images are scored on the middle {size} of {round(size * 256 / 224)} pixels'


def _walk(root: pathlib.Path) -> Iterator[tuple[str, list[str]]]:
    """(path below the root, names of images) of every visible folder with images, both sorted."""
    for folder, below, files in os.walk(root, followlinks=True):
        below[:] = sorted(name for name in below if name[0] != '.')
        found = sorted(name for name in files if name[0] != '.' and name.lower().endswith(SUFFIXES))
        if found:
            yield os.path.relpath(folder, root), found


def _list(root: pathlib.Path, part: str) -> tuple[tuple[str, ...], ImageFiles]:
    """The classes in a folder of `root`, and their images."""
    top = root / part
    classes = tuple(
        sorted(entry.name for entry in top.iterdir() if entry.is_dir() and entry.name[0] != '.')
    )
    names, labels = [], []
    for label, name in enumerate(classes):
        before = len(names)
        for folder, files in _walk(top / name):
            names += (os.path.normpath(os.path.join(part, name, folder, file)) for file in files)
        if len(names) == before:
            raise ValueError(f'{root}: class folder {os.path.join(part, name)} holds no images')
        labels.append(np.full(len(names) - before, label, np.int32))
    stray = sorted(entry.name for entry in top.iterdir() if entry.name.lower().endswith(SUFFIXES))
    if stray:
        raise ValueError(
            f'{root}: image {os.path.join(part, stray[0])} lies in no folder of a class; '
            f'{_ACCEPTED}'
        )
    if not names:
        raise ValueError(f'{top} holds no images; {_ACCEPTED}')
    return classes, ImageFiles(root, tuple(names), np.concatenate(labels))
