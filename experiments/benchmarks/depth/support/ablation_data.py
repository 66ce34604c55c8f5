"""What ablations learn from and are scored on: PanoRooms, or footage with truth."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from common.options import READ_LIST, expand
from pano_depth.footage.config import ReadingConfig
from pano_depth.footage.footage import from_clip
from pano_depth.learning import sources
from pano_depth.learning.footage_source import FootageSource
from pano_depth.results.training import collection, found, judge
from pano_depth.results.training.split import split
from pano_depth.rooms import blind, pano_rooms


class Data(NamedTuple):
    """What variants learn from and are scored on.

    Attributes:
        source: function (batch_size, seed) -> `train.Source`.
        tests: function -> iterable of `Footage` with truth.
        prior: image-blind depth of the training rooms; None: of the rooms of the package.
        facts: what tells this data from other data.
    """

    source: Callable
    tests: Callable
    prior: np.ndarray | None
    facts: dict


def rooms_data(name: str, data_dir: str | None, rows: int) -> Data:
    """PanoRooms: its training and its test split.

    Args:
        name: configuration of the data set.
        data_dir: where data sets are kept; None: where TFDS has them.
        rows: of the images that the networks see.
    """
    clips, tests = (pano_rooms.load(split, name, data_dir) for split in ('train', 'test'))
    prior = blind.blind_prior(
        (depth for i in range(len(clips)) for depth in clips[i].depth[::4]), rows
    )
    return Data(
        functools.partial(sources.WindowSource, clips),
        lambda: (from_clip(tests[i]) for i in range(len(tests))),
        prior,
        {},
    )


def footage_data(text: str, data_dir: str | None, rows: int) -> Data:
    """Footage: about a tenth of its scenes is held out.

    Args:
        text: PATH[,PATH...].
        data_dir, rows: as for `rooms_data`.

    Raises:
        ValueError: nothing can be used, or a clip that is held out lacks depth or poses.
    """
    paths, with_rooms = found.paths_in(expand(text, READ_LIST))
    if with_rooms:
        raise ValueError(f'--train_data is {text}; accepted: footage alone, or no --train_data')
    reading = ReadingConfig()
    collected = collection.collect(
        found.items_of(paths, reading, flag='train_data'),
        reading,
        flag='train_data',
        rows=rows,
        data_dir=pano_rooms.data_folder(data_dir),
    )
    learned, held_out = split(collected.pieces)
    for footage in map(judge.footage_of, held_out):
        if not footage.has_depth or footage.poses is None:
            raise ValueError(
                f'{footage.name} is held out and has no depth or no poses; accepted: footage with'
                ' both, to score against'
            )
    return Data(
        functools.partial(FootageSource, [piece.clip for piece in learned]),
        lambda: map(judge.footage_of, held_out),
        None,
        {'train_data': collected.digest},
    )
