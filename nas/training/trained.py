"""Trained networks on disk: what a training leaves behind, and opening it again.

The workdir of a training holds `network.json`, which says what the network is and what it takes,
and two folders of `common.checkpoint`: `checkpoints` with whole training states, and `best` with
the variables that had the lowest held-out error.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np

from common.checkpoint import Checkpoints
from common.run import jsonable, write_json
from nas.cells.architecture import Architecture
from nas.cells.plan import Plan
from nas.datasets.images import Images
from nas.networks import network
from nas.networks.convert import convert
from nas.training import recipe
from nas.training.recipe import RecipeConfig

NETWORK_FILE, LAST, BEST = 'network.json', 'checkpoints', 'best'


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        plan: the layer records.
        variables: those of the masked `Network(plan)`, NumPy arrays.
        meta: what network.json holds, see `make_meta`.
        step: steps of training behind it.
    """

    plan: Plan
    variables: dict
    meta: dict
    step: int

    def deployed(self) -> dict:
        """The variables of `Network(plan, deployed=True)`.

        Raises:
            ValueError: if learned groups are not fully condensed, as before the middle of a
                training.
        """
        return convert(self.plan, self.variables)


def make_meta(
    architecture: Architecture,
    train: Images,
    *,
    data: str,
    config: RecipeConfig,
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """What network.json says of a training.

    Args:
        architecture: the network.
        train: the images that it is trained on.
        data: the text that `open_images` opened.
        config: the recipe.
        statistics: (mean, std) [C] by which images in [0, 1] are normalised; default those of
            `train`.

    Returns:
        {'name', 'cell', 'network', 'skeleton', 'classes', 'mean', 'std', 'size', 'channels',
        'data', 'recipe'} of strings, numbers, lists and dicts, as JSON gives it back.
    """
    mean, std = train.statistics() if statistics is None else statistics
    size, channels, _ = architecture.input
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
        }
    )


def write_meta(workdir, meta: Mapping[str, Any]) -> None:
    """Writes network.json, atomically. `meta` is by `make_meta`."""
    write_json(pathlib.Path(workdir) / NETWORK_FILE, dict(meta))


def read_meta(workdir) -> dict[str, Any] | None:
    """What network.json holds, or None where there is none.

    Raises:
        ValueError: if it is damaged; names the file.
    """
    path = pathlib.Path(workdir).expanduser() / NETWORK_FILE
    try:
        meta = json.loads(path.read_text())
        Architecture.from_dict(meta), RecipeConfig(**meta['recipe'])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is damaged or not of this version: {error}') from error
    return meta


def state_template(plan: Plan, config: RecipeConfig) -> recipe.State:
    """Shapes of a training state, for `Checkpoints.restore`, without computing anything."""
    start = lambda variables: recipe.init_state(plan, config, steps=1, seed=0, variables=variables)
    return jax.eval_shape(start, network.variable_shapes(plan))


def open_trained(workdir, *, which: Literal['best', 'last'] = 'best') -> Trained:
    """Opens the network that a training left in its workdir, whether it has ended or still runs.

    Args:
        workdir: of `--mode=train`.
        which: 'best', the lowest held-out error (the last if nothing was held out), or 'last'.

    Raises:
        ValueError: a file is missing or damaged; names it.
    """
    if which not in ('best', 'last'):
        raise ValueError(f'which is {which!r}; accepted: best, last')
    workdir = pathlib.Path(workdir).expanduser()
    meta = read_meta(workdir)
    if meta is None:
        raise ValueError(
            f'{workdir / NETWORK_FILE} does not exist; the workdir of a training '
            '(nas-search --mode=train) is accepted'
        )
    plan = Architecture.from_dict(meta).plan
    template = state_template(plan, RecipeConfig(**meta['recipe']))
    folder = workdir / (BEST if which == 'best' else LAST)
    with Checkpoints(folder) as checkpoints:
        restored = checkpoints.restore(
            recipe.to_variables(template) if which == 'best' else template
        )
    if restored is None:
        raise ValueError(f'{folder} holds no checkpoint; the training has not got so far')
    step, state, _ = restored
    return Trained(
        plan, jax.device_get(state if which == 'best' else recipe.to_variables(state)), meta, step
    )
