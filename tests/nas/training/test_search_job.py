"""Whole searches: tables with the real surrogate, images without the training."""

import contextlib
import csv
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from common import options
from nas.cells import cost, plan, skeleton
from nas.search import pareto, rungs
from nas.tables import tabular
from nas.training import evaluate, recipe, search_job
from nas.training.config import SearchConfig
from tests.nas.made_tables import write_table

ROOT = pathlib.Path(__file__).parents[3]
BUDGET, SEED = 26, 3
NAMES = ('error', 'latency_ms', 'params')
PROGRAM = """
import sys
from common import options
from nas import SearchConfig, run_search
run_search(options.from_flagfile(SearchConfig, sys.argv[1]), sys.argv[2])
"""


def config_of(**values):
    """A search with options by name, in whichever part they are."""
    return options.make(SearchConfig, {'compilation_cache': '', 'measurement_cache': '', **values})


def run(config, workdir):
    """Runs a search in this process; (what it returns, what it printed)."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        result = search_job.run_search(config, workdir)
    return result, printed.getvalue()


def values_for(table, *, seed=SEED, budget=BUDGET):
    return {
        'benchmark': 'nas_bench_201',
        'table': str(table),
        'device': ('phone',),
        'budget': budget,
        'seed': seed,
    }


def read(folder):
    lines = (pathlib.Path(folder) / 'evaluations.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def archs(folder):
    return [row['arch'] for row in read(folder)]


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp('table') / 'table.npz'
    write_table(path)
    return path


@pytest.fixture(scope='module')
def whole(table, tmp_path_factory):
    """A search of a table: (folder, what was printed, what was returned)."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    result, printed = run(config_of(**values_for(table)), folder)
    assert result.workdir == folder and len(result.evaluations) == BUDGET
    return folder, printed, result


def test_every_evaluation_is_a_row_of_the_table(whole, table):
    rows, space = read(whole[0]), tabular.load_nas_bench_201(table, device='phone')
    assert [row['index'] for row in rows] == list(range(BUDGET)) and len(
        set(archs(whole[0]))
    ) == BUDGET
    for row in rows:
        assert row['cell'] == row['arch'] and row['status'] == 'ok' and row['reason'] == ''
        assert row['objectives'] == pytest.approx(space.evaluate(row['arch']))
        assert row['level'] == 6 - row['arch'].count('none') and row['seconds'] >= 0
    assert 'error' in rows[-1]['predicted'] and rows[0]['predicted'] == {}


def test_results_agree_with_the_log(whole, table):
    folder, rows = whole[0], read(whole[0])
    points = np.array([[row['objectives'][name] for name in NAMES] for row in rows])
    dominated = [any((q <= p).all() and (q < p).any() for q in points) for p in points]
    front = {row['arch'] for row, out in zip(rows, dominated) if not out}
    with open(folder / 'pareto.csv') as file:
        assert {line['cell'] for line in csv.DictReader(file)} == front
    assert {str(evaluation.cell) for evaluation in whole[2].front()} == front
    facts = json.loads((folder / 'search.json').read_text())
    assert set(facts['front']) == front
    assert (facts['budget'], facts['evaluations'], facts['objectives']) == (
        BUDGET,
        BUDGET,
        list(NAMES),
    )
    space = tabular.load_nas_bench_201(table, device='phone')
    reference = np.array([space.reference[name] for name in NAMES])
    assert list(facts['reference'].values()) == reference.tolist()
    for step in (5, BUDGET):
        volume = pareto.hypervolume(points[:step] / reference, 1.0)
        assert facts['hypervolume'][step - 1] == pytest.approx(volume, rel=1e-9)
    truth = pareto.hypervolume(space.points(NAMES), 1.0)
    assert (
        facts['relative_hypervolume'][-1] == pytest.approx(volume / truth) and volume > 0.5 * truth
    )
    assert set(facts['rank_correlation']) <= set('123456') and len(facts['rank_correlation']) >= 3
    chosen = facts['chosen']
    assert set(chosen) == {'most accurate', 'fastest', 'fewest params', 'balanced'}
    assert chosen['most accurate']['error'] == points[:, 0].min()
    assert chosen['balanced']['cell'] in front and 'scaled' in facts['balance_rule']
    assert (folder / 'pareto.png').stat().st_size > 10_000
    assert chosen['fastest']['cell'] in (folder / 'report.html').read_text()
    assert {'versions', 'device', 'search_seconds'} <= set(
        json.loads((folder / 'run.json').read_text())
    )


