"""Training of the search half on four devices, and on two processes of two, against one device."""

import dataclasses
import types

import jax
import numpy as np
import pytest

from common.run import open_run
from experiments.benchmarks.kernels import layouts
from nas.cells.cell import Cell
from nas.cells.plan import build
from nas.cells.skeleton import Skeleton
from nas.datasets.open_images import open_images
from nas.training import batches, recipe, session
from nas.training.recipe import RecipeConfig
from tests.nas.made_folders import make_folder

pytestmark = pytest.mark.slow
PLAN = build(
    Cell.parse('bn_relu-lgconv1x1-bn_relu-gconv3x3'),
    Skeleton(name='test', size=8, classes=4, stages=(1,), growth=(4,), stem=8),
)
CONFIG = RecipeConfig(epochs=8, batch_size=8)  # 20 steps on 20 images
SEED = 3


class Noted:
    """Files that note which of them are read."""

    def __init__(self, source):
        self._source, self.labels, self.indices = source, source.labels, []

    def read(self, index):
        self.indices.append(int(index))
        return self._source.read(index)


def open_train(folder):
    """The streamed training split."""
    return open_images(f'folder:{folder},stream', size=8, channels=3).train


def refusal(data):
    """What is said of a batch of 18 images in a run of several processes; None in one."""
    if jax.process_count() == 1:
        return None
    uneven = dataclasses.replace(CONFIG, batch_size=18)
    with pytest.raises(ValueError) as refused:
        next(recipe.train_steps(PLAN, uneven, data, None, seed=0))
    return str(refused.value)


def run(folder, files):
    """Trains once for `Trained` and once in a run directory, each process in one of its own."""
    images, place = open_train(files), folder / str(jax.process_index())
    noted = Noted(images.source)
    data = batches.place(dataclasses.replace(images, source=noted), images.statistics())
    trained = layouts.train_cells(PLAN, CONFIG, data, seed=SEED)
    with open_run(place, '--x=1\n') as opened:
        ended = session.train_in(opened, PLAN, CONFIG, images, held_out=images, seed=SEED)
    return types.SimpleNamespace(
        trained=trained,
        read=noted.indices,
        error=ended.last['held_out_error'],
        refused=refusal(data),
        written={path.name for path in folder.glob(f'{jax.process_index()}/*')},
    )


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A folder of 20 images to train on."""
    return make_folder(tmp_path_factory.mktemp('folders') / 'made')


@pytest.fixture(scope='module')
def one_device(files, tmp_path_factory):
    return layouts.run_on(
        layouts.Layout(1, 1), run, tmp_path_factory.mktemp('one'), files, timeout=240
    )[0]


@pytest.fixture(scope='module')
def two_processes(files, tmp_path_factory):
    return layouts.run_on(
        layouts.Layout(2, 2), run, tmp_path_factory.mktemp('two'), files, timeout=240
    )


def check_agreement(one, reference):
    gradient, losses = layouts.differences(one, reference)
    assert gradient < 1e-4 and losses < 1e-3
    assert set(reference.gradient) == {'network', 'norm'} and len(one.losses) == 20
    assert reference.losses[-1] < reference.losses[0]


def test_four_devices_agree_with_one(files, one_device):
    assert jax.device_count() == 4
    images = open_train(files)
    data = batches.place(images, images.statistics())
    check_agreement(layouts.train_cells(PLAN, CONFIG, data, seed=SEED), one_device.trained)


def test_two_processes_of_two_devices_agree_with_one_and_with_each_other(one_device, two_processes):
    first, second = two_processes
    check_agreement(first.trained, one_device.trained)
    np.testing.assert_array_equal(first.trained.losses, second.trained.losses)
    jax.tree.map(np.testing.assert_array_equal, first.trained.gradient, second.trained.gradient)
    # Scored over both processes; at most one of the 20 images lies on the edge.
    assert first.error == second.error == pytest.approx(one_device.error, abs=5)


def test_each_process_reads_its_own_examples_and_process_0_alone_writes(one_device, two_processes):
    first, second = two_processes
    stream = np.stack([batches.batch_indices(SEED, step, 8, 20) for step in range(20)])
    assert sorted(one_device.read) == sorted(stream.ravel())
    assert sorted(first.read) == sorted(stream[:, :4].ravel())
    assert sorted(second.read) == sorted(stream[:, 4:].ravel())
    assert {'metrics.jsonl', 'checkpoints', 'best', 'run.json', 'flags.txt'} <= first.written
    assert not second.written


def test_a_batch_that_does_not_divide_over_the_processes_is_refused_with_the_numbers(two_processes):
    for one in two_processes:
        assert (
            one.refused
            == 'batch_size is 18, it has to be a positive multiple of the 4 devices of 2 processes'
        )
