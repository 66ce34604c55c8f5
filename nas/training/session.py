"""Trains one network in a run directory: checkpoints, best network, log, progress, resume."""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
import optax

from common import parallel
from common.checkpoint import Checkpoints
from common.logs import MetricLog, Progress, read_metrics
from common.patience import Unavailable
from common.run import RunDirectory
from common.stopping import Stop
from nas.cells.plan import Plan
from nas.datasets.images import Images
from nas.datasets.streamed import StreamedImages
from nas.networks import condense
from nas.training import batches, recipe, score
from nas.training.network_file import BEST, state_template
from nas.training.recipe import RecipeConfig


class Ended(NamedTuple):
    """How a training ended.

    Attributes:
        seconds: of all its sessions, as far as they counted.
        images_per_second: median over epochs, scoring and saving left out.
        last, best: {'step', 'epoch', 'held_out_error' in percent, None if nothing is held out} of
            the two networks that are kept.
        resumed_from: the step from which this session went on, 0 for a new training.
    """

    seconds: float
    images_per_second: float | None
    last: dict
    best: dict
    resumed_from: int


def epoch_ends(config: RecipeConfig, examples: int) -> dict[int, int]:
    """The epoch that is complete after a step, by step."""
    return {
        dataclasses.replace(config, epochs=epoch).steps(examples): epoch
        for epoch in range(1, config.epochs + 1)
    }


class _Meter:
    """Means over the steps of an epoch, and their speed.

    Attributes:
        sums: 'steps' and the sums of their metrics so far in this epoch; a later session continues
            them.
    """

    def __init__(self, batch_size: int, sums: dict[str, float]):
        self.sums, self._batch_size, self._timed, self._clock = dict(sums), batch_size, 0, None

    def add(self, metrics: dict[str, float]) -> None:
        for name, value in {'steps': 1, **metrics}.items():
            self.sums[name] = self.sums.get(name, 0) + value
        # The first step of a session includes compilation, so it is not timed.
        if self._clock is None:
            self._clock = time.monotonic()
        else:
            self._timed += 1

    def end_epoch(self) -> dict[str, float]:
        """The means of the epoch, and images_per_second where a step was timed."""
        seconds = time.monotonic() - self._clock
        steps = self.sums.pop('steps')
        means = {name: total / steps for name, total in self.sums.items()}
        if self._timed:
            means['images_per_second'] = self._timed * self._batch_size / max(seconds, 1e-9)
        self.sums, self._timed = {}, 0
        return means

    def go_on(self) -> None:
        """Restarts the clock after the work between two epochs."""
        self._clock = time.monotonic()


