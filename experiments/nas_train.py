"""--mode=train: one network to the end of its recipe, scored once on the test split."""

import dataclasses
import json
import pathlib

from absl import flags as absl_flags

from common import parallel
from common.logs import format_seconds
from common.run import open_run
from common.stopping import on_signals
from experiments import flags, nas_choice, nas_flags
from nas.cells.architecture import Architecture
from nas.cells.cell import Cell
from nas.cells.cost import count
from nas.datasets.images import Dataset, Images
from nas.datasets.open_images import open_images
from nas.datasets.streamed import StreamedImages, hold_out
from nas.search.evaluations import EVALUATIONS_FILE, read_records
from nas.search.results import SUMMARY_FILE
from nas.training import batches, final, recipe, session, throughput, trained
from nas.training.recipe import RecipeConfig

# What makes a training another one; the rest may change when it goes on.
_WHAT = (
    'mode',
    'cell',
    'network',
    'from_search',
    'skeleton',
    'stages',
    'growth',
    'dataset',
    'seed',
    'holdout',
    'split_seed',
    *(field.name for field in dataclasses.fields(RecipeConfig)),
)


def _say(text: str) -> None:
    if parallel.is_main():
        print(text, flush=True)


def found_cell(text: str) -> tuple[str, pathlib.Path]:
    """The cell of --from_search.

    Args:
        text: WORKDIR:INDEX or WORKDIR:ROLE.

    Returns:
        (tokens joined by hyphens, the search's directory).

    Raises:
        ValueError: there is no such search, index or role, or the evaluation failed.
    """
    folder, colon, which = text.rpartition(':')
    flag, folder = f'--from_search={text}', pathlib.Path(folder).expanduser()
    if not colon or not which:
        raise ValueError(f'{flag} names no cell; WORKDIR:INDEX or WORKDIR:ROLE is accepted')
    records = read_records(folder / EVALUATIONS_FILE)[0]
    if not records:
        raise ValueError(f'{flag}: {folder / EVALUATIONS_FILE} holds no evaluations')
    if not which.isdecimal():
        return _standout(flag, folder, which), folder
    record = next((record for record in records if record.get('index') == int(which)), None)
    if record is None:
        raise ValueError(f'{flag}: {folder} has the evaluations 0 to {len(records) - 1}')
    if record['status'] == 'failed':
        raise ValueError(
            f'{flag}: the evaluation of {record["cell"]} failed: {record.get("reason")}'
        )
    return record['cell'], folder


