"""A whole training in a run directory: log, checkpoints, the best network, crash and resume."""

import dataclasses
import errno
import json
import math
import os
import signal

import jax
import numpy as np
import pytest

from common.checkpoint import Checkpoints
from common.run import open_run
from common.stopping import Stopped, on_signals
from nas.cells.architecture import Architecture
from nas.networks import condense
from nas.training import batches, network_file, recipe, score, session, trained
from nas.training.recipe import RecipeConfig
from tests.nas.made_images import CELL, SKELETON, make_images

ARCHITECTURE = Architecture('made', CELL, SKELETON)
PLAN = ARCHITECTURE.plan
CONFIG = RecipeConfig(epochs=6, batch_size=16, crop=1, learning_rate=0.05)
TRAIN, HELD_OUT = make_images(40), make_images(60, seed=1)
STEPS = 15  # 6 epochs of 40 images, 16 a step
ENDS = {3: 1, 5: 2, 8: 3, 10: 4, 13: 5, 15: 6}
SEED = 3


def train(
    folder, *, config=CONFIG, held_out=HELD_OUT, images=TRAIN, checkpoint_epochs=2, stop=None
):
    with open_run(folder, '--mode=train') as run:
        network_file.write_meta(
            run.path, network_file.make_meta(ARCHITECTURE, images, data='made', config=config)
        )
        return session.train_in(
            run,
            PLAN,
            config,
            images,
            held_out=held_out,
            seed=SEED,
            checkpoint_epochs=checkpoint_epochs,
            stop=stop,
        )


