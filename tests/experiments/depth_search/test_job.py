"""A search of depth networks from the first room to the report, resumed after a stop."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest
from absl import flags as absl_flags

import nas
from common import options
from common.stopping import Stop, Stopped
from experiments import nas_flags, nas_main
from experiments.depth_search import job, report, task
from experiments.depth_search.cell import model_of, parse
from experiments.depth_search.config import DepthSearchConfig
from experiments.depth_search.model import DepthModel
from experiments.depth_search.space import DepthSpace
from nas.devices.xla import XlaDevice
from nas.search.config import PlannerConfig
from nas.search.evaluations import Evaluation
from pano_depth.learning import checkpoints
from pano_depth.learning import model as models
from pano_depth.learning.model import ModelConfig
from pano_depth.results import TrainConfig

INCLUDE = ('handmade@xs-f16', 'bn-conv1x1@xs-f16')


@pytest.fixture(scope='module')
def config(rooms, recipe):
    return DepthSearchConfig(
        budget=3,
        objectives=('error', 'params'),
        include=INCLUDE,
        forbid=('conv3x3', 'gconv3x3', 's', 'm', 'l'),
        planner=PlannerConfig(keep=1),
        rooms=rooms,
        recipe=recipe,
    )


def _told(workdir):
    records = map(json.loads, (workdir / 'evaluations.jsonl').read_text().splitlines())
    return [(r['cell'], r['objectives']) for r in records]


@pytest.fixture(scope='module')
def searched(config, tmp_path_factory):
    """A whole search, and the same one that was stopped after one network and goes on."""
    whole, parts = (tmp_path_factory.mktemp(name) / 'run' for name in ('whole', 'parts'))
    found = job.search_depth(config, whole)
    stop = Stop()
    train = task.training.train

    def stopping(*arguments, **options):
        result = train(*arguments, **options)
        stop.number = 15
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task.training, 'train', stopping)
        with pytest.raises(Stopped):
            job.search_depth(config, parts, stop=stop)
    done = len(_told(parts))
    job.search_depth(config, parts)
    return found, whole, parts, done


def test_a_stopped_search_goes_on_to_the_same_results(searched):
    _, whole, parts, done = searched
    assert done == 1
    assert _told(whole) == _told(parts) and len(_told(whole)) == 3
    assert [cell for cell, _ in _told(whole)][:2] == [str(parse(text)) for text in INCLUDE]


def test_the_report_shows_what_networks_see_and_how_to_train_them(searched):
    found, whole, _, _ = searched
    page = (whole / 'report.html').read_text()
    assert 'Depth of a room that no network has seen' in page
    assert 'unseen rooms after 5 steps' in page and '/most_accurate.flags' in page
    assert (whole / report.PANELS_FILE).stat().st_size > 10_000
    kept = [task.prediction_path(whole, e.cell) for e in found.evaluations]
    assert all(np.load(path).shape == (32, 64) for path in kept)
    facts = json.loads((whole / 'search.json').read_text())
    assert facts['note'].startswith('The error is AbsRel in percent')


def test_of_a_long_front_the_chosen_networks_and_some_others_are_shown():
    front = [Evaluation(parse(f'bn-conv1x1@f{16 * n}'), 2, {}) for n in range(1, 41)]
    named = [front[0], front[38]]
    shown = report.spread(front, named)
    assert len(shown) == report.MOST and shown == sorted(shown, key=front.index)
    assert named[0] in shown and named[1] in shown
    assert front[1] in shown and front[39] in shown, 'others from end to end'
    assert report.spread(front[:5], []) == front[:5]


def test_flagfiles_train_the_chosen_networks(searched):
    _, whole, _, _ = searched
    facts = json.loads((whole / 'search.json').read_text())
    for role, chosen in facts['chosen'].items():
        text = (whole / f'{role.replace(" ", "_")}.flags').read_text()
        trained = options.from_flagfile(TrainConfig, text)
        network = model_of(parse(chosen['cell']))
        found = options.from_flagfile(ModelConfig, text)
        assert found == network
        assert trained.recipe.steps == 10_000 and '--mode=train' in text


def test_another_search_does_not_go_on_in_the_workdir(searched, config):
    _, whole, _, _ = searched
    recipe = dataclasses.replace(config.recipe, steps=7)
    with pytest.raises(ValueError, match='--steps=5.*--steps=7'):
        job.search_depth(dataclasses.replace(config, recipe=recipe), whole)
    with pytest.raises(ValueError, match='--task=depth'):
        nas.run_search(nas.SearchConfig(), whole)


def test_the_search_owns_the_flagfiles_that_it_writes_and_no_others(searched):
    _, whole, _, _ = searched
    names = json.loads((whole / 'run.json').read_text())['files']
    owned = {name for name in names if name.endswith('.flags')}
    assert owned == {path.name for path in whole.glob('*.flags')}
    assert owned == {'most_accurate.flags', 'fewest_params.flags', 'balanced.flags'}


def test_a_flagfile_holds_cells_with_few_levels():
    evaluation = Evaluation(parse('bn-conv1x1-bn-dwconv3x3@l-b2-f64-add'), 4, 'ok', {})
    found = options.from_flagfile(ModelConfig, report.flagfile_of(evaluation, 128))
    assert found == model_of(evaluation.cell)
    assert '--rooms=128x256_roomy' in report.flagfile_of(evaluation, 128)


@pytest.mark.parametrize('cell', ['handmade@m', 'handmade@s', 'bn_relu-conv1x1@s-b2-concat'])
def test_depth_alone_is_trained_beside_the_pose_network_of_the_package(cell):
    network = model_of(parse(cell, face=32))
    text = report.flagfile_of(Evaluation(parse(cell, face=32), 4, 'ok', {}), 64)
    config = options.from_flagfile(TrainConfig, text)
    assert (config.checkpoint, config.loss.learn) == ('default', 'depth')
    params, model = checkpoints.start_model('default', config.model, learn='depth')
    package, known = checkpoints.load_model('default')
    assert model == dataclasses.replace(network, pose_matching=known.pose_matching)
    jax.tree.map(np.testing.assert_array_equal, params['pose'], package['pose'])
    shapes = jax.tree.map(np.shape, params['depth'])
    assert shapes == jax.tree.map(np.shape, models.init_params(0, network)['depth'])


def test_devices_measure_what_is_deployed():
    cell = parse('bn_relu-lgconv1x1@xs-f16')
    small, large = (DepthModel(model_of(cell), rows) for rows in (32, 64))
    same = DepthModel(model_of(cell), 32)
    assert small.fingerprint == same.fingerprint != large.fingerprint
    assert small.fingerprint != DepthModel(model_of(parse('bn-lgconv1x1@xs-f16')), 32).fingerprint
    function, arguments = small.compiled(2)
    assert function(*arguments).shape == (2, 32, 64)
    found = XlaDevice('cpu', repeats=3, min_seconds=0).measure(small)
    assert 0 < found.latency_ms < 1000


def test_files_for_devices_give_the_depth_of_jax(tmp_path):
    pytest.importorskip('onnxruntime')
    model = DepthModel(model_of(parse('bn_relu-lgconv1x1-bn-dwconv3x3@xs-f16-add')), 64)
    model.export(tmp_path / 'model.onnx')
    model.verify(tmp_path / 'model.onnx')
    other = DepthModel(model_of(parse('bn_relu-lgconv1x1@xs-f16-add')), 64)
    with pytest.raises(ValueError, match='differs from that of JAX'):
        other.verify(tmp_path / 'model.onnx')


def _values(*arguments):
    values = absl_flags.FlagValues()
    nas_flags.define(values)
    values(['nas-search', *arguments])
    return values


def test_flags_reach_the_search_of_depth():
    given = '--panorama_height=128', '--steps=9', '--batch_size=3', '--budget=5', '--forbid=l,add'
    config = nas_flags.config_of('search', _values('--task=depth', *given))
    assert (config.rooms.panorama_height, config.recipe.steps, config.budget) == (128, 9, 5)
    assert config.recipe.batch_size == 3 and config.forbid == ('l', 'add')
    assert nas_flags.config_of('search', _values('--task=depth')) == DepthSearchConfig()
    assert nas_flags.config_of('search', _values()) == nas.SearchConfig()


def test_the_flagfile_is_the_default_search_for_any_device():
    path = pathlib.Path(nas_main.__file__).parent / 'flagfiles' / 'depth_search_cpu.flags'
    values = _values(f'--flagfile={path}', '--device=onnx:threads=1')
    config, usual = nas_flags.config_of(values.mode, values), DepthSearchConfig()
    assert (config.rooms, config.recipe, config.budget) == (usual.rooms, usual.recipe, 40)
    assert config.measuring.device == ('onnx:threads=1',) and config.execution.workers == 2
    assert DepthSpace(64).parse(config.include[0]).handmade


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--task=depth', '--dataset=digits'], '--dataset=digits is for --task=images'),
        (['--task=depth', '--mode=train'], 'pano-depth --mode=train does that'),
        (['--task=depth', '--cell=bn-conv1x1'], 'pano-depth --mode=cost does that'),
        (['--task=depth', '--mode=serve'], 'is for --mode=search, not --mode=serve'),
        (['--panorama_height=64'], '--panorama_height=64 is for --task=depth'),
        (['--task=depth', '--panorama_height=40'], '--panorama_height is 40; accepted: multiples'),
        (['--task=depth', '--include=bn-conv1x1@vast'], "choice 'vast' is unknown"),
        (['--task=depth', '--device=xla:tpu'], 'no tpu is there'),
        (['--task=depth', '--device=profile:phone'], 'profile'),
    ],
)
def test_what_does_not_belong_together_is_refused(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        nas_main.main(_values(*arguments, f'--workdir={tmp_path / "run"}'))
    assert not (tmp_path / 'run').exists()
