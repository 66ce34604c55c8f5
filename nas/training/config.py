"""Configurations of a search, a training and an export; loads no JAX.

Each configuration is one frozen dataclass, which holds the dataclasses of its parts.
`nas.training.search_job`, `train_job` and `export_job` run them; on the command line each option is
a flag of the same name.
"""

import dataclasses
import math
from typing import Literal

from common.executors.config import ExecutorConfig
from common.export_config import ExportConfig
from common.options import (
    READ,
    READ_BEFORE_COLON,
    READ_BEHIND_COLON,
    READ_LIST,
    WRITTEN,
    check_options,
    option,
)
from nas.cells.choice import SKELETON_HELP, UNCHANGED, Sizes
from nas.cells.own_ops import OPS_HELP
from nas.devices.config import MeasureConfig
from nas.search.config import PlannerConfig
from nas.search.rungs import Rungs
from nas.training.objectives.functions import OBJECTIVE_HELP

_DATASET = (
    'data set of images: digits (comes with scikit-learn), cifar10 (prepared by TFDS), cifar10:PATH'
    ' (the official archive or directory, or a folder or tar of images), folder:PATH (a folder or'
    ' tar: CLASS/x.jpg, or train/CLASS, val/CLASS, test/CLASS; folder:PATH,stream decodes images as'
    ' they are needed, folder:PATH,background=black lays transparent ones on black, not white),'
    ' imagenet (prepared by TFDS), imagenet:PATH (train/CLASS, val/CLASS); default: digits, with'
    ' --from_search that of the search'
)
_IMAGE_CACHE = 'directory that keeps decoded images of folders and tars'
_SEED = 'random seed of the search and its candidates, or of the training'


