"""--mode=search: cells on images, or the rows of a table."""

import os
import pathlib
import time

import jax
from absl import flags as absl_flags

from common.logs import Progress, format_seconds
from common.memory import keep_memory
from common.run import open_run
from experiments import flags
from nas import evaluate, loop, results, tabular
from nas.candidates import MEASURED, Candidates
from nas.datasets.open_images import open_images
from nas.devices import cache as measurements
from nas.devices import specs
from nas.evaluations import EVALUATIONS_FILE, Constraint, read_records, result_of
from nas.executors.process import ProcessExecutor
from nas.executors.serial import SerialExecutor
from nas.recipe import RecipeConfig
from nas.rungs import Rungs
from nas.search import Search, SearchConfig
from nas.skeleton import SKELETONS
from nas.space import CellSpace

OBJECTIVES = ('error', 'latency_ms', 'params')


def _config(values) -> SearchConfig:
    return SearchConfig() if values.keep is None else SearchConfig(keep=values.keep)


def _open_table(values):
    """(space, objectives, device name) of --benchmark."""
    if values.benchmark not in tabular.BENCHMARKS:
        raise ValueError(f'--benchmark={values.benchmark} is unknown; accepted: {", ".join(tabular.BENCHMARKS)}')
    if not isinstance(values.table, str):
        raise ValueError(f'--benchmark={values.benchmark} needs --table=FILE, an npz file')
    if len(values.device) > 1:
        raise ValueError(f'--device names {", ".join(values.device)}; a search of a table takes one')
    device = values.device[0] if values.device else None
    space = tabular.BENCHMARKS[values.benchmark](values.table, device=device)
    known = [name for name in tabular.OBJECTIVES[values.benchmark] if name in space.values]
    names = _objectives(values, known)
    space.points(names)  # refuses objectives that the table lacks
    return space, names, device


def _objectives(values, default):
    names = default if values.objectives is None else values.objectives.split(',')
    return tuple(name.strip() for name in names)


def _executor(values):
    common = {'timeout': values.candidate_timeout, 'compilation_cache': _cache_folder(values)}
    if values.executor == 'process':
        return ProcessExecutor(workers=values.workers, devices=values.cuda_devices,
                               devices_per_candidate=max(1, values.devices_per_candidate), **common)
    if values.executor == 'ray':
        from nas.executors.ray import RayExecutor  # the extra [ray]
        gpus = values.devices_per_candidate if jax.default_backend() == 'gpu' else 0
        return RayExecutor(address=values.ray_address, devices_per_candidate=gpus, **common)
    return SerialExecutor()


def _cache_folder(values):
    return os.path.expanduser(values.compilation_cache) if values.compilation_cache else None


def _search(values, space, names, reference=None):
    """The search, warm-started if asked to."""
    search = Search(space, names, seed=values.seed, constraints=[text for text in values.constraints if text], reference=reference,
                    config=_config(values))
    if values.warm_start:
        if not pathlib.Path(values.warm_start).is_file():
            raise ValueError(f'--warm_start={values.warm_start} is no file; evaluations.jsonl of an earlier search is accepted')
        records, _ = read_records(values.warm_start)
        taken = search.warm_start((space.parse(record['cell']), result_of(record)) for record in records)
        print(f'warm start: {taken} of {len(records)} evaluations taken over', flush=True)
    return search


def _lines(search, budget):
    """A function that says how the search stands after an evaluation."""
    progress = Progress(budget, unit='cell', description='search', initial=len(search.history), interval=0 if budget <= 200 else 10)
    seen = {'level': None}

    def on_evaluation(evaluation):
        if search.stage == 'levels' and evaluation.level != seen['level'] and seen['level'] is not None:
            taus = search.rank_correlations()
            told = f', tau of the surrogate {taus[seen["level"]]:.2f}' if seen['level'] in taus else ''
            best = min((e.objectives[search.objectives[0]] for e in search.front()), default=float('nan'))
            progress.write(f'level {seen["level"]} done: {len(search.front())} cells on the front, best {search.objectives[0]} {best:.2f}{told}')
        seen['level'] = evaluation.level
        shown = evaluation.objectives if evaluation.status != 'failed' else {}
        if evaluation.status != 'ok':
            progress.write(f'{evaluation.cell}: {evaluation.status}, {evaluation.reason}')
        progress.update(1, {name: shown[name] for name in search.objectives if name in shown})
    return on_evaluation, progress


