"""Opens a data set by a short text, as flags have it."""

from nas.datasets import cifar10, digits, image_folder
from nas.datasets.images import Dataset, fit

ACCEPTED = 'digits, cifar10 (prepared by TFDS), cifar10:PATH, folder:PATH'


def open_images(spec: str, *, size: int | None = None, channels: int | None = None, cache=None) -> Dataset:
    """Opens a data set and brings its images to the size and channels of a skeleton.

    Args:
        spec: 'digits', 'cifar10', 'cifar10:PATH' (`cifar10.open_cifar10`) or 'folder:PATH'
            (`image_folder.open_folder`).
        size: side in pixels, None for that of the images.
        channels: 1 for grey, 3 for RGB, None for those of the images.
        cache: folder for decoded images, or None; only image folders and tars make use of it.

    Raises:
        ValueError: for an unknown text, or as the readers do.
    """
    if size is not None and size < 1 or channels not in (None, 1, 3):
        raise ValueError(f'size {size} and channels {channels}; accepted: at least 1 pixel, 1 or 3 channels')
    kind, colon, path = spec.partition(':')
    if spec == 'digits':
        dataset = digits.open_digits()
    elif spec == 'cifar10':
        dataset = cifar10.open_tfds()
    elif kind == 'cifar10' and path:
        dataset = cifar10.open_cifar10(path, size=size, channels=channels, cache=cache)
    elif kind == 'folder' and path:
        dataset = image_folder.open_folder(path, size=size, channels=channels, cache=cache)
    else:
        raise ValueError(f'data set {spec!r} is unknown; accepted: {ACCEPTED}')
    return Dataset(*(fit(part, size, channels) for part in (dataset.train, dataset.test)), dataset.note)
