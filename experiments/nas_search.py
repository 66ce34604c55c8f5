"""--mode=search: cells on images, or the rows of a table."""

import contextlib
import pathlib
import time

import jax
from absl import flags as absl_flags

from common.logs import format_seconds
from common.run import open_run
from common.stopping import on_signals
from experiments import flags, nas_choice, nas_flags
from experiments.nas_progress import Teller
from nas.datasets.open_images import open_images
from nas.devices import cache as measurements
from nas.devices import specs
from nas.executors.process import ProcessExecutor
from nas.executors.serial import SerialExecutor
from nas.search import loop, results
from nas.search.evaluations import EVALUATIONS_FILE, Constraint, read_records, result_of
from nas.search.rungs import Rungs
from nas.search.search import PlannerConfig, Search
from nas.search.space import CellSpace
from nas.tables import tabular
from nas.training import evaluate
from nas.training.candidates import MEASURED, Candidates
from nas.training.recipe import RecipeConfig

OBJECTIVES = ('error', 'latency_ms', 'params')
# What may change when a search goes on: how much and where, but not what is searched.
_HOW = {
    'mode',
    'workdir',
    'budget',
    'executor',
    'workers',
    'candidate_timeout',
    'cuda_devices',
    'devices_per_candidate',
    'ray_address',
    'slurm_options',
    'image_cache',
    'measurement_cache',
    'compilation_cache',
}
_QUIET = 10.0  # seconds between lines where evaluations take no time


def _open_table(values):
    """(space, objectives, device name) of --benchmark."""
    if values.benchmark not in tabular.BENCHMARKS:
        raise ValueError(
            f'--benchmark={values.benchmark} is unknown; accepted: {", ".join(tabular.BENCHMARKS)}'
        )
    if not isinstance(values.table, str):
        raise ValueError(f'--benchmark={values.benchmark} needs --table=FILE, an npz file')
    if len(values.device) > 1:
        raise ValueError(
            f'--device names {", ".join(values.device)}; a search of a table takes one'
        )
    device = values.device[0] if values.device else None
    space = tabular.BENCHMARKS[values.benchmark](values.table, device=device)
    known = [name for name in tabular.OBJECTIVES[values.benchmark] if name in space.values]
    names = _objectives(values, known)
    space.points(names + _limited(values))  # refuses names that the table lacks
    return space, names, device


def _objectives(values, default) -> tuple[str, ...]:
    names = default if values.objectives is None else values.objectives.split(',')
    return tuple(name.strip() for name in names)


def _limits(values) -> list[Constraint]:
    return [Constraint.parse(text) for text in values.constraints if text]


def _limited(values) -> tuple[str, ...]:
    """Names that constraints are about."""
    return tuple(constraint.name for constraint in _limits(values))


def _executor(values):
    common = {
        'timeout': values.candidate_timeout,
        'compilation_cache': nas_flags.cache_folder(values),
    }
    if values.slurm_options and values.executor != 'slurm':
        raise ValueError('--slurm_options belongs to --executor=slurm')
    if values.executor == 'process':
        return ProcessExecutor(
            workers=values.workers,
            devices=values.cuda_devices,
            devices_per_candidate=max(1, values.devices_per_candidate),
            **common,
        )
    if values.workers > 1 or values.cuda_devices:
        raise ValueError('--workers and --cuda_devices belong to --executor=process')
    if values.executor == 'slurm':
        from nas.executors.slurm import SlurmExecutor  # the extra [slurm]

        folder = pathlib.Path(values.workdir).expanduser() / 'slurm'
        return SlurmExecutor(folder=folder, options=_slurm_options(values), **common)
    if values.executor == 'ray':
        from nas.executors.ray import RayExecutor  # the extra [ray]

        gpus = values.devices_per_candidate if jax.default_backend() == 'gpu' else 0
        return RayExecutor(address=values.ray_address, devices_per_candidate=gpus, **common)
    if values.candidate_timeout:
        raise ValueError(
            '--candidate_timeout belongs to --executor=process, ray and slurm; the serial '
            'executor cannot stop what it runs'
        )
    return SerialExecutor()


