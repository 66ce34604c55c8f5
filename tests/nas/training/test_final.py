"""Results of a finished training: test scores, train.json, the report, the wait for input."""

import json
import time

import jax
import numpy as np
import pytest

from common.checkpoint import Checkpoints
from common.logs import MetricLog
from nas.cells.architecture import Architecture
from nas.cells.cost import count
from nas.datasets.images import Images
from nas.networks import condense, network
from nas.training import batches, final, network_file, recipe, throughput, trained
from nas.training.recipe import RecipeConfig
from nas.training.session import Ended
from tests.nas.made_images import CELL, SKELETON, make_images

ARCHITECTURE = Architecture('made', CELL, SKELETON)
PLAN, CONFIG = ARCHITECTURE.plan, RecipeConfig(epochs=4, batch_size=16, crop=1)
TRAIN, TEST = make_images(64), make_images(50, seed=1)
ENDED = Ended(
    12.34,
    567.0,
    {'step': 16, 'epoch': 4, 'held_out_error': 3.0},
    {'step': 8, 'epoch': 2, 'held_out_error': 2.0},
    0,
)


def state_of(seed):
    """A condensed network; the seed stands for a time of the training."""
    variables = condense.condense(PLAN, network.init(jax.random.key(seed), PLAN), 1.0)
    return recipe.init_state(PLAN, CONFIG, steps=16, seed=0, variables=variables)


@pytest.fixture
def workdir(tmp_path):
    network_file.write_meta(
        tmp_path, network_file.make_meta(ARCHITECTURE, TRAIN, data='made', config=CONFIG)
    )
    with Checkpoints(tmp_path / 'checkpoints') as last, Checkpoints(tmp_path / 'best') as best:
        last.save(16, state_of(16))
        best.save(8, recipe.to_variables(state_of(8)))
    with MetricLog(tmp_path) as log:
        for epoch in range(1, 5):
            log.write(
                4 * epoch,
                {
                    'epoch': epoch,
                    'loss': 1 / epoch,
                    'error': 20 / epoch,
                    'learning_rate': 0.1,
                    'held_out_loss': 1.0,
                    'held_out_error': 30 / epoch,
                },
            )
    return tmp_path


def oracle(state, images):
    """Loss and percent of wrong answers, on the host."""
    pixels = TRAIN.images / 255
    inputs = ((images.images / 255 - pixels.mean()) / pixels.std()).astype(np.float32)
    logits = np.asarray(network.Network(PLAN).apply(recipe.to_variables(state), inputs), np.float64)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(chances[np.arange(len(images)), images.labels]).mean()
    return loss, 100 * np.mean(logits.argmax(axis=1) != images.labels)


def test_last_and_best_are_scored_on_the_test_split(workdir):
    facts = final.finish(workdir, TEST, ENDED, note='made up', extra={'seed': 5})
    for step, found in ((16, facts['test']), (8, facts['best']['test'])):
        loss, error = oracle(state_of(step), TEST)
        assert found['error'] == pytest.approx(error) and found['loss'] == pytest.approx(
            loss, rel=1e-4
        )
        assert found['top5_error'] == 0  # of three classes
    assert facts['test'] != facts['best']['test']
    assert (facts['held_out_error'], facts['best']['held_out_error'], facts['best']['epoch']) == (
        3.0,
        2.0,
        2,
    )
    costs = count(PLAN)
    assert (facts['params'], facts['flops'], facts['macs']) == tuple(costs)
    assert costs.params == network.count_params(trained.load_trained(workdir).deployed())
    assert [facts[name] for name in ('epochs', 'steps', 'seconds', 'images_per_second')] == [
        4,
        16,
        12.3,
        567,
    ]
    assert (facts['name'], facts['note'], facts['seed'], facts['test_images']) == (
        'made',
        'made up',
        5,
        50,
    )
    assert json.loads((workdir / 'train.json').read_text()) == facts
    page = (workdir / 'report.html').read_text()
    shown = ('made up', f'{facts["test"]["error"]:.4g}', 'held out', 'Learning rate')
    assert [text for text in shown if text not in page] == []
    # Of three classes the right one is always among the first five, which tells nobody anything.
    assert facts['classes'] == 3 and 'top-5' not in page + final.story(facts)
    assert 'top-5 test error' in final.story({**facts, 'classes': 6})


def test_other_classes_are_refused(workdir):
    other = Images('other', TEST.images, TEST.labels, ('a', 'b', 'dog'))
    with pytest.raises(ValueError, match="other has other classes.*'c'|'dog'"):
        final.finish(workdir, other, ENDED)
    assert not (workdir / 'train.json').exists()


def test_the_wait_for_input_shows(monkeypatch):
    data = batches.place(TRAIN, TRAIN.statistics())
    config = RecipeConfig(epochs=10, batch_size=16, crop=1)
    state = state_of(0)
    before = jax.device_get(state)
    free = throughput.input_share(PLAN, config, data, state, seed=0, steps=10)
    assert 0 <= free.share <= 1 and min(free.step_ms, free.fixed_batch_ms) > 0
    assert free.share == pytest.approx(max(0, 1 - free.fixed_batch_ms / free.step_ms))
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), before)
    real = recipe.batch_indices

    def slow(*given):
        time.sleep(0.05 + 5e-3 * free.fixed_batch_ms)
        return real(*given)

    monkeypatch.setattr(recipe, 'batch_indices', slow)
    waiting = throughput.input_share(PLAN, config, data, state, seed=0, steps=5)
    assert waiting.share > 0.5 and waiting.step_ms > 50
    with pytest.raises(ValueError, match='4 steps is too short'):
        throughput.input_share(PLAN, RecipeConfig(epochs=1, batch_size=16), data, state, seed=0)