def test_a_result_is_shown_in_a_line(whole):
    shown = repr(whole[2])
    assert shown.startswith(f'SearchResult({BUDGET} evaluations, {len(whole[2].front())} cells on ')
    assert len(shown) < 400 and str(whole[0]) in shown


def test_progress_reads_as_a_story(whole):
    printed = whole[1].splitlines()
    levels = [line for line in printed if line.startswith('-- level')]
    assert [line.split()[2] for line in levels] == list('123456')
    assert all('cells on the front, lowest error' in line and 'ETA' in line for line in levels)
    assert sum('tau of the surrogate' in line for line in levels) >= 3
    roles = {line.partition(':')[0] for line in printed}
    assert {
        'most accurate',
        'fastest',
        'balanced',
        'hypervolume relative to the true front',
    } <= roles
    assert 'nearest to the best value' in whole[1]
    assert printed[-1].startswith(f'{BUDGET} evaluations, 0 failed') and printed[-1].endswith(
        str(whole[0])
    )


def test_the_flagfile_of_a_run_repeats_it_and_a_cut_log_goes_on(whole, tmp_path):
    folder = tmp_path / 'again'
    shutil.copytree(whole[0], folder)
    for name in ('pareto.csv', 'pareto.png', 'search.json', 'report.html'):
        (folder / name).unlink()
    lines = (folder / 'evaluations.jsonl').read_text().splitlines(keepends=True)
    (folder / 'evaluations.jsonl').write_text(''.join(lines[:11]) + lines[11][:40])
    text = (whole[0] / 'flags.txt').read_text()
    assert '--mode=search\n' in text and f'--workdir={whole[0]}\n' in text
    config = options.from_flagfile(SearchConfig, text)
    assert config == config_of(**values_for(config.table))
    _, printed = run(config, folder)
    assert archs(folder) == archs(whole[0])
    assert (
        'going on after evaluation 11' in printed
        and 'line 12' in printed
        and 'was set aside' in printed
    )
    assert (folder / 'evaluations.jsonl.corrupt').read_text() == lines[11][:40]
    first, second = (
        json.loads((place / 'search.json').read_text()) for place in (whole[0], folder)
    )
    assert first | {'seconds': 0} == second | {'seconds': 0}


def test_a_killed_search_goes_on_as_if_nothing_had_been(whole, table, tmp_path):
    folder = tmp_path / 'killed'
    config = config_of(**values_for(table))
    command = [sys.executable, '-c', PROGRAM, options.flagfile(config), str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, cwd=ROOT, env=os.environ | {'JAX_PLATFORMS': 'cpu'}
    )
    log, deadline = folder / 'evaluations.jsonl', time.monotonic() + 240
    while not (log.exists() and log.read_bytes().count(b'\n') >= 7):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = log.read_text().splitlines()
    assert len(before) < BUDGET and not (folder / 'search.json').exists()
    run(config, folder)
    assert archs(folder) == archs(whole[0])
    assert log.read_text().splitlines()[:7] == before[:7]


def test_a_run_goes_on_with_more_budget_but_not_with_another_search(whole, table, tmp_path):
    folder = tmp_path / 'more'
    shutil.copytree(whole[0], folder)
    with pytest.raises(ValueError, match='holds a search with --seed=3, not --seed=4; '):
        run(config_of(**values_for(table, seed=4)), folder)
    log = f'{whole[0]}/evaluations.jsonl'
    with pytest.raises(ValueError, match='holds a search with no --warm_start, not --warm_start='):
        run(config_of(**values_for(table), warm_start=log), folder)
    # A size of the planner makes another search too.
    with pytest.raises(ValueError, match='holds a search with --explore=0.5, not --explore=0.25'):
        run(config_of(**values_for(table), explore=0.25), folder)
    assert (folder / 'flags.txt').read_text() == (whole[0] / 'flags.txt').read_text()
    run(config_of(**values_for(table, budget=BUDGET + 3)), folder)
    assert archs(folder)[:BUDGET] == archs(whole[0]) and len(set(archs(folder))) == BUDGET + 3


