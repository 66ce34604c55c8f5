"""Reads CIFAR-10: as prepared by TFDS, as the official Python archive, or as a folder of images.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009): 50,000 training
and 10,000 test images of 32 x 32 pixels in ten classes.
"""

import hashlib
import io
import pathlib
import pickle
import pickletools
from collections.abc import Callable

import numpy as np

from nas.datasets import image_folder, tars
from nas.datasets.images import Dataset, Images

ARCHIVE = 'cifar-10-python.tar.gz'
ARCHIVE_MD5 = 'c58f30108f718f92721af3d95e74349a'  # as printed on the data set's page
FOLDER = 'cifar-10-batches-py'
CLASSES = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')
FOLDER_NOTE = 'JPEG re-encoded'

_TRAIN = tuple(f'data_batch_{number}' for number in range(1, 6))
_ACCEPTED = (
    f'accepted: the archive {ARCHIVE}, its folder {FOLDER}, or an image folder train/<class>, '
    'test/<class> or a tar of it'
)


def open_cifar10(
    path,
    *,
    size: int | None = None,
    channels: int | None = None,
    cache=None,
    archive_md5: str = ARCHIVE_MD5,
) -> Dataset:
    """Reads CIFAR-10 from a path of any accepted kind.

    Args:
        path: the official archive or its folder, or an image folder or tar of one. For the last
            two, the note says that they are not the official pixels.
        size, channels, cache: as in `image_folder.open_folder`; not used for the official files.
        archive_md5: the checksum of the official archive.

    Raises:
        ValueError: the path does not exist, the checksum is wrong, files are damaged, or the
            classes are not CIFAR-10's. The message names the file.
    """
    path = pathlib.Path(path).expanduser()
    if not path.exists():
        raise ValueError(f'cifar10: {path} does not exist; {_ACCEPTED}')
    if path.is_dir():
        for folder in (path, path / FOLDER):
            if any((folder / name).exists() for name in (*_TRAIN, 'test_batch')):
                return _assemble(lambda name, folder=folder: _read(folder / name))
        if (path / ARCHIVE).exists():
            return _open_archive(path / ARCHIVE, archive_md5)
    elif path.name == ARCHIVE or _is_official(path):
        return _open_archive(path, archive_md5)
    dataset = image_folder.open_folder(path, size=size, channels=channels, cache=cache)
    if dataset.train.classes != CLASSES:
        found = ', '.join(dataset.train.classes[:10])
        raise ValueError(
            f'cifar10: {path} has the classes {found}; CIFAR-10 has {", ".join(CLASSES)} '
            '(folder:PATH reads any classes)'
        )
    # PNG is lossless, but no reader can know whether the pixels in a file are the official ones.
    return Dataset(
        dataset.train, dataset.test, '; '.join(filter(None, (FOLDER_NOTE, dataset.note)))
    )


