"""Trained networks as files: checkpoints of runs, `.npz` files, the weights of the package."""

import dataclasses
import json
import pathlib
from typing import Any

import jax
import numpy as np

from common import npz
from common.checkpoint import Checkpoints
from common.options import optional_fields
from common.run import atomic_path
from pano_depth.learning import train
from pano_depth.learning.model import EARLIER, ModelConfig, init_params, param_shapes

DEFAULT_WEIGHTS = pathlib.Path(__file__).resolve().parents[1] / 'weights' / 'rooms.npz'
# Fields of `ModelConfig` that parameters do not depend on.
FREE_FIELDS = ('face_size', 'pose_mode')

ModelChoice = optional_fields(
    'ModelChoice',
    ModelConfig,
    'What the networks are: None takes what the checkpoint has, or the default of `ModelConfig`.',
)


def to_saved(state: train.State, model: ModelConfig) -> dict:
    """A training state in the form of a checkpoint: parameters as trees."""
    return {
        'params': train.unflatten(state.params, model),
        'optimizer': state.optimizer,
        'average': train.unflatten(state.average, model),
    }


def from_saved(saved: dict) -> train.State:
    """The inverse of `to_saved`."""
    return train.State(
        train.flatten(saved['params']), saved['optimizer'], train.flatten(saved['average'])
    )


def template(recipe: train.RecipeConfig, model: ModelConfig) -> dict:
    """Shapes of what a checkpoint holds."""
    params = param_shapes(model)
    return jax.eval_shape(
        lambda params: to_saved(train.init_state(recipe, model, params), model), params
    )


def save_weights(path: str | pathlib.Path, params: dict, config: ModelConfig) -> None:
    """Writes parameters and the model's config as one .npz file of float16 arrays.

    Its size is a fraction of the size of a checkpoint.

    Args:
        path: destination, `.npz`.
        params: {'depth', 'pose'} parameters.
        config: of the networks.
    """
    leaves = {
        '/'.join(entry.key for entry in keys): np.asarray(leaf, np.float16)
        for keys, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        np.savez(file, config=json.dumps(dataclasses.asdict(config)), **leaves)


def _config(values):
    as_tuple = lambda value: tuple(value) if isinstance(value, list) else value
    return ModelConfig(**EARLIER | {name: as_tuple(value) for name, value in values.items()})


def _load_weights(path):
    """({'depth', 'pose'}, ModelConfig) of a file of `save_weights`."""
    try:
        with npz.open_npz(path) as stored:
            config = _config(json.loads(str(stored['config'])))

            def leaf(keys, shape):
                array = stored['/'.join(entry.key for entry in keys)]
                return array.astype(np.float32).reshape(shape.shape)

            return jax.tree_util.tree_map_with_path(leaf, param_shapes(config)), config
    except Exception as error:  # A damaged archive can raise anything.
        raise ValueError(
            f'checkpoint {path} is not a .npz of --save_weights of this version: {error}'
        ) from error


def load_model(path: str | pathlib.Path) -> tuple[dict, ModelConfig]:
    """Reads trained parameters.

    Args:
        path: 'default' (`DEFAULT_WEIGHTS`), a `.npz` of `save_weights`, a run directory or its
            `checkpoints`.

    Returns:
        (params, config): the averaged {'depth', 'pose'} of the newest intact checkpoint, and its
        `ModelConfig`.

    Raises:
        ValueError: there is no checkpoint, or it is of another kind.
    """
    path = DEFAULT_WEIGHTS if path == 'default' else pathlib.Path(path).expanduser()
    if path.suffix == '.npz':
        return _load_weights(path)
    directory = path / 'checkpoints' if (path / 'checkpoints').is_dir() else path
    with Checkpoints(directory) as checkpoints:
        metadata = checkpoints.metadata()
        if metadata is None:
            raise ValueError(
                f'checkpoint {path} holds no checkpoint; expected "default", "none", the workdir of'
                ' a training run or a .npz of --save_weights'
            )
        try:
            config = _config(metadata['model'])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'checkpoint {path} is not one of a depth network of this version: {error}'
            ) from error
        _, saved, _ = checkpoints.restore(template(train.RecipeConfig(), config))
    return saved['average'], config


def _as_flag(value):
    return ','.join(map(str, value)) or 'none' if isinstance(value, tuple) else value


def start_model(
    checkpoint: str, choice: Any = None, *, learn: str = 'both', seed: int = 0
) -> tuple[dict | None, ModelConfig]:
    """The networks that a run starts from.

    Args:
        checkpoint: 'none' for fresh networks, or as for `load_model`.
        choice: `ModelChoice`, or None.
        learn: as in `LossConfig`. Where 'depth' or 'motion' alone learns, the choice may be of
            another network for it than the checkpoint's, which then is a fresh one.
        seed: of the fresh network.

    Returns:
        (params or None, config): for fresh networks no parameters.

    Raises:
        ValueError: as `load_model`, or the choice needs other parameters than the networks of the
            checkpoint have.
    """
    choice = ModelChoice() if choice is None else choice
    given = {name: value for name, value in vars(choice).items() if value is not None}
    if checkpoint == 'none':
        return None, ModelConfig(**given)
    params, config = load_model(checkpoint)
    network = {'depth': 'depth', 'motion': 'pose'}.get(learn)
    anew = {
        field: value
        for field, value in given.items()
        if field not in FREE_FIELDS and network_of(field) == network and network is not None
    }
    for field, value in given.items():
        stored = getattr(config, field)
        if field not in FREE_FIELDS and value != stored and field not in anew:
            raise ValueError(
                f'--{field} is {_as_flag(value)}, the networks of --checkpoint={checkpoint} have'
                f' {_as_flag(stored)}; leave the flag out, or train fresh networks with'
                ' --checkpoint=none'
            )
    free = {field: value for field, value in given.items() if field in FREE_FIELDS}
    changed = any(value != getattr(config, field) for field, value in anew.items())
    config = dataclasses.replace(config, **free, **anew)
    if changed:
        params = params | {network: init_params(seed, config)[network]}
    return jax.tree.map(np.asarray, params), config


def network_of(field: str) -> str | None:
    """The network, 'depth' or 'pose', of which alone a field of `ModelConfig` is; None: of both."""
    if field.startswith('depth_') or field == 'scales':
        return 'depth'
    return 'pose' if field.startswith('pose_') else None


def trained_model(checkpoint: str, choice: Any = None) -> tuple[dict, ModelConfig]:
    """`start_model` for jobs that need trained parameters.

    Raises:
        ValueError: as `start_model`, or fresh networks are asked for.
    """
    params, config = start_model(checkpoint, choice)
    if params is None:
        raise ValueError(
            '--checkpoint=none has no trained networks; --checkpoint=default, a workdir or a .npz'
            ' of --save_weights is accepted'
        )
    return params, config