def test_the_workdir_of_a_training_is_refused(table, tmp_path):
    (tmp_path / 'flags.txt').write_text('--mode=train\n--cell=bn-conv1x1\n')
    (tmp_path / 'train.json').write_text('{}')
    with pytest.raises(ValueError, match='holds a run with --mode=train, not --mode=search'):
        run(config_of(**values_for(table)), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_constraints_and_a_warm_start(whole, table, tmp_path):
    earlier = f'{whole[0]}/evaluations.jsonl'
    limited = config_of(
        **values_for(table, budget=8), constraints=('latency_ms<6',), warm_start=earlier
    )
    _, printed = run(limited, tmp_path / 'new')
    assert f'warm start: {BUDGET} of {BUDGET} evaluations taken over' in printed
    rows = read(tmp_path / 'new')
    assert not {row['arch'] for row in rows} & set(archs(whole[0]))
    assert all(row['objectives']['latency_ms'] < 6 for row in rows)
    facts = json.loads((tmp_path / 'new' / 'search.json').read_text())
    assert facts['constraints'] == ['latency_ms<6']
    assert all(cell['latency_ms'] < 6 for cell in facts['chosen'].values())


TABLE = {'benchmark': 'nas_bench_201', 'table': '{table}', 'device': ('phone',)}
ERROR = {'objectives': ('error',)}


@pytest.mark.parametrize(
    'values, sentence',
    [
        (
            TABLE | {'objectives': ('error', 'speed')},
            "unknown objective 'speed'; the table has error, latency_ms",
        ),
        (TABLE | {'constraints': ('speed<3',)}, "unknown objective 'speed'"),
        (TABLE | {'constraints': ('latency_ms',)}, "constraint 'latency_ms' is not understood"),
        (TABLE | {'device': ('tablet',)}, "unknown device 'tablet'; table .* has phone"),
        (TABLE | {'device': ('phone', 'phone')}, 'a search of a table takes one'),
        (TABLE | {'budget': 5}, '--budget=5 is smaller than a level of 6 cells'),
        (TABLE | {'budget': 0}, 'budget is 0, it has to be at least 1'),
        (TABLE | {'keep': 0}, 'keep is 0'),
        (TABLE | {'worst_error': float('nan')}, 'worst_error is nan; accepted: a finite number'),
        (
            TABLE | {'worst_error': 9.0, 'objectives': ('latency_ms', 'params')},
            '--worst_error=9 needs the error among the objectives; these are latency_ms, params',
        ),
        (TABLE | {'warm_start': 'nowhere.jsonl'}, '--warm_start=nowhere.jsonl is no file'),
        (
            TABLE | {'warm_start': '{other}'},
            '--warm_start=.* is not of this space: cell .* is not in the table',
        ),
        (
            {'benchmark': 'nas_bench_301', 'table': '{table}'},
            'nas_bench_301 is unknown; accepted: nas_bench_201',
        ),
        ({'benchmark': 'nas_bench_201'}, 'needs --table=FILE'),
        (
            {'benchmark': 'nas_bench_201', 'table': 'nowhere.npz'},
            'table nowhere.npz cannot be read: No such file',
        ),
        (TABLE | {'table': '{bare}'}, 'has no column c10_valid200_seeds'),
        ({'table': '{table}'}, '--table=FILE to --benchmark'),
        (
            {'objectives': ('error', 'speed')},
            "objective 'speed' is unknown; accepted: error, latency_ms",
        ),
        (
            {'objectives': ('error', 'error'), 'device': ('profile:phone',)},
            'one or more different names',
        ),
        ({'constraints': ('joules<3',)}, "'joules' is unknown"),
        ({'skeleton': 'mars'}, '--skeleton=mars is unknown; accepted: cifar10'),
        ({'device': ('abacus',)}, "device 'abacus' is unknown"),
        ({'device': ('xla,onnx',)}, 'measures on one'),
        ({'dataset': 'mnist'}, "data set 'mnist' is unknown"),
        (ERROR | {'workers': 2}, '--workers and --cuda_devices belong to --executor=process'),
        (ERROR | {'workers': 0}, 'workers is 0, it has to be at least 1'),
        (ERROR | {'executor': 'thread'}, "executor is 'thread'; accepted: serial, process, ray"),
        (ERROR | {'candidate_timeout': 9.0}, '--candidate_timeout belongs to'),
        (
            ERROR | {'slurm_options': ('partition=gpu',)},
            '--slurm_options belongs to --executor=slurm',
        ),
        (
            ERROR | {'executor': 'slurm', 'slurm_options': ('gpu',)},
            "has 'gpu'; name=value is accepted",
        ),
        (
            ERROR | {'executor': 'slurm', 'slurm_options': ('cluster=local', 'mem-gb=x')},
            '.*(mem_gb|needs submitit)',
        ),
        (ERROR | {'epochs': 0}, 'epochs is 0'),
    ],
)
def test_bad_input_is_named_before_anything_is_written(values, sentence, table, tmp_path):
    write_table(tmp_path / 'bare.npz', c10_valid200_seeds=None)
    record = {'cell': 'bn-conv1x1', 'status': 'ok', 'objectives': {'error': 3}}
    (tmp_path / 'other.jsonl').write_text(json.dumps(record) + '\n')
    places = {'table': table, 'bare': tmp_path / 'bare.npz', 'other': tmp_path / 'other.jsonl'}
    values = {
        name: value.format(**places) if isinstance(value, str) else value
        for name, value in values.items()
    }
    with pytest.raises(ValueError, match=sentence) as caught:
        run(config_of(**values), tmp_path / 'run')
    assert '\n' not in str(caught.value) and not (tmp_path / 'run').exists()


def test_a_damaged_log_is_left_as_it_is(whole, table, tmp_path):
    folder = tmp_path / 'run'
    shutil.copytree(whole[0], folder)
    log = folder / 'evaluations.jsonl'
    log.write_text('garbage\n' + log.read_text())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match='line 1 is not JSON; only the last line may be damaged'):
        run(config_of(**values_for(table)), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_workdir_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError) as caught:
        run(config_of(**ERROR), tmp_path / 'file' / 'run')
    assert (
        str(caught.value)
        == f'workdir {tmp_path}/file/run cannot be written: {tmp_path}/file is a file'
    )
    assert (tmp_path / 'file').read_text() == 'mine'


