"""Trains candidates on a Ray cluster, each in a process of its own on any node with room."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from common.executors import isolated
from common.executors.base import describe
from common.patience import Lost, Unavailable


class RayExecutor:
    """See `common.executors.base.Executor`. The project has to be installed on every node.

    Ray's own workers never use a device: each of them starts a process for its candidate, like
    `ProcessExecutor`. If a node dies, its candidates start again elsewhere, and are `Lost` after
    some attempts; a candidate that crashes by itself is a failure.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        cpus_per_candidate: float = 1,
        devices_per_candidate: float = 0,
        timeout: float | None = None,
        max_retries: int = 2,
        platform: str | None = None,
        compilation_cache: str | None = None,
    ):
        """Joins a cluster, or starts one on this machine.

        Args:
            address: of the cluster; 'auto' for the cluster that this machine is part of, None for a
                new local one.
            cpus_per_candidate, devices_per_candidate: what Ray reserves on a node; with a fraction
                of a device, candidates share it.
            timeout: seconds for one candidate once it runs.
            max_retries: how often a candidate whose node died is started again.
            platform, compilation_cache: as for `ProcessExecutor`.

        Raises:
            ValueError: if Ray is not installed or the cluster cannot be reached.
        """
        try:
            self._ray = importlib.import_module('ray')
        except ImportError as error:
            raise ValueError(
                "the ray executor needs Ray: pip install 'pano-dppnet[ray]'"
            ) from error
        if not self._ray.is_initialized():
            try:
                dashboard = False if address is None else None  # only a new cluster takes this
                self._ray.init(address=address, log_to_driver=False, include_dashboard=dashboard)
            except (ConnectionError, RuntimeError, ValueError) as error:
                where = address or 'this machine'
                raise ValueError(f'Ray cannot be reached at {where}: {describe(error)}') from error
        environment = {isolated.PREALLOCATE: 'false'} if devices_per_candidate % 1 else {}
        if platform is not None:
            environment[isolated.PLATFORM] = platform
        if compilation_cache is not None:
            environment[isolated.CACHE] = str(compilation_cache)
        self._options = {'environment': environment, 'timeout': timeout}
        self._task = self._ray.remote(
            num_cpus=cpus_per_candidate, num_gpus=devices_per_candidate, max_retries=max_retries
        )(isolated.run)

    def nodes(self) -> list[str]:
        """Addresses of the nodes that are alive."""
        return [node['NodeManagerAddress'] for node in self._ray.nodes() if node['Alive']]

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yields (index, what came of it), see `Executor`; leaving the loop cancels the rest."""
        isolated.check_importable(function)
        # The call itself submits the jobs, before the first result is asked for.
        try:
            waiting = {
                self._task.remote(function, job, **self._options): index
                for index, job in enumerate(jobs)
            }
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise Unavailable(f'Ray takes no candidates: {describe(error)}') from error
        return self._results(waiting)

    def _results(self, waiting: dict) -> Iterator[tuple[int, Any]]:
        try:
            while waiting:
                (reference,), _ = self._wait(list(waiting))
                try:
                    result = self._ray.get(reference)
                except self._ray.exceptions.RayTaskError as error:
                    # The candidate's own errors are results, so that this one is the worker's.
                    result = Unavailable(f'Ray could not run the candidate: {_last_line(error)}')
                except self._ray.exceptions.RayError as error:
                    result = Lost(f'Ray lost the candidate: {describe(error)}')
                yield waiting.pop(reference), result
        finally:
            for reference in waiting:
                self._ray.cancel(reference, force=True)

    def _wait(self, references: list) -> tuple[list, list]:
        try:
            return self._ray.wait(references, num_returns=1)
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise Unavailable(f'Ray does not answer: {describe(error)}') from error


def _last_line(error: BaseException) -> str:
    """The last line of an error whose text ends with a traceback."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:400]
