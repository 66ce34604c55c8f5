"""Runs a whole search in a directory: cells trained on images, or the rows of a table."""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from common import options
from common.executors.config import ExecutorConfig
from common.executors.open_executor import open_executor
from common.logs import say
from common.patience import Patience, Unavailable
from common.run import (
    RunDirectory,
    check_folder,
    check_workdir,
    digest_of,
    digest_of_path,
    earlier_run,
    open_run,
)
from common.run.record import versions
from common.stopping import Stop
from nas.cells import own_ops
from nas.cells.cell import CONVS, NORMS
from nas.cells.own_ops import OwnOps
from nas.cells.skeleton import Skeleton
from nas.devices import specs
from nas.devices.measure import open_cache
from nas.networks import own_ops as own_ops_checks
from nas.search import loop, results
from nas.search.earlier import warm_start
from nas.search.earlier.comparison import Wanted
from nas.search.earlier.prior import Informed
from nas.search.earlier.provenance import ENTRY, UNKNOWN, Provenance
from nas.search.evaluations import EVALUATIONS_FILE, Constraint, Evaluation, read_records
from nas.search.progress import Teller
from nas.search.report.noise import of_images
from nas.search.report.picks import Noise
from nas.search.rungs import Rungs
from nas.search.search import Search
from nas.search.space import CellSpace, Space
from nas.search.spaces.restricted import check_feasible, restrict
from nas.search.wishes.aims import Aims
from nas.tables import tabular
from nas.training.candidates import MEASURED, Candidates
from nas.training.candidates import OBJECTIVES as TOLD
from nas.training.config import SearchConfig
from nas.training.data.fitting import RECORD, open_for_search
from nas.training.objectives.functions import read_objectives
from nas.training.report.next_steps import next_steps
from nas.training.trained import FILES

OBJECTIVES = ('error', 'latency_ms', 'params')
# Options that may change when a search goes on: how much and where, but not what is searched.
FREE = (
    'budget',
    'device_retries',
    'device_pause',
    'retry_failed',
    'image_cache',
    'measurement_cache',
    'remeasure',
    *(field.name for field in dataclasses.fields(ExecutorConfig)),
)
# Kinds of devices that run ONNX files.
ONNX_KINDS = ('onnx', 'command')
# Counted up when a training of the same recipe gives other errors than before.
TRAINING = 1
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
        made_with: what values are made with.
        inputs: digests of what is read, by flag.
        extra: function of the evaluations, for further entries of search.json.
        noise: standard error of the error of an evaluation.
        quiet: least number of seconds between two lines.
    """

    space: Space
    objectives: tuple[str, ...]
    evaluate: Any
    title: str
    reference: dict[str, float] = dataclasses.field(default_factory=dict)
    record: dict[str, Any] = dataclasses.field(default_factory=dict)
    made_with: Provenance = UNKNOWN
    inputs: dict[str, str | None] = dataclasses.field(default_factory=dict)
    extra: Callable[[list[Evaluation]], dict] = lambda evaluations: {}
    noise: Noise | None = None
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
        Unavailable: the device, the executor or the data are away; evaluations are kept.
    """
    if not workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    config = options.expand_paths(config)
    opening = {'overwrite': overwrite, 'known': FILES, 'reads': options.read_by(config)}
    check_workdir(workdir, **opening)
    check_folder('image_cache', config.image_cache)
    check_folder('measurement_cache', config.measuring.measurement_cache)
    ops = own_ops.read(config.ops)
    done = 0 if overwrite else _check_goes_on(config, workdir, ops)
    if config.benchmark:
        plan = _plan_table(config)
    else:
        plan = _plan_images(config, workdir, ops.load(), done)
    search, earlier = _search_of(config, plan, pathlib.Path(workdir).expanduser(), done)
    text = options.flagfile(config, mode='search', workdir=os.fspath(workdir))
    digests = {**plan.inputs, '--warm_start': digest_of_path(config.warm_start), **ops.inputs()}
    # Before the first evaluation, there is nothing that could mix with another search.
    compared = digests if done else None
    with open_run(workdir, text, inputs=compared, what='search', **opening) as run:
        run.update(inputs=digests)
        run.writes(*(f'{EVALUATIONS_FILE}{end}' for end in ('', '.corrupt', '.failed')), 'slurm/')
        run.writes(*ops.files())
        ops.write(run.path)
        run.update(**plan.record, **{ENTRY: plan.made_with.added_to(run.record)})
        if earlier is not None:
            run.writes(warm_start.TAKEN_FILE)
            warm_start.take_over(
                search,
                earlier,
                run.path,
                measure=getattr(plan.evaluate, 'measure', None),
                done=done,
                patience=Patience(config.device_retries, config.device_pause),
                stop=stop,
                say=say,
            )
        evaluations, seconds = _evaluate(plan, search, config, run, done, stop)
        run.writes(*results.FILES)
        facts = results.write_results(
            run.path,
            search,
            evaluations,
            budget=config.budget,
            seconds=seconds,
            title=plan.title,
            extra={'seed': config.seed, **plan.extra(evaluations)},
            noise=plan.noise,
            next_steps=lambda role: next_steps(config, workdir, role),
        )
        run.finish()
        say(f'{results.story(search, facts)}; results are in {run.path}')
        if not search.front():
            say(nothing_feasible(search))
    return SearchResult(search, evaluations, facts, run.path)


