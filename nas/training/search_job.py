"""Runs a whole search in a directory: cells trained on images, or the rows of a table."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

from common import options
from common.logs import say
from common.run import (
    RunDirectory,
    check_folder,
    check_workdir,
    digest_of_path,
    earlier_run,
    open_run,
)
from common.stopping import Stop
from nas.cells import choice
from nas.datasets.open_images import open_images
from nas.devices import specs
from nas.devices.measure import open_cache
from nas.executors.config import ExecutorConfig
from nas.executors.open_executor import open_executor
from nas.search import found, loop, results
from nas.search.evaluations import EVALUATIONS_FILE, Constraint, Evaluation, read_records
from nas.search.progress import Teller
from nas.search.rungs import Rungs
from nas.search.search import Search
from nas.search.space import CellSpace, Space
from nas.tables import tabular
from nas.training.candidates import MEASURED, Candidates
from nas.training.config import SearchConfig
from nas.training.trained import FILES

OBJECTIVES = ('error', 'latency_ms', 'params')
# Options that may change when a search goes on: how much and where, but not what is searched.
FREE = (
    'budget',
    'image_cache',
    'measurement_cache',
    *(field.name for field in dataclasses.fields(ExecutorConfig)),
)
_QUIET = 10.0  # seconds between lines if evaluations take no time


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """A finished search.

    Attributes:
        search: the `Search`, which holds everything that was evaluated.
        evaluations: those of this search, in the order of their results.
        facts: what search.json holds, see `nas.search.results.summary`.
        workdir: the run directory with pareto.csv, report.html and the other files.
    """

    search: Search
    evaluations: list[Evaluation]
    facts: dict[str, Any]
    workdir: pathlib.Path

    def __repr__(self) -> str:
        return (
            f'SearchResult({len(self.evaluations)} evaluations, {len(self.front())} cells on the'
            f' front of {", ".join(self.search.objectives)}; {self.workdir})'
        )

    def front(self) -> list[Evaluation]:
        """The evaluations that satisfy the constraints and are not dominated."""
        return self.search.front()


@dataclasses.dataclass(frozen=True)
class _Plan:
    """A prepared search: a space, the evaluation of its cells, and texts about both.

    Attributes:
        space: the cells.
        objectives: what is minimised.
        evaluate: see `nas.search.loop.run`.
        title: of the report.
        reference: worst values that count, by objective.
        record: further entries of run.json.
        inputs: digests of what is read, by flag.
        extra: function of the evaluations, for further entries of search.json.
        quiet: least number of seconds between two lines.
    """

    space: Space
    objectives: tuple[str, ...]
    evaluate: Any
    title: str
    reference: dict[str, float] = dataclasses.field(default_factory=dict)
    record: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: dict[str, str | None] = dataclasses.field(default_factory=dict)
    extra: Callable[[list[Evaluation]], dict] = lambda evaluations: {}
    quiet: float = 0.0


def run_search(
    config: SearchConfig, workdir, *, stop: Stop | None = None, overwrite: bool = False
) -> SearchResult:
    """Searches until the budget is spent; a repeated call goes on after the last evaluation.

    The search prints its progress after each level, and the front at the end.
    `common.runtime.start` makes settings of the process, such as a folder for compiled programs.

    Args:
        config: what is searched and how.
        workdir: directory of the run: new, empty, or that of an earlier run of the same search. It
            gets evaluations.jsonl, and in the end pareto.csv, pareto.png, search.json and
            report.html.
        stop: what ends the search early, or None.
        overwrite: whether files of an earlier run in the workdir, whatever it was, are removed.

    Returns:
        The search and what it found.

    Raises:
        ValueError: an option cannot be used (the message names its flag), or the directory is of
            another search; then nothing is written.
        Stopped: a stop was requested; evaluations are kept.
    """
    if not workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    config = options.expand_paths(config)
    opening = {'overwrite': overwrite, 'known': FILES, 'reads': options.read_by(config)}
    check_workdir(workdir, **opening)
    check_folder('image_cache', config.image_cache)
    check_folder('measurement_cache', config.measuring.measurement_cache)
    done = 0 if overwrite else _check_goes_on(config, workdir)
    plan = _plan_table(config) if config.benchmark else _plan_images(config, workdir)
    search = make_search(config, plan.space, plan.objectives, reference=plan.reference)
    if config.warm_start:
        own = pathlib.Path(workdir).expanduser() / EVALUATIONS_FILE
        taken, known = found.warm_start(search, config.warm_start, own=own)
        say(f'warm start: {taken} of {known} evaluations taken over')
    text = options.flagfile(config, mode='search', workdir=os.fspath(workdir))
    digests = {**plan.inputs, '--warm_start': digest_of_path(config.warm_start)}
    # Before the first evaluation, there is nothing that could mix with another search.
    compared = digests if done else None
    with open_run(workdir, text, inputs=compared, what='search', **opening) as run:
        run.update(inputs=digests)
        run.writes(EVALUATIONS_FILE, f'{EVALUATIONS_FILE}.corrupt', 'slurm/')
        run.update(**plan.record)
        evaluations, seconds = _evaluate(plan, search, config.budget, run, done, stop)
        run.writes(*results.FILES)
        facts = results.write_results(
            run.path,
            search,
            evaluations,
            budget=config.budget,
            seconds=seconds,
            title=plan.title,
            extra=plan.extra(evaluations),
        )
        run.finish()
        say(f'{results.story(search, facts)}; results are in {run.path}')
    return SearchResult(search, evaluations, facts, run.path)


def make_search(
    config: SearchConfig,
    space: Space,
    objectives: tuple[str, ...],
    *,
    reference: dict[str, float] | None = None,
) -> Search:
    """Makes a new `Search` from a configuration.

    Args:
        config: seed, constraints, worst error, sizes and budget are used.
        space: the cells.
        objectives: what is minimised.
        reference: worst values that count, by objective; `worst_error` replaces that of the error.

    Raises:
        ValueError: something does not fit, or the budget is smaller than a level.
    """
    worst = {} if config.worst_error is None else {'error': config.worst_error}
    search = Search(
        space,
        objectives,
        seed=config.seed,
        constraints=limits(config),
        reference={**(reference or {}), **worst},
        config=config.planner,
    )
    loop.check_budget(config.budget, config.planner.keep)
    return search


def limits(config: SearchConfig) -> list[Constraint]:
    """The constraints of a search. Raises ValueError for one that cannot be read."""
    return [Constraint.parse(text) for text in config.constraints if text]


def objectives_of(config: SearchConfig, default: tuple[str, ...] = OBJECTIVES) -> tuple[str, ...]:
    """Names of the objectives."""
    names = default if config.objectives is None else config.objectives
    return tuple(name.strip() for name in names)


def _limited(config: SearchConfig) -> tuple[str, ...]:
    """Names that constraints limit."""
    return tuple(constraint.name for constraint in limits(config))


def _plan_table(config: SearchConfig) -> _Plan:
    """Prepares a search of a table: a look-up replaces training."""
    name, columns = config.benchmark, config.measuring.device
    if name not in tabular.BENCHMARKS:
        accepted = ', '.join(tabular.BENCHMARKS)
        raise ValueError(f'--benchmark={name} is unknown; accepted: {accepted}')
    if not config.table:
        raise ValueError(f'--benchmark={name} needs --table=FILE, an npz file')
    if len(columns) > 1:
        raise ValueError(f'--device names {", ".join(columns)}; a search of a table takes one')
    space = tabular.BENCHMARKS[name](config.table, device=columns[0] if columns else None)
    known = tuple(name for name in tabular.OBJECTIVES[config.benchmark] if name in space.values)
    names = objectives_of(config, known)
    space.points(names + _limited(config))  # raises ValueError for names that the table lacks
    part = lambda done: space.relative_hypervolume([e.cell for e in done], names).tolist()
    return _Plan(
        space,
        names,
        space.evaluate,
        f'{name} on {columns[0]}' if columns else name,
        reference={name: space.reference[name] for name in names},
        inputs={'--table': digest_of_path(config.table)},
        extra=lambda evaluations: {'relative_hypervolume': part(evaluations)},
        quiet=_QUIET,
    )


def _plan_images(config: SearchConfig, workdir) -> _Plan:
    """Prepares a search of cells that are trained on images and measured on a device."""
    skeleton = choice.skeleton_of(config.skeleton or choice.SEARCH_SKELETON, config.sizes)
    if config.table is not None:
        raise ValueError('--table belongs to --mode=cost, or as --table=FILE to --benchmark')
    names = objectives_of(config)
    wanted = names + _limited(config)
    device = _device(config) if set(wanted) & set(MEASURED) else None
    dataset = open_images(
        config.dataset, size=skeleton.size, channels=skeleton.channels, cache=config.image_cache
    )
    if len(dataset.train.classes) != skeleton.classes:
        raise ValueError(
            f'--dataset={config.dataset} has {len(dataset.train.classes)} classes, but skeleton '
            f'{skeleton.name!r} has {skeleton.classes}'
        )
    candidates = Candidates(
        skeleton=skeleton,
        data=config.dataset,
        recipe=config.recipe,
        evaluation=config.evaluation,
        executor=open_executor(config.execution, workdir),
        device=device,
        objectives=wanted,
        seed=config.seed,
        image_cache=config.image_cache,
        rungs=Rungs(margin=config.rung_margin) if config.early_stopping else None,
        measurement_cache=open_cache(config.measuring),
    )
    facts = {'device': None if device is None else device.name, 'note': dataset.note}
    data = {'name': dataset.train.name, 'note': dataset.note, 'train': len(dataset.train)}
    return _Plan(
        CellSpace(skeleton, levels=config.levels),
        names,
        candidates,
        f'{dataset.train.name}, skeleton {skeleton.name}',
        record={'data': data, 'device_measured': facts['device']},
        inputs={'--dataset': dataset.digest()},
        extra=lambda evaluations: {'epochs_saved': candidates.saving(), **facts},
    )


def _device(config: SearchConfig):
    """Opens the one device that candidates are measured on."""
    named = config.measuring.device
    if len(named) > 1 or any(len(specs.split_specs(text)) > 1 for text in named):
        raise ValueError(f'--device names {", ".join(named)}; a search measures on one')
    return specs.open_device(named[0] if named else 'xla')


def _check_goes_on(config: SearchConfig, workdir) -> int:
    """Number of evaluations in the directory. Raises ValueError if they are of another search."""
    folder = pathlib.Path(workdir).expanduser()
    done = len(read_records(folder / EVALUATIONS_FILE)[0])
    earlier, _ = earlier_run(folder)
    # First of all, it has to be a search; a flagfile without a mode is that of a search. Before the
    # first evaluation, the directory holds nothing that could mix with another search.
    for free in (tuple(options.fields_of(SearchConfig)), FREE)[: 2 if done else 1]:
        options.check_same(
            None if earlier is None else f'--mode=search\n{earlier}',
            config,
            workdir=folder,
            what='search',
            free=free,
            mode='search',
        )
    if done:
        say(f'going on after evaluation {done}')
    return done


def _evaluate(
    plan: _Plan, search: Search, budget: int, run: RunDirectory, done: int, stop: Stop | None
) -> tuple[list[Evaluation], float]:
    """Runs the search to its end; returns (evaluations, seconds), with earlier runs included."""
    started, earlier = time.monotonic(), float(run.record.get('search_seconds', 0.0))
    seconds = lambda: earlier + time.monotonic() - started
    # Printed before the bar is drawn, since a line would break it.
    if plan.record.get('device_measured'):
        say(f'measuring on {plan.record["device_measured"]}')
    teller = Teller(search, budget, done=done, interval=plan.quiet)

    def on_evaluation(evaluation):
        teller(evaluation)
        if time.monotonic() - started > _QUIET:
            run.update(search_seconds=round(seconds(), 1))

    with teller.progress as progress:
        evaluations = loop.run(
            search,
            plan.evaluate,
            budget=budget,
            path=run.path / EVALUATIONS_FILE,
            on_evaluation=on_evaluation,
            on_notice=progress.write,
            stop=stop,
        )
    run.update(search_seconds=round(seconds(), 1))
    return evaluations, seconds()
