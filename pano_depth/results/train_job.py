"""Trains networks on PanoRooms or on footage, and scores them on what they have not seen."""

import dataclasses
import os
import pathlib
from collections.abc import Callable

import numpy as np

from common import export_config, options, parallel
from common.options import READ, READ_LIST, WRITTEN, check_options, option
from common.run import check_folder, digest_of_path, digest_of_tree, open_run
from common.stopping import Stop
from pano_depth.footage import masks
from pano_depth.footage.config import AUTO, NONE, ReadingConfig, mask_path
from pano_depth.learning import checkpoints, session
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.learning.model import make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.session import LogConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction.pretrained import Networks
from pano_depth.results import inputs, workdirs
from pano_depth.results.evaluate_job import RoomsConfig, Shown, check_rooms, finish, score_rooms
from pano_depth.results.training import data as training
from pano_depth.rooms import pano_rooms

# Options that may differ when a run goes on.
FREE = ('log_every', 'checkpoint_every', 'save_weights', 'data_dir')


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What networks learn from, and how."""

    checkpoint: str = option(
        'none',
        'networks to start from: "none" (fresh ones), "default" (from the package), the workdir'
        ' of a training run, or a .npz of save_weights; with learn=depth and learn=motion the'
        ' network that learns may be another one than theirs',
        path=READ,
    )
    train_data: str = option(
        'live',
        'what to learn from: "live" (rooms that are rendered inside the step), "stored" (the data'
        ' set of rooms), or PATH[,PATH...]: videos, folders of videos or of images, clip folders, a'
        ' PanoSUNCG tree, workdirs of reconstructions, which teach by what they found; with the'
        ' word rooms among them, live rooms beside the footage',
        path=READ_LIST,
    )
    eval_data: str | None = option(
        None,
        'footage to judge by, as PATH[,PATH...], or "rooms" (the test split of the data set);'
        ' default: rooms for rooms, about a tenth of the clips for footage, which are not learned'
        ' from',
        path=READ_LIST,
    )
    label_weight: float = option(
        0.3,
        'weight of the supervised losses where reconstructions among the footage found depth and'
        ' path (workdirs, clip folders with confidence), times their confidence; 0 learns from'
        ' their images alone. Truth has truth_weight',
        lower_bound=0.0,
    )
    rooms_share: float = option(
        0.5,
        'with rooms beside footage: share of the steps that learn from rooms',
        lower_bound=0.0,
        upper_bound=1.0,
    )
    stride: int = option(
        0,
        'frames between two images that are compared; 0: 1 with stored rooms, chosen for each clip'
        ' of footage',
        lower_bound=0,
    )
    mask: str = option(
        AUTO,
        'what is left out of the images of footage: "auto" finds what moves along with the camera'
        ' in each clip, and black bars; "none" leaves out nothing; else an image whose dark or'
        ' transparent pixels are left out of all clips',
        path=READ,
    )
    save_weights: str | None = option(
        None, 'also write the trained networks as one .npz file, for checkpoint', path=WRITTEN
    )
    reading: ReadingConfig = ReadingConfig()
    data: RoomsConfig = RoomsConfig()
    model: ModelChoice = ModelChoice()
    loss: LossConfig = LossConfig()
    recipe: RecipeConfig = RecipeConfig()
    logs: LogConfig = LogConfig()

    def __post_init__(self):
        check_options(self)
        if self.mask is None:
            # As in `FootageConfig`.
            object.__setattr__(self, 'mask', NONE)
        training.check(self)


def train(
    config: TrainConfig,
    workdir: str | pathlib.Path,
    *,
    stop: Stop | None = None,
    overwrite: bool = False,
) -> Networks:
    """Trains networks on PanoRooms or on footage and scores them on what they have not seen.

    Footage is decoded once, into a cache in the directory of data sets. Clips that cannot be read,
    or show no moving camera, are named in `run.json` and left out. Of footage, about a tenth of the
    clips is held out; `eval.json` has the photometric error on these before and after, beside
    scores of depth and motion where they have truth.

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
        ValueError: an option that does not fit, footage of which nothing can be used, or a workdir
            of another run: of other options, or of footage with other content.
        Stopped: there was a request to stop; the same call goes on later.
    """
    prepare = lambda rows: training.prepare(config, rows, stop)
    config = options.expand_paths(config)
    return train_on(config, workdir, prepare, stop=stop, overwrite=overwrite)


def train_on(
    config: TrainConfig,
    workdir: str | pathlib.Path,
    prepare: Callable[[int], training.Data],
    *,
    stop: Stop | None = None,
    overwrite: bool = False,
) -> Networks:
    """Trains on clips that are known already, see `train`.

    Args:
        config: options of the training; its paths are expanded.
        workdir, stop, overwrite: as for `train`.
        prepare: function of the rows of the images that the networks see; it gives the clips.
    """
    inputs.check_weights_path(config.save_weights)
    check_folder('data_dir', config.data.data_dir)
    opening = workdirs.opening(config, overwrite=overwrite)
    workdirs.check(workdir, config, opening, what='training', free=FREE, mode='train')
    params, model = checkpoints.start_model(
        config.checkpoint, config.model, learn=config.loss.learn, seed=config.recipe.seed
    )
    grid, recipe, height = make_grid(model), config.recipe, 2 * model.face_size
    mask = read_mask(config)
    if config.train_data == training.STORED or training.judged_by_rooms(config):
        check_rooms(config.data.rooms, height if config.train_data == training.STORED else 0)
    parallel.local_examples(recipe.batch_size)
    data = prepare(height)
    source, loss = training.source_of(config, data, height)
    text = options.flagfile(config, mode='train', workdir=workdir)
    digests = {
        '--checkpoint': digest_of_tree(params, model),
        '--mask': digest_of_path(mask_path(config.mask)),
        '--rooms': str(pano_rooms.PanoRooms.VERSION),
        **data.digests,
    }
    with open_run(workdir, text, inputs=digests, what='training', **opening) as run:
        run.writes('checkpoints/', 'metrics.jsonl', 'events.out.tfevents.*')
        # A network that was exported into this directory is the one that is trained here.
        run.writes(*export_config.FILES)
        run.update(train_data=config.train_data, **training.listing(data))
        judgement = None
        if data.held_out:
            judgement = training.Judgement(run, config, data, grid, model, mask, height)
            judgement.before(params)
        params = session.train_in(
            run,
            source,
            recipe,
            model,
            loss,
            grid,
            mask=masks.mask_of_rows(mask, height),
            params=params,
            logs=config.logs,
            stop=stop,
        )
        if config.save_weights and parallel.is_main():
            run.writes(os.path.abspath(config.save_weights))
            checkpoints.save_weights(config.save_weights, params, model)
        if judgement is None:
            score_rooms(run, config.data, params, model, grid)
        else:
            judgement.after(params, Shown(run))
        finish(run)
    return Networks(params, model)


def read_mask(config: TrainConfig) -> np.ndarray | None:
    """The mask of all frames, [H, 2H] bool, or None. Raises ValueError for a folder of masks."""
    path = mask_path(config.mask)
    if path is not None and os.path.isdir(path):
        raise ValueError(
            f'--mask is {path}, a folder; accepted in training: one image for all frames'
        )
    return None if path is None else masks.read_mask(path)