def _search_of(
    config: SearchConfig, plan: _Plan, folder: pathlib.Path, done: int
) -> tuple[Search, warm_start.Earlier | None]:
    """The search, and what `--warm_start` offers to it."""
    if done:
        warm_start.check_device(folder, plan.made_with)
    search = make_search(config, plan.space, plan.objectives, reference=plan.reference)
    if not config.warm_start:
        return search, None
    names = dict.fromkeys((*search.objectives, *(c.name for c in search.constraints)))
    measured = getattr(plan.evaluate, 'measured', ())
    earlier = warm_start.read_earlier(
        plan.space,
        config.warm_start,
        Wanted(tuple(names), measured, plan.made_with),
        way=config.warm_start_as,
        own=folder / EVALUATIONS_FILE,
    )
    if earlier.prior:
        space = Informed(plan.space, earlier.prior)
        search = make_search(config, space, plan.objectives, reference=plan.reference)
    return search, earlier


def make_search(
    config: SearchConfig,
    space: Space,
    objectives: tuple[str, ...],
    *,
    reference: dict[str, float] | None = None,
) -> Search:
    """Makes a new `Search` from a configuration.

    Args:
        config: seed, constraints, worst error, sizes, budget, and which cells are included,
            forbidden or given by their beginning are used.
        space: the cells.
        objectives: what is minimised, or with a `-` before the name maximised.
        reference: worst values that count, by objective; `worst_error` replaces that of the error.

    Raises:
        ValueError: something does not fit, nothing is left to search, or the budget is smaller than
            a level.
    """
    worst = {} if config.worst_error is None else {'error': config.worst_error}
    forbid, prefixes, include = map(_given, (config.forbid, config.prefix, config.include))
    space = restrict(space, forbid=forbid, prefixes=prefixes)
    check_feasible(space, limits(config))
    search = Search(
        space,
        objectives,
        seed=config.seed,
        constraints=limits(config),
        reference={**(reference or {}), **worst},
        config=config.planner,
        include=include,
    )
    loop.check_budget(config.budget, config.planner.keep)
    if len(include) > config.budget:
        raise ValueError(
            f'--include names {len(include)} cells, more than --budget={config.budget}'
        )
    return search


def nothing_feasible(search: Search) -> str:
    """A sentence about a search that has found no cell within its constraints."""
    limits, nearest = ','.join(map(str, search.constraints)), search.least_infeasible()
    if nearest is None:
        return 'no cell was evaluated with success'
    values = ', '.join(f'{c.name} {nearest.objectives[c.name]:,.6g}' for c in search.constraints)
    return f'no cell satisfies {limits}; the nearest is {nearest.cell} with {values}'


def limits(config: SearchConfig) -> list[Constraint]:
    """The constraints of a search. Raises ValueError for one that cannot be read."""
    return [Constraint.parse(text) for text in config.constraints if text]


