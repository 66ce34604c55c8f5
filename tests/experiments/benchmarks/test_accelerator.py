"""The accelerator's benchmark on a CPU: its clock and its page, and each part at toy size."""

import pathlib
import subprocess
import sys
import time

import pytest

from experiments.benchmarks import accelerator
from experiments.benchmarks.accelerators import (
    image_networks,
    limited,
    rooms_run,
    tables,
    tests_there,
    worker,
)
from tests import compiling

ROOT = pathlib.Path(__file__).parents[3]


def _python(program, tmp_path, seconds, **options):
    return limited.run([sys.executable, '-c', program], tmp_path / 'log', seconds, **options)


def test_a_process_ends_with_its_last_words(tmp_path):
    found = _python('print("one"); print("two\\n\\n")', tmp_path, 20)
    assert (found.how, found.words) == ('done', 'two') and 0 < found.seconds < 20
    failed = _python('raise ValueError("no device")', tmp_path, 20)
    assert (failed.how, failed.words) == ('failed', 'ValueError: no device')


def test_what_is_late_is_asked_to_stop_and_then_killed_with_all_that_it_started(tmp_path):
    polite = (
        'import signal, sys, time\n'
        'signal.signal(signal.SIGTERM, lambda *_: sys.exit("saved"))\n'
        'print("ready")\n'
        'time.sleep(60)'
    )
    asked = _python(polite, tmp_path, 3)
    assert (asked.how, asked.words) == ('out of time', 'saved')
    child = f'import time; time.sleep(4); open({str(tmp_path / "alive")!r}, "w")'
    deaf = (
        'import signal, subprocess, sys, time\n'
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
        f'subprocess.Popen([sys.executable, "-c", {child!r}])\n'
        'print("started")\n'
        'time.sleep(60)'
    )
    killed = _python(deaf, tmp_path, 2.5, grace=0.2)
    assert (killed.how, killed.words) == ('out of time', 'started') and killed.seconds < 20
    time.sleep(2.5)
    assert not (tmp_path / 'alive').exists()


def test_a_cut_line_costs_no_other_line(tmp_path):
    path = tmp_path / 'rows.jsonl'
    assert limited.read_rows(path) == []
    limited.add_row(path, {'a': 1})
    with path.open('a') as file:
        file.write('{"b": ')
    limited.add_row(path, {'c': float('nan')})
    assert limited.read_rows(path) == [{'a': 1}, {'c': None}]


def test_time_that_a_part_leaves_goes_to_the_next_ones():
    names = accelerator.chosen(['rooms', 'cpu', 'tests'])
    assert names == ['tests', 'cpu', 'rooms']
    shares = [accelerator.PARTS[name][0] for name in names]
    first = accelerator.limit('tests', names[1:], 100.0)
    assert first == pytest.approx(100 * shares[0] / sum(shares))
    assert accelerator.limit('cpu', names[2:], 90.0) == pytest.approx(
        90 * shares[1] / (shares[1] + shares[2])
    )
    assert accelerator.limit('rooms', [], 33.0) == 33.0
    for wrong in (['rooms', 'magic'], []):
        with pytest.raises(ValueError, match='accepted are tests, training, .*rooms'):
            accelerator.chosen(wrong)


def test_outcomes_are_counted_by_file():
    file = 'tests/a/test_b.py'
    found = [{'backend': 'gpu', 'device': 'H'}]
    for name, outcome in (('one', 'passed'), ('two', 'failed'), ('three', 'failed')):
        found.append({'test': f'{file}::{name}', 'outcome': 'started'})
        end = {'outcome': outcome, 'seconds': 2.0}
        end |= {'error': f'bad {name}'} if outcome == 'failed' else {}
        found.append({'test': f'{file}::{name}', **end})
    found.append({'test': f'{file}::four', 'outcome': 'started'})
    again = [{'test': f'{file}::two', 'outcome': 'passed', 'seconds': 1.0}]
    again.append({'test': f'{file}::three', 'outcome': 'failed', 'seconds': 1.0, 'error': 'bad'})
    (row,) = tests_there.by_file(found, again)
    assert (row['passed'], row['failed'], row['skipped'], row['rounding']) == (1, 2, 0, 1)
    assert row['failures'] == {'two': 'bad two', 'three': 'bad three'}
    assert (row['hung'], row['seconds'], row['device']) == ('four', 6.0, 'H')


