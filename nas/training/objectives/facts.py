"""What an objective of the user's own is computed from."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from nas.cells.plan import Plan
from nas.cells.skeleton import Skeleton


@dataclasses.dataclass(frozen=True)
class Facts:
    """One candidate, after it was trained.

    An own objective is a function `f(facts) -> float`. It is called once for each candidate, in the
    process that has trained it.

    Attributes:
        cell: tokens joined by hyphens; '' if the candidate is no cell.
        skeleton: where the cell is placed, or None.
        plan: the layers of the network in order, records with op, channels, size, stride, groups.
        costs: `params`, `flops` and `macs` of the deployed network.
        measured: what the device measures for the objectives and constraints, such as `latency_ms`.
        error: percent of the held-out images.
        epochs: that it was trained.
        variables: the trained network as a tree of NumPy arrays, as in Flax: `params`, and what
            else it has, such as `batch_stats`.
    """

    cell: str
    skeleton: Skeleton | None
    plan: Plan
    costs: Mapping[str, float]
    measured: Mapping[str, float]
    error: float
    epochs: int
    variables: Any
