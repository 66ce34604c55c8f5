"""Trains networks on PanoRooms and scores them on rooms that they have not seen."""

import dataclasses
import os
import pathlib
from typing import Literal

from common import options, parallel
from common.logs import say
from common.options import READ, WRITTEN, check_options, option
from common.run import (
    check_folder,
    check_workdir,
    digest_of_path,
    digest_of_tree,
    earlier_run,
    open_run,
)
from common.stopping import Stop
from pano_depth.footage import masks
from pano_depth.footage.config import mask_path
from pano_depth.learning import checkpoints, session, sources
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.learning.model import make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.session import LogConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction.pretrained import Networks
from pano_depth.results import inputs
from pano_depth.results.evaluate_job import RoomsConfig, check_rooms, finish, score_rooms
from pano_depth.rooms import pano_rooms


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What networks learn from, and how."""

    checkpoint: str = option(
        'none',
        'networks to start from: "none" (fresh ones), "default" (from the package), the workdir'
        ' of a training run, or a .npz of save_weights',
        path=READ,
    )
    train_data: Literal['live', 'stored'] = option(
        'live', 'rooms to train on: rendered inside the step, or the stored data set'
    )
    stride: int = option(
        0,
        'with stored rooms: frames between two images that are compared; 0 means 1',
        lower_bound=0,
    )
    mask: str | None = option(
        None, 'image whose dark pixels are left out: the tripod, the photographer', path=READ
    )
    save_weights: str | None = option(
        None, 'also write the trained networks as one .npz file, for checkpoint', path=WRITTEN
    )
    data: RoomsConfig = RoomsConfig()
    model: ModelChoice = ModelChoice()
    loss: LossConfig = LossConfig()
    recipe: RecipeConfig = RecipeConfig()
    logs: LogConfig = LogConfig()

    def __post_init__(self):
        check_options(self)


def train(
    config: TrainConfig,
    workdir: str | pathlib.Path,
    *,
    stop: Stop | None = None,
    overwrite: bool = False,
) -> Networks:
    """Trains networks on PanoRooms and scores them on scenes that they have not seen.

    All devices and processes of JAX share each batch. The run goes on from its newest checkpoint
    when it is started again.

    Args:
        config: options of the training.
        workdir: directory of the run: a new one, or the directory of the same training.
        stop: request to stop, see `common.stopping`; None: never.
        overwrite: whether files of an earlier run in the workdir, whatever it was, are removed.

    Returns:
        The trained networks (averaged parameters). `eval.json` in the workdir has their scores.

    Raises:
        ValueError: an option that does not fit, or a workdir of another run.
        Stopped: there was a request to stop; the same call goes on later.
    """
    config = options.expand_paths(config)
    inputs.check_weights_path(config.save_weights)
    check_folder('data_dir', config.data.data_dir)
    opening = {'overwrite': overwrite, 'known': inputs.FILES, 'reads': options.read_by(config)}
    options.check_same(
        earlier_run(workdir, overwrite=overwrite)[0],
        config,
        workdir=workdir,
        what='training',
        free={'log_every', 'checkpoint_every', 'save_weights', 'data_dir'},
        mode='train',
    )
    check_workdir(workdir, **opening)
    params, model = checkpoints.start_model(config.checkpoint, config.model)
    grid, recipe, height = make_grid(model), config.recipe, 2 * model.face_size
    path = mask_path(config.mask)
    if path is not None and os.path.isdir(path):
        raise ValueError(
            f'--mask is {path}, a folder; accepted in training: one image for all frames'
        )
    mask = None if path is None else masks.read_mask(path)
    check_rooms(config.data.rooms, height if config.train_data == 'stored' else 0)
    parallel.local_examples(recipe.batch_size)
    text = options.flagfile(config, mode='train', workdir=workdir)
    digests = {
        '--checkpoint': digest_of_tree(params, model),
        '--mask': digest_of_path(path),
        '--rooms': str(pano_rooms.PanoRooms.VERSION),
    }
    with open_run(workdir, text, inputs=digests, what='training', **opening) as run:
        run.writes('checkpoints/', 'metrics.jsonl', 'events.out.tfevents.*')
        run.update(train_data=config.train_data)
        params = session.train_in(
            run,
            _source(config, height),
            recipe,
            model,
            config.loss,
            grid,
            mask=masks.mask_of_rows(mask, height),
            params=params,
            logs=config.logs,
            stop=stop,
        )
        if config.save_weights and parallel.is_main():
            run.writes(os.path.abspath(config.save_weights))
            checkpoints.save_weights(config.save_weights, params, model)
        score_rooms(run, config.data, params, model, grid)
        finish(run)
    return Networks(params, model)


def _source(config, height):
    """The source of the training triplets."""
    recipe = config.recipe
    if config.train_data == 'live':
        return sources.LiveSource(height=height, batch_size=recipe.batch_size, seed=recipe.seed)
    say(f'opening pano_rooms/{config.data.rooms}')
    return sources.WindowSource(
        pano_rooms.load('train', config.data.rooms, config.data.data_dir),
        batch_size=recipe.batch_size,
        stride=max(1, config.stride),
        seed=recipe.seed,
        with_truth=config.loss.truth_weight > 0,
    )
