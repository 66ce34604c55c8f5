"""Compares a search with random search, with the same budget and the same cells.

    python experiments/benchmarks/search/against_random.py --output=FOLDER
        [--settings=FLAGFILE] [--budget=N] [--seeds=N]

Both methods begin with the cells of `--include` and train with the settings in the flagfile of a
search of images (by default that on scikit-learn's digits) or of depth networks (`--task=depth`),
but without early stopping. The error of a cell then depends only on the cell and the seed, so a
cell that one method has trained is not trained again for the other (`evaluated.jsonl`). All runs
count hypervolume from one reference. Each run is a line of `curves.jsonl`; recorded runs are not
run again. Writes table.md, table.json and curves.png. Nothing else should run at the same time.
"""

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Sequence

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np
from absl import flags as absl_flags

from common import options, runtime
from common.executors.open_executor import open_executor
from common.patience import Unavailable
from common.run import FLAGS_FILE, earlier_run, write_json
from experiments import entry, nas_flags
from experiments.benchmarks.search import depth_searches, searches
from experiments.benchmarks.search.remembered import Remembered
from experiments.benchmarks.search.tables import read_runs, write_text
from experiments.benchmarks.search.volumes import (
    OURS,
    RANDOM,
    as_markdown,
    draw,
    reference_of,
    summarise,
)
from experiments.depth_search import task as depth_task
from experiments.depth_search.config import DepthSearchConfig
from experiments.depth_search.space import DepthSpace
from nas.cells import choice
from nas.devices import cache, specs
from nas.search import loop
from nas.search.evaluations import append_record
from nas.search.space import CellSpace, Space, random_cell
from nas.search.spaces.restricted import included_cells
from nas.training.candidates import MEASURED, Candidates
from nas.training.config import SearchConfig, SearchOptions
from nas.training.search.image_task import ImageTask
from nas.training.search.task import Task
from nas.training.search.wishes import given, make_search, objectives_of

_DEFAULT_SETTINGS = pathlib.Path(__file__).resolve().parents[2] / 'flagfiles' / 'digits_cpu.flags'
# What makes other errors, and what else has to be the same in one comparison.
_ERRORS = {SearchConfig: searches.ERROR_FLAGS, DepthSearchConfig: depth_searches.ERROR_FLAGS}
_SAME = ('objectives', 'include', 'levels', 'device', 'keep')
_WALKS = 10_000  # walks without a new cell that show an exhausted space

FLAGS = absl_flags.FLAGS


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    absl_flags.DEFINE_string('settings', str(_DEFAULT_SETTINGS), 'Flagfile of a search.')
    absl_flags.DEFINE_integer(
        'budget', None, 'Evaluations of each run. Default: that of the settings.', lower_bound=1
    )
    absl_flags.DEFINE_integer('seeds', 3, 'Runs of each method.', lower_bound=1)
    absl_flags.DEFINE_string('output', None, 'Folder for the results.', required=True)


def read_settings(path) -> SearchConfig | DepthSearchConfig:
    """Reads the search in a flagfile.

    Raises:
        ValueError: there is no such file, it holds a flag that nas-search does not have, or it is
            not a search of images or depth networks without limits to what it finds.
    """
    if not pathlib.Path(path).is_file():
        raise ValueError(f'--settings={path} is no file; a flagfile of nas-search is accepted')
    values = absl_flags.FlagValues()
    nas_flags.define(values)
    try:
        values(['', f'--flagfile={path}'])
        if values.mode not in (None, 'search'):
            raise ValueError(f'--mode={values.mode} is no search')
        config = nas_flags.config_of('search', values)
    except (absl_flags.Error, ValueError) as error:
        raise ValueError(f'--settings={path}: {error}') from error
    # Random search knows nothing of these.
    unfit = ['benchmark', 'constraints', 'forbid', 'prefix', 'warm_start']
    unfit = [name for name in unfit if getattr(config, name, None)]
    if unfit:
        value = getattr(config, unfit[0])
        value = value if isinstance(value, str) else ','.join(value)
        raise ValueError(
            f'--settings={path} has --{unfit[0]}={value}; a search of images or depth networks '
            f'without --{unfit[0]} is accepted'
        )
    return config


def parts_of(config: SearchConfig | DepthSearchConfig, folder: pathlib.Path) -> tuple[Space, Task]:
    """The cells of a search, and what trains them.

    Args:
        config: of the search.
        folder: for what candidates leave behind.
    """
    if isinstance(config, DepthSearchConfig):
        (folder / depth_task.PREDICTIONS).mkdir(parents=True, exist_ok=True)
        space = DepthSpace(config.rooms.panorama_height, levels=config.levels)
        return space, depth_task.DepthTask(config.rooms, config.recipe, folder)
    skeleton = choice.search_skeleton(config.dataset, config.skeleton, config.sizes)
    task = ImageTask(
        skeleton, config.dataset, config.recipe, config.evaluation, image_cache=config.image_cache
    )
    return CellSpace(skeleton, levels=config.levels), task