class _Keeper:
    """Decides at the end of each epoch what is kept: the best variables, and checkpoints.

    Attributes:
        last, best: as in `Ended`; None before there is one.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        kept: Checkpoints,
        plan: Plan,
        facts: dict,
        last: dict | None,
    ):
        """Takes over what earlier sessions kept.

        Args:
            checkpoints: of whole states.
            kept: of the best variables, which may be ahead of the state that a session goes on
                from.
            plan: the network.
            facts: what every checkpoint says of the training.
            last: of the state that the session goes on from, if any.
        """
        self._checkpoints, self._kept, self._plan, self._facts = checkpoints, kept, plan, facts
        self.last, self.best = last, _point(kept.metadata())

    def keep_best(self, state: recipe.State, point: dict, *, due: bool) -> None:
        """Saves variables of a lower held-out error; with nothing held out, the newest if `due`."""
        error, self.last = point['held_out_error'], point
        first = self.best is None
        better = due if error is None else first or error < self.best['held_out_error']
        variables = jax.device_get(recipe.to_variables(state)) if better else None
        # Before its last pruning event a network is larger than the deployed one.
        if better and condense.fully_condensed(self._plan, variables):
            self._kept.save(point['step'], variables, point)
            self.best = point

    def keep_state(
        self, step: int, state: recipe.State, sums: dict[str, float], seconds: float
    ) -> None:
        """Saves a checkpoint: after the epoch of `keep_best`, or `sums` of steps behind it."""
        if not self.last or self.last['step'] != step:
            epoch = self.last['epoch'] if self.last else 0
            self.last = {'step': step, 'epoch': epoch, 'held_out_error': None}
        self._checkpoints.save(
            step, state, {**self._facts, **self.last, 'seconds': seconds, 'epoch_sums': sums}
        )


def _point(metadata: dict | None) -> dict | None:
    """Which network a checkpoint holds."""
    return metadata and {name: metadata[name] for name in ('step', 'epoch', 'held_out_error')}


@contextlib.contextmanager
def _writing(folder) -> Iterator[None]:
    """Turns an error of the disk, for example in a log, into a ValueError of one sentence."""
    try:
        yield
    except Unavailable:  # images, which are read; the message says so
        raise
    except OSError as error:
        raise ValueError(
            f'{folder} cannot be written: {error.strerror or error}; its checkpoints are intact'
        ) from error


def _restore(checkpoints: Checkpoints, plan: Plan, config: RecipeConfig, facts: dict):
    """(step, state, metadata) of the newest checkpoint, or None.

    Raises ValueError if it is of another training.
    """
    metadata = checkpoints.metadata()
    for name, value in facts.items() if metadata else ():
        if metadata.get(name) != value:
            raise ValueError(
                f'the checkpoints in {checkpoints.directory} belong to a training with {name} '
                f'{metadata.get(name)!r}, not {value!r}; take another --workdir'
            )
    return checkpoints.restore(state_template(plan, config))


def _held_out_scorer(
    plan: Plan,
    config: RecipeConfig,
    held_out: Images | StreamedImages | None,
    moments: tuple[np.ndarray, np.ndarray],
) -> Callable[[recipe.State], dict[str, float]]:
    """A function of a state that gives its held-out columns of the metric log, or none."""
    if held_out is None:
        return lambda state: {}
    score_of, data = score.make_scorer(plan, dtype=config.dtype), batches.place(held_out, moments)

    def scores(state):
        found = score_of(state._replace(optimizer=()), data)
        return {'held_out_loss': found.loss, 'held_out_error': found.error}

    return scores


def train_in(
    run: RunDirectory,
    plan: Plan,
    config: RecipeConfig,
    train: Images | StreamedImages,
    *,
    held_out: Images | StreamedImages | None = None,
    seed: int,
    checkpoint_epochs: int = 5,
    stop: Stop | None = None,
) -> Ended:
    """Trains in a run directory; a repeated call goes on from the newest checkpoint.

    The result is the same as that of an unbroken training. Checkpoints are saved at ends of epochs,
    and where a training is stopped. metrics.jsonl gets a line per epoch: means of loss, error and
    norm of the gradient over its steps, the learning rate of its last step, loss and error of the
    held-out images.

    Args:
        run: the run directory; `checkpoints` and `best` are written in it, see
            `nas.training.network_file`.
        plan: the network.
        config: the recipe.
        train: images that are trained on; their statistics normalise all images.
        held_out: images that choose the best network, or None: the best is the last.
        seed: of parameters, order and augmentation.
        checkpoint_epochs: epochs between two checkpoints; the last epoch is always saved.
        stop: what ends the training early, or None.

    Raises:
        ValueError: the checkpoints are of another training; the directory cannot be written, say
            because the disk is full; the batch does not divide over the devices; a streamed image
            cannot be read.
        FloatingPointError: the loss is not finite; the message names the step. Checkpoints stay.
        Stopped: a stop was requested; there is a checkpoint of the step after which training ended.
    """
    stop = stop or Stop()
    started = time.monotonic()
    steps = config.steps(len(train))
    ends = epoch_ends(config, len(train))
    moments, rate = train.statistics(), optax.cosine_decay_schedule(config.learning_rate, steps)
    facts = {**dataclasses.asdict(config), 'examples': len(train), 'seed': seed}
    with (
        _writing(run.path),
        Checkpoints(run.checkpoints) as checkpoints,
        Checkpoints(run.path / BEST, keep=1) as kept,
    ):
        start, state, before = _restore(checkpoints, plan, config, facts) or (
            0,
            recipe.init_state(plan, config, steps=steps, seed=seed),
            {},
        )
        data = batches.place(train, moments)
        scores_of = _held_out_scorer(plan, config, held_out, moments)
        keeper = _Keeper(checkpoints, kept, plan, facts, _point(before))
        meter, done = _Meter(config.batch_size, before.get('epoch_sums', {})), start
        seconds = lambda: before.get('seconds', 0.0) + time.monotonic() - started
        with (
            MetricLog(run.path, resume_step=start) as log,
            stop.held('this step'),
            Progress(steps, initial=start, description='train') as progress,
        ):
            if start:
                progress.write(f'going on from the checkpoint of step {start}')
            shown, due = {}, True
            training = recipe.train_steps(
                plan, config, data, state, seed=seed, start=start, stop=stop
            )
            for done, state, metrics in training:
                meter.add(metrics)
                due = False
                if done in ends:
                    row = {
                        'epoch': ends[done],
                        **meter.end_epoch(),
                        'learning_rate': rate(done - 1),
                        **scores_of(state),
                    }
                    shown = {name: row[name] for name in ('epoch', 'held_out_error') if name in row}
                    due = ends[done] % checkpoint_epochs == 0 or done == steps
                    keeper.keep_best(
                        state, {'held_out_error': None, **shown, 'step': done}, due=due
                    )
                    log.write(done, row)
                    if due:
                        keeper.keep_state(done, state, {}, seconds())
                    meter.go_on()
                progress.update(1, {name: metrics[name] for name in ('loss', 'error')} | shown)
            if not due:
                keeper.keep_state(done, state, meter.sums, seconds())
            stop.trained(done, steps, run.path)
    # Other processes may read what process 0 has written.
    parallel.wait_for_all()
    rates = [
        row['images_per_second'] for row in read_metrics(run.path) if 'images_per_second' in row
    ]
    return Ended(
        seconds() if start < steps else before['seconds'],
        statistics.median(rates) if rates else None,
        keeper.last,
        keeper.best,
        start,
    )
