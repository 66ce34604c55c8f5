"""What a training keeps of its network: `network.json`, and the names of its files.

The workdir of a training holds `network.json`, which says what the network is and what it takes,
and two folders of `common.checkpoint`: `checkpoints` with whole training states, and `best` with
the variables that had the lowest held-out error.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from common import export_config
from common.run import jsonable, write_json
from nas.cells import own_ops
from nas.cells.architecture import Architecture
from nas.cells.own_ops import NONE, OwnOps
from nas.cells.plan import Plan
from nas.datasets.crops import Preparation
from nas.datasets.images import Images
from nas.networks import network
from nas.training import recipe
from nas.training.config import RecipeConfig

NETWORK_FILE, LAST, BEST = 'network.json', 'checkpoints', 'best'
# Names of what a training writes before its results.
TRAINING_FILES = (NETWORK_FILE, f'{LAST}/', f'{BEST}/', 'metrics.jsonl', 'events.out.tfevents.*')
# Names of what runs of before run.json listed their files may have written.
FILES = (
    *(*TRAINING_FILES, 'train.json', 'report.html', *export_config.FILES),
    *('evaluations.jsonl', 'evaluations.jsonl.corrupt', 'pareto.csv', 'pareto.png', 'search.json'),
    'slurm/',
)


def make_meta(
    architecture: Architecture,
    train: Images,
    *,
    data: str,
    config: RecipeConfig,
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
    ops: OwnOps = NONE,
) -> dict[str, Any]:
    """Makes the content of network.json.

    Args:
        architecture: the network.
        train: the images that it is trained on.
        data: the text that `open_images` opened.
        config: the recipe.
        statistics: (mean, std) [C] by which images in [0, 1] are normalised; default those of
            `train`.
        ops: own ops of the run; those that the cell uses are recorded.

    Returns:
        {'name', 'cell', 'network', 'skeleton', 'classes', 'mean', 'std', 'size', 'channels',
        'data', 'recipe', 'preparation'} of strings, numbers, lists and dicts, as JSON gives it
        back. A cell with own ops has 'ops' besides, see `nas.cells.own_ops.OwnOps.as_list`.
    """
    mean, std = train.statistics() if statistics is None else statistics
    size, channels, _ = architecture.input
    used = ops.of(architecture.cell).as_list()
    return jsonable(
        {
            **architecture.as_dict(),
            'classes': train.classes,
            'mean': mean,
            'std': std,
            'size': size,
            'channels': channels,
            'data': data,
            'recipe': dataclasses.asdict(config),
            'preparation': train.preparation.as_dict(),
            **({'ops': used} if used else {}),
        }
    )


def write_meta(workdir, meta: Mapping[str, Any]) -> None:
    """Writes network.json atomically. `meta` is from `make_meta`."""
    write_json(pathlib.Path(workdir) / NETWORK_FILE, dict(meta))


def read_meta(workdir, *, ops: str | None = None) -> dict[str, Any] | None:
    """Returns the content of network.json, or None if the file does not exist.

    Own ops of the network are registered from their copies in the workdir.

    Args:
        workdir: of the training.
        ops: files that replace these copies, as in `--ops`.

    Raises:
        ValueError: if it is damaged, or a file of own ops is missing; the message names the file.
    """
    path = pathlib.Path(workdir).expanduser() / NETWORK_FILE
    try:
        meta = json.loads(path.read_text())
        records = [
            {name: record[name] for name in ('name', 'sha256', 'module', 'tokens')}
            for record in meta.get('ops', ())
        ]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is damaged or not of this version: {error}') from error
    own_ops.remembered(records, workdir, ops).load()
    try:
        _check(meta)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is damaged or not of this version: {error}') from error
    return meta


def _check(meta: Mapping[str, Any]) -> None:
    """Raises ValueError, KeyError or TypeError unless network.json can be used; ops are there."""
    _, channels, classes = Architecture.from_dict(meta).input
    RecipeConfig(**meta['recipe'])
    for name, length in (('classes', classes), ('mean', channels), ('std', channels)):
        if len(meta[name]) != length:
            raise ValueError(f'{name} are {len(meta[name])}, but the network has {length}')
    # Files of earlier versions do not say it.
    if 'preparation' in meta:
        Preparation.from_dict(meta['preparation'])


def state_template(plan: Plan, config: RecipeConfig) -> recipe.State:
    """Shapes of a training state, for `Checkpoints.restore`, without computing anything."""
    start = lambda variables: recipe.init_state(plan, config, steps=1, seed=0, variables=variables)
    return jax.eval_shape(start, network.variable_shapes(plan))
