"""Labelled images in memory, data sets of two splits, and resizing of images."""

import dataclasses
import hashlib

import numpy as np
from PIL import Image

from nas.datasets.crops import WHOLE, Preparation


@dataclasses.dataclass(frozen=True)
class Images:
    """One split of a data set.

    Attributes:
        name: of the data set and the split, for messages and records.
        images: [N, S, S, C] uint8, C 1 or 3.
        labels: [N] int32, indices into `classes`.
        classes: names of the classes.
        preparation: how photographs have to be prepared to be like these.

    Raises:
        ValueError: on creation, if the arrays do not fit together.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    preparation: Preparation = WHOLE

    def __post_init__(self):
        shape, labels = self.images.shape, np.asarray(self.labels)
        if (
            self.images.dtype != np.uint8
            or len(shape) != 4
            or shape[1] != shape[2]
            or shape[3] not in (1, 3)
        ):
            raise ValueError(
                f'{self.name}: images are {self.images.dtype} {shape}; accepted: uint8 '
                '[N, S, S, 1 or 3]'
            )
        if labels.shape != shape[:1]:
            raise ValueError(f'{self.name}: {shape[0]} images have labels of shape {labels.shape}')
        if not len(labels):
            raise ValueError(f'{self.name}: there are no images')
        if labels.min() < 0 or labels.max() >= len(self.classes):
            raise ValueError(
                f'{self.name}: labels run from {labels.min()} to {labels.max()}, but there are '
                f'{len(self.classes)} classes'
            )
        object.__setattr__(self, 'labels', labels.astype(np.int32))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray, name: str | None = None) -> 'Images':
        """Returns the examples of some indices, in their order."""
        images, labels = self.images[indices], self.labels[indices]
        return dataclasses.replace(self, name=name or self.name, images=images, labels=labels)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [C] float32 of each channel, over all pixels in [0, 1]."""
        values = np.arange(256) / 255
        channels = np.moveaxis(self.images, -1, 0)
        counts = [np.bincount(channel.ravel(), minlength=256) for channel in channels]
        means = [np.average(values, weights=count) for count in counts]
        variances = [
            np.average((values - mean) ** 2, weights=count) for mean, count in zip(means, counts)
        ]
        # A channel without contrast is divided by one instead of by zero.
        return np.float32(means), np.float32([np.sqrt(variance) or 1 for variance in variances])

    def digest(self) -> str:
        """SHA-256 of images and labels, in hexadecimal: identifies the data behind a result."""
        digest = hashlib.sha256(repr((self.images.shape, self.classes)).encode())
        digest.update(np.ascontiguousarray(self.images))
        digest.update(np.ascontiguousarray(self.labels))
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set: images to train on, images to test on, and a note for every figure.

    Attributes:
        train, test: the splits, with the same classes and sizes. A search never reads `test`.
        note: a remark to print with results, such as 'JPEG re-encoded'; may be empty.
        validation: images that networks are compared on; None to hold a part of `train` out.
    """

    train: Images
    test: Images
    note: str = ''
    validation: Images | None = None

    def __post_init__(self):
        for part in list(self.parts().values())[1:]:
            if self.train.classes != part.classes:
                strange = sorted(set(self.train.classes) ^ set(part.classes))
                raise ValueError(
                    f'{self.train.name} and {part.name} have different classes, among them '
                    f'{strange[0] if strange else "the same in another order"!r}'
                )
            if self.train.images.shape[1:] != part.images.shape[1:]:
                raise ValueError(
                    f'{self.train.name} has images {self.train.images.shape[1:]}, but '
                    f'{part.name} {part.images.shape[1:]}'
                )

    def parts(self) -> dict[str, Images]:
        """The splits that there are, by name."""
        named = {'train': self.train, 'test': self.test, 'validation': self.validation}
        return {name: part for name, part in named.items() if part is not None}

    def digest(self) -> str:
        """Tells the data set from another one of the same name."""
        parts = self.parts().values()
        return hashlib.sha256(' '.join(part.digest() for part in parts).encode()).hexdigest()


def split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits examples at random, each class in the same proportion.

    Args:
        labels: [N] integers.
        share: part of each class that goes into the second set, rounded, in (0, 1). A class of at
            least two examples has one in each set, unless the share asks for less than one example
            of all.
        seed: of the random choice.

    Returns:
        Ascending indices of the first and of the second set.

    Raises:
        ValueError: if the share is out of range, or so small or large that one set is empty.
    """
    if not 0 < share < 1:
        raise ValueError(f'share is {share}; a number between 0 and 1 is accepted')
    rng = np.random.default_rng(seed)
    second = np.zeros(len(labels), bool)
    least = min(1, round(share * len(labels)))
    # Sorted by label once: comparing every label with every class takes long for many classes.
    order = np.argsort(labels, kind='stable')
    for members in np.split(order, np.flatnonzero(np.diff(np.asarray(labels)[order])) + 1):
        count = min(max(round(share * len(members)), least), len(members) - 1)
        second[rng.permutation(members)[:count]] = True
    if second.all() or not second.any():
        raise ValueError(
            f'a share of {share:g} of {len(labels)} examples leaves nothing on one side; at least '
            'one class needs two examples'
        )
    return np.flatnonzero(~second), np.flatnonzero(second)


def hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    """Splits the training images into training and validation images. See `split`."""
    train, validation = split(images.labels, share, seed)
    return images.take(train), images.take(validation, f'{images.name}, held out')


def fit_image(image: Image.Image, size: int | None, channels: int | None) -> np.ndarray:
    """Converts one image to a size and a number of channels.

    Args:
        image: of any size and mode.
        size: side in pixels: the middle square of the image is resized to it, bilinear and
            antialiased. None keeps the size.
        channels: 1 for grey, 3 for RGB, None for grey only if the image is grey.

    Returns:
        [H, W, channels] uint8.
    """
    grey = channels == 1 or channels is None and image.mode in ('1', 'L', 'I', 'I;16')
    image = image.convert('L' if grey else 'RGB')
    if size is not None and image.size != (size, size):
        width, height = image.size
        side = min(width, height)
        box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image).reshape(image.size[1], image.size[0], -1)


def fit(images: Images, size: int | None, channels: int | None) -> Images:
    """Converts all images by `fit_image`; None keeps their size or channels."""
    shape = images.images.shape
    if size in (None, shape[1]) and channels in (None, shape[3]):
        return images
    pixels = (image[..., 0] if shape[3] == 1 else image for image in images.images)
    fitted = np.stack([fit_image(Image.fromarray(p), size, channels or shape[3]) for p in pixels])
    return dataclasses.replace(images, images=fitted)
