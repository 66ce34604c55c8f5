"""A search that is prepared: its cells, their evaluation, and what its report says about both."""

import dataclasses
from collections.abc import Callable
from typing import Any

from nas.search.earlier.provenance import UNKNOWN, Provenance
from nas.search.evaluations import Evaluation
from nas.search.report.picks import Noise
from nas.search.space import Space


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A prepared search: a space, the evaluation of its cells, and texts about both.

    Attributes:
        space: the cells.
        objectives: what is minimised.
        evaluate: see `nas.search.loop.run`.
        title: of the report.
        reference: worst values that count, by objective.
        record: further entries of run.json.
        made_with: what values are made with.
        inputs: digests of what is read, by flag.
        extra: function of the evaluations, for further entries of search.json.
        noise: standard error of the error of an evaluation.
        quiet: least number of seconds between two lines.
    """

    space: Space
    objectives: tuple[str, ...]
    evaluate: Any
    title: str
    reference: dict[str, float] = dataclasses.field(default_factory=dict)
    record: dict[str, Any] = dataclasses.field(default_factory=dict)
    made_with: Provenance = UNKNOWN
    inputs: dict[str, str | None] = dataclasses.field(default_factory=dict)
    extra: Callable[[list[Evaluation]], dict] = lambda evaluations: {}
    noise: Noise | None = None
    quiet: float = 0.0
