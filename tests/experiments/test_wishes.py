"""What a user asks of a search on the command line: cells to begin with, to leave out, limits."""

import json

import numpy as np
import pytest
from absl import flags as absl_flags

from experiments import entry, nas_flags, nas_main
from tests.nas.made_tables import write_table


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp('table') / 'table.npz'
    write_table(path)
    return path


def search(table, workdir, *arguments):
    """The exit code of a search of a table."""
    values = absl_flags.FlagValues()
    nas_flags.define(values)
    given = [
        *('--benchmark=nas_bench_201', f'--table={table}', '--device=phone', '--budget=9'),
        # No predictions, hence nothing to compile.
        *('--fewest=99', '--compilation_cache=', f'--workdir={workdir}'),
    ]
    values(['nas-search', *given, *arguments])
    if not entry.FLAGS.is_parsed():
        entry.FLAGS.mark_as_parsed()
    return entry.main_with_errors(lambda: nas_main.main(values))(['nas-search'])


def cell_with(table, op, *, without='nothing'):
    """A cell of the table with an operation and without another one."""
    archs = map(str, np.load(table)['arch'])
    return next(arch for arch in archs if op in arch and without not in arch)


def lines(workdir):
    return list(map(json.loads, (workdir / 'evaluations.jsonl').read_text().splitlines()))


def test_a_search_without_a_feasible_cell_says_so_and_names_the_nearest(table, tmp_path, capsys):
    code = search(table, tmp_path / 'run', '--constraints=error<0.001')
    found = min(lines(tmp_path / 'run'), key=lambda line: line['objectives']['error'])
    assert code == 3
    sentence = f'no cell satisfies error<0.001; the nearest is {found["cell"]} with error '
    assert sentence in capsys.readouterr().out
    assert json.loads((tmp_path / 'run' / 'search.json').read_text())['front'] == []


def test_limits_that_no_cell_can_satisfy_end_a_search_before_its_work(table, tmp_path, capsys):
    assert search(table, tmp_path / 'run', '--constraints=params<0.001,error<9') == 3
    assert '--constraints=params<0.001 leaves no cell to search; the nearest is |' in (
        capsys.readouterr().err
    )
    assert not (tmp_path / 'run').exists()


def test_included_cells_come_first_and_forbidden_ones_never(table, tmp_path):
    workdir, first = tmp_path / 'run', cell_with(table, 'nor_conv_3x3', without='skip_connect')
    assert search(table, workdir, f'--include={first}', '--forbid=skip_connect') == 0
    cells = [line['cell'] for line in lines(workdir)]
    assert len(cells) == 9 and cells[0] == first
    assert not any('skip_connect' in cell for cell in cells)


@pytest.mark.parametrize(
    'arguments, sentence',
    [
        (['--include=SKIP', '--forbid=skip_connect'], 'cannot be evaluated: it is incomplete'),
        (['--include=x'], '--include=x is no cell of this space'),
        (['--objectives=-error'], '--objectives=-error maximises; objectives of a table are'),
        (['--objective=mine.py:f'], '--objective=mine.py:f is for cells that are trained'),
        (['--include=SKIP,CONV', '--budget=1', '--keep=1'], '--include names 2 cells, more than'),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, sentence, table, tmp_path, capsys):
    named = {name: cell_with(table, op) for name, op in (('SKIP', 'skip_'), ('CONV', 'nor_'))}
    for name, cell in named.items():
        arguments = [argument.replace(name, cell) for argument in arguments]
    assert search(table, tmp_path / 'run', *arguments) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'run').exists()
