"""Serves a search: somebody else's program asks for cells and tells their results."""

import contextlib
import dataclasses
import json
import os
import time
from typing import BinaryIO, TextIO

from common import options
from common.executors.config import ExecutorConfig
from common.logs import say
from common.run import RunDirectory, check_workdir, earlier_run, open_run
from common.stopping import Stop
from nas.cells import choice, own_ops
from nas.cells.own_ops import OwnOps
from nas.devices.config import MeasureConfig
from nas.search import results
from nas.search.evaluations import EVALUATIONS_FILE
from nas.serve import lines
from nas.serve.shared import SharedSearch
from nas.training.config import EvaluationConfig, RecipeConfig, SearchConfig
from nas.training.data.fitting import RECORD
from nas.training.network_file import FILES
from nas.training.report.next_steps import next_steps
from nas.training.search.of_images import cell_space
from nas.training.search.wishes import make_search, objectives_of

# Options that say how this package evaluates cells, which here somebody else does.
_EVALUATES = (
    *('dataset', 'image_cache', 'benchmark', 'table', 'early_stopping', 'rung_margin'),
    *('objective', 'warm_start', 'warm_start_as', 'device_retries', 'device_pause', 'retry_failed'),
    *(
        field.name
        for part in (RecipeConfig, EvaluationConfig, MeasureConfig, ExecutorConfig)
        for field in dataclasses.fields(part)
        if field.name != 'compilation_cache'
    ),
)
_WRITES = (
    *(EVALUATIONS_FILE, f'{EVALUATIONS_FILE}.corrupt'),
    *(f'{EVALUATIONS_FILE}.lock', f'{EVALUATIONS_FILE}.claims/'),
)


def serve_search(
    config: SearchConfig,
    workdir,
    requests: BinaryIO,
    answers: TextIO,
    *,
    stop: Stop | None = None,
    overwrite: bool = False,
) -> SharedSearch:
    """Answers requests until they end; a repeated call goes on after the last result.

    Args:
        config: what is searched. Options about training and measuring are refused.
        workdir: directory of the run: new, empty, or that of an earlier run of the same search. It
            gets evaluations.jsonl, and at the end the results of a search.
        requests: lines of JSON, see `nas.serve.lines`.
        answers: gets one line of JSON for each request.
        stop: what ends the serving early, or None.
        overwrite: whether files of an earlier run in the workdir are removed.

    Returns:
        The search with all results.

    Raises:
        ValueError: an option cannot be used (the message names its flag), or the directory is of
            something else.
        Stopped: a stop was requested; what was told is kept.
    """
    if not workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    config = options.expand_paths(config)
    _check_options(config)
    opening = {'overwrite': overwrite, 'known': FILES, 'reads': options.read_by(config)}
    check_workdir(workdir, **opening)
    ops = own_ops.read(config.ops)
    if not overwrite:
        _check_goes_on(config, workdir, ops)
    skeleton = choice.skeleton_of(config.skeleton or choice.SEARCH_SKELETON, config.sizes)
    space = cell_space(config, skeleton, ops.load())
    search = make_search(config, space, objectives_of(config))
    text = options.flagfile(config, mode='serve', workdir=os.fspath(workdir))
    with open_run(workdir, text, inputs=ops.inputs(), what='served search', **opening) as run:
        run.update(**{RECORD: dataclasses.asdict(skeleton)})
        run.writes(*_WRITES, *ops.files())
        ops.write(run.path)
        shared = SharedSearch(search, run.path / EVALUATIONS_FILE, budget=config.budget)
        seconds = _serve(shared, requests, answers, run, stop or Stop())
        if shared.evaluations:
            _write_results(config, workdir, shared, run, seconds)
        if shared.done:
            run.finish()
    return shared


def _check_options(config: SearchConfig) -> None:
    """Raises ValueError for an option that says how this package evaluates cells."""
    values = options.values_of(config)
    defaults = options.values_of(options.expand_paths(SearchConfig()))
    for name in _EVALUATES:
        if values[name] != defaults[name]:
            raise ValueError(
                f'--{name} belongs to --mode=search; with --mode=serve the program that asks for'
                ' cells evaluates them'
            )


def _check_goes_on(config: SearchConfig, workdir, ops: OwnOps) -> None:
    """Raises ValueError if the directory is of something else than this search."""
    earlier, record = earlier_run(workdir)
    options.check_same(
        None if earlier is None else f'--mode=search\n{earlier}',
        config,
        workdir=workdir,
        what='served search',
        free=('budget', 'compilation_cache'),
        mode='serve',
    )
    ops.check_same(record, workdir=workdir, what='served search')


def _serve(
    shared: SharedSearch, requests: BinaryIO, answers: TextIO, run: RunDirectory, stop: Stop
) -> float:
    """Answers all requests; returns the seconds that this run and earlier ones have served."""
    started, earlier = time.monotonic(), float(run.record.get('search_seconds', 0.0))
    done, path = len(shared.evaluations), shared.path
    say(f'serving; {done} of {shared.budget} evaluations are in {path}')
    # The program that asks may end at any time, and its pipe with it.
    with contextlib.suppress(BrokenPipeError), contextlib.closing(shared):
        stop.kept = _kept(shared)
        for line in lines.read_lines(requests):
            with stop.held('this request'):
                found = lines.answer(shared, line)
                stop.kept = _kept(shared)
                if found is not None:
                    answers.write(json.dumps(found, allow_nan=False) + '\n')
                    answers.flush()
    seconds = earlier + time.monotonic() - started
    run.update(search_seconds=round(seconds, 1))
    say(f'no more requests; {_kept(shared)}')
    return seconds


def _kept(shared: SharedSearch) -> str:
    """What is saved, for messages."""
    more = '' if shared.done else '; the same command goes on after them'
    return f'{len(shared.evaluations)} of {shared.budget} evaluations are in {shared.path}{more}'


def _write_results(
    config: SearchConfig, workdir, shared: SharedSearch, run: RunDirectory, seconds: float
) -> None:
    """Writes the front and the other results of a search, with what has been told so far."""
    shared.search.settle()
    run.writes(*results.FILES)
    facts = results.write_results(
        run.path,
        shared.search,
        shared.evaluations,
        budget=shared.budget,
        seconds=seconds,
        title=f'served search, skeleton {run.record[RECORD]["name"]}',
        extra={'seed': config.seed},
        next_steps=lambda role: next_steps(config, workdir, role),
    )
    say(f'{results.story(shared.search, facts)}; results are in {run.path}')