def test_the_page_has_the_newest_run_of_each_part():
    row = {'part': 'input', 'input': 'JPEGs', 'device': 'H', 'batch': 4, 'step_ms': 10.0}
    end = {'part': 'input', 'how': 'done', 'seconds': 3.0, 'limit_seconds': 9.0, 'words': 'x'}
    end |= {'date': '2026-11-30', 'machine': {'jax': '1.2'}, 'toy': True}
    rows = [
        {**row, 'run': 'a', 'share': 0.5, 'fixed_batch_ms': 5.0},
        {**end, 'run': 'a'},
        {**row, 'run': 'b', 'share': 0.25, 'fixed_batch_ms': 7.5},
        {**end, 'run': 'b', 'how': 'failed', 'words': 'Out | of memory'},
        {'part': 'torch', 'run': 'b', 'error': 'no PyTorch'},
    ]
    page = tables.page(rows, {'input': 'Waits', 'torch': 'PyTorch', 'rooms': 'Rooms'})
    assert '| JPEGs | H | 4 | 25.0% | 10 | 7.5 |' in page and '50.0%' not in page
    assert '2026-11-30, toy sizes, 3 s of 9: failed (Out / of memory). jax 1.2.' in page
    assert '## PyTorch\n\n- no PyTorch\n\nThe run was cut off.' in page and 'Rooms' not in page


def test_networks_are_the_published_ones_and_their_cells_at_toy_size():
    plans = image_networks.plans(toy=False)
    assert list(plans) == ['condensenet-86', 'dpp-net-panacea']
    assert {(plan[0].out_size, plan[-1].out_channels) for plan in plans.values()} == {(32, 10)}
    for plan in image_networks.plans(toy=True).values():
        assert {'lgconv', 'conv', 'bn'} <= {layer.op for layer in plan} and len(plan) < 30


def test_a_missing_pytorch_is_a_row_of_the_worker(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    path = tmp_path / 'rows.jsonl'
    worker.measure('torch', path, 1.0, {'part': 'torch', 'run': 'a'}, toy=True)
    (row,) = limited.read_rows(path)
    assert row['error'].startswith('PyTorch cannot be imported') and row['run'] == 'a'


def test_rooms_are_asked_to_stop_in_time_and_go_on_from_their_checkpoint(tmp_path, monkeypatch):
    calls = []

    def training(command, log, seconds, grace):
        calls.append((command, seconds + grace))
        workdir = tmp_path / 'rooms'
        step = 40 * len(calls)
        (workdir / 'checkpoints' / str(step)).mkdir(parents=True)
        (workdir / 'checkpoints' / str(step) / 'state').write_bytes(bytes(1000))
        for done in (step - 30, step - 10):
            row = {'step': done, 'loss': 1 / done, 'steps_per_second': 2.0}
            limited.add_row(workdir / 'metrics.jsonl', row)
        return limited.Ended('out of time', seconds, '')

    monkeypatch.setattr(limited, 'run', training)
    (first,), ended = rooms_run.run(tmp_path, 100.0, toy=False)
    (second,), _ = rooms_run.run(tmp_path, 100.0, toy=False)
    assert ended.how == 'done' and calls[0][1] == 100.0
    assert '--flagfile=experiments/flagfiles/rooms_gpu.flags' in calls[0][0]
    assert (first['from_step'], first['to_step']) == (0, 40)
    assert (second['from_step'], second['to_step'], second['checkpoint_bytes']) == (40, 80, 1000)
    assert second['first_loss'] == 1 / 50 and second['last_loss'] == 1 / 70
    nothing = lambda *unused, **options: limited.Ended('out of time', 1.0, '')
    monkeypatch.setattr(limited, 'run', nothing)
    assert rooms_run.run(tmp_path, 100.0, toy=False) == ([], nothing())


def _command(*arguments):
    command = [sys.executable, 'experiments/benchmarks/accelerator.py', *arguments]
    environment = compiling.environment()
    return subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )


def test_an_unknown_part_ends_in_a_sentence(tmp_path):
    done = _command('--parts=tests,magic', f'--output={tmp_path / "new"}')
    assert done.returncode == 1 and "--parts is 'tests,magic'; accepted are" in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'new').exists()


@pytest.mark.slow
@pytest.mark.parametrize('part', ['tests', 'training', 'geometry', 'networks', 'input'])
def test_a_part_runs_at_toy_size(tmp_path, part):
    done = _command('--toy', f'--parts={part}', '--minutes=8', f'--output={tmp_path}')
    assert done.returncode == 0, done.stderr
    *rows, end = limited.read_rows(tmp_path / 'accelerator.jsonl')
    assert end['how'] == 'done' and rows, end
    assert {row['device'] for row in rows} == {'cpu'}
    page = (tmp_path / 'accelerator.md').read_text()
    assert accelerator.PARTS[part][1] in page and page in done.stdout
    if part == 'tests':
        assert rows[0]['failed'] == 0 < rows[0]['passed']
    elif part == 'geometry':
        assert [row['what'] for row in rows] == ['bundle', 'sweep']
        assert rows[1]['score'] < 0.5
    elif part == 'input':
        assert len(rows) == 3 and all(0 <= row['share'] < 1 for row in rows)
    elif part == 'networks':
        found = [(row['network'], row['dtype']) for row in rows]
        types = ('float32', 'bfloat16')
        assert found == [(n, t) for n in ('condensenet', 'dpp-net-panacea') for t in types]
        assert rows[0]['steps_per_second'] == pytest.approx(1e3 / rows[0]['step_ms'])
    else:
        assert rows[0]['loss'] > 0 and rows[0]['peak_bytes'] > 1e6
