"""What a search of depth networks can be told; loads no JAX."""

import dataclasses
from typing import Literal

from common.options import WRITTEN, check_options, option
from nas.training.config import SearchOptions

_ONLY = '--task=depth: '


@dataclasses.dataclass(frozen=True)
class RoomsConfig:
    """The rooms that candidates learn from and are compared on.

    Raises:
        ValueError: on creation, for a number out of bounds.
    """

    panorama_height: int = option(
        64,
        f'{_ONLY}rows of the panoramas on which candidates are trained, scored and measured; a'
        ' multiple of 32',
    )
    rooms_style: Literal['usual', 'wide'] = option(
        'usual', f'{_ONLY}usual, plain rooms; or wide: homes, halls, outdoors, as cameras see them'
    )
    train_frames: int = option(
        2048, f'{_ONLY}rooms that candidates learn from, one frame each', lower_bound=1
    )
    unseen_frames: int = option(
        192, f'{_ONLY}further rooms that candidates are compared on, one frame each', lower_bound=1
    )
    rooms_seed: int = option(0, f'{_ONLY}random seed of the rooms', lower_bound=0)
    data_dir: str | None = option(
        None, f'{_ONLY}directory that keeps the rendered rooms; default: that of TFDS', path=WRITTEN
    )

    def __post_init__(self):
        check_options(self)
        if self.panorama_height % 32 or self.panorama_height < 32:
            raise ValueError(
                f'panorama_height is {self.panorama_height}; accepted: multiples of 32, since the'
                ' faces of the cube have half as many rows and are halved three times or more'
            )


@dataclasses.dataclass(frozen=True)
class DepthRecipe:
    """How candidates are trained.

    Raises:
        ValueError: on creation, for a number out of bounds.
    """

    steps: int = option(1000, f'{_ONLY}optimiser steps of a candidate', lower_bound=1)
    batch_size: int = option(8, 'frames in a batch', lower_bound=1)
    learning_rate: float = option(5e-3, 'peak rate of Adam; it falls to zero along a cosine')

    def __post_init__(self):
        check_options(self)
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f'learning_rate is {self.learning_rate}; accepted: above 0, at most 1')


@dataclasses.dataclass(frozen=True)
class DepthSearchConfig(SearchOptions):
    """A search of depth networks, trained on rendered rooms.

    Raises:
        ValueError: on creation, for a number out of bounds.
    """

    budget: int = option(40, 'number of evaluations, including failed ones', lower_bound=1)
    rung_margin: float = option(
        3.0,
        'percentage points of error by which a candidate has to be worse to be stopped early',
        lower_bound=0,
    )
    rooms: RoomsConfig = RoomsConfig()
    recipe: DepthRecipe = DepthRecipe()
