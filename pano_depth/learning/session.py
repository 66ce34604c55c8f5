"""Training inside a run directory: checkpoints, metric log, progress, resume."""

import dataclasses
import json
import pathlib
import time

import jax
import numpy as np

from common import npz
from common.checkpoint import Checkpoints
from common.logs import MetricLog, Progress
from common.run import atomic_path
from common.stopping import Stop
from pano_depth.footage import media
from pano_depth.learning import train
from pano_depth.learning.model import ModelConfig, param_shapes

DEFAULT_WEIGHTS = pathlib.Path(__file__).resolve().parents[1] / 'weights' / 'rooms.npz'
SHOWN = ('loss', 'photometric', 'disparity_spread')


def _to_saved(state, model):
    return {
        'params': train.unflatten(state.params, model),
        'optimizer': state.optimizer,
        'average': train.unflatten(state.average, model),
    }


def _from_saved(saved):
    return train.State(
        train.flatten(saved['params']), saved['optimizer'], train.flatten(saved['average'])
    )


def _template(config, model):
    """Shapes of what a checkpoint holds."""
    params = param_shapes(model)
    return jax.eval_shape(
        lambda params: _to_saved(train.init_state(config, model, params), model), params
    )


def train_in(
    run,
    source,
    config,
    model,
    loss,
    grid,
    *,
    mask=None,
    params=None,
    log_every=20,
    checkpoint_every=200,
    description='train',
    stop=None,
):
    """Trains in a run directory; started again, it goes on from the newest checkpoint.

    Args:
        run: `common.run.RunDirectory`.
        source: see `sources`.
        config, model, loss: `RecipeConfig`, `ModelConfig`, `LossConfig`.
        grid: `Grid` of the model.
        mask: as for `train.fit`.
        params: {'depth', 'pose'} to start from, or None for fresh ones.
        log_every: steps between two lines of the metric log.
        checkpoint_every: steps between two checkpoints; the last step is always saved.
        description: word in front of the progress.
        stop: `common.stopping.Stop`, or None.

    Returns:
        {'depth', 'pose'}: the averaged parameters after the last step.

    Raises:
        ValueError: see `train.fit`, or the checkpoints do not fit this model.
        Stopped: `stop` was asked; there is a checkpoint of the step after which training ended.
    """
    stop = stop or Stop()
    state = train.init_state(config, model, params)
    with Checkpoints(run.checkpoints) as checkpoints:
        restored = checkpoints.restore(_template(config, model))
        start = 0
        if restored is not None:
            start, saved, metadata = restored
            stored = metadata['train']
            if stored['steps'] != config.steps:
                raise ValueError(
                    f'the checkpoints in {run.path} belong to a run of {stored["steps"]} steps, not'
                    f' {config.steps}: the rate of learning depends on it; take another --workdir'
                )
            state = _from_saved(saved)
        started = time.monotonic()
        ended = start
        facts = {'model': dataclasses.asdict(model), 'train': dataclasses.asdict(config)}
        with (
            MetricLog(run.path, resume_step=start) as log,
            Progress(config.steps, initial=start, description=description) as progress,
        ):
            if start:
                progress.write(f'going on from the checkpoint of step {start}')

            def on_step(done, state, metrics):
                nonlocal ended
                ended = done
                if done % log_every == 0 or done == config.steps:
                    rate = (done - start) / max(time.monotonic() - started, 1e-9)
                    log.write(done, {**metrics, 'steps_per_second': rate})
                if done % checkpoint_every == 0 or done == config.steps:
                    checkpoints.save(done, _to_saved(state, model), facts)
                progress.update(1, {name: metrics[name] for name in SHOWN})

            with stop.held('this step'):
                state = train.fit(
                    state,
                    source,
                    config,
                    model,
                    loss,
                    grid,
                    mask=mask,
                    start=start,
                    on_step=on_step,
                    stop=stop,
                )
                if ended < config.steps and checkpoints.latest_step() != ended:
                    checkpoints.save(ended, _to_saved(state, model), facts)
                stop.trained(ended, config.steps, run.path)
    run.update(
        training={
            'steps': config.steps,
            'resumed_from': start,
            'seconds': time.monotonic() - started,
        }
    )
    return train.unflatten(state.average, model)


def save_weights(path, params, config):
    """Writes parameters as one .npz file: float16 arrays and the model's config, a fraction of a
    checkpoint's size.

    Args:
        path: destination, `.npz`.
        params: {'depth', 'pose'} parameters.
        config: `ModelConfig`.
    """
    leaves = {
        '/'.join(entry.key for entry in keys): np.asarray(leaf, np.float16)
        for keys, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        np.savez(file, config=json.dumps(dataclasses.asdict(config)), **leaves)


def _config(values):
    return ModelConfig(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
    )


def _load_weights(path):
    """({'depth', 'pose'}, ModelConfig) of a file of `save_weights`."""
    try:
        with npz.open_npz(path) as stored:
            config = _config(json.loads(str(stored['config'])))
            leaf = lambda keys, shape: (
                stored['/'.join(entry.key for entry in keys)]
                .astype(np.float32)
                .reshape(shape.shape)
            )
            return jax.tree_util.tree_map_with_path(leaf, param_shapes(config)), config
    except Exception as error:  # A damaged archive raises whatever its part raises.
        raise ValueError(
            f'checkpoint {path} is not a .npz of --save_weights of this version: {error}'
        ) from error


def load_model(path):
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
    path = DEFAULT_WEIGHTS if path == 'default' else pathlib.Path(path)
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
        except (KeyError, TypeError) as error:
            raise ValueError(
                f'checkpoint {path} is not one of a depth network of this version: {error}'
            ) from error
        _, saved, _ = checkpoints.restore(_template(train.RecipeConfig(), config))
    return saved['average'], config


def read_mask(path):
    """A mask image as [H, W] bool: True where it is bright, False where it is dark (the tripod, the
    photographer).

    Raises:
        ValueError: the image cannot be read or is not 2:1, or leaves nothing.
    """
    image = media.read_image(path)
    if image.shape[1] != 2 * image.shape[0]:
        raise ValueError(
            f'mask {path} is {image.shape[0]} x {image.shape[1]} pixels; an equirectangular mask is'
            ' H x W with W = 2H'
        )
    mask = image.mean(axis=-1) > 127
    if not mask.any():
        raise ValueError(f'mask {path} is dark everywhere: bright pixels are those that count')
    return mask
