"""The benchmarks as a user starts them, at sizes that take seconds."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests import compiling
from tests.pano_depth.results import made_footage

ROOT = pathlib.Path(__file__).parents[3]


def _run(name, *arguments):
    # Started as a module so that neither an installation nor the current directory matters.
    command = (
        'import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); '
        f'runpy.run_module("experiments.benchmarks.{name}", run_name="__main__", alter_sys=True)'
    )
    # What is timed does not matter here, how long it compiles does.
    return subprocess.run(
        [sys.executable, '-c', command, str(ROOT), *arguments],
        text=True,
        capture_output=True,
        check=False,
        env=compiling.environment(),
    )


def test_speedup_tabulates_and_plots_a_training_step(tmp_path):
    folder = tmp_path / 'new'
    done = _run(
        'kernels.speedup',
        '--heights=16',
        '--depth_channels=4,4',
        '--passes=training',
        '--repeats=3',
        f'--output={folder}',
    )
    assert done.returncode == 0, done.stderr
    header, line = [line.split(' | ') for line in done.stdout.splitlines() if line.startswith('| ')]
    (row,) = json.loads((folder / 'speedup.json').read_text())['rows']
    assert len(line) == len(header) and line[:2] == ['| 16x32', 'training']
    assert float(line[2]) == round(row['speedup'], 2) > 0
    assert row['repeats'] == 3 and min(row['cube_ms'], row['zero_ms'], row['equirect_ms']) > 0
    assert min(row['cube_megabytes'], row['zero_megabytes'], row['equirect_megabytes']) > 0
    assert (folder / 'speedup.png').read_bytes().startswith(b'\x89PNG')
    assert {path.name for path in folder.iterdir()} == {'speedup.json', 'speedup.png'}


def test_speedup_says_why_a_size_is_not_run():
    done = _run(
        'kernels.speedup',
        '--heights=16',
        '--depth_channels=4,4',
        '--passes=inference',
        '--memory_limit=1e-6',
    )
    assert done.returncode == 0, done.stderr
    assert '| 16x32 | inference | not run: 0.0 GB planned, limit 1e-06 GB |' in done.stdout


def test_speedup_refuses_heights_that_the_network_cannot_halve():
    cases = {'64,20': '--heights has 20: face_size=10', '65': '--heights has 65'}
    for heights, words in cases.items():
        done = _run('kernels.speedup', f'--heights={heights}')
        assert done.returncode == 1 and words in done.stderr and 'Traceback' not in done.stderr


def test_speedup_refuses_a_checkpoint_that_is_not_there(tmp_path):
    done = _run('kernels.speedup', f'--checkpoint={tmp_path / "none"}')
    assert done.returncode == 1 and done.stderr.startswith('--checkpoint: '), done.stderr


def test_self_improvement_goes_on_with_its_own_options_alone(tmp_path):
    (tmp_path / 'options.json').write_text('{"clips": 3}')
    done = _run('depth.self_improvement', f'--output={tmp_path}')
    assert done.returncode == 1 and 'was begun with --clips=3' in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ['options.json']


@pytest.mark.slow
def test_ablations_run_on_footage_whose_rotations_nobody_knows_and_go_on(tmp_path):
    folder = made_footage.write_panosuncg(tmp_path / 'tree')
    command = (
        'depth.ablation',
        f'--train_data={folder}',
        f'--data_dir={tmp_path}',
        f'--output={tmp_path / "out"}',
        '--seeds=1',
        '--steps=2',
        '--batch_size=1',
        '--depth_channels=8,8',
        '--pose_channels=8,8',
        '--compilation_cache=',
    )
    done = _run(*command, '--variants=full')
    assert done.returncode == 0, done.stderr
    (run,) = json.loads((tmp_path / 'out' / 'ablation.json').read_text())['runs']
    assert run['rotation_deg'] is None and run['abs_rel'] > 0 and run['direction_deg'] > 0
    assert '| footage | full | 1 | ' in done.stdout
    # Nothing is left to compute.
    again = _run(*command, '--variants=full')
    assert again.returncode == 0 and 'seed 0' not in again.stdout, again.stderr
    table = lambda text: text[text.index('| data') :]
    assert table(again.stdout) == table(done.stdout)
    (folder / 'labels').rename(tmp_path / 'elsewhere')
    command = (*command[:3], f'--output={tmp_path / "other"}', *command[4:])
    refused = _run(*command)
    assert refused.returncode and 'is held out and has no depth or no poses' in refused.stderr
