"""Candidates with a device and an executor that only record calls, and one real training."""

import dataclasses

import pytest

from common.executors.serial import SerialExecutor
from common.patience import Unavailable
from nas.cells import plan
from nas.cells.cell import Cell
from nas.cells.cost import count
from nas.cells.skeleton import Skeleton
from nas.devices.base import CannotRun, DeviceError, Measurement
from nas.search.evaluations import Evaluation, Failure
from nas.search.rungs import Rungs
from nas.training import evaluate
from nas.training.candidates import Candidates
from nas.training.evaluate import EvaluationConfig, Result
from nas.training.recipe import RecipeConfig
from nas.training.search.image_task import ImageTask
from tests.nas.made_folders import make_folder

SMALL = Skeleton(name='small', size=8, channels=1, stages=(1,), growth=(4,), stem=8)
CELLS = [Cell.parse(text) for text in ('bn-conv1x1', 'bn-conv3x3', 'none-conv3x3')]


class Device:
    """Latency by the number of layers; raises an error for the last of the cells, or for all."""

    name, exclusive = 'fake', True

    def __init__(self, events, *, error=None, off_after=99, **fields):
        self._events, self._fields = events, fields
        self._error, self._off_after = error or CannotRun('no kernel'), off_after

    def measure(self, network):
        self._events.append('measure')
        if self._events.count('measure') > self._off_after:
            raise DeviceError('the board is off')
        if network == plan.build(CELLS[2], SMALL):
            raise self._error
        return Measurement(**{'latency_ms': 1.0 + len(network)} | self._fields)


class Executor:
    """Notes its jobs and gives results without training, the last job first."""

    def __init__(self, events, **fields):
        self._events, self._fields, self.jobs = events, fields, []

    def map(self, function, jobs):
        assert function is evaluate.run_job
        self.jobs += jobs
        for index in reversed(range(len(jobs))):
            self._events.append('train')
            yield (
                index,
                Result(
                    **{
                        'error': 10.0 + index,
                        'seconds': 2.0,
                        'epochs': 10,
                        'planned_epochs': 10,
                        'curve': (),
                        'rung_errors': (30.0, 20.0),
                    }
                    | self._fields
                ),
            )


def make(executor, device, *, objectives=('error', 'latency_ms', 'params'), **options):
    of_task = {field.name for field in dataclasses.fields(ImageTask)}
    given = {
        'skeleton': SMALL,
        'data': 'digits',
        'recipe': RecipeConfig(epochs=10),
        'evaluation': EvaluationConfig(),
    } | {name: value for name, value in options.items() if name in of_task}
    rest = {name: value for name, value in options.items() if name not in of_task}
    return Candidates(
        task=ImageTask(**given),
        executor=executor,
        device=device,
        objectives=objectives,
        seed=5,
        **rest,
    )


def test_all_are_measured_before_any_is_trained_and_what_the_device_refuses_has_failed():
    events = []
    executor = Executor(events)
    outcomes = dict(make(executor, Device(events)).batch(CELLS))
    assert events == ['measure'] * 3 + ['train'] * 2
    assert sorted(outcomes) == [0, 1, 2]
    assert outcomes[2].result == Failure('not measured: no kernel')
    layers = len(plan.build(CELLS[1], SMALL))
    assert outcomes[1].result == {'error': 11.0, 'latency_ms': 1.0 + layers}
    assert outcomes[1].seconds == 2 and outcomes[1].extra['device'] == 'fake'
    job = executor.jobs[1]
    assert (job.cell, job.data, job.seed) == (
        CELLS[1],
        'digits',
        evaluate.candidate_seed(5, CELLS[1]),
    )
    counts = count(plan.build(CELLS[1], SMALL))
    assert job.costs == {'params': counts.params, 'flops': counts.flops, 'latency_ms': 1.0 + layers}
    assert job.seed != executor.jobs[0].seed


def test_a_cell_that_hangs_the_board_is_told_from_a_board_that_is_off():
    events = []
    device = Device(events, error=DeviceError('no answer within 5 s'))
    outcomes = dict(make(Executor(events), device).batch(CELLS))
    # The last cell twice, and a small cell after each time.
    assert events == ['measure'] * 6 + ['train'] * 2
    reason = 'not measured: no answer within 5 s (twice, while another network was measured)'
    assert outcomes[2].result == Failure(reason)


def test_what_was_measured_is_trained_before_the_search_hears_that_the_board_is_off():
    events, outcomes = [], {}
    with pytest.raises(Unavailable, match='^not measured: the board is off$'):
        for index, outcome in make(Executor(events), Device(events, off_after=1)).batch(CELLS):
            outcomes[index] = outcome.result
    assert events == ['measure'] * 3 + ['train'] and outcomes.keys() == {0}
    assert not isinstance(outcomes[0], Failure)


