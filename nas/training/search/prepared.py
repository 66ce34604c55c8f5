"""A search that is prepared: its cells, their evaluation, and what its report says about both."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

from nas.search.earlier.provenance import UNKNOWN, Provenance
from nas.search.evaluations import Evaluation
from nas.search.report.page import Blocks, NextSteps
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
        writes: names of what the search writes besides its results, see `RunDirectory.writes`.
        write: called once with the run directory, before the first evaluation of each run.
        next_steps: gives the commands that come next for a role, for the report; may write files.
        blocks: adds to the report, behind the chosen cells.
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
    writes: tuple[str, ...] = ()
    write: Callable[[pathlib.Path], None] = lambda folder: None
    next_steps: NextSteps | None = None
    blocks: Blocks | None = None