@dataclasses.dataclass(frozen=True)
class RecipeConfig:
    """How a network is trained; the defaults are those of the published CIFAR-10 networks."""

    epochs: int = option(300, 'number of passes over the training images')
    batch_size: int = option(64, 'images in a batch over all devices, a multiple of their number')
    learning_rate: float = option(0.1, 'learning rate of the first step; falls to zero as a cosine')
    momentum: float = option(0.9, 'Nesterov momentum')
    weight_decay: float = option(
        1e-4, 'L2 penalty on all parameters, also normalisation and biases'
    )
    lasso: float = option(
        0.0, 'weight of the group lasso, 1e-5 in the paper and 0 in its public code'
    )
    label_smoothing: float = option(0.0, 'share of the target that is spread over all classes')
    crop: int = option(
        4, 'zero pixels around an image, out of which a crop of its size is cut at random'
    )
    mirror: bool = option(True, 'mirror half of the images left to right')
    dtype: Literal['float32', 'bfloat16'] = option(
        'float32', 'type of computation; parameters stay float32'
    )

    def __post_init__(self):
        for name in ('epochs', 'batch_size'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}, it has to be at least 1')
        for name in ('learning_rate', 'weight_decay', 'lasso', 'crop'):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f'{name} is {getattr(self, name)}, it has to be at least 0')
        for name in ('momentum', 'label_smoothing'):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f'{name} is {getattr(self, name)}, it has to be at least 0 and below 1'
                )
        if self.dtype not in ('float32', 'bfloat16'):
            raise ValueError(f'dtype is {self.dtype!r}; accepted: float32, bfloat16')

    def steps(self, examples: int) -> int:
        """Number of optimiser steps of the whole training on so many examples."""
        return -(-self.epochs * examples // self.batch_size)


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How candidates are compared."""

    validation_share: float = option(
        0.1, 'part of the training split that is held out to score candidates'
    )
    split_seed: int = option(
        0, 'random seed that chooses the held-out part, the same for all candidates'
    )

    def __post_init__(self):
        if not 0 < self.validation_share < 1:
            raise ValueError(
                f'validation_share is {self.validation_share}; accepted: between 0 and 1'
            )


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """What every search may be asked for, whatever its cells are.

    Raises:
        ValueError: on creation, for a number out of bounds.
    """

    seed: int = option(0, _SEED, lower_bound=0)
    objectives: tuple[str, ...] | None = option(
        None,
        'objectives to minimise, or with a - before the name to maximise: error, accuracy,'
        ' latency_ms, memory_mb, params, flops, macs, any number that your own device tells, such'
        ' as energy_mj, and your own functions (--objective); default error,latency_ms,params, for'
        ' tables their usual objectives',
    )
    include: tuple[str, ...] = option(
        (), 'cells, as tokens joined by hyphens, that are evaluated first; they count in the budget'
    )
    forbid: tuple[str, ...] = option(
        (), 'tokens, or runs of tokens such as none-dwconv3x3, that no cell of the search holds'
    )
    prefix: tuple[str, ...] = option(
        (), 'tokens joined by hyphens that all cells of the search begin with; several: any of them'
    )
    worst_error: float | None = option(
        None,
        'error in percent from which a cell is useless: it may be on the front, but adds nothing'
        ' to the hypervolume and gets no role such as balanced; default: the reference of the'
        ' benchmark, or slightly above the worst error on the front',
        lower_bound=0,
    )
    constraints: tuple[str, ...] = option(
        (), "limits, such as 'latency_ms<50,params<=1e6,accuracy>=90'"
    )
    budget: int = option(60, 'number of evaluations, including failed ones', lower_bound=1)
    device_retries: int = option(
        3,
        'how often what does not answer (a device, an executor, a disk, the images) is tried again'
        ' before the search stops; that counts as no evaluation, and the same command goes on',
        lower_bound=0,
    )
    device_pause: float = option(
        1.0,
        'seconds before the first retry; each further pause is five times as long, up to 125 s',
        lower_bound=0,
    )
    retry_failed: bool = option(
        False, 'evaluate the failed cells of an earlier run in the workdir again'
    )
    levels: int = option(4, 'largest number of operations in a cell', lower_bound=2)
    early_stopping: bool = option(
        True,
        'stop training candidates early if they are clearly dominated; not with --objective, whose'
        ' values are known only after training',
    )
    rung_margin: float = option(
        Rungs.margin,
        'percentage points of error by which a candidate has to be worse to be stopped early',
        lower_bound=0,
    )
    warm_start: str | None = option(
        None, 'evaluations.jsonl of an earlier search to learn from', path=READ
    )
    warm_start_as: Literal['evaluations', 'prior'] = option(
        'evaluations',
        'evaluations: what was made with the same images, recipe and skeleton counts as evaluated,'
        ' and is measured again if the device was another one; prior: nothing counts, values made'
        ' in any way only inform the surrogate',
    )
    planner: PlannerConfig = PlannerConfig()
    measuring: MeasureConfig = MeasureConfig()
    execution: ExecutorConfig = ExecutorConfig()

    def __post_init__(self):
        check_options(self)


@dataclasses.dataclass(frozen=True)
class SearchConfig(SearchOptions):
    """A search: cells trained on images, or the rows of a table of trained cells.

    Raises:
        ValueError: on creation, for a number out of bounds.
    """

    skeleton: str | None = option(None, SKELETON_HELP)
    sizes: Sizes = UNCHANGED
    ops: str | None = option(None, OPS_HELP, path=READ_LIST)
    dataset: str = option('digits', _DATASET, path=READ_BEHIND_COLON)
    image_cache: str | None = option(None, _IMAGE_CACHE, path=WRITTEN)
    benchmark: str | None = option(
        None,
        'search a table instead of training: nas_bench_201, nas_bench_macro; needs --table=FILE',
    )
    table: str | None = option(None, 'with --benchmark: the npz FILE of the table', path=READ)
    objective: tuple[str, ...] = option((), OBJECTIVE_HELP)
    recipe: RecipeConfig = RecipeConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A training of one network.

    Exactly one of `cell`, `network` and `from_search` names the network.

    Raises:
        ValueError: on creation, for a number out of bounds.
    """

    cell: str | None = option(None, 'cell, as tokens joined by hyphens or by its published name')
    network: str | None = option(None, 'published network by name')
    from_search: str | None = option(
        None,
        '--mode=train: a cell of an earlier search: WORKDIR:INDEX (its number in'
        ' evaluations.jsonl) or WORKDIR:ROLE (its role in search.json, such as balanced,'
        ' most_accurate or fastest)',
        path=READ_BEFORE_COLON,
    )
    skeleton: str | None = option(None, SKELETON_HELP)
    sizes: Sizes = UNCHANGED
    ops: str | None = option(None, OPS_HELP, path=READ_LIST)
    # None: that of the search with `from_search`, otherwise digits.
    dataset: str | None = option(None, _DATASET, path=READ_BEHIND_COLON)
    image_cache: str | None = option(None, _IMAGE_CACHE, path=WRITTEN)
    seed: int = option(0, _SEED, lower_bound=0)
    holdout: float = option(
        0.1,
        '--mode=train: part of the training split that is held out to choose the best network; 0'
        ' trains on all of it and takes the last network as the best',
        lower_bound=0,
        upper_bound=0.9,
    )
    split_seed: int = option(
        EvaluationConfig.split_seed, 'random seed that chooses the held-out part'
    )
    checkpoint_epochs: int = option(
        5, '--mode=train: number of epochs between two checkpoints', lower_bound=1
    )
    measure_input: bool = option(
        False, '--mode=train: measure afterwards how long a step waits for its input'
    )
    recipe: RecipeConfig = RecipeConfig()

    def __post_init__(self):
        check_options(self)


@dataclasses.dataclass(frozen=True)
class ExportTrainedConfig:
    """An export of a trained network.

    Raises:
        ValueError: on creation, for an unknown choice.
    """

    checkpoint: str | None = option(
        None,
        '--mode=export: workdir of the training (--mode=train) whose network is exported; default:'
        ' --workdir itself',
        path=READ,
    )
    ops: str | None = option(None, OPS_HELP, path=READ_LIST)
    which: Literal['best', 'last'] = option(
        'best', '--mode=export: the best network (lowest held-out error) or the last one'
    )
    files: ExportConfig = ExportConfig()

    def __post_init__(self):
        check_options(self)
