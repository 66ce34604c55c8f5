"""Opens a data set by a short text, the value of `--dataset`."""

import pathlib

from nas.datasets import cifar10, digits, image_folder, imagenet
from nas.datasets.images import Dataset, fit

ACCEPTED = (
    'digits, cifar10 (prepared by TFDS), cifar10:PATH, imagenet (prepared by TFDS), imagenet:PATH, '
    'folder:PATH or folder:PATH,stream'
)
# Folders whose decoded images take more bytes are streamed, since every device holds a copy of all
# images in memory.
MEMORY_BYTES = 2_000_000_000
_STREAM = ',stream'


def open_images(
    spec: str, *, size: int | None = None, channels: int | None = None, cache=None
) -> Dataset:
    """Opens a data set and brings its images to the size and channels of a skeleton.

    Args:
        spec: 'digits', 'cifar10', 'cifar10:PATH' (`cifar10.open_cifar10`), 'imagenet' or
            'imagenet:PATH' (`imagenet.open_tfds`, `imagenet.open_folder`) or 'folder:PATH'
            (`image_folder.open_folder`). ImageNet is streamed, see `StreamedImages`. A folder is
            streamed by `imagenet.open_files` if its images would take more than 2 GB at the given
            size, or if ',stream' follows its path.
        size: side in pixels; None keeps that of the images, or takes 224 for streamed images.
        channels: 1 for grey, 3 for RGB; None keeps those of the images, or takes 3 for streamed
            images.
        cache: folder for decoded images, or None; used only for folders and tars that are held in
            memory.

    Raises:
        ValueError: if the text is unknown, or a reader refuses the data.
    """
    if size is not None and size < 1 or channels not in (None, 1, 3):
        raise ValueError(
            f'size {size} and channels {channels}; accepted: at least 1 pixel, 1 or 3 channels'
        )
    kind, colon, path = spec.partition(':')
    if spec == 'digits':
        dataset = digits.open_digits()
    elif spec == 'cifar10':
        dataset = cifar10.open_tfds()
    elif kind == 'cifar10' and path:
        dataset = cifar10.open_cifar10(path, size=size, channels=channels, cache=cache)
    elif spec == 'imagenet':
        dataset = imagenet.open_tfds(size=size, channels=channels)
    elif kind == 'imagenet' and path:
        dataset = imagenet.open_folder(path, size=size, channels=channels)
    elif kind == 'folder' and _is_streamed(path, size, channels):
        dataset = imagenet.open_files(path.removesuffix(_STREAM), size=size, channels=channels)
    elif kind == 'folder' and path:
        dataset = image_folder.open_folder(path, size=size, channels=channels, cache=cache)
    else:
        raise ValueError(f'data set {spec!r} is unknown; accepted: {ACCEPTED}')
    return Dataset(
        *(fit(part, size, channels) for part in (dataset.train, dataset.test)), dataset.note
    )


def _is_streamed(path: str, size: int | None, channels: int | None) -> bool:
    """Whether a folder is streamed: its path asks for it, or its images are too large."""
    if path.endswith(_STREAM):
        return path != _STREAM
    folder = pathlib.Path(path).expanduser()
    return bool(
        path
        and size
        and imagenet.decoded_bytes(folder, size=size, channels=channels) > MEMORY_BYTES
    )