def objectives_of(config: SearchConfig, default: tuple[str, ...] = OBJECTIVES) -> tuple[str, ...]:
    """The objectives, with `-` before those that are maximised, and own functions among them."""
    aims = Aims.parse(default if config.objectives is None else config.objectives)
    named = {*aims.names, *_limited(config)}
    own = [text.rpartition(':')[2] for text in _given(config.objective)]
    return aims.texts + tuple(name for name in dict.fromkeys(own) if name not in named)


def _given(texts: tuple[str, ...]) -> list[str]:
    """The texts of an option that are not empty, without spaces around them."""
    return [text.strip() for text in texts if text.strip()]


def _limited(config: SearchConfig) -> tuple[str, ...]:
    """Names that constraints limit."""
    return tuple(constraint.name for constraint in limits(config))


def _plan_table(config: SearchConfig) -> _Plan:
    """Prepares a search of a table: a look-up replaces training."""
    name, columns = config.benchmark, config.measuring.device
    if config.ops:
        raise ValueError(f'--ops={config.ops} is for cells that are trained, not for --benchmark')
    if name not in tabular.BENCHMARKS:
        accepted = ', '.join(tabular.BENCHMARKS)
        raise ValueError(f'--benchmark={name} is unknown; accepted: {accepted}')
    if not config.table:
        raise ValueError(f'--benchmark={name} needs --table=FILE, an npz file')
    if len(columns) > 1:
        raise ValueError(f'--device names {", ".join(columns)}; a search of a table takes one')
    if _given(config.objective):
        raise ValueError(
            f'--objective={config.objective[0]} is for cells that are trained, not for --benchmark'
        )
    named = objectives_of(config, tabular.OBJECTIVES[name])
    maximised = Aims.parse(named).maximised
    if maximised:
        raise ValueError(
            f'--objectives=-{maximised[0]} maximises; objectives of a table are minimised'
        )
    space = tabular.BENCHMARKS[name](
        config.table,
        device=columns[0] if columns else None,
        worst_error=config.worst_error if 'error' in named else None,
    )
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
        # Costs are looked up again, so that only the errors of the table have to be the same.
        made_with=Provenance(
            {
                'name': f'table {name}',
                'digest': digest_of(np.array(space.cells), space.values.get('error')),
            },
            versions=versions(),
        ),
        inputs={'--table': digest_of_path(config.table)},
        extra=lambda evaluations: {'relative_hypervolume': part(evaluations)},
        noise=space.noise,
        quiet=_QUIET,
    )


def _plan_images(config: SearchConfig, workdir, own: OwnOps, done: int) -> _Plan:
    """Prepares a search of cells that are trained on images and measured on a device."""
    if config.table is not None:
        raise ValueError('--table belongs to --mode=cost, or as --table=FILE to --benchmark')
    names = objectives_of(config)
    aims, functions = Aims.parse(names), read_objectives(config.objective)
    wanted = tuple(dict.fromkeys(aims.names + _limited(config)))
    # What neither training nor a count nor a function tells is a figure of a device.
    counted = {*TOLD, *(one.name for one in functions)} - set(MEASURED)
    device = _device(config) if set(wanted) - counted else None
    onnx = device is not None and (config.measuring.device or ('xla',))[0].startswith(ONNX_KINDS)
    skeleton, dataset = open_for_search(config, workdir if done else None)
    own_ops_checks.check(own, skeleton, onnx=onnx)
    digest = dataset.digest()
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
        # A cell that is clearly dominated in what is known may be the best in an own objective.
        rungs=(
            Rungs(margin=config.rung_margin) if config.early_stopping and not functions else None
        ),
        measurement_cache=open_cache(config.measuring),
        ops=own,
        made_with=Provenance(
            {'name': dataset.train.name, 'digest': digest},
            {'training': TRAINING, **vars(config.recipe), **vars(config.evaluation)},
            {**_sizes(skeleton), 'ops': sorted(own.inputs().values())},
            versions=versions(),
        ),
        own=functions,
        maximised=aims.maximised,
    )
    facts = {'device': None if device is None else device.name, 'note': dataset.note}
    data = {'name': dataset.train.name, 'note': dataset.note, 'train': len(dataset.train)}
    recorded = {RECORD: dataclasses.asdict(skeleton)}
    return _Plan(
        cell_space(config, skeleton, own),
        names,
        candidates,
        f'{dataset.train.name}, skeleton {skeleton.name}',
        record={'data': data, 'device_measured': facts['device'], **recorded},
        made_with=candidates.made_with,
        inputs={
            '--dataset': digest,
            **{f'--objective={one.text}': one.digest for one in functions},
        },
        extra=lambda evaluations: {'epochs_saved': candidates.saving(), **facts},
        noise=of_images(round(config.evaluation.validation_share * len(dataset.train))),
    )


