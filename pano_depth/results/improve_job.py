"""Networks learn from what they reconstruct, round after round, without labels."""

import dataclasses
import json
import math
import pathlib
import time

import jax
import numpy as np

from common import options
from common.logs import Progress, say
from common.options import READ, READ_LIST, check_options, held, option
from common.run import check_folder, check_inputs, digest_of_tree, open_run, write_json
from common.stopping import Stop
from pano_depth.footage.config import FootageConfig, ReadingConfig
from pano_depth.learning import checkpoints
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.learning.model import init_params
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.session import LogConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction.bundle import BundleConfig
from pano_depth.reconstruction.pretrained import Networks
from pano_depth.reconstruction.sweep import SweepConfig
from pano_depth.results import workdirs
from pano_depth.results.evaluate_job import RoomsConfig
from pano_depth.results.reconstruct_job import ReconstructConfig
from pano_depth.results.report import rounds as page
from pano_depth.results.train_job import TrainConfig, train_on
from pano_depth.results.training import data as training
from pano_depth.results.training import found, own
from pano_depth.rooms import pano_rooms

WEIGHTS, RECORD = 'improved.npz', 'improve.json'


@dataclasses.dataclass(frozen=True)
class ImproveConfig:
    """How networks learn from their own reconstructions."""

    checkpoint: str = option(
        'default',
        'networks to start from: "default" (from the package), "none" (fresh ones), the workdir'
        ' of a training run, or a .npz of save_weights',
        path=READ,
    )
    rounds: int = option(
        3,
        'how often clips are reconstructed and learned from, at most; it ends by itself when the'
        ' photometric error on held-out clips no longer falls',
        lower_bound=1,
    )
    eval_data: str | None = option(
        None,
        'footage to judge by, as PATH[,PATH...]; default: about a tenth of the clips, which are not'
        ' learned from',
        path=READ_LIST,
    )
    output_height: int = option(
        128, 'rows of the reconstructions; more than the networks see tells more', lower_bound=32
    )
    every: int = option(1, 'n takes every n-th frame of the footage', lower_bound=1)
    max_frames: int = option(
        0, 'takes at most so many frames of a clip; 0 takes all', lower_bound=0
    )
    label_weight: float = option(
        TrainConfig.label_weight,
        'weight of the supervised losses where reconstructions found depth and path',
        lower_bound=0.0,
    )
    rooms_share: float = option(
        0.0,
        'share of the steps that learn from live rooms, by their images alone unless'
        ' --truth_weight says otherwise',
        lower_bound=0.0,
        upper_bound=1.0,
    )
    stride: int = option(
        0, 'frames between two images that are compared; 0: chosen for each clip', lower_bound=0
    )
    bundle: BundleConfig = held(BundleConfig(), prefix='bundle_')
    sweep: SweepConfig = held(SweepConfig(), prefix='sweep_')
    footage: FootageConfig = FootageConfig()
    data: RoomsConfig = RoomsConfig()
    model: ModelChoice = ModelChoice()
    loss: LossConfig = LossConfig()
    recipe: RecipeConfig = RecipeConfig()
    logs: LogConfig = LogConfig()

    def __post_init__(self):
        check_options(self)
        if self.output_height % 2:
            raise ValueError(f'--output_height is {self.output_height}; an even number is accepted')
        if self.footage.mask_path or self.footage.mask_folder:
            raise ValueError(
                f'--mask is {self.footage.mask}; accepted in improve: auto, which finds out what'
                ' moves along in each clip, or none'
            )


def improve(
    footage: str,
    workdir: str | pathlib.Path,
    config: ImproveConfig = ImproveConfig(),
    *,
    stop: Stop | None = None,
    overwrite: bool = False,
) -> Networks:
    """Reconstructs clips with the present networks, trains these on the results, and again.

    In each round all clips are reconstructed (`reconstruct` without adaptation), and the networks
    go on learning from the images and, by confidence, from depth and path that were found. Clips
    that are held out judge: the photometric error with which the networks explain them. The
    rounds end when it no longer falls; the best networks are the result.

    Args:
        footage: PATH[,PATH...] as in `TrainConfig.train_data`: videos, folders of videos, clip
            folders, a PanoSUNCG tree.
        workdir: directory of the run, which gets `improved.npz` (for --checkpoint),
            `improve.json` (what each round did) and a report. Folders `round_1`, ... hold the
            reconstructions and the training of each round.
        config: options.
        stop: request to stop, see `common.stopping`; None: never.
        overwrite: whether files of an earlier run in the workdir, whatever it was, are removed.

    Returns:
        The networks with the least error, which may be those that it started from.

    Raises:
        ValueError: footage of which nothing can be used, an option that does not fit, or a workdir
            of another run.
        Stopped: there was a request to stop; the same call goes on later.
    """
    if jax.process_count() > 1:
        raise ValueError(
            '--mode=improve runs in one process; --mode=train takes the workdirs of its'
            ' reconstructions in several'
        )
    footage, config = options.expand(footage, READ_LIST), options.expand_paths(config)
    paths, with_rooms = _paths(footage)
    if with_rooms:
        raise ValueError('--input names rooms; accepted: footage. --rooms_share adds rooms')
    check_folder('data_dir', config.data.data_dir)
    beside = {'mode': 'improve', 'input': footage}
    reads = {f'input[{i}]': path for i, path in enumerate(paths)}
    opening = workdirs.opening(config, overwrite=overwrite, **reads)
    _, record = workdirs.check(
        workdir, config, opening, what='run', free={'rounds', 'data_dir', *_LOGS}, **beside
    )
    params, model = checkpoints.start_model(config.checkpoint, config.model)
    start = _training(config, footage, checkpoint=config.checkpoint)
    data = training.prepare(start, 2 * model.face_size, stop, named='input')
    digests = {'--checkpoint': digest_of_tree(params, model), **data.digests}
    if record.get('inputs'):
        check_inputs(record, digests, workdir=workdir, what='run')
    text = options.flagfile(config, workdir=str(workdir), **beside)
    with open_run(workdir, text, inputs=digests, what='run', **opening) as run:
        run.writes(RECORD, WEIGHTS, 'report.html')
        params = init_params(config.recipe.seed, model) if params is None else params
        networks = Networks(params, model)
        rounds = _Rounds(run, config, footage, data, networks, stop or Stop())
        best = rounds.run()
        checkpoints.save_weights(run.path / WEIGHTS, best.params, best.config)
        page.rounds_report(run.path, rounds.ended, rounds.best)
        run.finish()
        say(f'{run.path / WEIGHTS} holds the best networks, for --checkpoint; see report.html')
    return best


