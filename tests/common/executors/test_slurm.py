"""The Slurm executor with submitit's local cluster, and with commands in place of Slurm's."""

import importlib
import os
import re
import shutil
import stat
import sys
import textwrap

import pytest

from common.executors.slurm import SlurmExecutor
from common.patience import Lost, Unavailable
from nas.search.evaluations import Failure
from tests.common.executors import jobs

submitit = pytest.importorskip(
    'submitit', reason="needs submitit: pip install 'pano-dppnet[slurm]'"
)
LOCAL = {'cluster': 'local'}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """A job that ended without a result waits for it no longer than a second."""
    monkeypatch.setattr(submitit.Job, '_results_timeout_s', 1)


def make(folder, **options):
    given = {'folder': folder / 'jobs', 'options': LOCAL, 'platform': 'cpu', 'poll': 0.1} | options
    return SlurmExecutor(**given)


def test_results_come_with_their_index_and_failures_are_their_candidates_own(tmp_path):
    names = ['raise', 'kill', 'sleep', 'fine', 'notice']
    results = dict(make(tmp_path, timeout=15, max_retries=0).map(jobs.misbehave, names))
    assert results[0] == Failure('the cell is no good') and results[3] == 'fine'
    assert 'SIGKILL' in results[1].reason and results[2] == Failure('no result within 15 s')
    # Slurm sends this signal before it ends a job.
    assert isinstance(results[4], Lost) and 'was lost' in str(results[4])
    assert any(path.name.endswith('_log.err') for path in (tmp_path / 'jobs').iterdir())
    assert not list(make(tmp_path).map(jobs.square, []))


def test_a_lost_job_is_submitted_again_once(tmp_path):
    given = [(str(tmp_path / 'once'), 1), (str(tmp_path / 'always'), 9)]
    results = dict(make(tmp_path).map(jobs.lose, given))
    assert results[0] == 2
    assert isinstance(results[1], Lost)
    assert re.search(r'job \d+ was lost \(finished\), see .*_log.err', str(results[1]))
    assert len((tmp_path / 'always').read_text()) == 2


def test_leaving_the_loop_cancels_what_runs(tmp_path):
    path = tmp_path / 'pid'
    loop = make(tmp_path).map(sleep_or_square, [str(path), 3])
    assert next(loop) == (1, 9)
    assert jobs.wait_until_written([path]) and jobs.wait_until(path.read_text)
    loop.close()
    assert jobs.wait_until(lambda: not os.path.exists(f'/proc/{path.read_text()}'))


def sleep_or_square(job):
    return jobs.square(job) if isinstance(job, int) else jobs.note_and_sleep(job)


