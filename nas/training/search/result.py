"""What the training of a candidate gives, whatever the task is."""

import dataclasses
import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nas.search.evaluations import Failure
from nas.search.rungs import Rungs


@dataclasses.dataclass(frozen=True)
class Point:
    """State of a training after some epochs: loss and error (percent) of what is held out."""

    epoch: int
    loss: float
    error: float


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a candidate's training.

    Attributes:
        error: in percent, of what is held out, after the last epoch trained.
        seconds: of the whole evaluation, compilation included.
        epochs, planned_epochs: epochs that were trained, and epochs of a full training.
        curve: points in the course of the training, the last one at its end.
        rung_errors: the lowest error so far at each rung that it reached.
        status: 'ok', or 'stopped' by early stopping.
        reason: why it was stopped.
        own: objectives of the user's own, by name; none of a stopped candidate.
    """

    error: float
    seconds: float
    epochs: int
    planned_epochs: int
    curve: tuple[Point, ...]
    rung_errors: tuple[float, ...] = ()
    status: str = 'ok'
    reason: str = ''
    own: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def outcome(self, measured: Mapping[str, float] | None = None) -> dict[str, float] | Failure:
        """The result for `Search.tell`: measured objectives, or a `Failure` if stopped."""
        objectives = {'error': self.error, **(measured or {}), **self.own}
        if self.status == 'ok':
            return objectives
        return Failure(self.reason, status='stopped', objectives=objectives)


class Course:
    """The course of a candidate's training so far, and what early stopping says to it.

    Attributes:
        stops: epochs after which the candidate is compared with others, in order.
        reason: why it has been stopped; '' if it has not.
    """

    def __init__(
        self, epochs: int, *, rungs: Rungs | None = None, costs: Mapping[str, float] | None = None
    ):
        """Begins, with the clock.

        Args:
            epochs: of a full training.
            rungs: early stopping, or None to train to the end.
            costs: known costs of the candidate, by which `rungs` compares it.
        """
        self._started, self._epochs = time.monotonic(), epochs
        self._rungs, self._costs = rungs, costs or {}
        self.stops = rungs.epochs(epochs) if rungs else ()
        self._points, self._rung_errors, self.reason = [], [], ''

    def add(self, point: Point) -> bool:
        """Takes in a point; returns whether the candidate is stopped there."""
        self._points.append(point)
        if point.epoch in self.stops:
            # The lowest error so far: the error of a single epoch at a high learning rate, or just
            # after a pruning event, is far too high.
            lowest = min(one.error for one in self._points)
            self._rung_errors.append(lowest)
            rung = len(self._rung_errors) - 1
            self.reason = self._rungs.dominated(self._costs, rung, lowest) or ''
        return bool(self.reason)

    def result(self, kind: type[Result] = Result, **more: Any) -> Result:
        """The result of the last point.

        Args:
            kind: `Result` or a subclass.
            **more: further fields.
        """
        last = self._points[-1]
        return kind(
            last.error,
            time.monotonic() - self._started,
            last.epoch,
            self._epochs,
            tuple(self._points),
            tuple(self._rung_errors),
            'stopped' if self.reason else 'ok',
            self.reason,
            **more,
        )


def saving(results: Sequence[Result]) -> float:
    """The part of all planned epochs that early stopping saved, in [0, 1]; 0 without results."""
    planned = sum(result.planned_epochs for result in results)
    return 1 - sum(result.epochs for result in results) / planned if planned else 0.0


def candidate_seed(seed: int, cell) -> int:
    """The seed of a candidate: the same on any machine.

    Args:
        seed: of the search.
        cell: its `key` counts, or its text if it has none.
    """
    key = getattr(cell, 'key', str(cell))
    return int.from_bytes(hashlib.sha256(f'{seed}:{key}'.encode()).digest()[:4], 'big')
