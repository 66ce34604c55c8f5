"""What a search needs to know of a task, such as classification: how candidates are evaluated."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from nas.devices.base import Network
from nas.search.evaluations import Failure
from nas.search.rungs import Rungs
from nas.training.search.result import Result


class Task(Protocol):
    """How cells become networks, and what trains them.

    Attributes:
        objectives: names of what is known of a candidate besides `error` and what a device
            measures: the names of `counts`, `accuracy` if that is 100 minus the error, and the
            names in `Result.own`.
        run: a function of a module, which any process can load by its name. It takes a job and
            returns its `Result`, or a `Failure`; it raises `Unavailable` for what is not the
            candidate's fault. A result of a subclass may carry more, for `kept`.
        reference: a small network, which tells a device that is away from one that cannot run
            another network.

    A task may also have `kept`, see there, and `also`, the end of the sentence that refuses an
    unknown objective.
    """

    objectives: tuple[str, ...]
    run: Callable[[Any], Result | Failure]
    reference: Network

    def network(self, cell) -> Network:
        """The deployed network of a cell. Raises ValueError if it makes none."""
        ...

    def counts(self, cell) -> dict[str, float]:
        """Exact costs of the deployed network; `params` and `flops` are among them."""
        ...

    def job(
        self,
        cell,
        *,
        seed: int,
        rungs: Rungs | None,
        costs: Mapping[str, float],
        measured: Mapping[str, float],
    ) -> Any:
        """Everything that `run` needs, on any machine; it can be pickled.

        Args:
            cell: the candidate.
            seed: of its training.
            rungs: early stopping, or None to train to the end.
            costs: known costs of the candidate, by which `rungs` compares it.
            measured: what the device measured.
        """
        ...

    def kept(self, cell, result: Result) -> dict[str, Any]:
        """Further entries of the candidate's record; may write files. Optional.

        Args:
            cell: the candidate.
            result: what `run` returned.
        """
        ...
