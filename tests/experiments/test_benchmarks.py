"""The benchmarks as a user starts them, at sizes that take seconds."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def _run(name, *arguments):
    # Started as a module so that neither an installation nor the current directory matters.
    command = ('import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); '
               f'runpy.run_module("experiments.benchmarks.{name}", run_name="__main__", alter_sys=True)')
    return subprocess.run([sys.executable, '-c', command, str(ROOT), *arguments], text=True, capture_output=True,
                          check=False)


def test_speedup_tabulates_and_plots_every_size_and_pass(tmp_path):
    folder = tmp_path / 'new'
    done = _run('speedup', '--heights=16,32', '--depth_channels=4,4', '--repeats=3', f'--output={folder}')
    assert done.returncode == 0, done.stderr
    lines = [line.split(' | ') for line in done.stdout.splitlines() if line.startswith('| ')]
    assert [line[:2] for line in lines[1:]] == [
        [f'| {size}', kind] for size in ('16x32', '32x64') for kind in ('inference', 'training')]
    assert all(len(line) == len(lines[0]) for line in lines)
    rows = json.loads((folder / 'speedup.json').read_text())['rows']
    for row, line in zip(rows, lines[1:], strict=True):
        assert float(line[2]) == round(row['speedup'], 2) > 0
        assert row['repeats'] == 3 and row['cube_ms'] > 0 and row['equirect_ms'] > 0 and row['padding_share'] < 1
    # Known without a clock: more pixels and a gradient take more memory.
    plans = {(row['height'], row['kind']): row for row in rows}
    assert plans[32, 'training']['cube_megabytes'] > plans[16, 'training']['cube_megabytes']
    assert plans[32, 'training']['cube_megabytes'] > plans[32, 'inference']['cube_megabytes']
    assert (folder / 'speedup.png').read_bytes().startswith(b'\x89PNG')
    assert {path.name for path in folder.iterdir()} == {'speedup.json', 'speedup.png'}


def test_speedup_says_why_a_size_is_not_run():
    done = _run('speedup', '--heights=16', '--depth_channels=4,4', '--passes=inference', '--memory_limit=1e-6')
    assert done.returncode == 0 and 'not run: 0.0 GB planned, limit 1e-06 GB' in done.stdout


def test_speedup_refuses_heights_that_the_network_cannot_halve():
    for heights, words in (('64,20', '--heights has 20: face_size=10'), ('65', '--heights has 65'), ('a', '--heights is a')):
        done = _run('speedup', f'--heights={heights}')
        assert done.returncode == 1 and words in done.stderr and 'Traceback' not in done.stderr
