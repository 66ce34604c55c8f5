"""Depth networks as a task of the search: what candidates are, and what trains them."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from common.run import atomic_path
from experiments.depth_search import training
from experiments.depth_search.cell import DepthCell, costs_of, model_of
from experiments.depth_search.config import DepthRecipe, RoomsConfig
from experiments.depth_search.frames import open_frames
from experiments.depth_search.model import DepthModel
from experiments.depth_search.space import faces_of
from experiments.depth_search.training import DepthResult
from nas.search.rungs import Rungs
from pano_depth.learning.cells import cost
from pano_depth.learning.model import ModelConfig

PREDICTIONS = 'predictions'  # folder of the depth that candidates see in the first unseen frame


@dataclasses.dataclass(frozen=True)
class DepthJob:
    """One candidate for an executor; `training.train` explains the fields."""

    model: ModelConfig
    rooms: RoomsConfig
    recipe: DepthRecipe
    seed: int
    rungs: Rungs | None
    costs: Mapping[str, float]


def run_job(job: DepthJob) -> DepthResult:
    """Trains and scores a candidate. Raises OSError where its frames can neither be read nor made.

    A process on another machine renders frames of its own if it does not see those of the search.
    """
    frames, unseen = open_frames(job.rooms)
    return training.train(
        job.model, job.recipe, frames, unseen, seed=job.seed, rungs=job.rungs, costs=job.costs
    )


@dataclasses.dataclass(frozen=True)
class DepthTask:
    """Depth networks, trained on rendered rooms; see `nas.training.search.task.Task`.

    Attributes:
        rooms, recipe: how candidates are trained.
        workdir: of the search; it keeps the depth that each candidate sees in one unseen frame.
    """

    rooms: RoomsConfig
    recipe: DepthRecipe
    workdir: pathlib.Path

    objectives = (*cost.Cost._fields, 'accuracy')

    @property
    def run(self) -> Callable[[DepthJob], DepthResult]:
        """The function of `job`."""
        return run_job

    @property
    def reference(self) -> DepthModel:
        """A small network."""
        face = faces_of(self.rooms.panorama_height)[-1]
        return self.network(DepthCell(('bn_relu', 'conv1x1'), widths='xs', face=face))

    def network(self, cell: DepthCell) -> DepthModel:
        """The network of a cell."""
        return DepthModel(model_of(cell), self.rooms.panorama_height)

    def counts(self, cell: DepthCell) -> dict[str, float]:
        """Exact costs of the deployed network."""
        return costs_of(cell)

    def job(
        self,
        cell: DepthCell,
        *,
        seed: int,
        rungs: Rungs | None,
        costs: Mapping[str, float],
        measured: Mapping[str, float],
    ) -> DepthJob:
        """Everything that `run` needs."""
        del measured
        return DepthJob(model_of(cell), self.rooms, self.recipe, seed, rungs, costs)

    def kept(self, cell: DepthCell, result: DepthResult) -> dict[str, Any]:
        """Writes the depth that the candidate sees in the first unseen frame."""
        with atomic_path(prediction_path(self.workdir, cell)) as temporary:
            np.save(temporary, result.shown)
        return {}


def prediction_path(workdir: pathlib.Path, cell: DepthCell) -> pathlib.Path:
    """Where the depth that a candidate sees in the first unseen frame is kept."""
    name = hashlib.sha256(cell.key.encode()).hexdigest()[:16]
    return workdir / PREDICTIONS / f'{name}.npy'
