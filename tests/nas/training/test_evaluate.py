"""Candidates trained on a few small images."""

import dataclasses
import pickle

import numpy as np
import pytest

from nas.cells.cell import Cell
from nas.cells.plan import build
from nas.cells.skeleton import Skeleton
from nas.datasets.images import Dataset, Images
from nas.search.evaluations import Failure
from nas.search.rungs import Rungs
from nas.training import evaluate
from nas.training.evaluate import EvaluationConfig, Job, candidate_seed, evaluate_candidate
from nas.training.recipe import RecipeConfig

SKELETON = Skeleton(name='test', size=8, channels=1, classes=10, stages=(1,), growth=(4,), stem=8)
CELL = Cell.parse('bn_relu-conv3x3')
CONFIG = RecipeConfig(epochs=4, batch_size=64, crop=0, mirror=False)


@pytest.fixture(scope='module')
def dataset():
    from nas.datasets.open_images import open_images

    return open_images('digits')


@pytest.fixture(scope='module')
def result(dataset):
    return evaluate_candidate(
        CELL, dataset, CONFIG, seed=1, skeleton=SKELETON, rungs=Rungs(fractions=(0.5,))
    )


def test_a_candidate_is_trained_and_its_curve_kept(result):
    assert result.status == 'ok' and result.epochs == result.planned_epochs == 4
    assert [point.epoch for point in result.curve] == [1, 2, 3, 4]
    assert (
        result.error == result.curve[-1].error < 80 and result.curve[-1].loss < result.curve[0].loss
    )
    assert (
        result.rung_errors == (min(point.error for point in result.curve[:2]),)
        and result.seconds > 0
    )
    assert result.outcome({'latency_ms': 2.0}) == {'error': result.error, 'latency_ms': 2.0}


def test_the_result_depends_on_candidate_and_seed_and_never_on_the_test_split(result, dataset):
    test = dataset.test
    blind = Images('blind', np.zeros_like(test.images), np.zeros_like(test.labels), test.classes)
    again = evaluate_candidate(build(CELL, SKELETON), Dataset(dataset.train, blind), CONFIG, seed=1)
    other = evaluate_candidate(CELL, dataset, CONFIG, seed=2, skeleton=SKELETON)
    assert again.curve == result.curve != other.curve
    seeds = [
        candidate_seed(0, CELL),
        candidate_seed(0, Cell.parse(f'{CELL}-none')),
        candidate_seed(1, CELL),
    ]
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_dominated_candidate_stops_at_its_rung(dataset, result):
    rungs = Rungs(fractions=(0.5,), margin=1.0).add([({'params': 5}, (0.0,))])
    job = Job(CELL, SKELETON, 'digits', CONFIG, seed=1, rungs=rungs, costs={'params': 9})
    stopped = evaluate.run_job(pickle.loads(pickle.dumps(job)))
    assert (stopped.status, stopped.epochs) == ('stopped', 2) and 'rung 1' in stopped.reason
    np.testing.assert_allclose(evaluate.saving([result, stopped]), 2 / 8)
    failure = stopped.outcome()
    assert isinstance(failure, Failure) and failure.status == 'stopped'
    assert failure.objectives == {'error': stopped.error} and stopped.error > 0
    assert evaluate.saving([]) == 0


@pytest.mark.parametrize(
    'options, message',
    [
        ({'skeleton': None}, "cell 'bn_relu-conv3x3' needs a skeleton"),
        (
            {'skeleton': dataclasses.replace(SKELETON, channels=3)},
            r'images \(8, 8, 1\), but the network takes \(8, 8, 3\)',
        ),
        ({'skeleton': dataclasses.replace(SKELETON, classes=9)}, '10 classes, but the network 9'),
        ({'config': dataclasses.replace(CONFIG, batch_size=30)}, 'batch_size is 30'),
    ],
)
def test_what_does_not_fit_is_refused(dataset, options, message):
    options = {'config': CONFIG, 'skeleton': SKELETON} | options
    with pytest.raises(ValueError, match=message):
        evaluate_candidate(CELL, dataset, options['config'], seed=0, skeleton=options['skeleton'])
    with pytest.raises(ValueError, match='validation_share is 1'):
        EvaluationConfig(validation_share=1)
