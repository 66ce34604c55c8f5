"""Runs a whole search in a directory: cells trained on images, or the rows of a table."""

import dataclasses
import os
import pathlib
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
from nas.training.config import SearchConfig
from nas.training.network_file import FILES
from nas.training.objectives.functions import read_objectives
from nas.training.objectives.kept import files_of, write_functions
from nas.training.report.next_steps import next_steps
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
    if not workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    config = options.expand_paths(config)
    opening = {'overwrite': overwrite, 'known': FILES, 'reads': options.read_by(config)}
    check_workdir(workdir, **opening)
    check_folder('image_cache', config.image_cache)
    check_folder('measurement_cache', config.measuring.measurement_cache)
    ops = own_ops.read(config.ops)
    # A search of a table takes no functions, and says so.
    functions = () if config.benchmark else read_objectives(config.objective)
    own = {'ops': ops, 'functions': functions}
    done = 0 if overwrite else check_goes_on(config, workdir, **own)
    if config.benchmark:
        prepared = prepare_table(config)
    else:
        prepared = prepare_images(config, workdir, **own, goes_on=done > 0)
    search, earlier = _search_of(config, prepared, pathlib.Path(workdir).expanduser(), done)
    text = options.flagfile(config, mode='search', workdir=os.fspath(workdir))
    digests = {**prepared.inputs, '--warm_start': digest_of_path(config.warm_start), **ops.inputs()}
    # Before the first evaluation, there is nothing that could mix with another search.
    compared = digests if done else None
    with open_run(workdir, text, inputs=compared, what='search', **opening) as run:
        run.update(inputs=digests)
        run.writes(*(f'{EVALUATIONS_FILE}{end}' for end in ('', '.corrupt', '.failed')), 'slurm/')
        run.writes(*ops.files(), *files_of(functions))
        ops.write(run.path)
        write_functions(functions, run.path)
        run.update(**prepared.record, **{ENTRY: prepared.made_with.added_to(run.record)})
        if earlier is not None:
            _take_over(config, prepared, search, earlier, run, done, stop)
        evaluations, seconds = run_to_end(prepared, search, config, run, done, stop)
        facts = _write_results(config, workdir, prepared, search, evaluations, seconds, run)
        run.finish()
        say(f'{results.story(search, facts)}; results are in {run.path}')
        if not search.front():
            say(nothing_feasible(search))
    return SearchResult(search, evaluations, facts, run.path)


def _search_of(
    config: SearchConfig, prepared: Prepared, folder: pathlib.Path, done: int
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
    config: SearchConfig,
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
    config: SearchConfig,
    workdir,
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
        next_steps=lambda role: next_steps(config, workdir, role),
    )