def _run_search(values, run, search, evaluations, *, title, extra, relative=None):
    """Runs the search to its end and writes what came of it."""
    started, earlier = time.monotonic(), float(run.record.get('search_seconds', 0.0))
    on_evaluation, progress = _lines(search, values.budget)
    with progress:
        done = loop.run(search, evaluations, budget=values.budget, path=run.path / EVALUATIONS_FILE, on_evaluation=on_evaluation,
                        on_notice=progress.write)
    seconds = earlier + time.monotonic() - started
    run.update(search_seconds=seconds)
    extra = {**extra(), **({} if relative is None else {'relative_hypervolume': relative(done)})}
    facts = results.write_results(run.path, search, budget=values.budget, seconds=seconds, title=title, extra=extra)
    columns, rows = results.front_rows(search)
    print(results.text_table(columns, rows))
    for name, chosen in facts['chosen'].items():
        print(f'{name}: {chosen["cell"]}')
    if 'relative_hypervolume' in facts and facts['relative_hypervolume']:
        print(f'hypervolume relative to the true front: {facts["relative_hypervolume"][-1]:.4f}')
    print(f'{len(done)} evaluations in {format_seconds(seconds)}; results are in {run.path}', flush=True)


def search_table(values) -> None:
    """Searches a table: the look-up stands for training."""
    space, names, device = _open_table(values)
    search = _search(values, space, names, reference={name: space.reference[name] for name in names})
    on = f' on {device}' if device else ''
    with open_run(values.workdir, flags.as_flagfile(flag_values=values)) as run:
        _run_search(values, run, search, space.evaluate, title=f'{values.benchmark}{on}', extra=dict,
                    relative=lambda done: space.relative_hypervolume([e.cell for e in done], names).tolist())


def search_images(values) -> None:
    """Searches cells by training them on images and measuring them on a device."""
    skeleton = SKELETONS.get(values.skeleton or 'digits')
    if skeleton is None:
        raise ValueError(f'--skeleton={values.skeleton} is unknown; accepted: {", ".join(SKELETONS)}')
    if values.table is not False:
        raise ValueError('--table belongs to --mode=cost, or as --table=FILE to --benchmark')
    names = _objectives(values, OBJECTIVES)
    limited = tuple(Constraint.parse(text).name for text in values.constraints if text)
    device = None
    if set(names + limited) & set(MEASURED):
        if len(values.device) > 1 or any(len(specs.split_specs(text)) > 1 for text in values.device):
            raise ValueError(f'--device names {", ".join(values.device)}; a search measures on one')
        device = specs.open_device(values.device[0] if values.device else 'xla')
    dataset = open_images(values.dataset, size=skeleton.size, channels=skeleton.channels, cache=values.image_cache)
    if len(dataset.train.classes) != skeleton.classes:
        raise ValueError(f'--dataset={values.dataset} has {len(dataset.train.classes)} classes, but skeleton {skeleton.name!r} '
                         f'has {skeleton.classes}')
    space = CellSpace(skeleton, levels=values.levels)
    candidates = Candidates(
        skeleton=skeleton, data=values.dataset, recipe=flags.build(RecipeConfig, flag_values=values),
        evaluation=flags.build(evaluate.EvaluationConfig, flag_values=values), executor=_executor(values), device=device,
        objectives=names + limited, seed=values.seed, rungs=Rungs(margin=values.rung_margin) if values.early_stopping else None,
        image_cache=values.image_cache,
        measurement_cache=measurements.Cache(values.measurement_cache) if values.measurement_cache else None)
    search = _search(values, space, names)
    with open_run(values.workdir, flags.as_flagfile(flag_values=values)) as run:
        run.update(data={'name': dataset.train.name, 'note': dataset.note, 'train': len(dataset.train)},
                   device_measured=None if device is None else device.name)
        if device is not None:
            print(f'measuring on {device.name}', flush=True)
        extra = lambda: {'epochs_saved': candidates.saving(), 'device': None if device is None else device.name, 'note': dataset.note}
        _run_search(values, run, search, candidates, title=f'{dataset.train.name}, {skeleton.name}', extra=extra)


def main(values: absl_flags.FlagValues) -> None:
    """Runs the search that the flags ask for. Raises ValueError for input that cannot be used."""
    if not values.workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    if values.cell or values.network:
        raise ValueError('--cell and --network belong to --mode=cost; a search makes its own cells')
    keep_memory()
    folder = _cache_folder(values)
    if folder:
        os.makedirs(folder, exist_ok=True)
        jax.config.update('jax_compilation_cache_dir', folder)
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    if values.benchmark:
        search_table(values)
    else:
        search_images(values)
