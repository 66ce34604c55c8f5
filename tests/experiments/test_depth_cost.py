"""`pano-depth --mode=cost` as a user runs it."""

import json
import pathlib
import subprocess
import sys

import pytest

from experiments import depth_main

MAIN = pathlib.Path(__file__).parents[2] / 'experiments' / 'depth_main.py'


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (['--mode=cost'], False),
        (['--mode', 'cost', '--unknown=3'], False),
        (['--flagfile=cost.flags'], False),
        (['--flagfile=cost.flags', '--mode=predict'], True),
        (['--flagfile=nowhere.flags', '--mode=cost'], True),
        (['--mode=train', '--workdir=cost'], True),
        ([], True),
    ],
)
def test_every_mode_but_this_needs_a_workdir(arguments, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'cost.flags').write_text('--depth_merge=add\n--mode=cost\n')
    assert depth_main.needs_workdir(['pano-depth', *arguments]) == expected


def test_cost_is_a_line_of_json_and_nothing_is_written(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(MAIN),
            '--mode=cost',
            '--depth_cell=bn_relu,dwconv3x3,bn_relu,conv1x1',
            '--depth_merge=add',
            '--depth_expansion=2',
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == ['name', 'params', 'flops', 'macs']
    assert found['name'] == 'bn_relu-dwconv3x3-bn_relu-conv1x1'
    assert found['params'] < found['macs'] < found['flops'] < 10 * found['macs']
    assert not list(tmp_path.iterdir())
