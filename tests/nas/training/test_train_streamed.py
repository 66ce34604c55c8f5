"""Whole trainings on a folder of images that is not held in memory."""

import contextlib
import io
import json

import jax
import numpy as np
import pytest

from common import options
from nas.training import session, train_job, trained
from nas.training.config import TrainConfig
from tests.nas.made_folders import CLASSES, make_folder

RECIPE = {
    'skeleton': 'tiny',
    'stages': (1,),
    'growth': (4,),
    'cell': 'bn_relu-lgconv1x1',
    'epochs': 4,
    'batch_size': 8,
    'holdout': 0.2,
    'checkpoint_epochs': 1,
    'seed': 3,
    'learning_rate': 0.05,
}


def train(workdir, **values):
    """Trains in this process; returns what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train_job.train(options.make(TrainConfig, RECIPE | values), workdir)
    return printed.getvalue()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp('folders') / 'made')


@pytest.fixture(scope='module')
def whole(folder, tmp_path_factory):
    """An unbroken training: (workdir, what was printed)."""
    workdir = tmp_path_factory.mktemp('runs') / 'whole'
    return workdir, train(workdir, dataset=f'imagenet:{folder}', measure_input=True)


def test_a_streamed_training_leaves_what_others_leave(whole):
    workdir, printed = whole
    facts = json.loads((workdir / 'train.json').read_text())
    assert (facts['train_images'], facts['held_out_images'], facts['test_images']) == (16, 4, 20)
    assert (facts['epochs'], facts['steps']) == (4, 8) and 0 <= facts['input_wait'] <= 1
    assert 0 <= facts['test']['error'] <= 100 and facts['best']['held_out_error'] is not None
    assert 'middle 8 of 9 pixels' in facts['note'] and facts['note'] in printed
    meta = trained.load_trained(workdir).meta
    assert meta['classes'] == list(CLASSES) and meta['size'] == 8
    np.testing.assert_allclose(meta['mean'], [0.485, 0.456, 0.406], rtol=1e-6)


def test_a_crashed_training_goes_on_to_the_same_end(whole, folder, tmp_path, monkeypatch):
    again = lambda: train(tmp_path / 'run', dataset=f'imagenet:{folder}')
    left = iter(range(4))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def update(*unused_given):
            if next(left, None) is None:
                raise KeyboardInterrupt

        patch.setattr(session.Progress, 'update', update)
        again()
    assert not (tmp_path / 'run' / 'train.json').exists()
    assert 'going on from the checkpoint of step 4' in again()
    for which in ('best', 'last'):
        one, other = (
            trained.load_trained(path, which=which) for path in (whole[0], tmp_path / 'run')
        )
        assert one.step == other.step
        jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)
    scores = [
        json.loads((path / 'train.json').read_text())['test']
        for path in (whole[0], tmp_path / 'run')
    ]
    assert scores[0] == scores[1]


def test_a_damaged_image_ends_in_a_sentence_that_names_it(tmp_path):
    folder = make_folder(tmp_path / 'made')
    (folder / 'train/bee/bee_1.JPEG').write_bytes(b'not an image')
    with pytest.raises(ValueError, match='image train/bee/bee_1.JPEG cannot be read') as caught:
        train(tmp_path / 'run', dataset=f'folder:{folder},stream', holdout=0.0)
    assert '\n' not in str(caught.value)
