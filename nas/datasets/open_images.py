"""Opens a data set by a short text, the value of `--dataset`."""

import dataclasses
import pathlib

from PIL import ImageColor

from nas.datasets import cifar10, digits, image_folder, imagenet
from nas.datasets.crops import WHOLE, Preparation
from nas.datasets.images import Dataset, fit

ACCEPTED = (
    'digits, cifar10 (prepared by TFDS), cifar10:PATH, imagenet (prepared by TFDS), imagenet:PATH, '
    'folder:PATH, folder:PATH,stream or folder:PATH,background=COLOUR'
)
# Folders whose decoded images take more bytes are streamed, since every device holds a copy of all
# images in memory.
MEMORY_BYTES = 2_000_000_000
_STREAM, _BACKGROUND = ',stream', ',background='


def open_images(
    spec: str, *, size: int | None = None, channels: int | None = None, cache=None
) -> Dataset:
    """Opens a data set and brings its images to the size and channels of a skeleton.

    Args:
        spec: 'digits', 'cifar10', 'cifar10:PATH' (`cifar10.open_cifar10`), 'imagenet' or
            'imagenet:PATH' (`imagenet.open_tfds`, `imagenet.open_folder`) or 'folder:PATH'
            (`image_folder.open_folder`). ImageNet is streamed, see `StreamedImages`. A folder is
            streamed (`image_folder.open_streamed`) if its images would take more than 2 GB at the
            given size, or if ',stream' follows its path. ',background=COLOUR' says what lies behind
            transparent pixels: a name such as black, or #rrggbb; white by default.
        size: side in pixels; None keeps that of the images, or takes 224 for streamed images.
        channels: 1 for grey, 3 for RGB; None keeps those of the images: grey if all are grey.
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
    elif kind == 'folder' and (path := path_of(spec)):
        dataset = _open_folder(spec, path, size, channels, cache)
    else:
        raise ValueError(f'data set {spec!r} is unknown; accepted: {ACCEPTED}')
    fitted = {name: fit(part, size, channels) for name, part in dataset.parts().items()}
    return dataclasses.replace(dataset, **fitted)


def path_of(spec: str) -> str:
    """The path in the text of a data set, without what follows it; '' if there is none."""
    return _options(spec)[0]


def _options(spec: str) -> tuple[str, bool, str | None]:
    """(path, whether it is to be streamed, the background or None) of a text."""
    path, stream, background = spec.partition(':')[2], False, None
    while True:
        front, comma, colour = path.rpartition(_BACKGROUND)
        if path.endswith(_STREAM):
            path, stream = path.removesuffix(_STREAM), True
        elif comma and ',' not in colour and '/' not in colour:
            path, background = front, colour
        else:
            return path, stream, background


def _open_folder(spec: str, path: str, size: int | None, channels: int | None, cache) -> Dataset:
    """Opens a folder or tar by the reader that fits."""
    _, stream, background = _options(spec)
    preparation = WHOLE
    if background is not None:
        preparation = Preparation(background=_colour(spec, background))
    place = pathlib.Path(path).expanduser()
    if stream or place.is_dir() and size:
        folder = image_folder.Folder.of(place)
        if stream or folder.decoded_bytes(size, channels) > MEMORY_BYTES:
            dataset = image_folder.open_streamed(
                folder, size=size, channels=channels, preparation=preparation
            )
            how = 'images are decoded as they are needed, and trained on in random parts'
            return dataclasses.replace(dataset, note='; '.join(filter(None, (dataset.note, how))))
        place = folder
    return image_folder.open_folder(
        place, size=size, channels=channels, cache=cache, preparation=preparation
    )


def _colour(spec: str, text: str) -> tuple[int, int, int]:
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise ValueError(
            f'background {text!r} of data set {spec!r} is unknown; accepted: names such as white, '
            'black and grey, or #rrggbb'
        ) from None
