"""Evaluates the candidates of a search: first measures them, then trains them."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.executors.base import Executor, describe
from common.patience import Unavailable
from nas.cells import cost
from nas.devices import cache as measurements
from nas.devices.base import CannotRun, Device
from nas.devices.measure import check_takes, measure_fairly
from nas.devices.same_device import SameDevice
from nas.search.batches import map_again
from nas.search.earlier.provenance import ENTRY, UNKNOWN, Provenance
from nas.search.evaluations import Evaluation, Failure, Outcome
from nas.search.rungs import Rungs
from nas.training.search.result import Result, candidate_seed
from nas.training.search.task import Task

# Fields of a measurement that may be objectives.
MEASURED = ('latency_ms', 'memory_mb', 'p90_ms', 'p10_ms', 'baseline_mb')
OBJECTIVES = ('error', *MEASURED, *cost.Cost._fields, 'accuracy')


class Candidates:
    """Evaluates batches of cells for `nas.search.loop.run`.

    A batch is first measured on the device, one cell after the other with nothing else running
    (latency does not depend on the weights); then its cells are trained by the executor.
    """

    def __init__(
        self,
        *,
        task: Task,
        executor: Executor,
        device: Device | None,
        objectives: Sequence[str],
        seed: int,
        rungs: Rungs | None = None,
        measurement_cache: measurements.Cache | None = None,
        made_with: Provenance = UNKNOWN,
        maximised: Sequence[str] = (),
    ):
        """Checks the objectives.

        Args:
            task: how cells become networks, and what trains them.
            executor: who trains them.
            device: what they are measured on; None if no objective is measured.
            objectives: names of the objectives, and of other values that constraints limit.
            seed: of the search; each candidate's own seed follows from it and from the cell.
            rungs: early stopping, or None.
            measurement_cache: where measurements are kept, or None.
            made_with: what candidates are made with; its device is replaced by the one here.
            maximised: those of the objectives that are maximised.

        Raises:
            ValueError: if an objective is unknown, or is measured and there is no device, or the
                device does not take networks of this task.
        """
        known = ('error', *MEASURED, *task.objectives)
        further = tuple(name for name in objectives if name not in known)
        if further and not getattr(device, 'tells_more', False):
            raise ValueError(
                f'objective {further[0]!r} is unknown; accepted: {", ".join(known)}, what your own '
                f'device tells (--device=command:...){getattr(task, "also", "")}'
            )
        self._measured = tuple(name for name in objectives if name in (*MEASURED, *further))
        self._maximised = tuple(maximised)
        self._accuracy = 'accuracy' in objectives
        if self._measured and device is None:
            raise ValueError(f'objective {self._measured[0]!r} needs a device to measure on')
        if self._measured:
            check_takes(device, task.reference)
        self._task, self._executor, self._device = task, executor, device
        self._seed, self._rungs = seed, rungs
        self._same = None if device is None else SameDevice(device, cache=measurement_cache)
        self._made_with = made_with
        # By cell: known costs, errors at the rungs, epochs, planned epochs.
        self._trained: dict[str, tuple] = {}

    def batch(self, cells: Sequence, history: Sequence[Evaluation] = ()) -> Iterator[Outcome]:
        """Evaluates cells.

        Args:
            cells: the rest of a batch of the search.
            history: the evaluations of all earlier batches; early stopping compares only with
                these, so that it does not depend on the order in which the cells of a batch finish.

        Yields:
            (index of the cell, its `Outcome`) in the order in which they finish. An `Unavailable`
            says that the executor or the data were away.

        Raises:
            Unavailable: the device is away; the cells that were measured before have been trained.
            ValueError: the device does not tell an objective.
        """
        measured, away = [], None
        for cell in cells:
            try:
                measured.append(self.measure(cell))
            except OSError as error:
                away = error
                break
        known = [self._trained[str(e.cell)] for e in history if str(e.cell) in self._trained]
        rungs = self._rungs and self._rungs.add([(costs, errors) for costs, errors, _, _ in known])
        places = [i for i, values in enumerate(measured) if not isinstance(values, Failure)]
        jobs = [self._job(cells[i], measured[i], rungs) for i in places]
        for i, values in enumerate(measured):
            if isinstance(values, Failure):
                yield i, Outcome(values)
        for number, result in map_again(self._executor, self._task.run, jobs):
            i = places[number]
            if isinstance(result, Unavailable):
                yield i, Outcome(result)
                continue
            outcome = self._outcome(cells[i], result, measured[i])
            self.replay(cells[i], outcome.result, outcome.extra)
            yield i, outcome
        if away is not None:
            raise Unavailable(f'not measured: {describe(away)}') from away

    def replay(self, cell, result: Mapping[str, float] | Failure, extra: Mapping[str, Any]) -> None:
        """Takes in a result of this run or an earlier one; `extra` is from its record."""
        if self._same is not None and 'device' in extra and ENTRY in extra:
            self._same.expect(extra.get('device_id'))
        if 'rung_errors' in extra:
            values = result.objectives if isinstance(result, Failure) else result
            self._trained[str(cell)] = (
                self._known_costs({**values, **self._task.counts(cell)}),
                tuple(extra['rung_errors']),
                extra['epochs'],
                extra['planned_epochs'],
            )

    def saving(self) -> float:
        """The part of all planned epochs that early stopping saved, in [0, 1]."""
        planned = sum(entry[3] for entry in self._trained.values())
        return 1 - sum(entry[2] for entry in self._trained.values()) / planned if planned else 0.0

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of what the device measures."""
        return self._measured

    @property
    def made_with(self) -> Provenance:
        """What candidates are made with, with the device as far as it is known."""
        if self._same is None:
            return self._made_with
        return self._made_with.on(self._same.facts(self._same.board))

    def _known_costs(self, objectives: Mapping[str, float]) -> dict[str, float]:
        """The objectives of a candidate that are known before it is trained; less is better."""
        return {
            name: -objectives[name] if name in self._maximised else objectives[name]
            for name in ('params', 'flops', *self._measured)
            if name in objectives
        }

    def measure(self, cell) -> dict[str, float] | Failure:
        """What the device measures of a cell, by name; {} if nothing is measured.

        Raises:
            OSError: the device is away.
            ValueError: it does not tell an objective.
        """
        if not self._measured:
            return {}
        try:
            network = self._task.network(cell)
            found = measure_fairly(self._same, network, self._task.reference)
        except CannotRun as error:
            return Failure(f'not measured: {error}')
        except OSError:  # of the device, the disk or the network
            raise
        except Exception as error:  # any other exception is the failure of this candidate
            return Failure(f'not measured: {describe(error)}')
        if any(name not in MEASURED and name not in found.figures for name in self._measured):
            # What is in the cache may be from before the device told it.
            found = self._same.measure(network, look_up=False)
        values = {
            name: getattr(found, name) if name in MEASURED else found.figures.get(name)
            for name in self._measured
        }
        missing = [name for name, value in values.items() if value is None]
        if missing:
            told = f'; it tells {", ".join(found.figures)}' if found.figures else ''
            raise ValueError(f'device {self._device.name} does not tell {missing[0]}{told}')
        return values

    def _job(self, cell, measured: Mapping[str, float], rungs: Rungs | None) -> Any:
        return self._task.job(
            cell,
            seed=candidate_seed(self._seed, cell),
            rungs=rungs,
            costs=self._known_costs({**self._task.counts(cell), **measured}),
            measured=measured,
        )

    def _outcome(self, cell, result: Result | Failure, measured: Mapping[str, float]) -> Outcome:
        if isinstance(result, Failure):
            result = dataclasses.replace(result, objectives={**measured, **result.objectives})
            return Outcome(result, extra=self._origin())
        kept = getattr(self._task, 'kept', None)
        extra = {
            'rung_errors': list(result.rung_errors),
            'epochs': result.epochs,
            'planned_epochs': result.planned_epochs,
            **self._origin(),
            **(kept(cell, result) if kept else {}),
        }
        accuracy = {'accuracy': 100 - result.error} if self._accuracy else {}
        told = result.outcome({**measured, **accuracy})
        return Outcome(told, result.seconds, extra)

    def _origin(self) -> dict[str, Any]:
        """What a record says of the device, and of all else that its values depend on."""
        origin = {ENTRY: self.made_with.keys()} if self.made_with.keys() else {}
        if self._same is not None:
            origin['device'] = self._device.name
            if self._same.board is not None:
                origin['device_id'] = self._same.board
        return origin
