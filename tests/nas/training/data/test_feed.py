"""Streamed batches: their content, when they are decoded, and training on them."""

import dataclasses
import itertools
import threading
import time

import jax
import numpy as np
import pytest

from common import parallel
from nas.cells.cell import Cell
from nas.cells.plan import build
from nas.cells.skeleton import Skeleton
from nas.datasets.images import Images
from nas.datasets.open_images import open_images
from nas.training import batches, recipe, score, throughput
from nas.training.data import feed
from nas.training.data.feed import Request
from nas.training.recipe import RecipeConfig
from tests.nas.made_folders import CLASSES, make_folder

SKELETON = Skeleton(name='test', size=8, classes=4, stages=(1,), growth=(4,), stem=8)
PLAN = build(Cell.parse('bn_relu-lgconv1x1'), SKELETON)
CONFIG = RecipeConfig(epochs=6, batch_size=8, learning_rate=0.05)
STEPS, SEED = 15, 5  # 6 epochs of 20 images, 8 a step


@pytest.fixture(scope='module')
def train(tmp_path_factory):
    """20 streamed images of 8 x 8 pixels in four classes."""
    folder = make_folder(tmp_path_factory.mktemp('folders') / 'made')
    return open_images(f'folder:{folder},stream', size=8, channels=3).train


@pytest.fixture(scope='module')
def data(train):
    return batches.place(train, train.statistics())


@pytest.fixture(scope='module')
def run(data):
    """(steps done, state, metrics) after every step of a whole training."""
    state = recipe.init_state(PLAN, CONFIG, steps=STEPS, seed=1)
    return list(recipe.train_steps(PLAN, CONFIG, data, state, seed=SEED))


def requests(start, stop, numbers=range(8)):
    """What a training asks for, of which this host has some of the examples."""
    numbers = np.array(numbers)
    for step in range(start, stop):
        yield Request(batches.batch_indices(SEED, step, 8, 20)[numbers], numbers, (SEED, step))


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_batch_is_a_function_of_its_request(data, train):
    found = list(data.supply(requests(0, 6)))
    assert [part['images'].shape for part in found] == 6 * [(8, 8, 8, 3)]
    assert found[0]['images'].dtype == np.uint8 and found[0]['labels'].dtype == np.int32
    for step in (0, 5):
        for place, index in enumerate(batches.batch_indices(SEED, step, 8, 20)):
            pixels, label = train.example(index, (SEED, step, place))
            np.testing.assert_array_equal(found[step]['images'][place], pixels)
            assert found[step]['labels'][place] == label == train.labels[index]
    for ahead, threads in ((0, 1), (5, 3)):
        other = dataclasses.replace(data, ahead=ahead, threads=threads)
        same(list(other.supply(requests(0, 6))), found)
    same(list(data.supply(requests(4, 6))), found[4:])


def test_shards_of_hosts_make_up_the_global_batch(data):
    whole = list(data.supply(requests(0, 3)))
    hosts = [list(data.supply(requests(0, 3, range(first, first + 2)))) for first in range(0, 8, 2)]
    for step, batch in enumerate(whole):
        for name, values in batch.items():
            np.testing.assert_array_equal(
                np.concatenate([host[step][name] for host in hosts]), values
            )


def test_without_a_draw_images_are_those_that_are_scored(data, train):
    (part,) = data.supply([Request(np.array([3, 3, 0]), np.arange(3))])
    np.testing.assert_array_equal(part['images'], train.images[[3, 3, 0]])


def test_batches_are_made_ahead_but_not_without_limit(data):
    taken = itertools.count()
    asked = []

    def counted():
        for request in requests(0, 100):
            asked.append(next(taken))
            yield request

    supply = data.supply(counted())
    for number in range(3):
        next(supply)
        assert len(asked) == number + 1 + data.ahead and data.ahead >= 2
    before = sum(thread.name.startswith('decode') for thread in threading.enumerate())
    supply.close()
    assert before > 0 == sum(thread.name.startswith('decode') for thread in threading.enumerate())


