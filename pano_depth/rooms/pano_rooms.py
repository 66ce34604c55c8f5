"""PanoRooms: rendered clips of procedural rooms as a TFDS data set that needs no TensorFlow.

One clip is one record. No scene appears in two splits, nor in the scenes of `streams.live_windows`.
"""

import dataclasses
import pathlib

import numpy as np
import tensorflow_datasets as tfds

from pano_depth.footage.clip import Clip
from pano_depth.kernels.rigid import Motion
from pano_depth.rooms.rooms import FPS, render_clip
from pano_depth.rooms.wide.shots import USUAL, WIDE

# Seeds of the splits' scenes, far from the seeds that people give to `render_clip`.
FAMILIES = {'train': 2**40, 'val': 2**40 + 1, 'test': 2**40 + 2}


@dataclasses.dataclass
class RoomsConfig(tfds.core.BuilderConfig):
    """One size of PanoRooms.

    Attributes:
        height: of a frame, pixels; the width is twice that.
        frames: in each clip.
        train, val, test: number of clips in each split.
        roominess: range of the factor by which floor plans are larger than usual.
        style: one of `wide.shots.STYLES`.
    """

    height: int = 64
    frames: int = 16
    train: int = 256
    val: int = 32
    test: int = 64
    roominess: tuple = (1.0, 1.0)
    style: str = USUAL


def _config(name, height, frames, train, val, test, **more):
    description = f'{height}x{2 * height}, {frames} frames a clip, {train}/{val}/{test} clips'
    return RoomsConfig(
        name=name,
        description=description,
        height=height,
        frames=frames,
        train=train,
        val=val,
        test=test,
        **more,
    )


def _configs():
    """All configurations of the data set.

    There is a tiny one for tests. Each size has one to train on, a small one to evaluate live
    training, one with homes and halls of all sizes, on which the shipped weights were trained, and
    two of the wide style: short clips of all kinds of places, as real cameras see them.
    """
    sizes = [(height, f'{height}x{2 * height}') for height in (32, 64, 128, 256, 512)]
    return (
        [_config('tiny', 32, 6, 4, 2, 2)]
        + [_config(name, height, 16, 256, 32, 64) for height, name in sizes]
        + [_config(name + '_eval', height, 8, 64, 16, 48) for height, name in sizes]
        + [
            _config(name + '_roomy', height, 16, 512, 32, 32, roominess=(1.0, 1.8))
            for height, name in sizes
        ]
        + [_config('tiny_wide', 32, 3, 8, 4, 4, style=WIDE)]
        + [_config(name + '_wide', height, 8, 1024, 32, 96, style=WIDE) for height, name in sizes]
        + [
            _config(name + '_wide_eval', height, 4, 128, 16, 96, style=WIDE)
            for height, name in sizes
        ]
    )


class PanoRooms(tfds.core.GeneratorBasedBuilder):
    """Walks through procedural rooms: equirectangular frames, exact range depth, camera poses."""

    name = 'pano_rooms'
    VERSION = tfds.core.Version('1.0.0')
    RELEASE_NOTES = {'1.0.0': 'First version.'}
    BUILDER_CONFIGS = _configs()
    # Nothing is downloaded. The inherited look-up of checksums needs importlib_resources, which
    # nothing installs any more.
    url_infos = {}

    def _info(self):
        config = self.builder_config
        images = (config.frames, config.height, 2 * config.height)
        tensor = tfds.features.Tensor
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    'name': tfds.features.Text(),
                    'frames': tensor(shape=(*images, 3), dtype=np.uint8, encoding='zlib'),
                    # Stored as bytes: numbers in a record are float32, which would round the poses,
                    # and they are slow to read.
                    'depth': tensor(shape=images, dtype=np.float32, encoding='bytes'),
                    'rotation': tensor(
                        shape=(config.frames, 3, 3), dtype=np.float64, encoding='bytes'
                    ),
                    'translation': tensor(
                        shape=(config.frames, 3), dtype=np.float64, encoding='bytes'
                    ),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {split: self._generate_examples(split) for split in FAMILIES}

    def _generate_examples(self, split):
        config = self.builder_config
        for index in range(getattr(config, split)):
            clip = render_clip(
                FAMILIES[split],
                index,
                frames=config.frames,
                height=config.height,
                width=2 * config.height,
                name=f'{split}_{index:05d}',
                roominess=config.roominess,
                style=config.style,
            )
            yield (
                index,
                {
                    'name': clip.name,
                    'frames': clip.frames,
                    'depth': clip.depth,
                    'rotation': clip.poses.rotation,
                    'translation': clip.poses.translation,
                },
            )


class ClipSource:
    """Random access to the clips of one split: `len(source)` and `source[i] -> Clip`."""

    def __init__(self, records, description):
        self._records, self._description = records, description

    def __len__(self):
        return len(self._records)

    def __getitem__(self, index):
        record = self._records[int(index)]
        return Clip(
            record['name'].decode(),
            record['frames'],
            record['depth'],
            Motion(record['rotation'], record['translation']),
            FPS,
        )

    def __repr__(self):
        return f'ClipSource({self._description}, {len(self)} clips)'


def data_folder(data_dir=None):
    """The folder of data sets: `data_dir`, or the one that TFDS takes by default."""
    return pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()


def style_of(config):
    """The style of the rooms of a configuration, for streams that render them live.

    Args:
        config: name of one of `PanoRooms.BUILDER_CONFIGS`.

    Returns:
        One of `wide.shots.STYLES`.

    Raises:
        ValueError: for an unknown config.
    """
    if config not in PanoRooms.builder_configs:
        raise ValueError(
            f'config is {config!r}; accepted are {", ".join(PanoRooms.builder_configs)}'
        )
    return PanoRooms.builder_configs[config].style


def load(split, config='64x128', data_dir=None):
    """Opens one split of PanoRooms and builds the data set first if it is not there yet.

    Building renders every clip (about 100 frames a second at 64x128 on two cores) and shows its
    progress; if it is interrupted, it leaves no incomplete data set.

    Args:
        split: 'train', 'val' or 'test'.
        config: name of one of `PanoRooms.BUILDER_CONFIGS`.
        data_dir: where TFDS keeps its data; None for its default, `~/tensorflow_datasets`.

    Returns:
        `ClipSource`.

    Raises:
        ValueError: for an unknown split or config.
    """
    if split not in FAMILIES:
        raise ValueError(f'split is {split!r}; accepted are {", ".join(FAMILIES)}')
    style_of(config)
    builder = PanoRooms(config=config, data_dir=data_dir, file_format='array_record')
    builder.download_and_prepare()
    return ClipSource(builder.as_data_source(split=split), f'pano_rooms/{config} {split}')
