"""Input of a training step: images on the device, batches of indices, and augmentation.

A data set of small images is put on the device once, as uint8 (CIFAR-10 is 150 MB); a step receives
the indices and PRNG keys of its examples and makes the batch itself, so it never waits for input.
If a data set does not fit in memory, the step receives the images of its batch, which are decoded
in advance (`nas.training.data.feed`).
"""

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from common import parallel
from nas.datasets.images import Images
from nas.datasets.streamed import StreamedImages
from nas.training.data.feed import Request, StreamedData


class Data(NamedTuple):
    """A split of a data set on the devices.

    Attributes:
        images: [N, S, S, C] uint8, or None if steps get their images with the batch.
        labels: [N] int32, or None.
        mean, std: [C] float32, by which images in [0, 1] are normalised.
    """

    images: jax.Array | None
    labels: jax.Array | None
    mean: jax.Array
    std: jax.Array

    @property
    def resident(self) -> 'Data':
        """What steps take besides the batch; named as in `StreamedData`."""
        return self

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.labels)

    def supply(self, requests: Iterable[Request]) -> Iterator[dict[str, np.ndarray]]:
        """Yields what `pick` needs of each batch: {'indices': [b]}; see `StreamedData.supply`."""
        for request in requests:
            yield {'indices': request.indices}


def place(
    images: Images | StreamedImages, statistics: tuple[np.ndarray, np.ndarray]
) -> Data | StreamedData:
    """Makes a split ready for steps: images in memory are put on every device once.

    Args:
        images: the split.
        statistics: (mean, std) [C] of the TRAINING split, by `Images.statistics`.
    """
    if isinstance(images, StreamedImages):
        return StreamedData(images, parallel.replicate(Data(None, None, *statistics)))
    return parallel.replicate(Data(images.images, images.labels, *statistics))


def pick(batch: dict[str, jax.Array], data: Data) -> tuple[jax.Array, jax.Array]:
    """Images [b, S, S, C] uint8 and labels [b] of a batch of `supply`, inside a step."""
    if 'images' in batch:
        return batch['images'], batch['labels']
    return data.images[batch['indices']], data.labels[batch['indices']]


def batch_indices(seed: int, step: int, batch_size: int, examples: int) -> np.ndarray:
    """The examples of a step, [batch_size] int32.

    Shuffled passes over the data follow each other without a gap, so no batch is short, and each
    example comes once in each pass. The result depends only on the arguments, so a resumed run goes
    on with the same batches.
    """
    position = step * batch_size + np.arange(batch_size)
    passes = range(position[0] // examples, position[-1] // examples + 1)
    order = np.concatenate([_order(seed, number, examples) for number in passes])
    return order[position - passes[0] * examples]


@functools.lru_cache(maxsize=4)
def _order(seed: int, number: int, examples: int) -> np.ndarray:
    return np.random.default_rng((seed, number)).permutation(examples).astype(np.int32)


def augment(keys: jax.Array, images: jax.Array, *, crop: int, mirror: bool) -> jax.Array:
    """Crops at random from zero-padded images and mirrors half of them.

    Source: He et al., Deep Residual Learning (CVPR 2016), section 4.2.

    Args:
        keys: [B] PRNG keys, one for each image.
        images: [B, S, S, C] of any type.
        crop: zero pixels on every side before the crop.
        mirror: whether to mirror.

    Returns:
        [B, S, S, C].
    """

    def one(key, image):
        place_key, mirror_key = jax.random.split(key)
        if crop:
            row, column = jax.random.randint(place_key, (2,), 0, 2 * crop + 1)
            padded = jnp.pad(image, ((crop, crop), (crop, crop), (0, 0)))
            image = jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)
        return (
            jnp.where(jax.random.bernoulli(mirror_key), image[:, ::-1], image) if mirror else image
        )

    return jax.vmap(one)(keys, images)


def normalise(images: jax.Array, data: Data) -> jax.Array:
    """Images [B, S, S, C] uint8 as float32 of mean 0 and deviation 1 over the training split."""
    return (images.astype(jnp.float32) / 255 - data.mean) / data.std