def _standout(flag: str, folder: pathlib.Path, role: str) -> str:
    """The cell that search.json names for a role."""
    path = folder / SUMMARY_FILE
    try:
        chosen = json.loads(path.read_text())['chosen']
        cells = {name.replace(' ', '_'): entry['cell'] for name, entry in chosen.items()}
    except FileNotFoundError:
        raise ValueError(
            f'{flag}: {path} does not exist yet; the search has to end first, or give an index'
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{flag}: {path} is damaged: {error}') from error
    if role not in cells:
        raise ValueError(
            f'{flag}: the search names no {role!r}; accepted: an index, or '
            f'{", ".join(cells) or "no role, since its front is empty"}'
        )
    return cells[role]


def _from_search(text: str, skeleton: str | None, sizes: nas_choice.Sizes) -> Architecture:
    """A found cell on the skeleton of its search, or on the one that the flags name."""
    cell, folder = found_cell(text)
    earlier = nas_flags.read_flags(folder)
    if earlier is not None and earlier.benchmark:
        raise ValueError(
            f'--from_search={text}: a search of the table {earlier.benchmark} finds no cells '
            'that could be trained'
        )
    if skeleton is not None:
        base = nas_choice.skeleton_of(skeleton)
    else:
        base = nas_choice.skeleton_of(
            (earlier and earlier.skeleton) or nas_choice.SEARCH_SKELETON,
            flags.build(nas_choice.Sizes, flag_values=earlier) if earlier else nas_choice.Sizes(),
        )
    try:
        return Architecture(cell, Cell.parse(cell), sizes.of(base))
    except ValueError as error:
        raise ValueError(f'--from_search={text}: {error}') from None


def chosen_architecture(values: absl_flags.FlagValues) -> Architecture:
    """The network that the flags ask for. Raises ValueError unless exactly one exists."""
    given = [name for name in ('cell', 'network', 'from_search') if values[name].value is not None]
    if len(given) != 1:
        raise ValueError(
            '--mode=train takes exactly one of --cell, --network and --from_search, not '
            f'{" and ".join(f"--{name}" for name in given) or "none"}'
        )
    sizes = flags.build(nas_choice.Sizes, flag_values=values)
    if values.from_search is not None:
        return _from_search(values.from_search, values.skeleton, sizes)
    return nas_choice.choose(values.cell, values.network, values.skeleton, sizes)


def _check_goes_on(folder: pathlib.Path, meta: dict) -> None:
    """Raises ValueError if the directory holds a training of something else under the same
    flags.
    """
    earlier = trained.read_meta(folder)
    for name, value in meta.items() if earlier else ():
        if earlier.get(name) != value:
            raise ValueError(
                f'workdir {folder} holds a training with another {name} in '
                f'{trained.NETWORK_FILE}, so what --dataset or --from_search names has changed; '
                'another training needs another --workdir'
            )


def _split(
    values: absl_flags.FlagValues, dataset: Dataset
) -> tuple[Images | StreamedImages, Images | StreamedImages | None]:
    """(images to train on, held-out images or None)."""
    if not values.holdout:
        return dataset.train, None
    try:
        return hold_out(dataset.train, values.holdout, values.split_seed)
    except ValueError as error:
        raise ValueError(f'--holdout={values.holdout:g}: {error}') from None


def _input_wait(
    workdir: pathlib.Path, config: RecipeConfig, train: Images | StreamedImages, seed: int
) -> dict[str, float]:
    """What train.json says of --measure_input."""
    opened = trained.open_trained(workdir, which='last')
    state = recipe.init_state(
        opened.plan, config, steps=config.steps(len(train)), seed=seed, variables=opened.variables
    )
    data = batches.place(train, train.statistics())
    found = throughput.input_share(opened.plan, config, data, state, seed=seed)
    _say(
        f'input: the device waits {100 * found.share:.2g} % of the time of a step'
        f' ({found.step_ms:.4g} ms, on a fixed batch {found.fixed_batch_ms:.4g} ms)'
    )
    return {
        'input_wait': found.share,
        'step_ms': found.step_ms,
        'fixed_batch_step_ms': found.fixed_batch_ms,
    }


def _line(name: str, epoch: int, found: dict) -> str:
    """How one of the kept networks did."""
    errors = {
        'held-out error': found['held_out_error'],
        'test error': found['test']['error'],
        'top-5 test error': found['test']['top5_error'],
    }
    return f'{name} (epoch {epoch}): ' + ', '.join(
        f'{what} {value:.2f} %' for what, value in errors.items() if value is not None
    )


def _summary(facts: dict, workdir: pathlib.Path) -> str:
    """What is printed at the end."""
    best, rate = facts['best'], facts['images_per_second']
    lines = [_line('last', facts['epochs'], facts), _line('best', best['epoch'], best)]
    pace = f', {rate:.4g} images/s' if rate else ''
    return '\n'.join(
        lines
        + [facts['note']] * bool(facts['note'])
        + [
            f'{facts["epochs"]} epochs in {format_seconds(facts["seconds"])}{pace}; results are in'
            f' {workdir}, {final.REPORT_FILE} shows them'
        ]
    )


def main(values: absl_flags.FlagValues) -> None:
    """Trains what the flags ask for. Raises ValueError for input that cannot be used."""
    architecture = chosen_architecture(values)
    config = flags.build(RecipeConfig, flag_values=values)
    if not values.workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    workdir = pathlib.Path(values.workdir).expanduser()
    nas_flags.check_same(values, workdir, _WHAT, what='training')
    if (workdir / final.RESULTS_FILE).exists():
        _say(f'the training in {workdir} has ended; its results are in {final.RESULTS_FILE}')
        return
    nas_flags.start_jax(values)
    parallel.initialize(
        coordinator_address=values.coordinator_address,
        num_processes=values.num_processes,
        process_id=values.process_id,
    )
    parallel.local_examples(config.batch_size)
    size, channels, _ = architecture.input
    dataset = open_images(values.dataset, size=size, channels=channels, cache=values.image_cache)
    architecture = architecture.for_classes(len(dataset.train.classes))
    train, held_out = _split(values, dataset)
    plan = architecture.plan
    meta = trained.make_meta(architecture, train, data=values.dataset, config=config)
    _check_goes_on(workdir, meta)
    with (
        open_run(values.workdir, flags.as_flagfile(flag_values=values)) as run,
        on_signals() as stop,
    ):
        if parallel.is_main():
            trained.write_meta(run.path, meta)
        images = {
            'train_images': len(train),
            'held_out_images': len(held_out or ()),
            'test_images': len(dataset.test),
        }
        run.update(data={'name': dataset.train.name, 'note': dataset.note, **images})
        costs = count(plan)
        _say(
            f'{architecture.name}: {costs.params:,} parameters, {costs.flops:,} FLOPs; {len(train)}'
            f' training, {len(held_out or ())} held-out and {len(dataset.test)} test images'
        )
        try:
            ended = session.train_in(
                run,
                plan,
                config,
                train,
                held_out=held_out,
                seed=values.seed,
                checkpoint_epochs=values.checkpoint_epochs,
                stop=stop,
            )
        except FloatingPointError as error:
            raise ValueError(
                f'{error}; try a lower --learning_rate than {config.learning_rate:g}, in '
                'another --workdir'
            ) from error
        extra = {'seed': values.seed, **images}
        if values.measure_input:
            extra |= _input_wait(run.path, config, train, values.seed)
        facts = final.finish(run.path, dataset.test, ended, note=dataset.note, extra=extra)
        run.update(
            training={
                'steps': facts['steps'],
                'seconds': facts['seconds'],
                'resumed_from': ended.resumed_from,
            }
        )
    parallel.wait_for_all()
    _say(_summary(facts, workdir))
