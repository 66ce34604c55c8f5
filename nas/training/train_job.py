"""Runs a whole training in a directory: trains one network by its recipe, then scores it."""

import dataclasses
import os
import pathlib
import re

from common import options, parallel
from common.logs import say
from common.run import FLAGS_FILE, RunDirectory, check_folder, check_workdir, earlier_run, open_run
from common.stopping import Stop
from nas.cells import choice, own_ops
from nas.cells.architecture import Architecture
from nas.cells.cell import Cell
from nas.cells.cost import count
from nas.cells.own_ops import OwnOps
from nas.datasets.images import Dataset, Images
from nas.datasets.open_images import open_images
from nas.datasets.streamed import StreamedImages, training_parts
from nas.networks import own_ops as own_ops_checks
from nas.search.earlier.found import found_cell
from nas.training import batches, final, network_file, recipe, session, throughput
from nas.training.config import SearchConfig, TrainConfig
from nas.training.data import fitting
from nas.training.trained import Trained, load_trained

# Options that may change when a training goes on.
FREE = ('image_cache', 'checkpoint_epochs', 'measure_input')
_Split = Images | StreamedImages


def train(
    config: TrainConfig, workdir, *, stop: Stop | None = None, overwrite: bool = False
) -> Trained:
    """Trains a network; a repeated call goes on from the newest checkpoint, to the same result.

    The training prints a line of progress, and the errors at the end. `common.runtime.start` makes
    settings of the process and joins the other processes of a run.

    Args:
        config: which network, on which images, and how.
        workdir: directory of the run: new, empty, or that of an earlier run of the same training.
            It gets network.json, checkpoints, metrics.jsonl, and in the end train.json and
            report.html.
        stop: what ends the training early, or None.
        overwrite: whether files of an earlier run in the workdir, whatever it was, are removed.

    Returns:
        The network of the lowest held-out error, see `nas.training.trained.load_trained`.

    Raises:
        ValueError: an option cannot be used (the message names its flag), the directory is of
            another training, or the loss is not finite.
        Stopped: a stop was requested; there is a checkpoint of the step after which training ended.
    """
    if not workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    config = with_dataset(options.expand_paths(config))
    folder, own = pathlib.Path(workdir).expanduser(), own_ops_of(config)
    if not overwrite:
        own.check_same(earlier_run(folder)[1], workdir=folder, what='training')
    own.load()
    architecture = choose_architecture(config)
    if architecture.cell is not None:
        own_ops_checks.check(own.of(architecture.cell), architecture.skeleton)
    known, reads = network_file.FILES, options.read_by(config)
    opening = {'overwrite': overwrite, 'known': known, 'reads': reads}
    check_workdir(workdir, **opening)
    check_folder('image_cache', config.image_cache)
    if not overwrite:
        _check_same(config, folder)
    if not overwrite and (folder / final.RESULTS_FILE).exists():
        say(f'the training in {folder} has ended; its results are in {final.RESULTS_FILE}')
        return load_trained(folder)
    parallel.local_examples(config.recipe.batch_size)
    size, channels, _ = architecture.input
    dataset = open_images(config.dataset, size=size, channels=channels, cache=config.image_cache)
    config.sizes.check_classes(len(dataset.train.classes), config.dataset)
    architecture = architecture.for_classes(len(dataset.train.classes))
    split = _split(config, dataset)
    meta = network_file.make_meta(
        architecture, split[0], data=config.dataset, config=config.recipe, ops=own
    )
    if not overwrite:
        _check_same_data(folder, meta)
    text = options.flagfile(config, mode='train', workdir=os.fspath(workdir))
    digests = {'--dataset': dataset.digest(), **own.inputs()}
    with open_run(workdir, text, inputs=digests, what='training', **opening) as run:
        run.writes(*network_file.TRAINING_FILES, *own.files())
        if parallel.is_main():
            own.write(run.path)
            network_file.write_meta(run.path, meta)
        facts = _train_in(run, config, architecture, dataset, split, stop)
        run.finish()
    parallel.wait_for_all()
    say(f'{final.story(facts)}; results are in {folder}, {final.REPORT_FILE} shows them')
    return load_trained(folder)


def with_dataset(config: TrainConfig) -> TrainConfig:
    """The configuration with its data set named: that of the search that `--from_search` names."""
    if config.dataset is not None:
        return config
    if config.from_search is None:
        return dataclasses.replace(config, dataset=SearchConfig.dataset)
    _, folder = found_cell(config.from_search)
    return dataclasses.replace(config, dataset=read_search_config(folder).dataset)


def own_ops_of(config: TrainConfig) -> OwnOps:
    """The own ops of a training: those of `--ops`, or of the search that `--from_search` names."""
    text = config.ops
    if text is None and config.from_search is not None:
        _, folder = found_cell(config.from_search)
        text = own_ops.copies(folder, read_search_config(folder).ops)
    return own_ops.read(text)


def choose_architecture(config: TrainConfig) -> Architecture:
    """The network of a configuration. Raises ValueError unless exactly one exists."""
    given = [
        name for name in ('cell', 'network', 'from_search') if getattr(config, name) is not None
    ]
    if len(given) != 1:
        raise ValueError(
            '--mode=train takes exactly one of --cell, --network and --from_search, not '
            f'{" and ".join(f"--{name}" for name in given) or "none"}'
        )
    if config.from_search is not None:
        return _from_search(config.from_search, config.skeleton, config.sizes)
    return choice.choose(config.cell, config.network, config.skeleton, config.sizes)


