"""Executors in this process and in one process for each candidate."""

import functools
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from common.executors import isolated, worker
from common.executors import process as process_module
from common.executors.process import ProcessExecutor
from common.executors.serial import SerialExecutor
from common.patience import Unavailable
from nas.search.evaluations import Failure
from tests.common.executors import jobs

ROOT = pathlib.Path(process_module.__file__).parents[2]


def alive(pid):
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        return pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize('executor', [SerialExecutor(), ProcessExecutor(workers=2)])
def test_results_come_with_their_index(executor):
    assert dict(executor.map(jobs.square, [3, 4, 5])) == {0: 9, 1: 16, 2: 25}
    assert not list(executor.map(jobs.square, []))


def test_an_exception_is_the_failure_of_its_candidate():
    results = dict(SerialExecutor().map(jobs.misbehave, ['raise', 'diverge', 'memory', 'fine']))
    assert results == {
        0: Failure('the cell is no good'),
        1: Failure('loss is not finite at step 7'),
        2: Failure('MemoryError'),
        3: 'fine',
    }


def test_crash_kill_and_bad_results_are_failures_of_their_candidates_only():
    names = ['raise', 'kill', 'exit', 'quit', 'lambda', 'fine']
    results = dict(ProcessExecutor(workers=2).map(jobs.misbehave, names))
    assert all(isinstance(results[i], Failure) for i in range(5)) and results[5] == 'fine'
    reasons = [
        'the cell is no good',
        'killed by SIGKILL.*memory',
        'status 3: device on fire',
        'status 0: it printed nothing',
        'lambda',
    ]
    for index, reason in enumerate(reasons):
        assert re.search(reason, results[index].reason), results[index]


@pytest.mark.parametrize('executor', [SerialExecutor(), ProcessExecutor(workers=2)])
@pytest.mark.parametrize(
    'job, reason',
    [
        ('disk', r"^OSError: \[Errno 28\] No space left on device: '/data'$"),
        ('refused', '^ConnectionRefusedError: connection refused$'),
        ('away', '^the images are away$'),
    ],
)
def test_files_disks_and_networks_are_not_the_candidate_s_fault(executor, job, reason):
    ((_, result),) = executor.map(jobs.lose_the_ground, [job])
    assert type(result) is Unavailable and re.search(reason, str(result)), result


def test_the_serial_executor_stops_where_something_is_missing():
    assert dict(SerialExecutor().map(jobs.lose_the_ground, ['fine', 'away', 'fine'])).keys() == {
        0,
        1,
    }


def test_a_process_that_does_not_come_to_its_candidate_is_not_the_candidate_s_fault():
    results = dict(ProcessExecutor(workers=2).map(jobs.square, [jobs.Unreadable(), 3]))
    assert type(results[0]) is Unavailable and results[1] == 9
    assert re.search(
        'status 1: ModuleNotFoundError: .*no_such_module.*outside of the evaluation',
        str(results[0]),
    )


def test_a_process_that_cannot_be_started_is_not_the_candidate_s_fault(monkeypatch):
    monkeypatch.setattr(isolated.sys, 'executable', '/no/such/python')
    ((_, result),) = ProcessExecutor().map(jobs.square, [3])
    assert type(result) is Unavailable and '/no/such/python' in str(result)


def test_a_result_that_cannot_be_written_is_not_the_candidate_s_fault(tmp_path):
    job, result = tmp_path / 'job', tmp_path / 'result'
    job.write_bytes(pickle.dumps((jobs.square, 3)))
    result.mkdir()  # a disk that refuses the file
    command = [sys.executable, '-m', 'common.executors.worker', str(job), str(result)]
    # The process would end with its standard input.
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    with started, started.stderr as errors:
        assert b'IsADirectoryError' in errors.read()
    # It ends with an error after the candidate.
    assert started.returncode == 1 and not (tmp_path / worker.RUNNING).exists()


def test_a_candidate_that_takes_too_long_is_a_failure():
    results = dict(ProcessExecutor(timeout=0.5).map(jobs.misbehave, ['sleep']))
    assert results == {0: Failure('no result within 0.5 s')}


def test_workers_get_their_devices_platform_and_cache():
    executor = ProcessExecutor(
        workers=3,
        platform='cpu',
        devices=['0', '1', '2', '3'],
        devices_per_candidate=2,
        compilation_cache='somewhere',
    )
    results = [result for _, result in executor.map(jobs.environment, range(3))]
    assert len({pid for _, pid in results}) == 3
    assert sorted(variables['CUDA_VISIBLE_DEVICES'] for variables, _ in results) == [
        '0,1',
        '0,1',
        '2,3',
    ]
    for variables, _ in results:
        assert (
            variables['JAX_PLATFORMS'] == 'cpu'
            and variables['JAX_COMPILATION_CACHE_DIR'] == 'somewhere'
        )
        assert variables['XLA_PYTHON_CLIENT_PREALLOCATE'] == 'false'  # two of them share devices


def test_leaving_the_loop_ends_the_processes(tmp_path):
    paths = [tmp_path / 'a', tmp_path / 'b']
    loop = ProcessExecutor(workers=3).map(sleep_or_square, [*map(str, paths), 3])
    assert next(loop) == (2, 9)
    assert wait_for(lambda: all(path.exists() and path.read_text() for path in paths))
    loop.close()
    assert wait_for(lambda: not any(alive(path.read_text()) for path in paths))


def sleep_or_square(job):
    return jobs.square(job) if isinstance(job, int) else jobs.note_and_sleep(job)


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGKILL])
def test_candidates_end_with_the_search(tmp_path, sent):
    # A shell starts background jobs with Ctrl-C ignored, which children inherit.
    script = textwrap.dedent(f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from common.executors.process import ProcessExecutor
        from tests.common.executors import jobs
        list(ProcessExecutor().map(jobs.note_and_sleep, [{str(tmp_path / 'pid')!r}]))
    """)
    search = subprocess.Popen(
        [sys.executable, '-c', script],
        stderr=subprocess.DEVNULL,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )
    assert wait_for(lambda: (tmp_path / 'pid').exists() and (tmp_path / 'pid').read_text())
    assert alive((tmp_path / 'pid').read_text())
    search.send_signal(sent)
    search.wait(20)
    assert wait_for(lambda: not alive((tmp_path / 'pid').read_text()))


def test_functions_that_no_other_process_can_import_are_refused():
    for function in (lambda job: job, functools.partial(lambda job, x: job, 3)):
        with pytest.raises(ValueError, match='cannot be sent to another process'):
            next(ProcessExecutor().map(function, [1]))


@pytest.mark.parametrize(
    'options, message',
    [
        ({'workers': 0}, 'workers is 0'),
        ({'timeout': 0}, 'timeout is 0'),
        ({'devices_per_candidate': 3, 'devices': ['0']}, 'is 3, but there are 1'),
        ({'devices_per_candidate': 0}, 'devices_per_candidate is 0'),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ProcessExecutor(**options)
