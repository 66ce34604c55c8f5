"""Objectives that a user's own function computes, and further figures of a user's own device."""

import pickle
import subprocess
import sys

import pytest

from common.executors.serial import SerialExecutor
from nas.cells import cost, plan
from nas.cells.cell import Cell
from nas.cells.skeleton import Skeleton
from nas.datasets.open_images import open_images
from nas.devices.base import Measurement
from nas.devices.cache import Cache
from nas.devices.command import CommandDevice
from nas.search.evaluations import Failure
from nas.training.candidates import Candidates
from nas.training.evaluate import EvaluationConfig, Result, evaluate_candidate
from nas.training.objectives.facts import Facts
from nas.training.objectives.functions import read_objectives
from nas.training.recipe import RecipeConfig
from nas.training.search.image_task import ImageTask

SMALL = Skeleton(name='small', size=8, channels=1, stages=(1,), growth=(4,), stem=8)
CELL = Cell.parse('bn-conv1x1')
PLAN = plan.build(CELL, SMALL)
FACTS = Facts('bn-conv1x1', SMALL, PLAN, cost.count(PLAN)._asdict(), {'energy_mj': 2.0}, 9.0, 3, {})
SOURCE = """
import dataclasses

@dataclasses.dataclass
class Weights:
    per_layer: float = 0.5

def effort(facts):
    return facts.measured['energy_mj'] * facts.error + Weights().per_layer * len(facts.plan)

def broken(facts):
    raise KeyError('no such thing')

def text(facts):
    return '3'

def depth(facts):
    return sum(kernel.ndim == 4 for layer in facts.variables['params'].values()
               for kernel in layer.values())

number = 5
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(SOURCE)
    return path


def test_a_function_of_a_file_is_an_objective_in_every_process(source):
    (own,) = read_objectives((f' {source}:effort ',))
    assert own.name == 'effort' and own.value(FACTS) == 18 + 0.5 * len(PLAN)
    message = pickle.dumps((own, FACTS))
    source.unlink()
    program = 'import pickle, sys; own, f = pickle.load(sys.stdin.buffer); print(own.value(f))'
    done = subprocess.run([sys.executable, '-c', program], input=message, capture_output=True)
    assert float(done.stdout) == 18 + 0.5 * len(PLAN), done.stderr


def test_a_module_may_be_installed_or_lie_in_the_present_folder(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (own,) = read_objectives(('mine:effort',))
    assert own.source == SOURCE and own.value(FACTS) == 18 + 0.5 * len(PLAN)
    (own,) = read_objectives(('statistics:fmean',))
    assert (own.module, own.source, own.name) == ('statistics', None, 'fmean')


@pytest.mark.parametrize(
    'texts, message',
    [
        (('mine.py',), '--objective=mine.py names no function'),
        (('nothing.py:effort',), '--objective=nothing.py:effort: there is no file or module'),
        (('no.such.module:effort',), 'there is no file or module no.such.module'),
        (('mine.py:missing',), 'mine.py:missing names no function missing'),
        (('mine.py:number',), 'names no function number'),
        (('wrong.py:effort',), 'wrong.py:effort cannot be loaded: SyntaxError'),
        (('mine.py:effort', 'mine:effort'), 'two functions are called effort'),
        (('faulty.part:effort',), 'faulty.part:effort cannot be loaded: ZeroDivisionError'),
    ],
)
def test_what_names_no_function_is_refused(texts, message, source, tmp_path, monkeypatch):
    (tmp_path / 'wrong.py').write_text('def effort(:')
    (tmp_path / 'faulty').mkdir()
    (tmp_path / 'faulty' / '__init__.py').write_text('1 / 0')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_objectives(texts)


@pytest.mark.parametrize(
    'name, message',
    [
        ('broken', "objective broken failed: KeyError: 'no such thing'"),
        ('text', "objective text is '3'"),
    ],
)
def test_a_function_that_gives_no_number_is_named(name, message, source):
    (own,) = read_objectives((f'{source}:{name}',))
    with pytest.raises(ValueError, match=message):
        own.value(FACTS)


def test_the_function_sees_the_trained_network(source):
    own = read_objectives((f'{source}:depth', f'{source}:effort'))
    result = evaluate_candidate(
        CELL,
        open_images('digits', size=8, channels=1),
        RecipeConfig(epochs=1, batch_size=256, crop=0, mirror=False),
        seed=0,
        skeleton=SMALL,
        evaluation=EvaluationConfig(validation_share=0.5),
        measured={'energy_mj': 2.0},
        own=own,
    )
    assert result.own['depth'] >= 2
    assert result.own['effort'] == pytest.approx(2 * result.error + 0.5 * len(PLAN))
    assert result.outcome({'energy_mj': 2.0}).keys() == {'error', 'energy_mj', 'depth', 'effort'}


class Board:
    """A device that tells more than latency."""

    name, exclusive, tells_more = 'board', False, True

    def __init__(self, **figures):
        self._figures = figures

    def measure(self, network):
        return Measurement(latency_ms=1.0, figures=self._figures)


def candidates(device, objectives, *, own=(), **options):
    recipe = RecipeConfig(epochs=1, batch_size=256, crop=0, mirror=False)
    evaluation = EvaluationConfig(validation_share=0.5)
    return Candidates(
        task=ImageTask(SMALL, 'digits', recipe, evaluation, own=tuple(own)),
        executor=SerialExecutor(),
        device=device,
        objectives=objectives,
        seed=0,
        **options,
    )


def test_figures_of_the_device_accuracy_and_own_functions_are_objectives(source):
    own = read_objectives((f'{source}:effort',))
    names = ('accuracy', 'energy_mj', 'effort')
    made = candidates(Board(energy_mj=2.0, peak_w=7.0), names, own=own, maximised=('accuracy',))
    ((_, outcome),) = made.batch([CELL])
    values = outcome.result
    assert values['accuracy'] == 100 - values['error'] and values['energy_mj'] == 2.0
    assert values['effort'] == pytest.approx(2 * values['error'] + 0.5 * len(PLAN))


@pytest.mark.parametrize('name', ['p90_ms', 'p10_ms', 'baseline_mb'])
def test_every_number_of_a_measurement_may_be_an_objective(name):
    class Told(Board):
        def measure(self, network):
            return Measurement(latency_ms=1.0, **{name: 4.0})

    assert candidates(Told(), ('error', name)).measure(CELL) == {name: 4.0}


def test_a_figure_that_the_cache_does_not_hold_is_measured(tmp_path):
    class Timed(Board):
        exclusive = True  # only then, figures are kept

    cache = Cache(tmp_path)
    older = candidates(Timed(peak_w=7.0), ('latency_ms',), measurement_cache=cache)
    assert older.measure(CELL) == {'latency_ms': 1.0}
    board = Timed(peak_w=7.0, energy_mj=2.0)
    made = candidates(board, ('error', 'energy_mj'), measurement_cache=cache)
    assert made.measure(CELL) == {'energy_mj': 2.0}


def test_a_device_that_does_not_tell_an_objective_is_named():
    with pytest.raises(ValueError, match='board does not tell energy_mj; it tells peak_w'):
        list(candidates(Board(peak_w=7.0), ('error', 'energy_mj')).batch([CELL]))
    other = type('Other', (Board,), {'tells_more': False})()
    with pytest.raises(ValueError, match="'energy_mj' is unknown; accepted: error, latency_ms"):
        candidates(other, ('error', 'energy_mj'))


def test_a_large_figure_that_is_maximised_is_no_worse_cost_in_early_stopping():
    made = candidates(Board(speed=5.0), ('error', 'speed'), maximised=('speed',))
    made.replay(
        CELL, {'error': 3.0, 'speed': 5.0}, {'rung_errors': [9], 'epochs': 1, 'planned_epochs': 2}
    )
    ((costs, *_),) = made._trained.values()
    assert costs['speed'] == -5.0


def test_every_number_in_the_json_of_a_command_is_a_figure(tmp_path):
    script = tmp_path / 'board.py'
    script.write_text(
        'print(\'{"latency_ms": 2, "energy_mj": 3, "peak_w": -1.5, "id": 7, "b": true, "n": "x"}\')'
    )
    found = CommandDevice(f'{sys.executable} {script} {{model}}').measure(PLAN)
    assert found.figures == {'energy_mj': 3.0, 'peak_w': -1.5} and found.device_id == '7'
    assert Measurement.from_dict(found.as_dict()) == found
    with pytest.raises(ValueError, match='figures'):
        Measurement(latency_ms=1.0, figures={'a': float('inf')})


def test_a_stopped_candidate_has_no_own_objectives():
    stopped = Result(50.0, 1.0, 1, 2, (), status='stopped', reason='dominated')
    assert stopped.outcome({'energy_mj': 1.0}) == Failure(
        'dominated', 'stopped', {'error': 50.0, 'energy_mj': 1.0}
    )
