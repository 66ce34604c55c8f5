"""Training of candidates: the same again, better than before it, stopped where it is hopeless."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments.depth_search import scoring, training
from experiments.depth_search.cell import model_of, parse
from experiments.depth_search.frames import open_frames
from nas.search.rungs import Rungs
from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense
from pano_depth.learning.train import unflatten
from pano_depth.reconstruction import infer

TINY = model_of(parse('bn_relu-conv3x3@xs-f16'))


def test_a_result_depends_on_the_candidate_and_its_seed_alone(rooms, recipe):
    parts = open_frames(rooms)
    first, again, other = (training.train(TINY, recipe, *parts, seed=seed) for seed in (1, 1, 2))
    assert first.error == again.error != other.error
    np.testing.assert_array_equal(first.shown, again.shown)
    assert (first.epochs, first.planned_epochs, first.status) == (5, 5, 'ok')
    assert 0 < first.error < 100 and first.shown.shape == (32, 64)


def test_training_learns_the_rooms_that_it_sees(rooms, recipe):
    train, _ = open_frames(rooms)
    longer = dataclasses.replace(recipe, steps=80, learning_rate=0.01)
    known = training.train(TINY, longer, train, train, seed=0)
    short = training.train(TINY, dataclasses.replace(longer, steps=1), train, train, seed=0)
    assert known.error < 0.8 * short.error


def test_scores_are_those_of_the_prediction_of_any_checkpoint(rooms):
    _, unseen = open_frames(rooms)
    params = models.init_params(3, TINY)
    predict = scoring.make_predictor(TINY, 32)
    error, shown = scoring.score(predict, params, unseen)
    grid = models.make_grid(TINY)
    depth = infer.estimate_depth(params, np.asarray(unseen.images), grid, TINY)
    np.testing.assert_allclose(shown, depth[0], rtol=2e-3)
    truth = unseen.depth.astype(np.float32)
    errors = [
        np.mean(np.abs(d * np.median(t) / np.median(d) - t) / t)
        for d, t in zip(depth.astype(np.float32), truth)
    ]
    assert error == pytest.approx(100 * np.mean(errors), rel=0.01)


def test_what_the_network_sees_of_larger_panoramas_is_their_mean():
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 128, 3)).astype(np.uint8)
    small = scoring.shrink(images, TINY)
    assert small.shape == (2, 32, 64, 3)
    np.testing.assert_allclose(small[1, 3, 5], images[1, 6:8, 10:12].mean((0, 1)) / 255, rtol=1e-5)


def test_dominated_candidates_are_stopped_at_a_rung(rooms, recipe):
    rungs = Rungs(margin=5.0).add([({'params': 1.0}, (1.0, 1.0))])
    options = {'seed': 0, 'rungs': rungs}
    parts = open_frames(rooms)
    stopped = training.train(TINY, recipe, *parts, costs={'params': 2.0}, **options)
    assert stopped.status == 'stopped' and 'stopped at rung 1' in stopped.reason
    assert stopped.epochs == 2 and len(stopped.rung_errors) == 1
    smaller = training.train(TINY, recipe, *parts, costs={'params': 0.5}, **options)
    assert smaller.status == 'ok' and len(smaller.rung_errors) == 2 and smaller.epochs == 5


def test_learned_groups_are_condensed_half_way(rooms, recipe):
    model = model_of(parse('none-lgconv1x1@xs-f16'))
    plan, train = build.build(model), open_frames(rooms)[0]
    by_step = {}
    for done, _, average in training._steps(model, recipe, train, 0):
        params = jax.device_get(unflatten({'depth': average}, model)['depth'])
        masks = [params[one.name]['mask'].mean() for one in condense.learned_groups(plan)]
        assert len(set(masks)) == 1
        by_step[done] = masks[0]
    # Events after a sixth, a third and a half of five steps.
    np.testing.assert_allclose(list(by_step.values()), [0.75, 0.5, 0.25, 0.25, 0.25])


@pytest.mark.parametrize('steps', [1, 5])
def test_a_loss_that_is_not_finite_names_its_step(rooms, recipe, steps, monkeypatch):
    drawn = models.init_params(0, TINY)
    broken = jax.tree.map(lambda leaf: leaf * np.float32(np.nan), drawn)
    monkeypatch.setattr(models, 'init_params', lambda seed, config: broken)
    recipe = dataclasses.replace(recipe, steps=steps)
    with pytest.raises(FloatingPointError, match='the loss of step 1 is nan'):
        training.train(TINY, recipe, *open_frames(rooms), seed=0)