_LOGS = tuple(field.name for field in dataclasses.fields(LogConfig))


def _paths(text):
    try:
        return found.paths_in(text)
    except ValueError as error:
        raise ValueError(f'--input is {error}') from None


def _reconstruction(config: ImproveConfig, checkpoint: str) -> ReconstructConfig:
    """The options of the reconstructions of a round."""
    return ReconstructConfig(
        checkpoint=checkpoint,
        output_height=config.output_height,
        every=config.every,
        max_frames=config.max_frames,
        bundle=config.bundle,
        sweep=config.sweep,
        footage=config.footage,
        model=config.model,
    )


def _training(config: ImproveConfig, data: str, **changes) -> TrainConfig:
    """The options of the training of a round."""
    names = [field.name for field in dataclasses.fields(ReadingConfig)]
    return TrainConfig(
        train_data=data + (f',{found.ROOMS}' if config.rooms_share else ''),
        eval_data=config.eval_data,
        label_weight=config.label_weight,
        rooms_share=config.rooms_share,
        stride=config.stride,
        reading=ReadingConfig(**{name: getattr(config.footage, name) for name in names}),
        data=config.data,
        model=config.model,
        loss=config.loss,
        recipe=config.recipe,
        logs=config.logs,
        **changes,
    )


class _Rounds:
    """The rounds of a run; those that have ended are in `improve.json`.

    Attributes:
        ended: what `improve.json` says of each.
        best: number of the round with the best networks; 0: those of before.
    """

    def __init__(self, run, config, footage: str, data, networks: Networks, stop: Stop):
        self._run, self._config, self._footage = run, config, footage
        self._data, self._start, self._stop = data, networks, stop
        self.ended, self.best = [], 0
        if run.record.get('resumed') and (run.path / RECORD).exists():
            self.ended = json.loads((run.path / RECORD).read_text())['rounds']

    def run(self) -> Networks:
        """All rounds; the best networks."""
        best, least = self._start, math.inf
        for number in range(1, self._config.rounds + 1):
            self._stop.check()
            if number > len(self.ended):
                self.ended.append(self._round(number, best))
                write_json(self._run.path / RECORD, {'rounds': self.ended})
            errors = self.ended[number - 1]['photometric_error']
            least = min(least, errors['before'])
            if not errors['after'] < least:
                say(
                    f'the photometric error after round {number} is {errors["after"]:.4f}, no less'
                    f' than {least:.4f} before it: the networks of before are the result'
                )
                break
            best, least, self.best = self._networks(number), errors['after'], number
        return best

    def _folder(self, number):
        return self._run.path / f'round_{number}'

    def _networks(self, number):
        path = self._folder(number) / 'networks.npz'
        return Networks(*checkpoints.start_model(str(path), self._config.model))

    def _round(self, number: int, networks: Networks) -> dict:
        """Reconstructs and trains; what `improve.json` says of it."""
        folder, times = self._folder(number), [time.monotonic()]
        self._run.writes(f'{folder.name}/')
        folder.mkdir(exist_ok=True)
        start = str(folder / 'start.npz')
        checkpoints.save_weights(start, networks.params, networks.config)
        learned = self._taught(folder / 'clips', start, 2 * networks.config.face_size)
        found_out = learned.summary()
        say(
            f'round {number}: {found_out["reconstructed"]} of {found_out["clips"]} clips are'
            f' reconstructed, other views confirm {100 * learned.confident:.0f} % of their pixels'
        )
        times.append(time.monotonic())
        data = self._data._replace(learned=learned.pieces)
        config = _training(
            self._config,
            str(folder / 'clips'),
            checkpoint=start,
            save_weights=str(folder / 'networks.npz'),
        )
        train_on(config, folder / 'training', lambda rows: data, stop=self._stop)
        times.append(time.monotonic())
        scores = json.loads((folder / 'training' / 'eval.json').read_text())
        kept = ('photometric_error', 'depth', 'pose')
        seconds = dict(zip(('reconstruction', 'training'), np.diff(times).tolist(), strict=True))
        return {
            'round': number,
            **found_out,
            **{name: scores[name] for name in kept if name in scores},
            'seconds': seconds,
        }

    def _taught(self, folder, checkpoint, rows):
        """Reconstructs the clips, and collects what they teach."""
        config, pieces = self._config, self._data.learned
        jobs = own.jobs_of(pieces, folder, _reconstruction(config, checkpoint))
        reasons = []
        with Progress(len(jobs), unit='clip', description='reconstructing') as progress:
            for job in jobs:
                self._stop.check()
                reasons.append(own.reconstruct_one(job, self._stop))
                progress.update()
        return own.taught(
            pieces,
            jobs,
            reasons,
            rows=rows,
            data_dir=pano_rooms.data_folder(config.data.data_dir),
            stride=config.stride,
            stop=self._stop,
        )
