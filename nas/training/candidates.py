"""Evaluates the candidates of a search on images: first measures them, then trains them."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.cells import cost, plan
from nas.cells.cell import Cell
from nas.cells.skeleton import Skeleton
from nas.devices import cache as measurements
from nas.devices.base import Device, DeviceError
from nas.executors.base import Executor, describe
from nas.search.evaluations import Evaluation, Failure, Outcome
from nas.search.rungs import Rungs
from nas.training import evaluate
from nas.training.evaluate import EvaluationConfig, Job, Result
from nas.training.recipe import RecipeConfig

# Measured objectives, and the fields of a measurement that hold them.
MEASURED = {'latency_ms': 'latency_ms', 'memory_mb': 'memory_mb'}
OBJECTIVES = ('error', *MEASURED, *cost.Cost._fields)


class Candidates:
    """Evaluates batches of cells for `nas.search.loop.run`.

    A batch is first measured on the device, one cell after the other with nothing else running
    (latency does not depend on the weights); then its cells are trained by the executor.
    """

    def __init__(
        self,
        *,
        skeleton: Skeleton,
        data: str,
        recipe: RecipeConfig,
        evaluation: EvaluationConfig,
        executor: Executor,
        device: Device | None,
        objectives: Sequence[str],
        seed: int,
        rungs: Rungs | None = None,
        image_cache: str | None = None,
        measurement_cache: measurements.Cache | None = None,
    ):
        """Checks the objectives.

        Args:
            skeleton: where cells are placed.
            data: text for `open_images`.
            recipe, evaluation: how candidates are trained and what is held out.
            executor: who trains them.
            device: what they are measured on; None if no objective is measured.
            objectives: names of the objectives, and of other values that constraints limit.
            seed: of the search; each candidate's own seed follows from it and from the cell.
            rungs: early stopping, or None.
            image_cache: folder for decoded images, or None.
            measurement_cache: where measurements are kept, or None.

        Raises:
            ValueError: if an objective is unknown, or is measured and there is no device.
        """
        unknown = [name for name in objectives if name not in OBJECTIVES]
        if unknown:
            raise ValueError(
                f'objective {unknown[0]!r} is unknown; accepted: {", ".join(OBJECTIVES)}'
            )
        self._measured = tuple(name for name in objectives if name in MEASURED)
        if self._measured and device is None:
            raise ValueError(f'objective {self._measured[0]!r} needs a device to measure on')
        self._skeleton = skeleton
        self._data = data
        self._recipe = recipe
        self._evaluation = evaluation
        self._executor, self._device, self._seed = executor, device, seed
        self._rungs, self._image_cache, self._cache = rungs, image_cache, measurement_cache
        # By cell: known costs, errors at the rungs, epochs, planned epochs.
        self._trained: dict[str, tuple] = {}

    def batch(self, cells: Sequence[Cell], history: Sequence[Evaluation] = ()) -> Iterator[Outcome]:
        """Evaluates cells.

        Args:
            cells: the rest of a batch of the search.
            history: the evaluations of all earlier batches; early stopping compares only with
                these, so that it does not depend on the order in which the cells of a batch finish.

        Yields:
            (index of the cell, its `Outcome`) in the order in which they finish.
        """
        measured = [self._measure(cell) for cell in cells]
        known = [self._trained[str(e.cell)] for e in history if str(e.cell) in self._trained]
        rungs = self._rungs and self._rungs.add([(costs, errors) for costs, errors, _, _ in known])
        places = [i for i, values in enumerate(measured) if not isinstance(values, Failure)]
        jobs = [self._job(cells[i], measured[i], rungs) for i in places]
        for i, values in enumerate(measured):
            if isinstance(values, Failure):
                yield i, Outcome(values)
        for number, result in self._executor.map(evaluate.run_job, jobs):
            i = places[number]
            outcome = self._outcome(result, measured[i])
            self.replay(cells[i], outcome.result, outcome.extra)
            yield i, outcome

    def replay(
        self, cell: Cell, result: Mapping[str, float] | Failure, extra: Mapping[str, Any]
    ) -> None:
        """Takes in a result of this run or an earlier one; `extra` is from its record."""
        if 'rung_errors' in extra:
            values = result.objectives if isinstance(result, Failure) else result
            counts = cost.count(plan.build(cell, self._skeleton))._asdict()
            self._trained[str(cell)] = (
                self._known_costs({**counts, **values}),
                tuple(extra['rung_errors']),
                extra['epochs'],
                extra['planned_epochs'],
            )

    def saving(self) -> float:
        """The part of all planned epochs that early stopping saved, in [0, 1]."""
        planned = sum(entry[3] for entry in self._trained.values())
        return 1 - sum(entry[2] for entry in self._trained.values()) / planned if planned else 0.0

    def _known_costs(self, objectives: Mapping[str, float]) -> dict[str, float]:
        """The objectives of a candidate that are known before it is trained."""
        return {
            name: objectives[name]
            for name in ('params', 'flops', *self._measured)
            if name in objectives
        }

    def _measure(self, cell: Cell) -> dict[str, float] | Failure:
        if not self._measured:
            return {}
        try:
            found = measurements.measure(
                self._device,
                plan.build(cell, self._skeleton),
                cache=self._cache,
                timing_lock=self._cache and self._cache.timing_lock,
            )
        except DeviceError as error:
            return Failure(f'not measured: {error}')
        except Exception as error:  # any exception is the failure of this candidate
            return Failure(f'not measured: {describe(error)}')
        values = {name: getattr(found, MEASURED[name]) for name in self._measured}
        missing = [name for name, value in values.items() if value is None]
        if missing:
            return Failure(f'device {self._device.name} does not tell {missing[0]}')
        return values

    def _job(self, cell: Cell, measured: Mapping[str, float], rungs: Rungs | None) -> Job:
        counts = cost.count(plan.build(cell, self._skeleton))._asdict()
        return Job(
            cell,
            self._skeleton,
            self._data,
            self._recipe,
            evaluate.candidate_seed(self._seed, cell),
            self._evaluation,
            rungs,
            self._known_costs({**counts, **measured}),
            self._image_cache,
        )

    def _outcome(self, result: Result | Failure, measured: Mapping[str, float]) -> Outcome:
        if isinstance(result, Failure):
            return Outcome(
                dataclasses.replace(result, objectives={**measured, **result.objectives})
            )
        extra = {
            'rung_errors': list(result.rung_errors),
            'epochs': result.epochs,
            'planned_epochs': result.planned_epochs,
        }
        if self._device is not None:
            extra['device'] = self._device.name
        return Outcome(result.outcome(measured), result.seconds, extra)
