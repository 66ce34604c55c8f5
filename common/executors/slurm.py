"""Trains candidates as Slurm jobs through submitit, each in a process of its own on any node."""

import contextlib
import functools
import importlib
import math
import os
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from common.executors import isolated
from common.executors.base import describe
from common.failure import Failure
from common.patience import Lost, Unavailable

# States in which the candidate was too slow or too large; another attempt would end the same way.
_FINAL = {'TIMEOUT': 'its job reached the time limit', 'OUT_OF_MEMORY': 'its job ran out of memory'}
# States in which somebody else ended the job, which is not submitted again at once.
_ENDED = {
    'CANCELLED': 'its job was cancelled',
    'DEADLINE': 'its job could not end before its deadline',
}
_PREEMPTED, _UNKNOWN = 'PREEMPTED', 'UNKNOWN'
# Signals that a job's processes get shortly before Slurm ends the job.
_NOTICES = ('SIGTERM', 'SIGUSR2')
DEFAULT_MINUTES = 60


class SlurmExecutor:
    """See `common.executors.base.Executor`. Nodes share the file system and the Python environment.

    The jobs of a call are submitted as one array. A job never uses a device itself: it starts a
    process for its candidate, like `ProcessExecutor`, so that a candidate that crashes by itself is
    a failure. If a job ends without a result, because its node died or it was preempted, the
    candidate is submitted again, and is `Lost` after some attempts.
    """

    def __init__(
        self,
        *,
        folder,
        options: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        max_retries: int = 1,
        platform: str | None = None,
        compilation_cache: str | None = None,
        patience: float = 600.0,
        poll: float = 1.0,
    ):
        """Checks the options, and that this machine can submit jobs.

        Args:
            folder: for scripts and logs of jobs, on the shared file system; created with the first
                job.
            options: of the jobs, as in submitit's `update_parameters`: timeout_min, mem_gb,
                cpus_per_task, gpus_per_node, and options of Slurm with or without the prefix
                `slurm_`: partition, account, qos, constraint, array_parallelism, ... Also
                `cluster`: 'slurm', or 'local' to run all jobs at once on this machine, for a trial.
            timeout: seconds for one candidate once it runs.
            max_retries: how often a candidate whose job was lost is submitted again.
            platform, compilation_cache: as for `ProcessExecutor`.
            patience: seconds for Slurm to requeue a preempted job, and between two questions about
                a job that the accounting (`sacct`) does not know.
            poll: seconds between two checks of the jobs.

        Raises:
            ValueError: if submitit is not installed, an option is not accepted, or this machine
                cannot submit jobs.
        """
        try:
            self._submitit = importlib.import_module('submitit')
        except ImportError as error:
            raise ValueError(
                "the slurm executor needs submitit: pip install 'pano-dppnet[slurm]'"
            ) from error
        options = dict(options or {})
        self._cluster = options.pop('cluster', 'slurm')
        if self._cluster not in ('slurm', 'local'):
            raise ValueError(f'cluster is {self._cluster!r}; accepted: slurm, local')
        for name in ('nodes', 'tasks_per_node', 'ntasks_per_node'):
            if name in options:
                raise ValueError(
                    f'{name} is {options[name]!r}, but a candidate is one task on one node; '
                    'leave it out'
                )
        minutes = DEFAULT_MINUTES if timeout is None else math.ceil(timeout / 60) + 1
        self._options = {'timeout_min': minutes, 'name': 'candidate'} | options
        self._folder, self._patience, self._poll = pathlib.Path(folder), patience, poll
        self._attempts = 1 + max_retries
        environment = {}
        if platform is not None:
            environment[isolated.PLATFORM] = platform
        if compilation_cache is not None:
            environment[isolated.CACHE] = str(compilation_cache)
        self._call = {'environment': environment, 'timeout': timeout}
        self._asked: dict[str, tuple[float, int]] = {}  # by unknown job: when, unanswered questions
        with tempfile.TemporaryDirectory(prefix='pano_dppnet_') as scratch:
            self._open(scratch)  # raises ValueError before anything is written

    def _open(self, folder):
        """Submitit's executor."""
        try:
            executor = self._submitit.AutoExecutor(folder, cluster=self._cluster)
            shared = executor._typed_parameters()
            executor.update_parameters(
                **{
                    name if name in shared or name.startswith('slurm_') else f'slurm_{name}': value
                    for name, value in self._options.items()
                }
            )
        except (AssertionError, NameError, TypeError, ValueError) as error:
            raise ValueError(f'slurm options are not accepted: {describe(error)}') from error
        except RuntimeError as error:
            raise ValueError(f'this machine cannot submit jobs to Slurm: {error}') from error
        return executor

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yields (index, what came of it), see `Executor`; leaving the loop cancels the rest."""
        isolated.check_importable(function)
        call = functools.partial(isolated.run, function, **self._call)
        # The call itself submits the jobs, before the first result is asked for.
        return self._results(call, jobs, self._submit(call, dict(enumerate(jobs))))

    def _submit(self, call: Callable, jobs: Mapping[int, Any]) -> dict[int, Any]:
        """Submits jobs; returns the jobs of submitit by the same indices."""
        if not jobs:
            return {}
        try:
            with _search_path():
                submitted = self._open(self._folder).map_array(call, list(jobs.values()))
        except (
            OSError,
            self._submitit.core.utils.FailedJobError,
            self._submitit.core.utils.FailedSubmissionError,
        ) as error:
            raise Unavailable(f'the jobs could not be submitted: {describe(error)}') from error
        return dict(zip(jobs, submitted))

    def _results(
        self, call: Callable, jobs: Sequence[Any], running: dict
    ) -> Iterator[tuple[int, Any]]:
        attempts, preempted = dict.fromkeys(running, 1), {}
        try:
            while running:
                for index, job in list(running.items()):
                    if not self._ended(job, preempted):
                        continue
                    result, lost = self._outcome(job)
                    del running[index]
                    if lost and attempts[index] < self._attempts:
                        attempts[index] += 1
                        try:
                            running |= self._submit(call, {index: jobs[index]})
                            continue
                        except Unavailable as error:
                            result = Unavailable(f'{result}; {error}')
                    yield index, result
                time.sleep(self._poll if running else 0)
        finally:
            for job in running.values():
                with contextlib.suppress(OSError):
                    job.cancel(check=False)

    def _ended(self, job, preempted: dict[str, float]) -> bool:
        """Whether a job has ended; a preempted one has not while Slurm may still requeue it."""
        if job.done():
            return True
        if job.state.startswith(_UNKNOWN):
            return self._gone(job.job_id)
        self._asked.pop(job.job_id, None)
        if not job.state.startswith(_PREEMPTED):
            preempted.pop(job.job_id, None)
            return False
        return (
            time.monotonic() - preempted.setdefault(job.job_id, time.monotonic()) > self._patience
        )

    def _gone(self, job_id: str) -> bool:
        """Whether a job that the accounting does not know has left the queue, too.

        Clusters without accounting know no job, but their queue (`squeue`) knows those that wait or
        run. A queue that does not answer three times in a row counts as one without the job.
        """
        asked, unanswered = self._asked.setdefault(job_id, (time.monotonic(), 0))
        if time.monotonic() - asked < self._patience:
            return False
        command = ['squeue', '--noheader', '--format=%T', f'--jobs={job_id}']
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
            )
            known = answer.stdout.strip() if not answer.returncode else None
            if answer.returncode and 'Invalid job id' in answer.stderr:
                known = ''
        except (OSError, subprocess.TimeoutExpired):
            known = None
        unanswered = unanswered + 1 if known is None else 0
        self._asked[job_id] = time.monotonic(), unanswered
        return known == '' or unanswered >= 3

    def _outcome(self, job) -> tuple[Any, bool]:
        """(what came of a job, whether it is worth another attempt at once)."""
        state = job.state.split()[0]
        self._asked.pop(job.job_id, None)
        lost = Lost(f'its job {job.job_id} was lost ({state.lower()}), see {job.paths.stderr}')
        if not job.done():
            job.cancel(check=False)
            return lost, True
        try:
            error = job.exception()
            if error is None:
                result = job.result()
                ended = isinstance(result, Failure) and any(
                    name in result.reason for name in _NOTICES
                )
                return (lost if ended else result), ended
        except Exception as unreadable:  # a file that a full or failing disk has cut short
            error = unreadable
        if state in _FINAL:
            return Failure(f'{_FINAL[state]}; see {job.paths.stderr}'), False
        if state in _ENDED:
            return Unavailable(f'{_ENDED[state]}; see {job.paths.stderr}'), False
        if isinstance(error, self._submitit.core.utils.FailedJobError):
            # The candidate's own errors are results, so that this one is the job's.
            last = next(
                (line for line in reversed(str(error).splitlines()) if 'Error: ' in line), ''
            )
            reason = f'its job failed: {last or "no reason is known"}; see {job.paths.stderr}'
            return Unavailable(reason), False
        return lost, True


@contextlib.contextmanager
def _search_path():
    """Lets jobs import what this process can: Slurm passes this environment on to them."""
    before = os.environ.get('PYTHONPATH')
    os.environ['PYTHONPATH'] = isolated.search_path()
    try:
        yield
    finally:
        if before is None:
            del os.environ['PYTHONPATH']
        else:
            os.environ['PYTHONPATH'] = before
