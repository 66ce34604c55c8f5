"""Runs a prepared search until its budget is spent, from wherever an earlier run has ended."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from common import options
from common.executors.config import ExecutorConfig
from common.logs import say
from common.patience import Patience, Unavailable
from common.run import RunDirectory, earlier_run
from common.stopping import Stop
from nas.search import loop
from nas.search.earlier.provenance import ENTRY
from nas.search.evaluations import EVALUATIONS_FILE, Evaluation, read_records
from nas.search.progress import Teller
from nas.search.search import Search
from nas.training.config import SearchOptions
from nas.training.search.prepared import Prepared

# Options that may change when a search goes on: how much and where, but not what is searched.
FREE = (
    'budget',
    'device_retries',
    'device_pause',
    'retry_failed',
    'measurement_cache',
    'remeasure',
    *(field.name for field in dataclasses.fields(ExecutorConfig)),
)
_QUIET = 10.0  # seconds between two notes of the time in run.json


def check_goes_on(
    config: SearchOptions,
    workdir,
    *,
    beside: Mapping[str, str | None],
    free: Collection[str] = (),
    check: Callable[[Mapping[str, Any]], None] | None = None,
) -> int:
    """Refuses to go on with another search.

    Args:
        config: of the present search.
        workdir: its directory, which may be new.
        beside: flags besides the options, such as the task, None for those that are not given.
        free: options that may change when a search goes on, besides `FREE`.
        check: refuses an earlier run by its run.json; called if that has evaluations.

    Returns:
        The number of evaluations in the directory.

    Raises:
        ValueError: they are of another search; the message says what differs.
    """
    folder = pathlib.Path(workdir).expanduser()
    done = len(read_records(folder / EVALUATIONS_FILE)[0])
    earlier, record = earlier_run(folder)
    # First of all, it has to be a search; a flagfile without a mode is that of a search. Before the
    # first evaluation, the directory holds nothing that could mix with another search.
    for may_differ in (tuple(options.fields_of(type(config))), (*FREE, *free))[: 2 if done else 1]:
        options.check_same(
            None if earlier is None else f'--mode=search\n{earlier}',
            config,
            workdir=folder,
            what='search',
            free=may_differ,
            mode='search',
            **beside,
        )
    if done:
        if check is not None:
            check(record)
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


def run_to_end(
    prepared: Prepared,
    search: Search,
    config: SearchOptions,
    run: RunDirectory,
    done: int,
    stop: Stop | None,
) -> tuple[list[Evaluation], float]:
    """Runs the search until its budget is spent.

    Args:
        prepared: what is searched.
        search: the search, which has been told nothing but what a warm start took over.
        config: budget, patience and what else may change when a search goes on are used.
        run: its directory.
        done: number of evaluations in it.
        stop: what ends the search early, or None.

    Returns:
        (evaluations, seconds), with those of earlier runs.

    Raises:
        Stopped: a stop was requested.
        Unavailable: the device, the executor or the data are away.
    """
    started, earlier = time.monotonic(), float(run.record.get('search_seconds', 0.0))
    seconds = lambda: earlier + time.monotonic() - started
    # Printed before the bar is drawn, since a line would break it.
    if prepared.record.get('device_measured'):
        say(f'measuring on {prepared.record["device_measured"]}')
    path = run.path / EVALUATIONS_FILE
    if config.retry_failed:
        done = sum(record['status'] != 'failed' for record in read_records(path)[0])
    if run.record.get('interrupted_by'):
        run.update(interrupted_by=None)
    teller = Teller(search, config.budget, done=done, interval=prepared.quiet)

    def on_evaluation(evaluation):
        teller(evaluation)
        if time.monotonic() - started > _QUIET:
            run.update(search_seconds=round(seconds(), 1))

    with _noted(run, seconds), teller.progress as progress:
        evaluations = loop.run(
            search,
            prepared.evaluate,
            budget=config.budget,
            path=path,
            on_evaluation=on_evaluation,
            on_notice=progress.write,
            stop=stop,
            patience=Patience(config.device_retries, config.device_pause),
            retry_failed=config.retry_failed,
            record={ENTRY: prepared.made_with.keys()},
        )
    run.update(search_seconds=round(seconds(), 1))
    # A board has told by now which one it is.
    made_with = getattr(prepared.evaluate, 'made_with', prepared.made_with)
    run.update(**{ENTRY: made_with.added_to(run.record)})
    return evaluations, seconds()
