"""A job without a result, as a value in place of an exception."""

import dataclasses
from collections.abc import Mapping

KINDS = ('failed', 'stopped')


@dataclasses.dataclass(frozen=True)
class Failure:
    """An evaluation without a result; it counts in the budget.

    Attributes:
        reason: one sentence.
        status: 'failed', or 'stopped' for a candidate that early stopping ended.
        objectives: what was measured of a stopped candidate; the surrogate learns from it, but it
            never enters the front.
    """

    reason: str
    status: str = 'failed'
    objectives: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.status not in KINDS:
            raise ValueError(
                f'status {self.status!r} of a failure is unknown; accepted: failed, stopped'
            )