def test_decoding_goes_on_while_the_batch_before_is_used(data, train):
    read = []

    class Counting:
        """Says which files were read."""

        labels = train.source.labels
        name = train.source.name

        def read(self, index):
            time.sleep(0.01)
            read.append(index)
            return train.source.read(index)

    counting = dataclasses.replace(
        data, images=dataclasses.replace(train, source=Counting()), threads=2
    )
    supply = counting.supply(requests(0, 100))
    next(supply)
    at_first, deadline = len(read), time.monotonic() + 20
    while len(read) < 8 * (1 + data.ahead) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert at_first < len(read) == 8 * (1 + data.ahead)
    supply.close()


def test_a_damaged_image_is_named_after_the_batches_before_it(data, train, tmp_path):
    folder = make_folder(tmp_path / 'made')
    images = open_images(f'folder:{folder},stream', size=8, channels=3).train
    broken = folder / 'train/cat/cat_2.JPEG'
    broken.write_bytes(broken.read_bytes()[:200])
    at = next(step for step in range(3) if 12 in batches.batch_indices(SEED, step, 8, 20))
    supply = dataclasses.replace(data, images=images).supply(requests(0, 3))
    for _ in range(at):
        next(supply)
    with pytest.raises(ValueError, match=f'{folder}: image train/cat/cat_2.JPEG cannot be read: .'):
        next(supply)
    broken.unlink()
    with pytest.raises(ValueError, match='cat_2.JPEG cannot be read: .*No such file'):
        list(dataclasses.replace(data, images=images).supply(requests(0, 3)))


def test_a_step_does_the_same_with_streamed_images_as_with_images_in_memory(run, data):
    """The first step, on the crops of its batch as a data set in memory that is not cropped
    again.
    """
    (part,) = data.supply(requests(0, 1))
    images = Images('crops', part['images'], part['labels'], CLASSES)
    config = dataclasses.replace(CONFIG, crop=0)
    step = recipe.make_step(PLAN, config, steps=STEPS)
    batch = parallel.local_shard({'indices': np.arange(8), 'numbers': np.arange(8)})
    resident = batches.place(images, (data.resident.mean, data.resident.std))
    state = parallel.replicate(recipe.init_state(PLAN, config, steps=STEPS, seed=1))
    state, metrics = step(state, batch, resident, jax.random.key(SEED), np.int32(0))
    close = lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, state.params, run[0][1].params)
    jax.tree.map(close, dict(metrics), run[0][2])


def test_training_learns_and_resumes_as_if_unbroken(run, data):
    assert [done for done, _, _ in run] == list(range(1, STEPS + 1))
    assert run[-1][2]['loss'] < 0.7 * run[0][2]['loss']
    again = list(
        recipe.train_steps(PLAN, CONFIG, data, jax.device_get(run[8][1]), seed=SEED, start=9)
    )
    same(again[-1][1], run[-1][1])
    assert not any(thread.name.startswith('decode') for thread in threading.enumerate())


def test_scores_are_those_of_the_same_pixels_in_memory(run, data, train):
    in_memory = batches.place(
        Images('pixels', train.images[:], train.labels, CLASSES), train.statistics()
    )
    score_of = score.make_scorer(PLAN, batch_size=8)  # the last batch is padded
    np.testing.assert_allclose(
        score_of(run[-1][1], data), score_of(run[-1][1], in_memory), rtol=1e-6
    )


def test_the_wait_for_slow_files_shows(run, data, train, monkeypatch):
    example = type(train).example

    def slow(images, *given):
        time.sleep(0.02)
        return example(images, *given)

    monkeypatch.setattr(type(train), 'example', slow)
    one_thread = feed.StreamedData(train, data.resident, threads=1)
    found = throughput.input_share(PLAN, CONFIG, one_thread, run[-1][1], seed=0, steps=3)
    assert found.share > 0.5 and found.step_ms > 150 > found.fixed_batch_ms