def open_tfds(data_dir=None) -> Dataset:
    """Reads CIFAR-10 as TFDS prepared it, in array_record files; downloads nothing.

    Args:
        data_dir: TFDS's folder, or None for its default.

    Raises:
        ValueError: if it is not prepared there.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder('cifar10', data_dir=data_dir, file_format='array_record')
    try:
        sources = [builder.as_data_source(split) for split in ('train', 'test')]
    except Exception as error:  # TFDS passes on exceptions of many types.
        where = builder.data_path.parent.parent
        raise ValueError(
            f'cifar10 is not prepared by TFDS as array_record in {where}; '
            f'give cifar10:PATH instead ({_ACCEPTED})'
        ) from error
    return Dataset(
        *(
            Images(
                f'cifar10 {name}',
                np.stack([example['image'] for example in source]),
                np.array([example['label'] for example in source]),
                CLASSES,
            )
            for name, source in zip(('train', 'test'), sources)
        )
    )


class _Dtype:
    """Replaces `numpy.dtype` while a batch is read; keeps only the code of the type."""

    def __init__(self, code, *unused):
        self.code = code

    def __setstate__(self, unused):
        pass  # byte order and alignment, which bytes do not have


class _Bytes:
    """Replaces an array of bytes; NumPy itself would restore an array without checking the file.

    Attributes:
        array: uint8, after `__setstate__`.
    """

    def __init__(self, *unused):
        self.array = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        if (
            not isinstance(dtype, _Dtype)
            or dtype.code not in ('u1', b'u1')
            or not isinstance(data, bytes)
        ):
            raise pickle.UnpicklingError('it has an array of another type than bytes')
        self.array = np.frombuffer(data, np.uint8).reshape(shape, order='F' if fortran else 'C')


class _BatchUnpickler(pickle.Unpickler):
    """Reads plain values and arrays of bytes; calls nothing else that a pickle may name."""

    _STANDS_FOR = {
        ('numpy', 'ndarray'): 'ndarray',
        ('numpy', 'dtype'): _Dtype,
        ('numpy.core.multiarray', '_reconstruct'): _Bytes,
        ('numpy._core.multiarray', '_reconstruct'): _Bytes,
    }

    def find_class(self, module, name):
        if (module, name) not in self._STANDS_FOR:
            raise pickle.UnpicklingError(
                f'it names {module}.{name}, which no batch of CIFAR-10 needs'
            )
        return self._STANDS_FOR[module, name]


def _unpickle(payload: bytes):
    """The value of a pickled batch; its arrays are `_Bytes`."""
    for opcode, argument, _ in pickletools.genops(payload):
        # Pickle allocates its memo at once, up to the largest number in it.
        if opcode.name.endswith('PUT') and argument > len(payload):
            raise pickle.UnpicklingError(f'it numbers a value {argument}')
    return _BatchUnpickler(io.BytesIO(payload), encoding='bytes').load()


def _is_official(path: pathlib.Path) -> bool:
    """Whether a tar begins with the official folder."""
    try:
        name, _ = next(tars.files(path), ('', None))
    except ValueError:
        return False
    return pathlib.PurePosixPath(name).parts[:1] == (FOLDER,)


def _open_archive(path: pathlib.Path, md5: str) -> Dataset:
    with open(path, 'rb') as file:
        found = hashlib.file_digest(file, 'md5').hexdigest()
    if found != md5:
        raise ValueError(
            f'cifar10: archive {path} has the MD5 checksum {found}, but the official one has '
            f'{md5}; fetch it again'
        )
    files = {pathlib.PurePosixPath(name).name: read() for name, read in tars.files(path)}

    def read(name):
        if name not in files:
            raise ValueError(f'cifar10: archive {path} lacks {name}')
        return f'{path}: {name}', files[name]

    return _assemble(read)


def _read(path: pathlib.Path) -> tuple[str, bytes]:
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise ValueError(f'cifar10: {path} cannot be read: {error.strerror}') from error


def _assemble(read: Callable[[str], tuple[str, bytes]]) -> Dataset:
    """Builds the data set; `read(name)` gives a file's name for messages and its bytes."""
    parts = [_batch(*read(name)) for name in _TRAIN]
    images, labels = map(np.concatenate, zip(*parts))
    return Dataset(
        Images('cifar10 train', images, labels, CLASSES),
        Images('cifar10 test', *_batch(*read('test_batch')), CLASSES),
    )


def _batch(name: str, payload: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 32, 32, 3] and labels [N] of a pickled batch; its rows hold planes of colour."""
    try:
        batch = _unpickle(payload)
        rows, labels = batch[b'data'].array, batch[b'labels']
        # Lists that contain each other can expand to more numbers than memory holds.
        if not all(isinstance(label, int) for label in labels):
            raise ValueError('its labels are not whole numbers')
        labels = np.asarray(labels, np.int64)
        images = rows.reshape(len(labels), 3, 32, 32).transpose(0, 2, 3, 1)
    except Exception as error:  # A damaged pickle can raise almost any exception.
        raise ValueError(f'cifar10: {name} is not a batch of CIFAR-10: {error}') from error
    return np.ascontiguousarray(images), labels