def rows(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def without_times(folder):
    return [row | {'images_per_second': None} for row in rows(folder)]


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def steps_on_disk(folder):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.steps()


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """(folder, `Ended`) of an unbroken training."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    return folder, train(folder)


@pytest.fixture(scope='module')
def states():
    """(state, metrics) after each step of the same training, without any session."""
    data = batches.place(TRAIN, TRAIN.statistics())
    state = recipe.init_state(PLAN, CONFIG, steps=STEPS, seed=SEED)
    return {
        done: (state, metrics)
        for done, state, metrics in recipe.train_steps(PLAN, CONFIG, data, state, seed=SEED)
    }


def test_the_log_has_a_line_per_epoch(whole, states):
    found = rows(whole[0])
    assert {row['step']: row['epoch'] for row in found} == ENDS
    score_of, data = score.make_scorer(PLAN), batches.place(HELD_OUT, TRAIN.statistics())
    before = 0
    for row in found:
        losses = [states[step][1]['loss'] for step in range(before + 1, row['step'] + 1)]
        assert row['loss'] == pytest.approx(sum(losses) / len(losses))
        rate = 0.05 * (1 + math.cos(math.pi * (row['step'] - 1) / STEPS)) / 2
        assert row['learning_rate'] == pytest.approx(rate, rel=1e-5)
        scores = score_of(states[row['step']][0]._replace(optimizer=()), data)
        assert row['held_out_error'] == scores.error and row['held_out_loss'] == pytest.approx(
            scores.loss
        )
        assert row['images_per_second'] > 0
        before = row['step']


def test_the_best_is_the_lowest_held_out_error_of_those_that_can_be_deployed(whole, states):
    folder, ended = whole
    found = [row for row in rows(folder) if row['step'] >= STEPS / 2]
    lowest = min(found, key=lambda row: row['held_out_error'])
    assert ended.best == {name: lowest[name] for name in ('step', 'epoch', 'held_out_error')}
    assert ended.last == {'step': STEPS, 'epoch': 6, 'held_out_error': found[-1]['held_out_error']}
    best, last = (trained.load_trained(folder, which=which) for which in ('best', 'last'))
    assert (best.step, last.step) == (lowest['step'], STEPS)
    same(best.variables, jax.device_get(recipe.to_variables(states[best.step][0])))
    same(last.variables, jax.device_get(recipe.to_variables(states[STEPS][0])))
    assert condense.fully_condensed(PLAN, best.variables)
    assert steps_on_disk(folder / 'checkpoints') == [5, 10, 15] and ended.resumed_from == 0


def test_a_network_before_its_last_pruning_is_not_the_best(tmp_path, monkeypatch):
    errors = iter([10.0, 20.0, 50.0, 40.0, 40.0, 60.0])
    monkeypatch.setattr(
        session.score,
        'make_scorer',
        lambda plan, **options: lambda state, data: score.Scores(1.0, next(errors), 0.0),
    )
    ended = train(tmp_path)
    assert ended.best == {'step': 10, 'epoch': 4, 'held_out_error': 40.0}
    assert trained.load_trained(tmp_path).step == 10 and ended.last['held_out_error'] == 60.0
    assert trained.load_trained(tmp_path).deployed()


class Stop:
    """Interrupts a session before a step is counted."""

    def __init__(self, monkeypatch, step, error):
        self._left, self._error, self._update = step, error, session.Progress.update
        monkeypatch.setattr(
            session.Progress, 'update', lambda progress, *given: self(progress, *given)
        )

    def __call__(self, progress, *given):
        self._left -= 1
        if self._left == 0:
            raise self._error
        self._update(progress, *given)


def signal_after(monkeypatch, step):
    """Sends SIGTERM to this process when a session has done so many steps."""
    update, calls = session.Progress.update, []

    def counting(progress, *given):
        calls.append(given)
        if len(calls) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        update(progress, *given)

    monkeypatch.setattr(session.Progress, 'update', counting)


# Before and after ends of epochs, and at one at which no checkpoint is due.
@pytest.mark.parametrize('steps', [(2,), (1, 2, 5), (6,)])
def test_a_training_that_was_stopped_goes_on_to_the_same_end(whole, tmp_path, monkeypatch, steps):
    saved = 0
    for step in steps:
        with monkeypatch.context() as patch, pytest.raises(Stopped) as caught, on_signals() as stop:
            signal_after(patch, step)
            train(tmp_path, stop=stop)
        # Two steps were under way.
        saved += step + 2
        assert f'the checkpoint of step {saved} of {STEPS} is saved in {tmp_path}' in str(
            caught.value
        )
        assert steps_on_disk(tmp_path / 'checkpoints')[-1] == saved
        assert trained.load_trained(tmp_path, which='last').step == saved
    ended = train(tmp_path)
    assert ended.resumed_from == saved and (ended.last, ended.best) == (
        whole[1].last,
        whole[1].best,
    )
    assert without_times(tmp_path) == without_times(whole[0])
    for which in ('best', 'last'):
        same(
            *(
                trained.load_trained(folder, which=which).variables
                for folder in (whole[0], tmp_path)
            )
        )


@pytest.mark.parametrize('step', [4, 14])
def test_a_crashed_training_goes_on_to_the_same_end(whole, tmp_path, monkeypatch, capsys, step):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Stop(patch, step, KeyboardInterrupt())
        train(tmp_path)
    saved = [end for end in (5, 10) if end < step]
    assert steps_on_disk(tmp_path / 'checkpoints') == saved
    start = max(saved, default=0)
    ended = train(tmp_path)
    assert ended.resumed_from == start
    assert (f'going on from the checkpoint of step {start}' in capsys.readouterr().out) == (
        start > 0
    )
    assert without_times(tmp_path) == without_times(whole[0])
    assert (ended.last, ended.best) == (whole[1].last, whole[1].best)
    template = network_file.state_template(PLAN, CONFIG)
    one, other = (Checkpoints(folder / 'checkpoints') for folder in (whole[0], tmp_path))
    with one, other:
        same(*(checkpoints.restore(template)[1] for checkpoints in (one, other)))
    for which in ('best', 'last'):
        same(
            *(
                trained.load_trained(folder, which=which).variables
                for folder in (whole[0], tmp_path)
            )
        )


def test_an_ended_training_is_not_trained_again(whole):
    before = rows(whole[0])
    ended = train(whole[0])
    assert ended.resumed_from == STEPS and rows(whole[0]) == before
    assert ended._replace(resumed_from=0) == whole[1]._replace(seconds=ended.seconds)
    assert 0 < ended.seconds <= whole[1].seconds


@pytest.mark.parametrize(
    'changes, named',
    [
        ({'config': dataclasses.replace(CONFIG, learning_rate=0.1)}, 'learning_rate 0.05, not 0.1'),
        ({'images': make_images(39)}, 'examples 40, not 39'),
    ],
)
def test_another_training_is_refused(whole, tmp_path, changes, named):
    with pytest.raises(ValueError, match=f'{named}; take another --workdir'):
        train(whole[0], **changes)


def test_without_held_out_images_the_best_is_the_last(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Stop(patch, 12, KeyboardInterrupt())
        train(tmp_path, held_out=None)
    assert steps_on_disk(tmp_path / 'best') == [10] == steps_on_disk(tmp_path / 'checkpoints')[-1:]
    ended = train(tmp_path, held_out=None)
    assert ended.best == ended.last == {'step': STEPS, 'epoch': 6, 'held_out_error': None}
    assert not any('held_out_error' in row for row in rows(tmp_path))
    same(*(trained.load_trained(tmp_path, which=which).variables for which in ('best', 'last')))


@pytest.mark.parametrize(
    'error, reason',
    [
        (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on device'),
        (
            ValueError(
                'OUT_OF_RANGE: Error writing "a": Failed to write 9 bytes [os_error_code=\'28\']'
            ),
            'No space left on device',
        ),
    ],
)
def test_a_full_disk_leaves_the_old_checkpoint(whole, tmp_path, monkeypatch, error, reason):
    with Checkpoints(tmp_path / 'probe') as checkpoints:
        orbax = type(checkpoints._orbax)
    real = orbax.save

    def save(self, path, **given):
        if str(path).endswith('checkpoints/10'):
            raise error
        return real(self, path, **given)

    with monkeypatch.context() as patch, pytest.raises(ValueError, match=reason) as caught:
        patch.setattr(orbax, 'save', save)
        train(tmp_path)
    assert 'step 10' in str(caught.value) and 'earlier checkpoints are intact' in str(caught.value)
    assert '\n' not in str(caught.value) and steps_on_disk(tmp_path / 'checkpoints') == [5]
    assert trained.load_trained(tmp_path, which='last').step == 5
    assert train(tmp_path).resumed_from == 5 and without_times(tmp_path) == without_times(whole[0])


def test_a_log_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def write(*unused_given):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(session.MetricLog, 'write', write)
    with pytest.raises(
        ValueError, match=f'{tmp_path} cannot be written: No space left on device; its check'
    ):
        train(tmp_path)
