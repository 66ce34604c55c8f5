"""Runs a whole search in a directory: of cells trained on images, of a table, of any task."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from common import options
from common.logs import say
from common.patience import Patience
from common.run import RunDirectory, check_folder, check_workdir, digest_of_path, open_run
from common.stopping import Stop
from nas.cells import own_ops
from nas.search import results
from nas.search.earlier import warm_start
from nas.search.earlier.comparison import Wanted
from nas.search.earlier.prior import Informed
from nas.search.earlier.provenance import ENTRY
from nas.search.evaluations import EVALUATIONS_FILE, Evaluation
from nas.search.search import Search
from nas.training.config import SearchConfig, SearchOptions
from nas.training.network_file import FILES
from nas.training.objectives.functions import read_objectives
from nas.training.objectives.kept import check_same_functions
from nas.training.search.of_images import prepare_images
from nas.training.search.of_table import prepare_table
from nas.training.search.prepared import Prepared
from nas.training.search.running import check_goes_on, run_to_end
from nas.training.search.wishes import make_search, nothing_feasible


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
    config = options.expand_paths(config)

    @functools.cache  # read only when the directory is known to be of use
    def own() -> dict[str, Any]:
        ops = own_ops.read(config.ops)
        # A search of a table takes no functions, and says so.
        functions = () if config.benchmark else read_objectives(config.objective)
        return {'ops': ops, 'functions': functions}

    def check(record: Mapping[str, Any]) -> None:
        own()['ops'].check_same(record, workdir=workdir, what='search')
        check_same_functions(own()['functions'], record, workdir=workdir)

    def prepare(goes_on: bool) -> Prepared:
        check_folder('image_cache', config.image_cache)
        if config.benchmark:
            return prepare_table(config, workdir)
        return prepare_images(config, workdir, **own(), goes_on=goes_on)

    return run_prepared(
        config,
        workdir,
        prepare,
        # A search of another task says so in its flags.txt.
        beside={'task': None},
        free=('image_cache',),
        check=check,
        stop=stop,
        overwrite=overwrite,
    )


def run_prepared(
    config: SearchOptions,
    workdir,
    prepare: Callable[[bool], Prepared],
    *,
    beside: Mapping[str, str | None],
    free: Collection[str] = (),
    check: Callable[[Mapping[str, Any]], None] | None = None,
    stop: Stop | None = None,
    overwrite: bool = False,
) -> SearchResult:
    """Runs a search of any task in a directory; a repeated call goes on.

    Args:
        config: what any search may be asked for, and in a subclass what this one may.
        workdir: directory of the run, see `run_search`.
        prepare: prepares the search, before anything is written. It takes whether the directory
            holds evaluations with which the search goes on.
        beside: flags besides the options that stand in flags.txt, such as {'task': 'depth'}; None
            for one that is not given. A directory with others is refused.
        free: options that may change when a search goes on, besides those that always may.
        check: refuses to go on with an earlier run by its run.json, or None.
        stop: what ends the search early, or None.
        overwrite: whether files of an earlier run in the workdir, whatever it was, are removed.

    Returns:
        The search and what it found.

    Raises:
        ValueError, Stopped, Unavailable: as `run_search`.
    """
    if not workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    config = options.expand_paths(config)
    opening = {'overwrite': overwrite, 'known': FILES, 'reads': options.read_by(config)}
    check_workdir(workdir, **opening)
    check_folder('measurement_cache', config.measuring.measurement_cache)
    goes_on = {'beside': beside, 'free': free, 'check': check}
    done = 0 if overwrite else check_goes_on(config, workdir, **goes_on)
    prepared = prepare(done > 0)
    search, earlier = _search_of(config, prepared, pathlib.Path(workdir).expanduser(), done)
    text = options.flagfile(config, mode='search', workdir=os.fspath(workdir), **beside)
    digests = {**prepared.inputs, '--warm_start': digest_of_path(config.warm_start)}
    # Before the first evaluation, there is nothing that could mix with another search.
    compared = digests if done else None
    with open_run(workdir, text, inputs=compared, what='search', **opening) as run:
        run.update(inputs=digests)
        run.writes(*(f'{EVALUATIONS_FILE}{end}' for end in ('', '.corrupt', '.failed')), 'slurm/')
        run.writes(*prepared.writes)
        prepared.write(run.path)
        run.update(**prepared.record, **{ENTRY: prepared.made_with.added_to(run.record)})
        if earlier is not None:
            _take_over(config, prepared, search, earlier, run, done, stop)
        evaluations, seconds = run_to_end(prepared, search, config, run, done, stop)
        facts = _write_results(config, prepared, search, evaluations, seconds, run)
        run.finish()
        say(f'{results.story(search, facts)}; results are in {run.path}')
        if not search.front():
            say(nothing_feasible(search))
    return SearchResult(search, evaluations, facts, run.path)


def _search_of(
    config: SearchOptions, prepared: Prepared, folder: pathlib.Path, done: int
) -> tuple[Search, warm_start.Earlier | None]:
    """The search, and what `--warm_start` offers to it."""
    if done:
        warm_start.check_device(folder, prepared.made_with)
    search = make_search(config, prepared.space, prepared.objectives, reference=prepared.reference)
    if not config.warm_start:
        return search, None
    names = dict.fromkeys((*search.objectives, *(c.name for c in search.constraints)))
    measured = getattr(prepared.evaluate, 'measured', ())
    earlier = warm_start.read_earlier(
        prepared.space,
        config.warm_start,
        Wanted(tuple(names), measured, prepared.made_with),
        way=config.warm_start_as,
        own=folder / EVALUATIONS_FILE,
    )
    if earlier.prior:
        space = Informed(prepared.space, earlier.prior)
        search = make_search(config, space, prepared.objectives, reference=prepared.reference)
    return search, earlier


def _take_over(
    config: SearchOptions,
    prepared: Prepared,
    search: Search,
    earlier: warm_start.Earlier,
    run: RunDirectory,
    done: int,
    stop: Stop | None,
) -> None:
    """Tells the search what it takes over from `--warm_start`."""
    run.writes(warm_start.TAKEN_FILE)
    warm_start.take_over(
        search,
        earlier,
        run.path,
        measure=getattr(prepared.evaluate, 'measure', None),
        done=done,
        patience=Patience(config.device_retries, config.device_pause),
        stop=stop,
        say=say,
    )


def _write_results(
    config: SearchOptions,
    prepared: Prepared,
    search: Search,
    evaluations: list[Evaluation],
    seconds: float,
    run: RunDirectory,
) -> dict[str, Any]:
    """Writes the front and the other results; returns what search.json holds."""
    run.writes(*results.FILES)
    return results.write_results(
        run.path,
        search,
        evaluations,
        budget=config.budget,
        seconds=seconds,
        title=prepared.title,
        extra={'seed': config.seed, **prepared.extra(evaluations)},
        noise=prepared.noise,
        next_steps=prepared.next_steps,
        blocks=prepared.blocks,
    )