FAKES = {
    # Starts the tasks of the array, each in the background.
    'sbatch': (
        """
        import os, re, subprocess, sys
        text = open(sys.argv[1]).read()
        array = re.search(r'--array=0-(\\d+)', text)
        job = str(100 + sum(name.endswith('.sh') for name in os.listdir(HOME)))
        open(os.path.join(HOME, job + '.sh'), 'w').write(text)
        for task in range(int(array[1]) + 1) if array else [None]:
            names = {'SLURM_JOB_ID': job, 'SLURM_PROCID': '0'}
            if array:
                names |= {'SLURM_ARRAY_JOB_ID': job, 'SLURM_ARRAY_TASK_ID': str(task)}
            subprocess.Popen(['bash', sys.argv[1]], env=os.environ | names, start_new_session=True,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print('Submitted batch job', job)
    """
    ),
    'srun': (
        """
        import os, sys
        start = next(i for i, word in enumerate(sys.argv) if 'python' in word)
        os.execv(sys.argv[start], sys.argv[start:])
    """
    ),
    # Says of every job what the file `states` says of it.
    'sacct': (
        """
        import os
        print('JobID|State|NodeList')
        for name in os.listdir(HOME):
            if name.endswith('.state'):
                print(name[:-6] + '|' + open(os.path.join(HOME, name)).read() + '|node')
    """
    ),
    'scancel': (
        """
        import os, sys
        open(os.path.join(HOME, 'cancelled'), 'a').write(sys.argv[1] + ' ')
    """
    ),
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder in which jobs and states of a cluster lie that consists of this machine."""
    home, commands = tmp_path / 'slurm', tmp_path / 'commands'
    home.mkdir(), commands.mkdir()
    for name, body in FAKES.items():
        path = commands / name
        path.write_text(f'#!{sys.executable}\nHOME = {str(home)!r}\n' + textwrap.dedent(body))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{commands}:{os.environ["PATH"]}')
    watcher = importlib.import_module('submitit.slurm.slurm').SlurmJob.watcher
    watcher._registered.clear(), watcher.clear()
    return home


def test_candidates_are_an_array_with_the_options_given(slurm, tmp_path):
    options = {
        'partition': 'gpu',
        'gpus_per_node': 1,
        'mem_gb': 3,
        'slurm_account': 'lab',
        'timeout_min': 7,
    }
    assert dict(make(tmp_path, options=options).map(jobs.square, [3, 4])) == {0: 9, 1: 16}
    (script,) = (path.read_text() for path in slurm.glob('*.sh'))
    for line in (
        'partition=gpu',
        'gpus-per-node=1',
        'mem=3GB',
        'account=lab',
        'time=7',
        'array=0-1%2',
    ):
        assert f'#SBATCH --{line}\n' in script


@pytest.mark.parametrize(
    'state, kind, reason, attempts',
    [
        ('TIMEOUT', Failure, 'its job reached the time limit; see .*err', 1),
        ('OUT_OF_MEMORY', Failure, 'ran out of memory', 1),
        ('CANCELLED by 7', Unavailable, 'its job was cancelled', 1),
        ('DEADLINE', Unavailable, 'before its deadline', 1),
        ('FAILED', Unavailable, 'its job failed: no reason is known|was lost', None),
        ('NODE_FAIL', Lost, r'its job \d+ was lost \(node_fail\)', 2),
        ('PREEMPTED', Lost, r'its job \d+ was lost \(preempted\)', 2),
    ],
)
def test_the_node_s_failures_are_tried_again_and_the_candidate_s_are_not(
    slurm, tmp_path, state, kind, reason, attempts
):
    (slurm.parent / 'commands' / 'srun').write_text('#!/bin/sh\n')  # jobs that end without a result
    for job in (100, 101):
        (slurm / f'{job}.state').write_text(state)
    (result,) = make(tmp_path, options={}, patience=0.5).map(jobs.square, [3])
    assert isinstance(result[1], kind) and re.search(reason, str(result[1])), result
    assert attempts is None or len(list(slurm.glob('*.sh'))) == attempts
    assert (slurm / 'cancelled').exists() == (state == 'PREEMPTED')


def test_jobs_that_cannot_be_submitted_are_asked_for_again_later(slurm, tmp_path):
    path = slurm.parent / 'commands' / 'sbatch'
    path.write_text('#!/bin/sh\necho "slurmctld is down" >&2\nexit 1\n')
    with pytest.raises(Unavailable, match='the jobs could not be submitted: .*slurmctld is down'):
        make(tmp_path, options={}).map(jobs.square, [3])


@pytest.mark.parametrize(
    'squeue',
    [
        'exit 0',  # the queue is empty
        'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1',
        'exit 1',  # nobody answers
    ],
)
def test_without_accounting_the_queue_tells_which_jobs_are_gone(slurm, tmp_path, squeue):
    for name, body in (('sacct', 'exit 1'), ('srun', 'true'), ('squeue', squeue)):
        path = slurm.parent / 'commands' / name
        path.write_text(f'#!/bin/sh\n{body}\n')
        path.chmod(0o755)
    ((_, result),) = make(tmp_path, options={}, patience=0.2, max_retries=0).map(jobs.square, [3])
    assert isinstance(result, Lost) and 'was lost (unknown)' in str(result)


def test_without_accounting_a_job_in_the_queue_is_waited_for(slurm, tmp_path):
    for name, body in (('sacct', 'exit 1'), ('squeue', 'echo RUNNING')):
        path = slurm.parent / 'commands' / name
        path.write_text(f'#!/bin/sh\n{body}\n')
        path.chmod(0o755)
    results = dict(make(tmp_path, options={}, patience=0.2).map(jobs.square, [3, 4]))
    assert results == {0: 9, 1: 16}


def test_a_missing_submitit_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(ValueError, match=r"pip install 'pano-dppnet\[slurm\]'"):
        make(tmp_path)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'cluster': 'moon'}, "cluster is 'moon'; accepted: slurm, local"),
        (LOCAL | {'colour': 3}, "options are not accepted: .*Unknown argument 'colour'"),
        (LOCAL | {'timeout_min': 'long'}, 'options are not accepted: .*timeout_min'),
        (LOCAL | {'nodes': 2}, 'nodes is 2, but a candidate is one task'),
    ],
)
def test_options_are_checked_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(tmp_path, options=options)
    assert '\n' not in str(caught.value) and not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which('srun') is not None, reason='this machine has Slurm')
def test_a_machine_without_slurm_says_so(tmp_path):
    with pytest.raises(ValueError, match='this machine cannot submit jobs to Slurm: .*srun'):
        make(tmp_path, options={})
