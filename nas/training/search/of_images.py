"""Prepares a search of cells that are trained on images and measured on a device."""

import dataclasses
import pathlib
from collections.abc import Sequence

from common.executors.open_executor import open_executor
from common.run.record import versions
from nas.cells.cell import CONVS, NORMS
from nas.cells.own_ops import OwnOps
from nas.cells.skeleton import Skeleton
from nas.datasets.images import Dataset
from nas.devices.measure import open_cache
from nas.networks import own_ops as own_ops_checks
from nas.search.earlier.provenance import Provenance
from nas.search.report.noise import of_images
from nas.search.space import CellSpace
from nas.search.wishes.aims import Aims
from nas.training.candidates import MEASURED, Candidates
from nas.training.candidates import OBJECTIVES as TOLD
from nas.training.config import SearchConfig
from nas.training.data.fitting import RECORD, open_for_search
from nas.training.objectives.functions import OwnObjective
from nas.training.objectives.kept import files_of, inputs_of, write_functions
from nas.training.report.next_steps import next_steps
from nas.training.search.image_task import ImageTask
from nas.training.search.measuring import device_of, rungs_of
from nas.training.search.prepared import Prepared
from nas.training.search.wishes import objectives_of, wanted_of

# Kinds of devices that run ONNX files.
ONNX_KINDS = ('onnx', 'command')
# Counted up when a training of the same recipe gives other errors than before.
TRAINING = 1


def prepare_images(
    config: SearchConfig, workdir, *, ops: OwnOps, functions: Sequence[OwnObjective], goes_on: bool
) -> Prepared:
    """Prepares the search: opens the device and the images, and checks that all fit together.

    Args:
        config: what is searched and how.
        workdir: of the run.
        ops: own ops, which get registered.
        functions: own objectives.
        goes_on: whether the directory holds evaluations.

    Raises:
        ValueError: an option cannot be used; the message names its flag.
        Unavailable: the device, the executor or the data are away.
    """
    if config.table is not None:
        raise ValueError('--table belongs to --mode=cost, or as --table=FILE to --benchmark')
    names = objectives_of(config)
    ops.load()
    wanted = wanted_of(config, names)
    # What neither training nor a count nor a function tells is a figure of a device.
    told = {*TOLD, *(one.name for one in functions)} - set(MEASURED)
    device = device_of(config, wanted, told)
    onnx = device is not None and (config.measuring.device or ('xla',))[0].startswith(ONNX_KINDS)
    skeleton, dataset = open_for_search(config, workdir if goes_on else None)
    own_ops_checks.check(ops, skeleton, onnx=onnx)
    digest = dataset.digest()
    task = ImageTask(
        skeleton,
        config.dataset,
        config.recipe,
        config.evaluation,
        image_cache=config.image_cache,
        ops=ops,
        own=tuple(functions),
    )
    candidates = Candidates(
        task=task,
        executor=open_executor(config.execution, workdir),
        device=device,
        objectives=wanted,
        seed=config.seed,
        # A cell that is clearly dominated in what is known may be the best in an own objective.
        rungs=None if functions else rungs_of(config),
        measurement_cache=open_cache(config.measuring),
        made_with=_made_with(config, dataset.train.name, digest, skeleton, ops, functions),
        maximised=Aims.parse(names).maximised,
    )
    facts = {'device': None if device is None else device.name, 'note': dataset.note}
    data = {'name': dataset.train.name, 'note': dataset.note, 'train': len(dataset.train)}
    recorded = {RECORD: dataclasses.asdict(skeleton)}
    return Prepared(
        cell_space(config, skeleton, ops),
        names,
        candidates,
        f'{dataset.train.name}, skeleton {skeleton.name}',
        record={'data': data, 'device_measured': facts['device'], **recorded},
        made_with=candidates.made_with,
        inputs={'--dataset': digest, **inputs_of(functions), **ops.inputs()},
        extra=lambda evaluations: {'epochs_saved': candidates.saving(), **facts},
        noise=of_images(_held_out(config, dataset)),
        writes=(*ops.files(), *files_of(functions)),
        write=lambda folder: _write(folder, ops, functions),
        next_steps=lambda role: next_steps(config, workdir, role),
    )


def _write(folder: pathlib.Path, ops: OwnOps, functions: Sequence[OwnObjective]) -> None:
    """Copies what the user wrote into the run directory."""
    ops.write(folder)
    write_functions(functions, folder)


def _made_with(
    config: SearchConfig,
    name: str,
    digest: str,
    skeleton: Skeleton,
    ops: OwnOps,
    functions: Sequence[OwnObjective],
) -> Provenance:
    """What candidates are made with, but for the device; `name` and `digest` are of the images."""
    sizes = {field: value for field, value in vars(skeleton).items() if field != 'name'}
    return Provenance(
        {'name': name, 'digest': digest},
        {'training': TRAINING, **vars(config.recipe), **vars(config.evaluation)},
        {**sizes, 'ops': sorted(ops.inputs().values())},
        functions={own.name: own.digest for own in functions},
        versions=versions(),
    )


def _held_out(config: SearchConfig, dataset: Dataset) -> int:
    """Number of images that candidates are compared on."""
    if dataset.validation is not None:
        return len(dataset.validation)
    return round(config.evaluation.validation_share * len(dataset.train))


def cell_space(config: SearchConfig, skeleton: Skeleton, ops: OwnOps) -> CellSpace:
    """The cells of a search: of the built-in tokens and all own ones."""
    tokens = {'norms': (*NORMS, *ops.norms), 'convs': (*CONVS, *ops.convs)}
    return CellSpace(skeleton, levels=config.levels, **tokens)
