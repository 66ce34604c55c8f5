"""The job of `--mode=improve`."""

import pathlib

import jax

from common import options
from common.executors.config import ExecutorConfig
from common.logs import say
from common.options import READ_LIST
from common.run import check_folder, check_inputs, digest_of_tree, open_run
from common.stopping import Stop
from pano_depth.learning import checkpoints
from pano_depth.learning.model import init_params
from pano_depth.learning.session import LogConfig
from pano_depth.reconstruction.pretrained import Networks
from pano_depth.results import inputs, train_job, workdirs
from pano_depth.results.report import rounds as page
from pano_depth.results.self_training import config as configs
from pano_depth.results.self_training.config import ImproveConfig
from pano_depth.results.self_training.rounds import RECORD, Rounds
from pano_depth.results.training import data as training
from pano_depth.results.training import found

WEIGHTS = 'improved.npz'
# Options that may differ when a run goes on.
FREE = {'rounds', 'data_dir', *options.fields_of(LogConfig), *options.fields_of(ExecutorConfig)}


def improve(
    footage: str,
    workdir: str | pathlib.Path,
    config: ImproveConfig | None = None,
    *,
    stop: Stop | None = None,
    overwrite: bool = False,
) -> Networks:
    """Reconstructs clips with the present networks, trains these on the results, and again.

    In each round all clips are reconstructed (`reconstruct` without adaptation), and the networks
    go on learning from the images and, by confidence, from depth and path that were found. Clips
    that are held out judge: the photometric error with which the networks explain them. The
    rounds end when it no longer falls; the best networks are the result. A run that was stopped
    goes on, and so does one that has ended, with more `rounds` and as long as the error falls.

    Args:
        footage: PATH[,PATH...] as in `TrainConfig.train_data`: videos, folders of videos, clip
            folders, a PanoSUNCG tree.
        workdir: directory of the run, which gets `improved.npz` (for --checkpoint),
            `improve.json` (what each round did), `run.json` (with clips that are held out or left
            out) and a report. Folders `round_1`, ... hold the training and the networks of each
            round, the last one its reconstructions (`clips`), too: those of earlier rounds, which
            are large, are removed.
        config: options; None: the defaults.
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
    footage = options.expand(footage, READ_LIST)
    config = options.expand_paths(config or ImproveConfig())
    paths = _paths(footage)
    start = configs.training(config, footage, checkpoint=config.checkpoint)
    if training.judged_by_rooms(start):
        raise ValueError(f'--eval_data is {config.eval_data}; accepted: footage')
    check_folder('data_dir', config.data.data_dir)
    beside = {'mode': 'improve', 'input': footage}
    reads = {f'input[{i}]': path for i, path in enumerate(paths)}
    opening = workdirs.opening(config, overwrite=overwrite, **reads)
    _, record = workdirs.check(workdir, config, opening, what='run', free=FREE, **beside)
    params, model = checkpoints.start_model(config.checkpoint, config.model)
    train_job.read_mask(start)
    data = training.prepare(start, 2 * model.face_size, stop, named='input')
    digests = {
        '--checkpoint': digest_of_tree(params, model),
        **inputs.digest_of_mask(config.footage),
        **data.digests,
    }
    if record.get('inputs'):
        check_inputs(record, digests, workdir=workdir, what='run')
    text = options.flagfile(config, workdir=str(workdir), **beside)
    with open_run(workdir, text, inputs=digests, what='run', **opening) as run:
        run.writes(RECORD, WEIGHTS, 'report.html')
        run.update(**training.listing(data))
        params = init_params(config.recipe.seed, model) if params is None else params
        networks = Networks(params, model)
        rounds = Rounds(run, config, data, networks, stop or Stop())
        best = rounds.run()
        checkpoints.save_weights(run.path / WEIGHTS, best.params, best.config)
        page.rounds_report(run.path, rounds.ended, rounds.best)
        run.finish()
        say(f'{run.path / WEIGHTS} holds the best networks, for --checkpoint; see report.html')
    return best


def _paths(text):
    try:
        paths, with_rooms = found.paths_in(text)
    except ValueError as error:
        raise ValueError(f'--input is {error}') from None
    words = [found.ROOMS] * with_rooms
    words += [word for word in (training.LIVE, training.STORED, inputs.SAMPLE) if word in paths]
    if words:
        raise ValueError(f'--input names {words[0]}; accepted: footage. --rooms_share adds rooms')
    return paths