def _slurm_options(values) -> dict[str, int | float | str]:
    """--slurm_options by name."""
    options = {}
    for text in values.slurm_options:
        name, equals, value = (part.strip() for part in text.partition('='))
        if not (name and equals and value):
            raise ValueError(f'--slurm_options has {text!r}; name=value is accepted')
        options[name.replace('-', '_')] = _number(value)
    return options


def _number(text: str) -> int | float | str:
    """The number that a text is, or the text."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _search(values, space, names, reference=None) -> Search:
    """The search, warm-started if asked to."""
    worst = {} if values.worst_error is None else {'error': values.worst_error}
    search = Search(
        space,
        names,
        seed=values.seed,
        constraints=_limits(values),
        reference={**(reference or {}), **worst},
        config=flags.build(PlannerConfig, flag_values=values),
    )
    loop.check_budget(values.budget, search.config.keep)
    if values.warm_start:
        earlier = _earlier_evaluations(values, space)
        taken = search.warm_start(earlier)
        print(f'warm start: {taken} of {len(earlier)} evaluations taken over', flush=True)
    return search


def _earlier_evaluations(values, space) -> list:
    """(cell, result) pairs of --warm_start."""
    path = pathlib.Path(values.warm_start)
    if not path.is_file():
        raise ValueError(
            f'--warm_start={path} is no file; {EVALUATIONS_FILE} of an earlier search is accepted'
        )
    own = pathlib.Path(values.workdir) / EVALUATIONS_FILE
    if own.exists() and own.samefile(path):
        raise ValueError(
            f'--warm_start={path} is the log of this very run, which goes on by itself'
        )
    try:
        pairs = [
            (space.parse(record['cell']), result_of(record)) for record in read_records(path)[0]
        ]
        for cell, _ in pairs:
            space.encode(cell)
    except ValueError as error:
        raise ValueError(f'--warm_start={path} is not of this space: {error}') from error
    return pairs


def _evaluated_before(values) -> int:
    """Number of evaluations in the workdir. Raises ValueError if they are of another search."""
    folder = pathlib.Path(values.workdir).expanduser()
    done = len(read_records(folder / EVALUATIONS_FILE)[0])
    if done:
        nas_flags.check_same(
            values, folder, [name for name in values if name not in _HOW], what='search'
        )
        print(f'going on after evaluation {done}', flush=True)
    return done


def _run_search(values, run, search, evaluator, *, done, title, extra, stop, interval=0.0):
    """Runs the search to its end and writes what came of it; `extra(evaluations)` adds to
    search.json.
    """
    started, earlier = time.monotonic(), float(run.record.get('search_seconds', 0.0))
    seconds = lambda: earlier + time.monotonic() - started
    teller = Teller(search, values.budget, done=done, interval=interval)

    def on_evaluation(evaluation):
        teller(evaluation)
        if time.monotonic() - started > _QUIET:
            run.update(search_seconds=round(seconds(), 1))

    with teller.progress as progress:
        evaluations = loop.run(
            search,
            evaluator,
            budget=values.budget,
            path=run.path / EVALUATIONS_FILE,
            on_evaluation=on_evaluation,
            on_notice=progress.write,
            stop=stop,
        )
    run.update(search_seconds=round(seconds(), 1))
    facts = results.write_results(
        run.path,
        search,
        evaluations,
        budget=values.budget,
        seconds=seconds(),
        title=title,
        extra=extra(evaluations),
    )
    print(results.text_table(*results.front_rows(search)))
    for role, cell in facts['chosen'].items():
        figures = ', '.join(f'{name} {results.shown(cell[name])}' for name in search.objectives)
        print(f'{role}: {cell["cell"]} ({figures})')
    print(f'({results.BALANCED}: {results.BALANCE_RULE})')
    if facts.get('relative_hypervolume'):
        print(f'hypervolume relative to the true front: {facts["relative_hypervolume"][-1]:.4f}')
    if facts.get('note'):
        print(facts['note'])
    print(
        f'{len(evaluations)} evaluations, {facts["failed"]} failed, {facts["stopped"]} stopped'
        f' early, in {format_seconds(seconds())}; results are in {run.path}',
        flush=True,
    )


def search_table(values: absl_flags.FlagValues) -> None:
    """Searches a table: the look-up stands for training. Raises ValueError for input that cannot be
    used.
    """
    space, names, device = _open_table(values)
    search = _search(
        values, space, names, reference={name: space.reference[name] for name in names}
    )
    extra = lambda done: {
        'relative_hypervolume': space.relative_hypervolume([e.cell for e in done], names).tolist()
    }
    done = _evaluated_before(values)
    with (
        open_run(values.workdir, flags.as_flagfile(flag_values=values)) as run,
        on_signals() as stop,
    ):
        _run_search(
            values,
            run,
            search,
            space.evaluate,
            done=done,
            extra=extra,
            interval=_QUIET,
            stop=stop,
            title=f'{values.benchmark} on {device}' if device else values.benchmark,
        )


def search_images(values: absl_flags.FlagValues) -> None:
    """Searches cells by training them on images and measuring them on a device. Raises as
    `search_table`.
    """
    skeleton = nas_choice.skeleton_of(
        values.skeleton or nas_choice.SEARCH_SKELETON,
        flags.build(nas_choice.Sizes, flag_values=values),
    )
    if values.table is not False:
        raise ValueError('--table belongs to --mode=cost, or as --table=FILE to --benchmark')
    names = _objectives(values, OBJECTIVES)
    wanted = names + _limited(values)
    device = _device(values) if set(wanted) & set(MEASURED) else None
    dataset = open_images(
        values.dataset, size=skeleton.size, channels=skeleton.channels, cache=values.image_cache
    )
    if len(dataset.train.classes) != skeleton.classes:
        raise ValueError(
            f'--dataset={values.dataset} has {len(dataset.train.classes)} classes, but skeleton '
            f'{skeleton.name!r} has {skeleton.classes}'
        )
    candidates = Candidates(
        skeleton=skeleton,
        data=values.dataset,
        recipe=flags.build(RecipeConfig, flag_values=values),
        evaluation=flags.build(evaluate.EvaluationConfig, flag_values=values),
        executor=_executor(values),
        device=device,
        objectives=wanted,
        seed=values.seed,
        image_cache=values.image_cache,
        rungs=Rungs(margin=values.rung_margin) if values.early_stopping else None,
        measurement_cache=(
            measurements.Cache(values.measurement_cache) if values.measurement_cache else None
        ),
    )
    search = _search(values, CellSpace(skeleton, levels=values.levels), names)
    done = _evaluated_before(values)
    facts = {'device': None if device is None else device.name, 'note': dataset.note}
    with (
        open_run(values.workdir, flags.as_flagfile(flag_values=values)) as run,
        on_signals() as stop,
    ):
        run.update(
            data={'name': dataset.train.name, 'note': dataset.note, 'train': len(dataset.train)},
            device_measured=facts['device'],
        )
        if device is not None:
            print(f'measuring on {device.name}', flush=True)
        _run_search(
            values,
            run,
            search,
            candidates,
            done=done,
            stop=stop,
            title=f'{dataset.train.name}, skeleton {skeleton.name}',
            extra=lambda evaluations: {'epochs_saved': candidates.saving(), **facts},
        )


def _device(values):
    """The one device that candidates are measured on."""
    if len(values.device) > 1 or any(len(specs.split_specs(text)) > 1 for text in values.device):
        raise ValueError(f'--device names {", ".join(values.device)}; a search measures on one')
    return specs.open_device(values.device[0] if values.device else 'xla')


def main(values: absl_flags.FlagValues) -> None:
    """Runs the search that the flags ask for. Raises ValueError for input that cannot be used."""
    if not values.workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    if values.cell or values.network:
        raise ValueError(
            '--cell and --network belong to --mode=cost and --mode=train; a search makes its '
            'own cells'
        )
    if values.from_search:
        raise ValueError('--from_search belongs to --mode=train; a search makes its own cells')
    nas_flags.start_jax(values)
    if values.benchmark:
        search_table(values)
    else:
        search_images(values)
