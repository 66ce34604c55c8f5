"""Opens a data set by a short text, as flags have it."""

import pathlib

from nas.datasets import cifar10, digits, image_folder, imagenet
from nas.datasets.images import Dataset, fit

ACCEPTED = (
    'digits, cifar10 (prepared by TFDS), cifar10:PATH, imagenet (prepared by TFDS), imagenet:PATH, '
    'folder:PATH or folder:PATH,stream'
)
# Decoded images of a folder beyond these are streamed: every device holds a copy of those in
# memory.
MEMORY_BYTES = 2_000_000_000
_STREAM = ',stream'


def open_images(
    spec: str, *, size: int | None = None, channels: int | None = None, cache=None
) -> Dataset:
    """Opens a data set and brings its images to the size and channels of a skeleton.

    Args:
        spec: 'digits', 'cifar10', 'cifar10:PATH' (`cifar10.open_cifar10`), 'imagenet' or
            'imagenet:PATH' (`imagenet.open_tfds`, `imagenet.open_folder`) or 'folder:PATH'
            (`image_folder.open_folder`). ImageNet is streamed, see `StreamedImages`; so is a
            folder, by `imagenet.open_files`, whose images would take more than 2 GB at the given
            size, or if ',stream' stands behind its path.
        size: side in pixels, None for that of the images, of streamed ones 224.
        channels: 1 for grey, 3 for RGB, None for those of the images, of streamed ones 3.
        cache: folder for decoded images, or None; only images in memory, of folders and tars, make
            use of it.

    Raises:
        ValueError: for an unknown text, or as the readers do.
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
    """Whether a folder asks to be streamed, or is too large for anything else."""
    if path.endswith(_STREAM):
        return path != _STREAM
    folder = pathlib.Path(path).expanduser()
    return bool(
        path
        and size
        and imagenet.decoded_bytes(folder, size=size, channels=channels) > MEMORY_BYTES
    )
