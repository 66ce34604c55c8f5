"""`nas-search` as a user runs it: flags reach the jobs, and each mode accepts only its own."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest
from absl import flags as absl_flags

import nas
from common import options
from common.executors.process import ProcessExecutor
from common.runtime import RuntimeConfig
from experiments import flags, nas_flags, nas_main
from nas.cells import cost_job, skeleton
from nas.cells.choice import Sizes
from nas.cells.cost_job import CostConfig
from nas.search.evaluations import Failure
from nas.training import evaluate, train_job
from nas.training.config import ExportTrainedConfig, RecipeConfig, SearchConfig, TrainConfig

ROOT = pathlib.Path(__file__).parents[2]
FLAGFILES = ROOT / 'experiments' / 'flagfiles'
PANACEA = 'bn-lgconv1x1-bn_relu-gconv3x3'


def nas_search(*arguments, cwd=ROOT):
    command = (
        'import sys; sys.path.insert(0, sys.argv.pop(1)); from experiments import nas_main; '
        'nas_main.run()'
    )
    return subprocess.run(
        [sys.executable, '-c', command, str(ROOT), *arguments],
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
    )


def parse(*arguments):
    values = absl_flags.FlagValues()
    nas_flags.define(values)
    values(['nas-search', *arguments])
    return values


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (
            ('--mode=cost', '--network=condensenet-86'),
            ('condensenet-86', 520202, 65816394, 62381888),
        ),
        ((f'--cell={PANACEA}', '--skeleton=imagenet'), (PANACEA, 4773944, 522730120, 516640576)),
    ],
)
def test_one_json_line(arguments, expected, tmp_path):
    done = nas_search(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.count('\n') == 1
    assert json.loads(done.stdout) == dict(zip(('name', 'params', 'flops', 'macs'), expected))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('arguments', [['--network=mobilenetv2'], ['--table'], ['--help']])
def test_counting_and_help_load_neither_jax_nor_what_else_takes_long(arguments):
    command = (
        'import atexit, sys; sys.path.insert(0, sys.argv.pop(1)); '
        'heavy = {"jax", "flax", "scipy", "sklearn", "matplotlib", "tensorflow_datasets"}; '
        'atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr)); '
        'from experiments import nas_main; nas_main.run()'
    )
    done = subprocess.run(
        [sys.executable, '-c', command, str(ROOT), *arguments],
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, '[]\n') and done.stdout


def test_the_table_stands_alone():
    done = nas_search('--table')
    assert done.returncode == 0 and done.stdout == cost_job.cost_table() + '\n'


@pytest.mark.parametrize(
    'arguments, named',
    [
        (('--cell=bn-foo',), 'foo'),
        (('--cell=bn-conv1x1', '--network=condensenet-86'), 'both'),
        (('--table', '--skeleton=tiny'), '--table counts all published networks'),
        (('--mode=cost', '--table=FILE'), '--table=FILE belongs to --benchmark'),
        (('--mode=train',), '--workdir has to name a directory'),
        (('--mode=search',), '--workdir has to name a directory'),
        (
            ('--mode=search', '--coordinator_address=host:1'),
            '--coordinator_address is for --mode=train, not --mode=search',
        ),
        (('--device=abacus', '--cell=bn-conv1x1'), 'abacus'),
    ],
)
def test_bad_input_is_one_sentence(arguments, named):
    done = nas_search(*arguments)
    assert done.returncode == 1 and done.stdout == ''
    assert named in done.stderr and done.stderr.startswith('error: ')
    assert done.stderr.count('\n') == 1


@pytest.mark.parametrize(
    'arguments, named',
    [
        (('--cell=bn-conv3x3',), '--cell and --network belong to --mode=cost and --mode=train'),
        (('--network=condensenet-86',), '--cell and --network belong to --mode=cost'),
        (('--from_search=runs/x:0',), '--from_search belongs to --mode=train'),
        (('--table',), '--table belongs to --mode=cost, or as --table=FILE to --benchmark'),
    ],
)
def test_flags_of_other_modes_are_refused_by_a_search(arguments, named):
    with pytest.raises(ValueError, match=named):
        nas_flags.config_of('search', parse(*arguments))


@pytest.mark.parametrize('flag', ['--network=condensenet-86', '--cell=bn-conv1x1'])
def test_networks_that_are_not_trained_are_refused_by_an_export(flag):
    with pytest.raises(ValueError, match=f'{flag} .*not trained.*--mode=train {flag}'):
        nas_flags.config_of('export', parse('--checkpoint=nowhere', flag))


def test_flags_arrive_in_every_part_of_a_search():
    found = nas_flags.search_config(
        parse(
            '--benchmark=nas_bench_201',
            '--table=some.npz',
            '--device=phone',
            '--objectives=error, params',
            '--constraints=params<1e6,latency_ms<=5',
            '--budget=9',
            '--worst_error=18',
            '--noearly_stopping',
            '--stages=1,2',
            '--keep=3',
            '--explore=0.25',
            '--epochs=7',
            '--nomirror',
            '--validation_share=0.3',
            '--executor=process',
            '--workers=2',
            '--cuda_devices=0,1',
            '--compilation_cache=',
            '--measurement_cache=/m',
            '--seed=4',
        )
    )
    expected = {
        'benchmark': 'nas_bench_201',
        'table': 'some.npz',
        'device': ('phone',),
        'objectives': ('error', 'params'),
        'constraints': ('params<1e6', 'latency_ms<=5'),
        'budget': 9,
        'worst_error': 18.0,
        'early_stopping': False,
        'stages': (1, 2),
        'keep': 3,
        'explore': 0.25,
        'epochs': 7,
        'mirror': False,
        'validation_share': 0.3,
        'executor': 'process',
        'workers': 2,
        'cuda_devices': ('0', '1'),
        'compilation_cache': '',
        'measurement_cache': '/m',
        'seed': 4,
    }
    assert found == options.make(SearchConfig, expected)


@pytest.mark.parametrize('config', [SearchConfig, TrainConfig, ExportTrainedConfig, CostConfig])
def test_without_flags_the_defaults_are_those_of_python(config):
    skip = {'table': None} if config is SearchConfig else {}
    assert flags.build(config, flag_values=parse(), **skip) == config()
    assert flags.build(RuntimeConfig, flag_values=parse()) == RuntimeConfig()


def test_the_flagfile_of_a_run_is_one_that_the_door_reads(tmp_path):
    config = options.make(
        SearchConfig,
        {'benchmark': 'nas_bench_201', 'table': 'x.npz', 'bold': 0.5, 'device': ('a', 'b,c')},
    )
    path = tmp_path / 'flags.txt'
    path.write_text(options.flagfile(config, mode='search', workdir='runs/x'))
    values = parse(f'--flagfile={path}')
    assert nas_flags.search_config(values) == config
    assert (values.mode, values.workdir) == ('search', 'runs/x')


class Called(Exception):
    """The job that a mode has run."""


@pytest.mark.parametrize(
    'mode, job, arguments, expected',
    [
        ('search', 'run_search', ['--budget=7'], SearchConfig(budget=7)),
        (
            'train',
            'train',
            ['--cell=bn-conv1x1', '--epochs=2', '--holdout=0.2', '--growth=4,8'],
            TrainConfig(
                cell='bn-conv1x1',
                holdout=0.2,
                sizes=Sizes(growth=(4, 8)),
                recipe=RecipeConfig(epochs=2),
            ),
        ),
        ('export', 'export_trained', ['--which=last'], ExportTrainedConfig(which='last')),
    ],
)
def test_each_mode_runs_one_function_of_one_configuration(
    mode, job, arguments, expected, monkeypatch
):
    def note(*given, **options):
        raise Called(given, set(options))

    monkeypatch.setattr(nas, job, note, raising=False)
    monkeypatch.setattr(nas_main.runtime, 'start', lambda config, join: None)
    with pytest.raises(Called) as caught:
        nas_main.main(parse(f'--mode={mode}', '--workdir=runs/x', *arguments))
    more = set() if mode == 'export' else {'stop'}
    assert caught.value.args == ((expected, 'runs/x'), {'overwrite', *more})


def test_the_flagfile_of_the_default_search_is_the_recipe_for_digits(tmp_path, monkeypatch):
    config = nas_flags.search_config(parse(f'--flagfile={FLAGFILES}/digits_cpu.flags'))
    jobs = []
    monkeypatch.setattr(
        ProcessExecutor,
        'map',
        lambda self, function, batch: enumerate(
            [jobs.append(job) or Failure('not here') for job in batch]
        ),
    )
    there = dataclasses.replace(
        config, measuring=dataclasses.replace(config.measuring, device=('profile:phone',))
    )
    with pytest.raises(ValueError, match='all of the first .* candidates failed: not here'):
        nas.run_search(there, tmp_path / 'run')
    expected = evaluate.DIGITS_RECIPE, evaluate.DIGITS_EVALUATION, skeleton.digits
    assert (jobs[0].config, jobs[0].evaluation, jobs[0].skeleton) == expected


@pytest.mark.parametrize('name', ['cifar10_train.flags', 'cifar10_train_cpu.flags'])
def test_flagfiles_name_a_network_and_a_recipe(name):
    values = parse(f'--flagfile={FLAGFILES / name}')
    config = flags.build(TrainConfig, flag_values=values)
    assert values.mode == 'train' and config.dataset == 'cifar10'
    assert train_job.choose_architecture(config).input == (32, 3, 10)


def test_the_flagfile_for_imagenet_names_the_published_network_and_recipe():
    values = parse(f'--flagfile={FLAGFILES}/imagenet_train.flags')
    config = flags.build(TrainConfig, flag_values=values)
    found = train_job.choose_architecture(config)
    assert found.network == 'dpp-net-panacea-imagenet' and found.input == (224, 3, 1000)
    recipe = config.recipe
    assert (config.dataset, recipe.epochs, recipe.batch_size, config.holdout) == (
        'imagenet',
        120,
        256,
        0,
    )


def test_devices_stand_beside_the_counts(tmp_path):
    pytest.importorskip('onnx')
    arguments = ('--mode=cost', '--cell=bn-conv3x3', '--skeleton=tiny')
    done = nas_search(
        *arguments,
        '--device=profile:workstation,profile:phone',
        '--device=command:no_such_program {model}',
        f'--measurement_cache={tmp_path}/cache',
    )
    assert done.returncode == 1
    (result,) = map(json.loads, done.stdout.splitlines())
    devices = result.pop('devices')
    assert result == cost_job.cost_of(CostConfig('bn-conv3x3', skeleton='tiny'))
    assert list(devices) == [
        'profile:workstation',
        'profile:phone',
        'command:no_such_program {model}',
    ]
    assert devices['profile:phone']['estimated'] and devices['profile:phone']['memory_mb'] > 0
    assert 'leave-one-out' in devices['profile:phone']['note']
    assert 'cannot be started' in devices['command:no_such_program {model}']['error']
