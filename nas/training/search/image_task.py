"""Classification as a task: cells on a skeleton, trained on images."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nas.cells import cost, plan
from nas.cells.cell import Cell
from nas.cells.own_ops import NONE, OwnOps
from nas.cells.plan import Plan
from nas.cells.skeleton import Skeleton
from nas.search.rungs import Rungs
from nas.training import evaluate
from nas.training.config import EvaluationConfig, RecipeConfig
from nas.training.evaluate import Job
from nas.training.objectives.functions import OwnObjective

_SMALL = Cell.parse('bn_relu-conv1x1')


@dataclasses.dataclass(frozen=True)
class ImageTask:
    """Cells that are trained to classify images; see `nas.training.search.task.Task`.

    Attributes:
        skeleton: where cells are placed.
        data: text for `open_images`.
        recipe, evaluation: how candidates are trained and what is held out.
        image_cache: folder for decoded images, or None.
        ops: own ops, for the processes that train candidates.
        own: objectives of the user's own.
    """

    skeleton: Skeleton
    data: str
    recipe: RecipeConfig
    evaluation: EvaluationConfig
    image_cache: str | None = None
    ops: OwnOps = NONE
    own: tuple[OwnObjective, ...] = ()

    also = ' and your own functions (--objective)'

    @property
    def objectives(self) -> tuple[str, ...]:
        """Counts of a cell, accuracy, and the user's own objectives."""
        return (*cost.Cost._fields, 'accuracy', *(one.name for one in self.own))

    @property
    def run(self) -> Callable:
        """The function of `job`."""
        return evaluate.run_job

    @property
    def reference(self) -> Plan:
        """A small network."""
        return self.network(_SMALL)

    def network(self, cell: Cell) -> Plan:
        """The plan of a cell on the skeleton."""
        return plan.build(cell, self.skeleton)

    def counts(self, cell: Cell) -> dict[str, float]:
        """Parameters, FLOPs and multiply-adds of the deployed network."""
        return cost.count(self.network(cell))._asdict()

    def job(
        self,
        cell: Cell,
        *,
        seed: int,
        rungs: Rungs | None,
        costs: Mapping[str, float],
        measured: Mapping[str, Any],
    ) -> Job:
        """The job of a cell, see `Task.job`."""
        return Job(
            cell,
            self.skeleton,
            self.data,
            self.recipe,
            seed,
            self.evaluation,
            rungs,
            costs,
            self.image_cache,
            self.ops,
            measured,
            self.own,
        )