def test_what_the_executor_misses_is_passed_on():
    class Away:
        def map(self, function, jobs):
            yield 0, Unavailable('the images are away')

    ((index, outcome),) = make(Away(), Device([])).batch(CELLS[:2])
    assert index == 0 and type(outcome.result) is Unavailable


def test_images_that_cannot_be_read_are_not_the_candidate_s_fault(tmp_path):
    candidates = make(SerialExecutor(), None, objectives=('error',), data=f'folder:{tmp_path}/gone')
    ((_, outcome),) = candidates.batch(CELLS[1:2])
    assert type(outcome.result) is Unavailable and 'cannot be read' in str(outcome.result)
    assert f'{tmp_path}/gone' in str(outcome.result)


def test_a_streamed_image_that_is_damaged_is_not_the_candidate_s_fault(tmp_path):
    folder = make_folder(tmp_path / 'made')
    (folder / 'train/bee/bee_1.JPEG').write_bytes(b'not an image')
    data = f'folder:{folder},stream'
    options = {'data': data, 'skeleton': dataclasses.replace(SMALL, channels=3, classes=4)}
    candidates = make(SerialExecutor(), None, objectives=('error',), **options)
    ((_, outcome),) = candidates.batch(CELLS[1:2])
    assert type(outcome.result) is Unavailable
    assert 'image train/bee/bee_1.JPEG cannot be read' in str(outcome.result)


def test_without_a_measured_objective_no_device_is_asked():
    events = []
    outcomes = dict(make(Executor(events), None, objectives=('error', 'params')).batch(CELLS[:1]))
    assert events == ['train'] and outcomes[0].result == {'error': 10.0}


def test_early_stopping_compares_with_batches_before_and_survives_a_restart():
    executor = Executor([])
    candidates = make(executor, Device([]), rungs=Rungs(margin=3.0))
    assert executor.jobs == []
    outcomes = dict(candidates.batch(CELLS[:2]))
    assert all(job.rungs.records == () for job in executor.jobs)
    history = [Evaluation(CELLS[0], 2, {})]
    dict(candidates.batch(CELLS[1:2], history))
    (known,) = executor.jobs[-1].rungs.records
    assert known == (executor.jobs[0].costs, (30.0, 20.0)) and executor.jobs[-1].rungs.margin == 3
    # What the log holds of a candidate is enough to go on as before.
    again, other = Executor([]), Device([])
    restored = make(again, other, rungs=Rungs(margin=3.0))
    restored.replay(CELLS[0], outcomes[0].result, {**outcomes[0].extra, 'index': 0})
    dict(restored.batch(CELLS[1:2], history))
    assert again.jobs[-1].rungs == executor.jobs[-1].rungs


def test_stopped_candidates_keep_their_figures_and_save_epochs():
    executor = Executor([], status='stopped', reason='dominated', epochs=4)
    candidates = make(executor, Device([]))
    assert candidates.saving() == 0
    (outcome,) = [outcome for _, outcome in candidates.batch(CELLS[:1])]
    assert (outcome.result.status, outcome.result.reason) == ('stopped', 'dominated')
    assert set(outcome.result.objectives) == {'error', 'latency_ms'}
    assert candidates.saving() == pytest.approx(0.6)
    restored = make(executor, Device([]))
    restored.replay(CELLS[0], outcome.result, outcome.extra)
    assert restored.saving() == pytest.approx(0.6)


def test_a_crashed_training_keeps_what_was_measured():
    class Crashing:
        def map(self, function, jobs):
            yield from enumerate(Failure('out of memory') for _ in jobs)

    (outcome,) = [outcome for _, outcome in make(Crashing(), Device([])).batch(CELLS[:1])]
    assert outcome.result.reason == 'out of memory' and outcome.result.objectives['latency_ms'] > 1


def test_what_cannot_be_told_is_refused():
    with pytest.raises(ValueError, match="'speed' is unknown; accepted: error, "):
        make(None, None, objectives=('error', 'speed'))
    with pytest.raises(ValueError, match="'memory_mb' needs a device"):
        make(None, None, objectives=('error', 'memory_mb'))
    mute = make(Executor([]), Device([]), objectives=('error', 'memory_mb'))
    with pytest.raises(ValueError, match='^device fake does not tell memory_mb$'):
        list(mute.batch(CELLS[:1]))


def test_a_real_candidate_is_trained():
    recipe = RecipeConfig(epochs=1, batch_size=64, crop=1, mirror=False, learning_rate=0.2)
    candidates = make(SerialExecutor(), None, objectives=('error', 'params'), recipe=recipe)
    ((index, outcome),) = candidates.batch(CELLS[1:2])
    assert index == 0 and 0 < outcome.result['error'] < 85  # chance is 90 %
    assert outcome.seconds > 0 and outcome.extra['epochs'] == 1
