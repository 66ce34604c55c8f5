"""Training inside a run directory: checkpoints, metric log, progress, resume."""

import dataclasses
import time

import numpy as np
from jaxtyping import Float

from common.checkpoint import Checkpoints
from common.logs import MetricLog, Progress
from common.options import check_options, option
from common.run import RunDirectory
from common.stopping import Stop
from pano_depth.learning import checkpoints as stored
from pano_depth.learning import train
from pano_depth.learning.model import Grid, ModelConfig
from pano_depth.learning.objective import LossConfig

SHOWN = ('loss', 'photometric', 'truth_depth', 'disparity_spread')


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """How often a training logs and saves."""

    log_every: int = option(20, 'steps between two lines of metrics.jsonl', lower_bound=1)
    checkpoint_every: int = option(
        200, 'steps between two checkpoints; the last step is always saved', lower_bound=1
    )

    def __post_init__(self):
        check_options(self)


def train_in(
    run: RunDirectory,
    source: train.Source,
    recipe: train.RecipeConfig,
    model: ModelConfig,
    loss: LossConfig,
    grid: Grid,
    *,
    mask: Float[np.ndarray, 'height width'] | None = None,
    params: dict | None = None,
    logs: LogConfig = LogConfig(),
    description: str = 'train',
    stop: Stop | None = None,
) -> dict:
    """Trains in a run directory; started again, it goes on from the newest checkpoint.

    Args:
        run: the open run directory.
        source: see `sources`.
        recipe, model, loss: configurations of the training, of the networks and of their loss.
        grid: of the model.
        mask: as for `train.fit`.
        params: {'depth', 'pose'} to start from, or None for fresh ones.
        logs: how often it logs and saves.
        description: word in front of the progress.
        stop: request to stop, or None.

    Returns:
        {'depth', 'pose'}: the averaged parameters after the last step.

    Raises:
        ValueError: see `train.fit`, or the checkpoints do not fit this model.
        Stopped: there was a request to stop; the last step that was done has a checkpoint.
    """
    stop, started = stop or Stop(), time.monotonic()
    with Checkpoints(run.checkpoints) as checkpoints:
        start, state = _restored(checkpoints, run, recipe, model) or (
            0,
            train.init_state(recipe, model, params),
        )
        with (
            MetricLog(run.path, resume_step=start) as log,
            Progress(recipe.steps, initial=start, description=description) as progress,
        ):
            if start:
                progress.write(f'going on from the checkpoint of step {start}')
            keeper = _Keeper(start, checkpoints, log, progress, recipe, model, logs)
            with stop.held('this step'):
                state = train.fit(
                    state,
                    source,
                    recipe,
                    model,
                    loss,
                    grid,
                    mask=mask,
                    start=start,
                    on_step=keeper.on_step,
                    stop=stop,
                )
                keeper.end(state)
                stop.trained(keeper.done, recipe.steps, run.path)
    run.update(
        training={
            'steps': recipe.steps,
            'resumed_from': start,
            'seconds': time.monotonic() - started,
        }
    )
    return train.unflatten(state.average, model)


def _restored(checkpoints, run, recipe, model):
    """(steps done, state) of the newest checkpoint, or None; ValueError if it does not fit."""
    restored = checkpoints.restore(stored.template(recipe, model))
    if restored is None:
        return None
    start, saved, metadata = restored
    steps = metadata['train']['steps']
    if steps != recipe.steps:
        raise ValueError(
            f'the checkpoints in {run.path} belong to a run of {steps} steps, not'
            f' {recipe.steps}: the learning rate depends on it; take another --workdir'
        )
    return start, stored.from_saved(saved)


class _Keeper:
    """Logs, saves and shows the steps of a session.

    Attributes:
        done: number of steps done.
    """

    def __init__(self, start, checkpoints, log, progress, recipe, model, logs):
        self.done = self._start = start
        self._checkpoints, self._log, self._progress = checkpoints, log, progress
        self._last, self._model, self._logs = recipe.steps, model, logs
        self._facts = {'model': dataclasses.asdict(model), 'train': dataclasses.asdict(recipe)}
        self._clock = time.monotonic()

    def on_step(self, done: int, state: train.State, metrics: dict[str, float]) -> None:
        """As `train.fit` calls it."""
        self.done = done
        if done % self._logs.log_every == 0 or done == self._last:
            rate = (done - self._start) / max(time.monotonic() - self._clock, 1e-9)
            self._log.write(done, {**metrics, 'steps_per_second': rate})
        if done % self._logs.checkpoint_every == 0 or done == self._last:
            self._save(state)
        self._progress.update(1, {name: metrics[name] for name in SHOWN if name in metrics})

    def end(self, state: train.State) -> None:
        """Saves the state after which training was stopped, unless it is saved."""
        if self.done < self._last and self._checkpoints.latest_step() != self.done:
            self._save(state)

    def _save(self, state):
        self._checkpoints.save(self.done, stored.to_saved(state, self._model), self._facts)
