"""Labelled images that stay in their files and are decoded on demand, for large data sets.

`StreamedImages` can be used wherever `Images` can. Only the part of an image that a network sees
differs: in training a random-resized crop instead of a crop out of zero padding.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from concurrent import futures
from typing import Protocol

import numpy as np

from common.patience import Unavailable
from nas.datasets import crops
from nas.datasets import images as in_memory
from nas.datasets.crops import Preparation
from nas.datasets.images import Dataset, Images

_SAMPLE = 1000  # images whose pixels are counted for the statistics
_DIGESTED = 64  # files that are read to tell a data set from another one
_USUAL = Preparation(crops.EVALUATION_SHARE)


class Unreadable(Unavailable, ValueError):
    """A file that cannot be read or decoded, which is not the fault of what is trained on it."""


class Encoded(Protocol):
    """Image files by number, read from several threads at once.

    Attributes:
        labels: [N] int32, or None if they are known only when an image is read.
    """

    labels: np.ndarray | None

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[bytes, int]:
        """The file and its label."""

    def name(self, index: int) -> str:
        """Its name in messages."""


class LazyPixels:
    """`Images.images` as an array [N, S, S, C] uint8 that is decoded where it is indexed."""

    dtype = np.dtype(np.uint8)

    def __init__(self, images: 'StreamedImages'):
        self._images = images
        self.shape = (len(images), images.size, images.size, images.channels)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which) -> np.ndarray:
        """Middle crops of the examples at an index, a slice or an array of indices."""
        chosen = np.arange(len(self))[which]
        with futures.ThreadPoolExecutor() as pool:
            pixels = list(pool.map(lambda index: self._images.example(index)[0], chosen.ravel()))
        return np.array(pixels, np.uint8).reshape(*chosen.shape, *self.shape[1:])


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedImages:
    """One split of a data set, in files.

    Attributes:
        name: of the data set and split, for messages and records.
        source: the files.
        rows: [N] numbers of the examples in `source`.
        classes: names of the classes.
        size: side of an example, pixels.
        channels: 1 or 3.
        moments: (mean, std) [C] of images in [0, 1] if they are known, None to take them from a
            sample.
        preparation: how a file becomes what a network is scored on.

    Raises:
        ValueError: on creation, if there are no examples.
    """

    name: str
    source: Encoded
    rows: np.ndarray
    classes: tuple[str, ...]
    size: int
    channels: int
    moments: tuple[Sequence[float], Sequence[float]] | None = None
    preparation: Preparation = _USUAL

    def __post_init__(self):
        if not len(self.rows):
            raise ValueError(f'{self.name}: there are no images')

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def images(self) -> LazyPixels:
        """[N, S, S, C] uint8, decoded where it is indexed."""
        return LazyPixels(self)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """[N] int32, indices into `classes`. Reads all files if the source does not know them."""
        if self.source.labels is not None:
            return self.source.labels[self.rows]
        with futures.ThreadPoolExecutor() as pool:
            return np.fromiter(
                pool.map(lambda row: self.source.read(row)[1], self.rows.tolist()), np.int32
            )

    def take(self, indices: np.ndarray, name: str | None = None) -> 'StreamedImages':
        """Returns the examples of some indices, in their order."""
        return dataclasses.replace(self, rows=self.rows[indices], name=name or self.name)

    def example(self, index: int, seed: Sequence[int] | None = None) -> tuple[np.ndarray, int]:
        """Decodes one example.

        Args:
            index: 0 <= index < N.
            seed: integers of at least 0 that determine the random-resized crop, or None for what
                a network is scored on.

        Returns:
            ([S, S, C] uint8, label).

        Raises:
            Unreadable: the file cannot be read; the message names it.
        """
        row, shape = int(self.rows[index]), {'size': self.size, 'channels': self.channels}
        try:
            payload, label = self.source.read(row)
            if seed is None:
                return self.preparation.read(payload, **shape), label
            # The crop differs every time, so that decoding twice the pixels would cost more than it
            # helps.
            box_of = functools.partial(crops.random_box, np.random.default_rng(seed))
            return self.preparation.decode(payload, box_of, **shape), label
        except Exception as error:  # Damaged images raise almost anything.
            raise Unreadable(
                f'{self.source.name(row)} cannot be read: {str(error) or type(error).__name__}'
            ) from error

    def digest(self) -> str:
        """SHA-256 of what is known without reading all files, and of some of them."""
        labels = self.source.labels
        facts = (len(self), self.size, self.channels, self.classes)
        facts += () if self.preparation == _USUAL else (self.preparation,)
        digest = hashlib.sha256(repr(facts).encode())
        digest.update(np.ascontiguousarray(self.rows))
        digest.update(b'' if labels is None else np.ascontiguousarray(labels[self.rows]))
        for index in np.unique(np.linspace(0, len(self) - 1, _DIGESTED).astype(int)):
            payload, label = self.source.read(int(self.rows[index]))
            digest.update(payload + str(label).encode())
        return digest.hexdigest()

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation [C] float32 of images in [0, 1]: known, or from 1,000 middle crops.

        The sample depends only on the number of examples.
        """
        if self.moments is not None:
            return tuple(np.float32(moment) for moment in self.moments)
        return self._sampled_statistics

    @functools.cached_property
    def _sampled_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        sample = np.random.default_rng(0).permutation(len(self))[:_SAMPLE]
        pixels = self.images[np.sort(sample)]
        return Images(self.name, pixels, np.zeros(len(pixels), int), ('any',)).statistics()


def hold_out(images: Images | StreamedImages, share: float, seed: int) -> tuple:
    """Like `images.hold_out`; ignores classes if labels are unknown before images are read.

    Args:
        images: the training split.
        share: part that is held out, in (0, 1).
        seed: of the random choice.

    Returns:
        (what is trained on, what is held out), of the type of `images`.

    Raises:
        ValueError: if the share is out of range, or leaves nothing on one side.
    """
    train, held_out = split_of(images, share, seed)
    return images.take(train), images.take(held_out, f'{images.name}, held out')


def split_of(
    images: Images | StreamedImages, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The indices that `hold_out` takes; reads no image."""
    known = isinstance(images, Images) or images.source.labels is not None
    labels = images.labels if known else np.zeros(len(images), int)
    return in_memory.split(labels, share, seed)


def training_parts(dataset: Dataset, share: float, seed: int) -> tuple:
    """The images that networks are trained on, and those that they are compared on.

    Args:
        dataset: if it has validation images, these are compared on, whatever the share.
        share, seed: of what is held out of the training split otherwise, see `hold_out`.

    Raises:
        ValueError: see `hold_out`.
    """
    if dataset.validation is not None:
        return dataset.train, dataset.validation
    return hold_out(dataset.train, share, seed)