def _from_search(text: str, skeleton: str | None, sizes: choice.Sizes) -> Architecture:
    """A found cell on the skeleton of its search, or on one that is named."""
    cell, folder = found_cell(text)
    earlier = read_search_config(folder)
    if earlier.benchmark:
        raise ValueError(
            f'--from_search={text}: a search of the table {earlier.benchmark} finds no cells '
            'that could be trained'
        )
    if skeleton is not None:
        base = choice.skeleton_of(skeleton)
    else:
        base = fitting.searched_skeleton(earlier, folder)
    try:
        return Architecture(cell, Cell.parse(cell), sizes.of(base))
    except ValueError as error:
        raise ValueError(f'--from_search={text}: {error}') from None


def read_search_config(workdir) -> SearchConfig:
    """The configuration of the search in a directory; the default one where there is no flagfile.

    Raises:
        ValueError: its flags.txt is not one of this version, or the search is of another task; the
            message names the file.
    """
    text, _ = earlier_run(workdir)
    if other := re.search(r'^--task=(\S+)$', text or '', re.MULTILINE):
        raise ValueError(
            f'{workdir} holds a search with --task={other[1]}, whose cells --mode=train does not'
            ' train; report.html there has the command that does'
        )
    try:
        return SearchConfig() if text is None else options.from_flagfile(SearchConfig, text)
    except ValueError as error:
        path = pathlib.Path(workdir).expanduser() / FLAGS_FILE
        raise ValueError(f'{path} is not of this version: {error}') from error


def _check_same(config: TrainConfig, folder: pathlib.Path) -> None:
    """Raises ValueError if the directory is of another training, or of something else."""
    earlier, _ = earlier_run(folder)
    # First of all, it has to be a training; a flagfile without a mode is that of a search.
    for free in (tuple(options.fields_of(TrainConfig)), FREE):
        options.check_same(
            None if earlier is None else f'--mode=search\n{earlier}',
            config,
            workdir=folder,
            what='training',
            free=free,
            mode='train',
        )


def _check_same_data(folder: pathlib.Path, meta: dict) -> None:
    """Raises ValueError if the same options mean something else than in an earlier run."""
    earlier = network_file.read_meta(folder)
    for name, value in meta.items() if earlier else ():
        # Runs of earlier versions lack some names.
        if name in earlier and earlier[name] != value:
            raise ValueError(
                f'workdir {folder} holds a training with another {name} in'
                f' {network_file.NETWORK_FILE}, so what --dataset or --from_search names has'
                ' changed; another training needs another --workdir'
            )


def _split(config: TrainConfig, dataset: Dataset) -> tuple[_Split, _Split | None]:
    """(images to train on, held-out images or None)."""
    if not config.holdout:
        return dataset.train, None
    try:
        return training_parts(dataset, config.holdout, config.split_seed)
    except ValueError as error:
        raise ValueError(f'--holdout={config.holdout:g}: {error}') from None


def _train_in(
    run: RunDirectory,
    config: TrainConfig,
    architecture: Architecture,
    dataset: Dataset,
    split: tuple[_Split, _Split | None],
    stop: Stop | None,
) -> dict:
    """Trains and scores in an open run directory; returns the content of train.json."""
    (images, held_out), plan = split, architecture.plan
    sizes = {
        'train_images': len(images),
        'held_out_images': len(held_out or ()),
        'test_images': len(dataset.test),
    }
    run.update(data={'name': dataset.train.name, 'note': dataset.note, **sizes})
    costs = count(plan)
    say(
        f'{architecture.name}: {costs.params:,} parameters, {costs.flops:,} FLOPs; {len(images)}'
        f' training, {sizes["held_out_images"]} held-out and {len(dataset.test)} test images'
    )
    try:
        ended = session.train_in(
            run,
            plan,
            config.recipe,
            images,
            held_out=held_out,
            seed=config.seed,
            checkpoint_epochs=config.checkpoint_epochs,
            stop=stop,
        )
    except FloatingPointError as error:
        raise ValueError(
            f'{error}; try a lower --learning_rate than {config.recipe.learning_rate:g}, in '
            'another --workdir'
        ) from error
    extra = {'seed': config.seed, **sizes}
    if config.measure_input:
        extra |= _input_wait(run.path, config, images)
    run.writes(final.RESULTS_FILE, final.REPORT_FILE)
    facts = final.finish(run.path, dataset.test, ended, note=dataset.note, extra=extra)
    spent = {name: facts[name] for name in ('steps', 'seconds')}
    run.update(training={**spent, 'resumed_from': ended.resumed_from})
    return facts


def _input_wait(workdir: pathlib.Path, config: TrainConfig, images: _Split) -> dict[str, float]:
    """The entries of train.json for --measure_input."""
    last, steps = load_trained(workdir, which='last'), config.recipe.steps(len(images))
    state = recipe.init_state(
        last.plan, config.recipe, steps=steps, seed=config.seed, variables=last.variables
    )
    data = batches.place(images, images.statistics())
    found = throughput.input_share(last.plan, config.recipe, data, state, seed=config.seed)
    say(
        f'input: the device waits {100 * found.share:.2g} % of the time of a step'
        f' ({found.step_ms:.4g} ms, on a fixed batch {found.fixed_batch_ms:.4g} ms)'
    )
    return {
        'input_wait': found.share,
        'step_ms': found.step_ms,
        'fixed_batch_step_ms': found.fixed_batch_ms,
    }