def test_no_workdir():
    with pytest.raises(ValueError, match='--workdir has to name a directory'):
        run(config_of(**ERROR), None)


def test_classes_are_those_of_the_data(tmp_path):
    with pytest.raises(ValueError, match='--classes=7, but --dataset=digits has 10 classes'):
        run(config_of(**ERROR, classes=7), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_cells_are_trained_as_the_configuration_says(tmp_path, monkeypatch):
    jobs = []

    def train(job):
        jobs.append(job)
        return evaluate.Result(20.0 / len(jobs), 1.5, 9, 9, (), (30.0, 25.0))

    # What a training is `test_candidates.py` and `test_evaluate.py` see.
    monkeypatch.setattr(evaluate, 'run_job', train)
    config = config_of(
        device=('profile:phone',),
        keep=2,
        budget=6,
        levels=3,
        epochs=9,
        crop=1,
        mirror=False,
        validation_share=0.25,
        seed=2,
        worst_error=18.0,
    )
    _, printed = run(config, tmp_path / 'run')
    rows = read(tmp_path / 'run')
    assert [row['cell'] for row in rows] == [str(job.cell) for job in jobs] and len(jobs) == 6
    assert {row['level'] for row in rows} == {2, 3} and rows[0]['level'] == 2
    assert jobs[0].config == recipe.RecipeConfig(epochs=9, crop=1, mirror=False)
    assert (jobs[0].data, jobs[0].skeleton) == ('digits', skeleton.digits)
    assert jobs[0].evaluation.validation_share == 0.25
    assert jobs[0].rungs.margin == rungs.Rungs().margin and len(jobs[-1].rungs.records) >= 2
    for row, job in zip(rows, jobs):
        counts = cost.count(plan.build(job.cell, job.skeleton))
        assert row['objectives']['params'] == counts.params and row['objectives']['latency_ms'] > 0
        assert 'profile:phone' in row['device'] and row['seconds'] == 1.5
    facts = json.loads((tmp_path / 'run' / 'search.json').read_text())
    assert facts['reference']['error'] == 18 and all(
        cell['error'] < 18 for cell in facts['chosen'].values()
    )
    assert 'prove nothing' in facts['note'] and facts['note'] in printed
    assert 'profile:phone' in facts['device'] and facts['epochs_saved'] == 0
    _, printed = run(config, tmp_path / 'run')
    assert printed.startswith('going on after evaluation 6') and len(jobs) == 6


def test_on_a_terminal_each_message_has_a_line_of_its_own(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(
        evaluate, 'run_job', lambda job: evaluate.Result(20.0, 1.5, 9, 9, (), (30.0, 25.0))
    )
    config = config_of(device=('profile:phone',), keep=2, budget=2, levels=2)
    with contextlib.redirect_stdout(Terminal()) as printed:
        search_job.run_search(config, tmp_path / 'run')
    # A line as it is seen: what follows the last return to its start.
    lines = [line.rpartition('\r')[2] for line in printed.getvalue().splitlines()]
    assert any('2/2' in line for line in lines)
    for said in ('measuring on ', '-- level 2 done', '2 evaluations, 0 failed'):
        assert any(line.startswith(said) for line in lines), said
