"""Steps of the depth networks' training: speed, memory, and how long they wait for their input."""

import tempfile
import time
from collections.abc import Iterator

import jax
import numpy as np
from absl import flags as absl_flags

from common import parallel
from common.stopping import Stop
from experiments import depth_flags, flags
from experiments.benchmarks.accelerators import clock
from experiments.benchmarks.accelerators.limited import ROOT
from pano_depth.footage.clip import Clip
from pano_depth.learning import train
from pano_depth.learning.checkpoints import start_model
from pano_depth.learning.footage_source import FootageSource, TrainingClip
from pano_depth.learning.model import ModelConfig, make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.sources import ClipSource, LiveSource
from pano_depth.learning.triplets import Source
from pano_depth.results import TrainConfig
from pano_depth.rooms import pano_rooms

SIZES = ((32, 4), (64, 4), (128, 4), (128, 16))  # (pixels of a face, triplets in a batch)
FEW = SIZES[:3]
TOY, TOY_CHANNELS = ((16, 2),), (8, 8)
_SETTLING = 3  # steps before a rate is taken


def measure(
    seconds: float, *, toy: bool, sizes: tuple[tuple[int, int], ...] = SIZES
) -> Iterator[dict]:
    """Rows of the training step alone, on one batch: size by size, small ones first.

    Args:
        seconds: for all of them, compilation included.
        toy: whether to take tiny networks.
        sizes: pairs of pixels of a face and triplets in a batch.
    """
    sizes = TOY if toy else sizes
    channels = dict.fromkeys(('depth_channels', 'pose_channels'), TOY_CHANNELS) if toy else {}
    for face, batch in sizes:
        model = ModelConfig(face_size=face, **channels)
        yield one_size(model, batch, seconds / (3 * len(sizes)))


def measure_few(seconds: float, *, toy: bool) -> Iterator[dict]:
    """As `measure`, without the large batch: for a CPU beside an accelerator."""
    yield from measure(seconds, toy=toy, sizes=FEW)


def one_size(model: ModelConfig, batch_size: int, seconds: float) -> dict:
    """One row: the step on frames of noise, which the device holds.

    Args:
        model: the networks.
        batch_size: triplets in a batch.
        seconds: for the steps that are timed.

    Returns:
        dict with face_size, batch, step_ms, steps_per_second, steps (timed), first_seconds (with
        compilation), loss (of the first step), peak_bytes, memory_of, backend, device.
    """
    rows = 2 * model.face_size
    frames = np.random.default_rng(0).integers(0, 256, (8, rows, 2 * rows, 3), np.uint8)
    source = ClipSource(Clip('noise', frames), stride=1, batch_size=batch_size)
    recipe = train.RecipeConfig(batch_size=batch_size)
    step = train.make_step(recipe, model, LossConfig(), source.sample)
    shared = parallel.replicate((make_grid(model), None, source.shared))
    state = parallel.replicate(train.init_state(recipe, model))
    examples = parallel.local_examples(batch_size)
    batch = {
        'data': source.batch(0, examples),
        'keys': parallel.example_keys(jax.random.key(0), 0, batch_size),
    }
    batch = parallel.local_shard(batch)

    def call():
        nonlocal state
        state, metrics = step(state, batch, np.int32(0), *shared)
        return metrics

    spent, metrics = clock.first(call)
    once, count = clock.repeated(call, seconds)
    return clock.device() | {
        'face_size': model.face_size,
        'batch': batch_size,
        'step_ms': 1e3 * once,
        'steps_per_second': 1 / once,
        'steps': count,
        'first_seconds': spent,
        'loss': float(metrics['loss']),
        **clock.peak_memory(),
    }


def flagfile_config(name: str) -> TrainConfig:
    """The training that a flagfile of `experiments/flagfiles` describes."""
    values = absl_flags.FlagValues()
    depth_flags.define(values)
    values(['depth_main', f'--flagfile={ROOT / "experiments" / "flagfiles" / name}'])
    return flags.build(TrainConfig, flag_values=values)


def waiting(seconds: float, *, toy: bool) -> Iterator[dict]:
    """Rows: how long steps wait for live rooms, and for footage in a file.

    Args:
        seconds: for both.
        toy: whether to take the networks of `rooms_quick.flags`, not of `rooms_gpu.flags`.
    """
    config = flagfile_config('rooms_quick.flags' if toy else 'rooms_gpu.flags')
    model = start_model('none', config.model)[1]
    rows, recipe = 2 * model.face_size, config.recipe
    drawn = {'batch_size': recipe.batch_size, 'seed': recipe.seed}
    style = pano_rooms.style_of(config.data.rooms)
    live = LiveSource(height=rows, style=style, **drawn)
    with tempfile.TemporaryFile() as file:
        shape = (40 if toy else 400, rows, 2 * rows, 3)
        frames = np.memmap(file, np.uint8, 'w+', shape=shape)
        frames[:] = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        footage = FootageSource([TrainingClip('noise', frames, 1)], **drawn)
        for name, source in {'live rooms': live, 'footage in a file': footage}.items():
            row = input_share(source, recipe, model, config.loss, seconds / 4)
            yield {'input': name, 'face_size': model.face_size, 'batch': recipe.batch_size} | row


class _Fixed:
    """A source that gives its last batch again and again, from a moment on."""

    def __init__(self, source: Source):
        self._source, self._last, self.fixed = source, None, False
        self.shared, self.sample = source.shared, source.sample

    def batch(self, step, examples):
        if not self.fixed or self._last is None:
            self._last = self._source.batch(step, examples)
        return self._last


def input_share(
    source: Source, recipe: train.RecipeConfig, model: ModelConfig, loss: LossConfig, seconds: float
) -> dict:
    """Trains first on fresh batches, then on one batch: the difference is the wait for input.

    Args:
        source: of the triplets.
        recipe, model, loss: configurations of the training, of the networks and of their loss.
        seconds: for either kind of steps, after the compilation; six steps at least.

    Returns:
        dict with share (of the time of a step, in [0, 1]), step_ms, fixed_batch_ms, backend,
        device.
    """
    fixed, stop, times = _Fixed(source), Stop(), {False: [], True: []}

    def on_step(done, state, metrics):
        mine = times[fixed.fixed]
        mine.append(time.perf_counter())
        enough = len(mine) > _SETTLING and mine[-1] - mine[_SETTLING - 1] > seconds
        if len(mine) >= 2 * _SETTLING and (enough or len(mine) >= 100):
            if fixed.fixed:
                stop.number = 1
            fixed.fixed = True

    state = train.init_state(recipe, model)
    train.fit(state, fixed, recipe, model, loss, make_grid(model), on_step=on_step, stop=stop)
    # The first steps of a kind compile, or come from batches that were under way.
    real, same = (float(np.mean(np.diff(times[kind][_SETTLING - 1 :]))) for kind in (False, True))
    return clock.device() | {
        'share': max(0.0, 1 - same / real),
        'step_ms': 1e3 * real,
        'fixed_batch_ms': 1e3 * same,
    }
