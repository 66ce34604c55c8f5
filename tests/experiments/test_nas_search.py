"""`nas-search` as a user runs it: tables with the real surrogate, images without the training."""

import contextlib
import csv
import dataclasses
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
from absl import flags as absl_flags

from experiments import nas_flags, nas_search
from nas.cells import cost, plan, skeleton
from nas.executors.process import ProcessExecutor
from nas.search import pareto, rungs
from nas.search.evaluations import Failure
from nas.tables import tabular
from nas.training import evaluate, recipe
from tests.nas.made_tables import write_table

ROOT = pathlib.Path(__file__).parents[2]
BUDGET, SEED = 26, 3
NAMES = ('error', 'latency_ms', 'params')
COMMAND = (
    'import sys; sys.path.insert(0, sys.argv.pop(1)); from experiments import nas_main; '
    'nas_main.run()'
)


def search(*arguments):
    """Runs a search in this process; returns what it printed."""
    values = absl_flags.FlagValues()
    nas_flags.define(values)
    values(['nas-search', '--compilation_cache=', '--measurement_cache=', *arguments])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        nas_search.main(values)
    return printed.getvalue()


def flags_for(table, workdir, *, seed=SEED, budget=BUDGET):
    return [
        '--benchmark=nas_bench_201',
        f'--table={table}',
        '--device=phone',
        f'--budget={budget}',
        f'--seed={seed}',
        f'--workdir={workdir}',
    ]


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
    """A search of a table: (folder, what was printed)."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    return folder, search(*flags_for(table, folder))


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
    printed = search(f'--flagfile={whole[0]}/flags.txt', f'--workdir={folder}')
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
    command = [
        sys.executable,
        '-c',
        COMMAND,
        str(ROOT),
        '--compilation_cache=',
        *flags_for(table, folder),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env=os.environ | {'JAX_PLATFORMS': 'cpu'}
    )
    log, deadline = folder / 'evaluations.jsonl', time.monotonic() + 240
    while not (log.exists() and log.read_bytes().count(b'\n') >= 7):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = log.read_text().splitlines()
    assert len(before) < BUDGET and not (folder / 'search.json').exists()
    search(*flags_for(table, folder))
    assert archs(folder) == archs(whole[0])
    assert log.read_text().splitlines()[:7] == before[:7]


def test_a_run_goes_on_with_more_budget_but_not_with_another_search(whole, table, tmp_path):
    folder = tmp_path / 'more'
    shutil.copytree(whole[0], folder)
    with pytest.raises(ValueError, match='holds a search with --seed=3, not --seed=4; '):
        search(*flags_for(table, folder, seed=4))
    with pytest.raises(ValueError, match='holds a search with no --warm_start, not --warm_start='):
        search(*flags_for(table, folder), f'--warm_start={whole[0]}/evaluations.jsonl')
    assert (folder / 'flags.txt').read_text() == (whole[0] / 'flags.txt').read_text()
    search(*flags_for(table, folder, budget=BUDGET + 3))
    assert archs(folder)[:BUDGET] == archs(whole[0]) and len(set(archs(folder))) == BUDGET + 3


def test_constraints_and_a_warm_start(whole, table, tmp_path):
    printed = search(
        *flags_for(table, tmp_path / 'new', budget=8),
        '--constraints=latency_ms<6',
        f'--warm_start={whole[0]}/evaluations.jsonl',
    )
    assert f'warm start: {BUDGET} of {BUDGET} evaluations taken over' in printed
    rows = read(tmp_path / 'new')
    assert not {row['arch'] for row in rows} & set(archs(whole[0]))
    assert all(row['objectives']['latency_ms'] < 6 for row in rows)
    facts = json.loads((tmp_path / 'new' / 'search.json').read_text())
    assert facts['constraints'] == ['latency_ms<6']
    assert all(cell['latency_ms'] < 6 for cell in facts['chosen'].values())


TABLE = ('--benchmark=nas_bench_201', '--table={table}', '--device=phone')


@pytest.mark.parametrize(
    'arguments, sentence',
    [
        (
            (*TABLE, '--objectives=error,speed'),
            "unknown objective 'speed'; the table has error, latency_ms",
        ),
        ((*TABLE, '--constraints=speed<3'), "unknown objective 'speed'"),
        ((*TABLE, '--constraints=latency_ms'), "constraint 'latency_ms' is not understood"),
        ((*TABLE[:2], '--device=tablet'), "unknown device 'tablet'; table .* has phone"),
        ((*TABLE, '--device=phone'), 'a search of a table takes one'),
        ((*TABLE, '--budget=5'), 'budget 5 is smaller than a level of 6 cells'),
        ((*TABLE, '--keep=0'), 'keep is 0'),
        (
            (*TABLE, '--worst_error=9', '--objectives=latency_ms,params'),
            "'error', which is not an objective",
        ),
        ((*TABLE, '--warm_start=nowhere.jsonl'), '--warm_start=nowhere.jsonl is no file'),
        (
            (*TABLE, '--warm_start={other}'),
            '--warm_start=.* is not of this space: cell .* is not in the table',
        ),
        (
            ('--benchmark=nas_bench_301', '--table={table}'),
            'nas_bench_301 is unknown; accepted: nas_bench_201',
        ),
        (('--benchmark=nas_bench_201',), 'needs --table=FILE'),
        (
            ('--benchmark=nas_bench_201', '--table=nowhere.npz'),
            'table nowhere.npz cannot be read: No such file',
        ),
        (
            ('--benchmark=nas_bench_201', '--table={bare}', '--device=phone'),
            'has no column c10_valid200_seeds',
        ),
        ((*TABLE, '--cell=bn-conv3x3'), '--cell and --network belong to --mode=cost'),
        (('--table={table}',), '--table=FILE to --benchmark'),
        (
            ('--objectives=error,speed',),
            "objective 'speed' is unknown; accepted: error, latency_ms",
        ),
        (('--objectives=error,error', '--device=profile:phone'), 'one or more different names'),
        (('--constraints=joules<3',), "'joules' is unknown"),
        (('--skeleton=mars',), '--skeleton=mars is unknown; accepted: cifar10'),
        (('--device=abacus',), "device 'abacus' is unknown"),
        (('--device=xla,onnx',), 'measures on one'),
        (('--dataset=mnist',), "data set 'mnist' is unknown"),
        (
            ('--workers=2', '--objectives=error'),
            '--workers and --cuda_devices belong to --executor=process',
        ),
        (('--candidate_timeout=9', '--objectives=error'), '--candidate_timeout belongs to'),
        (
            ('--slurm_options=partition=gpu', '--objectives=error'),
            '--slurm_options belongs to --executor=slurm',
        ),
        (
            ('--executor=slurm', '--slurm_options=gpu', '--objectives=error'),
            "has 'gpu'; name=value is accepted",
        ),
        (
            ('--executor=slurm', '--slurm_options=cluster=local,mem-gb=x', '--objectives=error'),
            '.*(mem_gb|needs submitit)',
        ),
        (('--epochs=0', '--objectives=error'), 'epochs is 0'),
    ],
)
def test_bad_input_is_named_before_anything_is_written(arguments, sentence, table, tmp_path):
    write_table(tmp_path / 'bare.npz', c10_valid200_seeds=None)
    record = {'cell': 'bn-conv1x1', 'status': 'ok', 'objectives': {'error': 3}}
    (tmp_path / 'other.jsonl').write_text(json.dumps(record) + '\n')
    places = {'table': table, 'bare': tmp_path / 'bare.npz', 'other': tmp_path / 'other.jsonl'}
    with pytest.raises(ValueError, match=sentence) as caught:
        search(*(text.format(**places) for text in arguments), f'--workdir={tmp_path}/run')
    assert '\n' not in str(caught.value) and not (tmp_path / 'run').exists()


def test_a_damaged_log_is_left_as_it_is(whole, table, tmp_path):
    folder = tmp_path / 'run'
    shutil.copytree(whole[0], folder)
    log = folder / 'evaluations.jsonl'
    log.write_text('garbage\n' + log.read_text())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match='line 1 is not JSON; only the last line may be damaged'):
        search(*flags_for(table, folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_no_workdir():
    with pytest.raises(ValueError, match='--workdir has to name a directory'):
        search('--objectives=error')


def test_classes_have_to_fit_the_skeleton(tmp_path, monkeypatch):
    monkeypatch.setitem(
        skeleton.SKELETONS, 'digits', dataclasses.replace(skeleton.digits, classes=7)
    )
    with pytest.raises(
        ValueError, match="--dataset=digits has 10 classes, but skeleton 'digits' has 7"
    ):
        search('--objectives=error', f'--workdir={tmp_path}/run')
    assert not (tmp_path / 'run').exists()


def test_cells_are_trained_as_the_flags_say(tmp_path, monkeypatch):
    jobs = []

    def train(job):
        jobs.append(job)
        return evaluate.Result(20.0 / len(jobs), 1.5, 9, 9, (), (30.0, 25.0))

    # What a training is `tests/nas/test_candidates.py` and `test_evaluate.py` see.
    monkeypatch.setattr(evaluate, 'run_job', train)
    arguments = (
        '--device=profile:phone',
        '--keep=2',
        '--budget=6',
        '--levels=3',
        '--epochs=9',
        '--crop=1',
        '--nomirror',
        '--validation_share=0.25',
        '--seed=2',
        '--worst_error=18',
        f'--workdir={tmp_path}/run',
    )
    printed = search(*arguments)
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
    assert search(*arguments).startswith('going on after evaluation 6') and len(jobs) == 6


def test_the_flagfile_of_the_default_search_is_the_recipe_for_digits(tmp_path, monkeypatch):
    jobs = []
    monkeypatch.setattr(
        ProcessExecutor,
        'map',
        lambda self, function, batch: enumerate(
            [jobs.append(job) or Failure('not here') for job in batch]
        ),
    )
    with pytest.raises(ValueError, match='all of the first .* candidates failed: not here'):
        search(
            f'--flagfile={ROOT}/experiments/flagfiles/digits_cpu.flags',
            '--device=profile:phone',
            f'--workdir={tmp_path}/run',
        )
    assert (jobs[0].config, jobs[0].evaluation) == (
        evaluate.DIGITS_RECIPE,
        evaluate.DIGITS_EVALUATION,
    )