def random_cells(space: Space, budget: int, seed: int, first: Sequence = ()) -> list:
    """Different cells, complete, see `random_cell`.

    Args:
        space: the cells.
        budget: how many; fewer come if the space has no more.
        seed: of the walks.
        first: cells that come before the drawn ones.
    """
    random, misses = np.random.default_rng(seed), 0
    cells = {space.key(cell): cell for cell in first}
    while len(cells) < budget and misses < _WALKS:
        cell = random_cell(space, random)
        new = space.complete(cell) and space.key(cell) not in cells
        misses = 0 if new else misses + 1
        if new:
            cells[space.key(cell)] = cell
    return list(cells.values())


def search_cells(
    space: Space, evaluator: Remembered, budget: int, seed: int, config: SearchOptions
) -> list:
    """The cells that the search of the settings evaluates, batch by batch."""
    config = dataclasses.replace(config, seed=seed, budget=budget)
    search = make_search(config, space, objectives_of(config))
    loop.run(search, evaluator, budget=budget)
    return [evaluation.cell for evaluation in search.history]


def run_method(
    method: str, space: Space, evaluator: Remembered, budget: int, seed: int, config: SearchOptions
) -> dict:
    """Runs a method once; returns its line of curves.jsonl: cells in order, their objectives."""
    if method == RANDOM:
        first = included_cells(space, given(config.include))
        cells = random_cells(space, budget, seed, first)
        for _, outcome in evaluator.batch(cells):
            if isinstance(outcome.result, Unavailable):
                raise outcome.result
    else:
        cells = search_cells(space, evaluator, budget, seed, config)
    names = objectives_of(config)
    return {
        'method': method,
        'seed': seed,
        'budget': budget,
        'objectives': names,
        'cells': [str(cell) for cell in cells],
        'points': [evaluator.point(cell, names) for cell in cells],
        'seconds': round(sum(evaluator.seconds(cell) for cell in cells), 1),
    }


def main() -> None:
    """Runs what is missing, seed by seed, then writes the results."""
    config = read_settings(FLAGS.settings)
    budget, folder = FLAGS.budget or config.budget, pathlib.Path(FLAGS.output)
    loop.check_budget(budget, config.planner.keep)
    names, (space, task) = objectives_of(config), parts_of(config, folder)
    free = set(options.fields_of(type(config))) - {*_ERRORS[type(config)], *_SAME}
    options.check_same(
        earlier_run(folder)[0], config, workdir=folder, what='comparison', free=tuple(free)
    )
    runtime.start(runtime.RuntimeConfig(config.execution.compilation_cache), join=False)
    measured, devices = set(names) & set(MEASURED), config.measuring.device
    device = specs.open_device(devices[0] if devices else 'xla') if measured else None
    candidates = functools.partial(
        Candidates,
        task=task,
        executor=open_executor(config.execution, folder),
        device=device,
        objectives=names,
        measurement_cache=cache.Cache(folder / 'measured'),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FLAGS_FILE, options.flagfile(config, mode='search'))
    runs = read_runs(folder / 'curves.jsonl', ('method', 'seed', 'budget'))
    for seed in range(FLAGS.seeds):
        evaluator = Remembered(candidates(seed=seed), space, folder / 'evaluated.jsonl', seed)
        for method in (OURS, RANDOM):
            if (method, seed, budget) not in runs:
                run = run_method(method, space, evaluator, budget, seed, config)
                append_record(folder / 'curves.jsonl', run)
                runs[method, seed, budget] = run
                print(
                    f'{method} seed {seed}: {len(run["cells"])} cells, {run["seconds"]:.0f} s of'
                    ' training',
                    file=sys.stderr,
                    flush=True,
                )
    wanted = [
        run for (_, seed, spent), run in runs.items() if seed < FLAGS.seeds and spent == budget
    ]
    reference = reference_of(wanted, config.worst_error)
    rows, named = summarise(wanted, reference, budget), dict(zip(names, reference.tolist()))
    text = as_markdown(rows, named)
    print(text, end='')
    write_text(folder / 'table.md', text)
    write_json(folder / 'table.json', {'rows': rows, 'reference': named, 'budget': budget})
    draw(folder / 'curves.png', wanted, reference)


if __name__ == '__main__':
    define_flags()
    entry.run(main)
