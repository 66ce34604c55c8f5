"""Runs a whole search of depth networks in a directory."""

import dataclasses
import pathlib

from common import options
from common.executors.open_executor import open_executor
from common.run import check_folder
from common.run.record import versions
from common.stopping import Stop
from experiments.depth_search import frames
from experiments.depth_search.config import DepthSearchConfig
from experiments.depth_search.report import PANELS_FILE, DepthReport, flagfile_name
from experiments.depth_search.space import DepthSpace
from experiments.depth_search.task import PREDICTIONS, DepthTask
from nas.devices.measure import open_cache
from nas.search.earlier.provenance import Provenance
from nas.search.evaluations import Evaluation
from nas.search.report.picks import BALANCED, role_of
from nas.search.spaces.restricted import included_cells
from nas.search.wishes.aims import Aims
from nas.training.candidates import Candidates
from nas.training.search.measuring import device_of, rungs_of
from nas.training.search.prepared import Prepared
from nas.training.search.wishes import given, objectives_of, wanted_of
from nas.training.search_job import SearchResult, run_prepared

# Counted up when a training of the same recipe gives other errors than before.
TRAINING = 1
# Standard deviation of the error over seeds, as a part of it: six networks, two seeds each.
SEED_NOISE = 0.03


def search_depth(
    config: DepthSearchConfig, workdir, *, stop: Stop | None = None, overwrite: bool = False
) -> SearchResult:
    """Searches depth networks until the budget is spent; a repeated call goes on.

    Args:
        config: what is searched and how.
        workdir: directory of the run, as of `nas.run_search`. Besides the files of any search it
            gets panels.png and a flagfile for each outstanding network, with which
            `pano-depth --mode=train` trains it to the end.
        stop: what ends the search early, or None.
        overwrite: whether files of an earlier run in the workdir are removed.

    Returns:
        The search and what it found.

    Raises:
        ValueError: an option cannot be used (the message names its flag), or the directory is of
            another search; then nothing is written.
        Stopped: a stop was requested; evaluations are kept.
        Unavailable: the device or the executor are away; evaluations are kept.
        OSError: the frames can neither be read nor kept.
    """
    config = options.expand_paths(config)
    return run_prepared(
        config,
        workdir,
        lambda goes_on: _prepare(config, workdir),
        beside={'task': 'depth'},
        free=('data_dir',),
        stop=stop,
        overwrite=overwrite,
    )


def _prepare(config: DepthSearchConfig, workdir) -> Prepared:
    """Prepares the search. What can be wrong is found before the rooms are rendered."""
    rooms, folder = config.rooms, pathlib.Path(workdir).expanduser()
    check_folder('data_dir', rooms.data_dir)
    names = objectives_of(config)
    wanted = wanted_of(config, names)
    space = DepthSpace(rooms.panorama_height, levels=config.levels, forbid=given(config.forbid))
    included_cells(space, given(config.include))
    task = DepthTask(rooms, config.recipe, folder)
    device = device_of(config, wanted, {'error', *task.objectives})
    candidates = Candidates(
        task=task,
        executor=open_executor(config.execution, workdir),
        device=device,
        objectives=wanted,
        seed=config.seed,
        rungs=rungs_of(config),
        measurement_cache=open_cache(config.measuring),
        made_with=_made_with(config),
        maximised=Aims.parse(names).maximised,
    )
    _, unseen = frames.open_frames(rooms)
    report = DepthReport(config, workdir, unseen)
    measured_on = None if device is None else device.name
    roles = (*map(role_of, names), BALANCED)
    data = dataclasses.asdict(rooms) | {'note': _note(config)}
    return Prepared(
        space,
        names,
        candidates,
        f'Depth of {rooms.panorama_height} x {2 * rooms.panorama_height} panoramas',
        record={'data': data, 'device_measured': measured_on},
        made_with=candidates.made_with,
        inputs={'the rooms': frames.digest(rooms)},
        extra=lambda evaluations: {
            'epochs_saved': candidates.saving(),
            'device': measured_on,
            'note': _note(config),
        },
        noise=_noise,
        # A user's own flagfile may lie beside these.
        writes=(f'{PREDICTIONS}/', PANELS_FILE, *map(flagfile_name, roles)),
        write=lambda run: (run / PREDICTIONS).mkdir(exist_ok=True),
        next_steps=report.next_steps,
        blocks=report.blocks,
    )


def _note(config: DepthSearchConfig) -> str:
    rooms = config.rooms
    return (
        f'The error is AbsRel in percent, of depth scaled by its median, on {rooms.unseen_frames}'
        f' unseen rooms after {config.recipe.steps} steps on {rooms.train_frames} others'
        f' ({rooms.rooms_style}): enough to rank networks, not to use them.'
    )


def _made_with(config: DepthSearchConfig) -> Provenance:
    """What candidates are made with, but for the device."""
    rooms = config.rooms
    return Provenance(
        {'name': f'{rooms.rooms_style} rooms', 'digest': frames.digest(rooms)},
        {'training': TRAINING, **vars(config.recipe)},
        {'panorama_height': rooms.panorama_height},
        versions=versions(),
    )


def _noise(evaluation: Evaluation) -> float | None:
    """How far the error of a candidate may be off, in percentage points."""
    error = evaluation.objectives.get('error')
    return None if error is None else SEED_NOISE * error
