"""ImageNet, streamed: from a folder of images, and as TFDS has prepared it.

Source: O. Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge (IJCV 2015):
1,281,167 training and 50,000 validation images in 1,000 classes.
"""

import dataclasses

import numpy as np

from nas.datasets.crops import EVALUATION_SHARE, Preparation
from nas.datasets.image_folder import CHANNELS, SIZE, Folder, open_streamed
from nas.datasets.images import Dataset
from nas.datasets.labels import ACCEPTED
from nas.datasets.streamed import StreamedImages

# Mean and deviation of the training images in [0, 1], in common use since Krizhevsky's code and
# ResNet's code in Torch.
MOMENTS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_PREPARATION = Preparation(EVALUATION_SHARE)


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


def open_folder(path, *, size: int | None = None, channels: int | None = None) -> Dataset:
    """Opens ImageNet as a folder of images, or another folder with its usual preparation.

    Args:
        path: the folder, with `train/CLASS` and `val/CLASS`.
        size: side in pixels to which crops are resized; None for 224.
        channels: 1 or 3; None for 3.

    Raises:
        ValueError: as for `image_folder.Folder.of`.
    """
    dataset = open_streamed(
        Folder.of(path),
        size=size,
        channels=channels or CHANNELS,
        preparation=_PREPARATION,
        moments=_moments(channels),
    )
    note = '; '.join(filter(None, (dataset.note, _note(size or SIZE))))
    return dataclasses.replace(dataset, note=note)


def open_tfds(*, size: int | None = None, channels: int | None = None, data_dir=None) -> Dataset:
    """Opens `imagenet2012` as TFDS prepared it, in array_record files; downloads nothing.

    Args:
        size, channels: as for `open_folder`.
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
            f'imagenet:PATH instead ({ACCEPTED})'
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
