"""Evaluates a candidate: trains it on part of the training split, and scores it on the rest.

A candidate that is clearly dominated is stopped early. The result depends only on the candidate,
the configuration and the seed, not on the machine or on what else runs there. The test split is
never read.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from common.patience import Unavailable
from nas.cells import cost
from nas.cells import plan as plan_lib
from nas.cells.cell import Cell
from nas.cells.own_ops import NONE, OwnOps
from nas.cells.plan import Layer, Plan
from nas.cells.skeleton import Skeleton
from nas.datasets.images import Dataset
from nas.datasets.open_images import open_images
from nas.datasets.streamed import training_parts
from nas.search.rungs import Rungs
from nas.training import batches, recipe, score
from nas.training.config import EvaluationConfig, RecipeConfig
from nas.training.objectives.facts import Facts
from nas.training.objectives.functions import OwnObjective
from nas.training.search.result import Course, Point, Result, candidate_seed, saving

__all__ = ['Point', 'Result', 'candidate_seed', 'evaluate_candidate', 'run_job', 'saving']

# Enough training on the digits to rank cells, within seconds for each cell.
DIGITS_RECIPE = RecipeConfig(epochs=10, crop=1, mirror=False)
DIGITS_EVALUATION = EvaluationConfig(validation_share=0.25)
_DEFAULT = EvaluationConfig()


def evaluate_candidate(
    candidate: Cell | Plan,
    dataset: Dataset,
    config: RecipeConfig,
    *,
    seed: int,
    skeleton: Skeleton | None = None,
    evaluation: EvaluationConfig = _DEFAULT,
    rungs: Rungs | None = None,
    costs: Mapping[str, float] | None = None,
    measured: Mapping[str, float] | None = None,
    own: Sequence[OwnObjective] = (),
) -> Result:
    """Trains a candidate over all local devices and scores it on held-out images.

    Args:
        candidate: a cell, which needs a skeleton, or the plan of any network.
        dataset: its training split is used, its test split is not.
        config: the recipe.
        seed: of parameters, order and augmentation.
        skeleton: of the cell.
        evaluation: what is held out.
        rungs: early stopping, or None to train to the end.
        costs: known costs of the candidate, by which `rungs` compares it.
        measured: what a device measured, for own objectives.
        own: objectives of the user's own.

    Returns:
        The `Result`.

    Raises:
        ValueError: if the candidate makes no network, the images do not fit it, or the batch does
            not divide over the devices.
        FloatingPointError: if the loss is not finite; the message names the step.
    """
    course = Course(config.epochs, rungs=rungs, costs=costs)
    plan = _plan_of(candidate, skeleton)
    share, split_seed = evaluation.validation_share, evaluation.split_seed
    train, validation = training_parts(dataset, share, split_seed)
    check_fit(plan, dataset)
    statistics = train.statistics()
    data, held_out = batches.place(train, statistics), batches.place(validation, statistics)
    state = recipe.init_state(plan, config, steps=config.steps(len(train)), seed=seed)
    score_of = score.make_scorer(plan, dtype=config.dtype)
    ends = {
        -(-epoch * len(train) // config.batch_size): epoch for epoch in range(1, config.epochs + 1)
    }
    training = recipe.train_steps(plan, config, data, state, seed=seed)
    for done, state, _ in training:
        if done not in ends:
            continue
        scores = score_of(state, held_out)
        if course.add(Point(ends[done], scores.loss, scores.error)):
            break
    values = {}
    if own and not course.reason:
        facts = Facts(
            cell=str(candidate) if isinstance(candidate, Cell) else '',
            skeleton=skeleton,
            plan=plan,
            costs=cost.count(plan)._asdict(),
            measured=dict(measured or {}),
            error=scores.error,
            epochs=config.epochs,
            variables=jax.device_get(recipe.to_variables(state)),
        )
        values = {objective.name: objective.value(facts) for objective in own}
    return course.result(own=values)


def _plan_of(candidate: Cell | Plan, skeleton: Skeleton | None) -> Plan:
    if isinstance(candidate, Cell):
        if skeleton is None:
            raise ValueError(f'cell {str(candidate)!r} needs a skeleton')
        return plan_lib.build(candidate, skeleton)
    if (
        isinstance(candidate, tuple)
        and candidate
        and all(isinstance(layer, Layer) for layer in candidate)
    ):
        return candidate
    raise ValueError(f'candidate is {candidate!r}; a cell or a plan is accepted')


def check_fit(plan: Plan, dataset: Dataset) -> None:
    """Raises ValueError if the images or classes are not those that the network takes."""
    shape = dataset.train.images.shape[1:]
    expected = (plan[0].out_size, plan[0].out_size, plan[0].out_channels)
    if shape != expected:
        raise ValueError(
            f'{dataset.train.name} has images {shape}, but the network takes {expected}'
        )
    if len(dataset.train.classes) != plan[-1].out_channels:
        raise ValueError(
            f'{dataset.train.name} has {len(dataset.train.classes)} classes, but the network '
            f'{plan[-1].out_channels}'
        )


@dataclasses.dataclass(frozen=True)
class Job:
    """One candidate for an executor: everything that `run_job` needs, on any machine.

    Attributes:
        cell, skeleton, config, seed, evaluation, rungs, costs: see `evaluate_candidate`.
        data: text for `open_images`; its images are brought to the skeleton's size and channels.
        cache: folder for decoded images, or None.
        ops: own ops, which the process that trains the candidate loads.
        measured, own: see `evaluate_candidate`.
    """

    cell: Cell
    skeleton: Skeleton
    data: str
    config: RecipeConfig
    seed: int
    evaluation: EvaluationConfig = EvaluationConfig()
    rungs: Rungs | None = None
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cache: str | None = None
    ops: OwnOps = NONE
    measured: Mapping[str, float] = dataclasses.field(default_factory=dict)
    own: tuple[OwnObjective, ...] = ()


def run_job(job: Job) -> Result:
    """Evaluates the candidate of a job, for `Executor.map`. See `evaluate_candidate`.

    Raises:
        Unavailable: the images or the own ops cannot be read, which is not the candidate's fault.
    """
    try:
        job.ops.load()
        dataset = _dataset(job.data, job.skeleton.size, job.skeleton.channels, job.cache)
    except Exception as error:  # the search has read them before
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise Unavailable(f'what candidates need cannot be read: {reason}') from error
    return evaluate_candidate(
        job.cell,
        dataset,
        job.config,
        seed=job.seed,
        skeleton=job.skeleton,
        evaluation=job.evaluation,
        rungs=job.rungs,
        costs=job.costs,
        measured=job.measured,
        own=job.own,
    )


@functools.lru_cache(maxsize=1)
def _dataset(data: str, size: int, channels: int, cache: str | None) -> Any:
    """Opens a data set; an executor that stays in one process reads it once."""
    return open_images(data, size=size, channels=channels, cache=cache)
