"""Depth training on four devices, and on two processes of two devices, against one device."""

import dataclasses
import functools
import json
import types

import jax
import numpy as np
import pytest

import pano_depth
from common import logs
from common.run import open_run
from experiments.benchmarks.kernels import layouts
from pano_depth.footage.clip import Clip
from pano_depth.learning import checkpoints, session, train
from pano_depth.learning import model as models
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.sources import ClipSource
from pano_depth.results.evaluate_job import RoomsConfig
from tests.pano_depth.results import made_footage

pytestmark = pytest.mark.slow
MODEL = models.ModelConfig(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8))
LOSS = LossConfig(pyramid=1, ssim_weight=0.0)  # compiles fastest
CONFIG = train.RecipeConfig(steps=20, batch_size=4, warmup=1, depth_start=0)


class Noted(ClipSource):
    """A smooth clip; notes which examples of the global batch are read."""

    def __init__(self):
        lat, lon = np.meshgrid(
            np.linspace(-1.5, 1.5, 32), np.arange(64) * np.pi / 32, indexing='ij'
        )
        phases = 0.1 * np.arange(7)[:, None, None, None] + np.array([0, 2, 4])
        frames = 0.5 + 0.4 * np.sin(3 * lon[..., None] + phases) * np.cos(
            4 * lat[..., None] + phases
        )
        clip = Clip('made', frames.astype(np.float32))
        super().__init__(clip, stride=2, batch_size=CONFIG.batch_size, near=0.5)
        self.examples = set()

    def batch(self, step, examples):
        self.examples.update(examples)
        return super().batch(step, examples)


def refusal():
    """What is said of a batch of 6 examples in a run of several processes; None in one process."""
    if jax.process_count() == 1:
        return None
    odd = dataclasses.replace(CONFIG, batch_size=6)
    with pytest.raises(ValueError) as refused:
        train.fit(None, Noted(), odd, MODEL, LOSS, models.make_grid(MODEL))
    return str(refused.value)


def run(folder):
    """Trains once for `Trained` and once in a run directory of each process.

    Returns what the tests read of both.
    """
    # Compiling takes most of the time.
    jax.config.update('jax_disable_most_optimizations', True)
    train.make_step = functools.cache(train.make_step)
    source, place, grid = Noted(), folder / str(jax.process_index()), models.make_grid(MODEL)
    trained = layouts.train_depth(source, CONFIG, MODEL, LOSS)
    with open_run(place, '--x=1\n') as opened:
        every_step = session.LogConfig(log_every=1)
        session.train_in(opened, source, CONFIG, MODEL, LOSS, grid, logs=every_step)
    losses = [row['loss'] for row in logs.read_metrics(place)]
    return types.SimpleNamespace(
        trained=trained,
        examples=source.examples,
        losses=losses,
        refused=refusal(),
        written={path.name for path in folder.glob(f'{jax.process_index()}/*')},
    )


@pytest.fixture(scope='module')
def one_device(tmp_path_factory):
    return layouts.run_on(layouts.Layout(1, 1), run, tmp_path_factory.mktemp('one'), timeout=240)[0]


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    return layouts.run_on(layouts.Layout(2, 2), run, tmp_path_factory.mktemp('two'), timeout=240)


def check_agreement(one, reference):
    gradient, losses = layouts.differences(one, reference)
    assert gradient < 1e-4 and losses < 1e-3
    assert set(reference.gradient) == {'depth', 'pose', 'norm'} and len(one.losses) == 20
    assert reference.losses[-1] < reference.losses[0]


def test_four_devices_agree_with_one(one_device):
    assert jax.device_count() == 4
    jax.config.update('jax_disable_most_optimizations', True)
    try:
        check_agreement(layouts.train_depth(Noted(), CONFIG, MODEL, LOSS), one_device.trained)
    finally:
        jax.config.update('jax_disable_most_optimizations', False)


def test_two_processes_of_two_devices_agree_with_one_and_with_each_other(one_device, two_processes):
    first, second = two_processes
    check_agreement(first.trained, one_device.trained)
    np.testing.assert_array_equal(first.trained.losses, second.trained.losses)
    jax.tree.map(np.testing.assert_array_equal, first.trained.gradient, second.trained.gradient)
    np.testing.assert_allclose(first.losses, one_device.losses, rtol=1e-3)


def test_each_process_reads_its_own_examples_and_process_0_alone_writes(one_device, two_processes):
    first, second = two_processes
    assert (one_device.examples, first.examples, second.examples) == ({0, 1, 2, 3}, {0, 1}, {2, 3})
    assert {
        'metrics.jsonl',
        'checkpoints',
        'run.json',
        'flags.txt',
    } <= first.written and not second.written


def test_a_batch_that_does_not_divide_over_the_processes_is_refused_with_the_numbers(two_processes):
    for one in two_processes:
        assert (
            one.refused
            == 'batch_size is 6, it has to be a positive multiple of the 4 devices of 2 processes'
        )


def train_on_videos(videos, folder):
    """Trains on a folder of videos as the program does; the networks."""
    jax.config.update('jax_disable_most_optimizations', True)
    config = pano_depth.TrainConfig(
        train_data=str(videos),
        data=RoomsConfig(data_dir=str(folder / 'data')),
        model=checkpoints.ModelChoice(
            face_size=16, depth_channels=MODEL.depth_channels, pose_channels=MODEL.pose_channels
        ),
        loss=LOSS,
        recipe=dataclasses.replace(CONFIG, steps=3),
    )
    return pano_depth.train(config, folder / 'run').params


def test_two_processes_read_videos_into_one_cache_and_train_the_same_networks(tmp_path):
    videos = tmp_path / 'videos'
    videos.mkdir()
    for scene in range(2):
        made_footage.write_video(videos / f'walk{scene}.mp4', scene)
    trained = {
        count: layouts.run_on(
            layouts.Layout(count, 1), train_on_videos, videos, tmp_path / str(count), timeout=400
        )
        for count in (1, 2)
    }
    first, second = trained[2]
    jax.tree.map(np.testing.assert_array_equal, first, second)
    close = functools.partial(np.testing.assert_allclose, atol=2e-5)
    jax.tree.map(close, first, trained[1][0])
    fresh = models.init_params(CONFIG.seed, MODEL)
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), first, fresh)
    assert max(jax.tree.leaves(moved)) > 1e-3
    (record,) = (tmp_path / '2').glob('run/run.json')
    clips = json.loads(record.read_text())['clips']
    assert sorted(clip['held_out'] for clip in clips) == [False, True]
