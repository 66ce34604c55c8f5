"""The program that converts public tables, as its user starts it."""

import json
import pathlib
import subprocess
import sys

from nas.tables import tabular
from tests.nas.tables.public import made_benchmarks as made

PROGRAM = (
    pathlib.Path(__file__).parents[4] / 'experiments' / 'benchmarks' / 'search' / 'convert_table.py'
)


def run(*flags, folder):
    return subprocess.run(
        [sys.executable, PROGRAM, *flags], cwd=folder, text=True, capture_output=True, check=False
    )


def test_it_says_how_to_search_what_it_wrote(tmp_path):
    cells = {arch: {'val': 70.0 + n / 10, 'params': n + 1} for n, arch in enumerate(made.ARCHS)}
    (tmp_path / 'table.json').write_text(json.dumps(cells))
    latencies = dict(zip(made.ARCHS, range(64)))
    (tmp_path / 'board.json').write_text(json.dumps(latencies))
    done = run(
        *('--accuracies=table.json', '--accuracy_column=val', '--latencies=board=board.json'),
        '--output=out.npz',
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert 'nas-search --benchmark=nas_bench_201 --table=out.npz --device=board' in done.stdout
    space = tabular.load_nas_bench_201(tmp_path / 'out.npz', device='board')
    assert space.costs(made.ARCHS[9])['latency_ms'] == 9
    done = run('--accuracies=absent.pth', '--output=out.npz', folder=tmp_path)
    assert done.returncode == 1 and 'absent.pth cannot be read' in done.stderr
    assert 'Traceback' not in done.stderr
