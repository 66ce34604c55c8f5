"""What the training of a candidate gives, whatever the task is."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from nas.search.evaluations import Failure


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
        curve: a point for every epoch trained.
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