def _sizes(skeleton: Skeleton) -> dict[str, Any]:
    """Everything about a skeleton but its name."""
    return {name: value for name, value in vars(skeleton).items() if name != 'name'}


def cell_space(config: SearchConfig, skeleton: Skeleton, own: OwnOps) -> CellSpace:
    """The cells of a search: of the built-in tokens and all own ones."""
    tokens = {'norms': (*NORMS, *own.norms), 'convs': (*CONVS, *own.convs)}
    return CellSpace(skeleton, levels=config.levels, **tokens)


def _device(config: SearchConfig):
    """Opens the one device that candidates are measured on."""
    named = config.measuring.device
    if len(named) > 1 or any(len(specs.split_specs(text)) > 1 for text in named):
        raise ValueError(f'--device names {", ".join(named)}; a search measures on one')
    return specs.open_device(named[0] if named else 'xla')


def _check_goes_on(config: SearchConfig, workdir, own: OwnOps) -> int:
    """Number of evaluations in the directory. Raises ValueError if they are of another search."""
    folder = pathlib.Path(workdir).expanduser()
    done = len(read_records(folder / EVALUATIONS_FILE)[0])
    earlier, record = earlier_run(folder)
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
        own.check_same(record, workdir=folder, what='search')
        say(f'going on after evaluation {done}')
    return done


@contextlib.contextmanager
def _noted(run: RunDirectory, seconds: Callable[[], float]) -> Iterator[None]:
    """Writes into run.json what ends a search before its time."""
    try:
        yield
    except Unavailable as error:
        run.update(interrupted_by=str(error), search_seconds=round(seconds(), 1))
        raise


def _evaluate(
    plan: _Plan,
    search: Search,
    config: SearchConfig,
    run: RunDirectory,
    done: int,
    stop: Stop | None,
) -> tuple[list[Evaluation], float]:
    """Runs the search to its end; returns (evaluations, seconds), with earlier runs included."""
    started, earlier = time.monotonic(), float(run.record.get('search_seconds', 0.0))
    seconds = lambda: earlier + time.monotonic() - started
    # Printed before the bar is drawn, since a line would break it.
    if plan.record.get('device_measured'):
        say(f'measuring on {plan.record["device_measured"]}')
    path = run.path / EVALUATIONS_FILE
    if config.retry_failed:
        done = sum(record['status'] != 'failed' for record in read_records(path)[0])
    if run.record.get('interrupted_by'):
        run.update(interrupted_by=None)
    teller = Teller(search, config.budget, done=done, interval=plan.quiet)

    def on_evaluation(evaluation):
        teller(evaluation)
        if time.monotonic() - started > _QUIET:
            run.update(search_seconds=round(seconds(), 1))

    with _noted(run, seconds), teller.progress as progress:
        evaluations = loop.run(
            search,
            plan.evaluate,
            budget=config.budget,
            path=path,
            on_evaluation=on_evaluation,
            on_notice=progress.write,
            stop=stop,
            patience=Patience(config.device_retries, config.device_pause),
            retry_failed=config.retry_failed,
            record={ENTRY: plan.made_with.keys()},
        )
    run.update(search_seconds=round(seconds(), 1))
    # A board has told by now which one it is.
    made_with = getattr(plan.evaluate, 'made_with', plan.made_with)
    run.update(**{ENTRY: made_with.added_to(run.record)})
    return evaluations, seconds()
