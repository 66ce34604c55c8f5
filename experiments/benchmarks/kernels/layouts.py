"""One training on several layouts of processes and CPU devices, and how far the layouts agree."""

import dataclasses
import socket
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from common import parallel
from common.executors.process import ProcessExecutor
from nas.cells.plan import Plan
from nas.search.evaluations import Failure
from nas.training import recipe
from nas.training.batches import Data
from nas.training.data.feed import StreamedData
from nas.training.recipe import RecipeConfig
from pano_depth.learning import train
from pano_depth.learning.model import ModelConfig, make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.train import RecipeConfig as DepthRecipe


class Layout(NamedTuple):
    """Processes, joined by `jax.distributed` on loopback, each with simulated CPU devices."""

    processes: int
    devices: int


LAYOUTS = {
    '1 device': Layout(1, 1),
    '4 devices': Layout(1, 4),
    '2 processes x 2 devices': Layout(2, 2),
}


@dataclasses.dataclass(frozen=True)
class Trained:
    """What one process saw of a training.

    Attributes:
        losses: [steps] of the global batches.
        gradient: of the first step: vectors by part of the network, as the optimiser took them, and
            its norm before any clipping.
        seconds: median time of a step, without the first two.
    """

    losses: np.ndarray
    gradient: Mapping[str, np.ndarray]
    seconds: float


def run_on(
    layout: Layout, function: Callable[..., Any], *arguments, timeout: float = 600.0
) -> list[Any]:
    """Calls `function(*arguments)` in every process of a layout, once they have found each other.

    Args:
        layout: processes and devices.
        function: importable, and not of the started script.
        arguments: can be pickled.
        timeout: seconds for all of it.

    Returns:
        The results by rank of the process.

    Raises:
        ValueError: a process failed; the message names it, with its reason.
    """
    with socket.create_server(('localhost', 0)) as probe:
        address = f'localhost:{probe.getsockname()[1]}'
    jobs = [(layout, address, rank, function, arguments) for rank in range(layout.processes)]
    executor = ProcessExecutor(workers=layout.processes, timeout=timeout, platform='cpu')
    results = {}
    for rank, result in executor.map(_call, jobs):
        if isinstance(result, Failure):
            raise ValueError(f'process {rank} of {layout.processes} failed: {result.reason}')
        results[rank] = result
    return [results[rank] for rank in range(layout.processes)]


def _call(job: tuple) -> Any:
    """Joins the other processes of a layout and calls the function."""
    layout, address, rank, function, arguments = job
    jax.config.update('jax_num_cpu_devices', layout.devices)
    if layout.processes > 1:
        parallel.initialize(
            coordinator_address=address, num_processes=layout.processes, process_id=rank
        )
    return function(*arguments)


class _Clock:
    """Collects losses and times of three steps or more."""

    def __init__(self):
        self.losses, self._times = [], []

    def __call__(self, metrics: Mapping[str, float]) -> None:
        self.losses.append(metrics['loss'])
        self._times.append(time.perf_counter())

    def trained(self, gradient: Mapping[str, np.ndarray]) -> Trained:
        """The record of the training."""
        gaps = np.diff(self._times)
        return Trained(np.array(self.losses), gradient, statistics.median(gaps[1:]))


def train_depth(
    source, config: DepthRecipe, model: ModelConfig, loss: LossConfig, params: dict | None = None
) -> Trained:
    """Trains the depth and pose networks; see `pano_depth.learning.train.fit`.

    Args:
        source: of the triplets.
        config, model, loss: of the training.
        params: {'depth', 'pose'} to start from, or None for fresh ones.
    """
    clock, gradient = _Clock(), {}

    def on_step(done, state, metrics):
        clock(metrics)
        if done == 1:
            # After the first step, Adam's first moment is a tenth of the gradient.
            for _, moments in optax.tree_utils.tree_get_all_with_path(state.optimizer, 'mu'):
                parts = {name: jax.tree.leaves(part) for name, part in moments.items()}
                gradient.update(
                    {name: 10 * np.asarray(part[0]) for name, part in parts.items() if part}
                )
            gradient['norm'] = np.array([metrics['gradient']])

    train.fit(
        train.init_state(config, model, params),
        source,
        config,
        model,
        loss,
        make_grid(model),
        on_step=on_step,
    )
    return clock.trained(gradient)


def train_cells(
    plan: Plan, config: RecipeConfig, data: Data | StreamedData, *, seed: int
) -> Trained:
    """Trains a network of the search; see `nas.training.recipe.train_steps`.

    Args:
        plan: the network.
        config: the recipe.
        data: of `nas.training.batches.place`.
        seed: of parameters, order and augmentation.
    """
    clock, gradient = _Clock(), {}
    start = recipe.init_state(plan, config, steps=config.steps(data.examples), seed=seed)
    for done, state, metrics in recipe.train_steps(plan, config, data, start, seed=seed):
        clock(metrics)
        if done == 1:
            # The first velocity is the gradient plus the decay of the weights.
            velocity = optax.tree_utils.tree_get(state.optimizer, 'trace')
            parts = jax.tree.map(
                lambda v, p: np.ravel(v - config.weight_decay * p), velocity, start.params
            )
            gradient['network'] = np.concatenate(jax.tree.leaves(parts))
            gradient['norm'] = np.array([metrics['gradient']])
    return clock.trained(gradient)


def differences(one: Trained, reference: Trained) -> tuple[float, float]:
    """How far two trainings are apart.

    Returns:
        (largest relative difference of a part of the first gradient, by Euclidean norm; largest
        relative difference of a loss).
    """
    norm = np.linalg.norm
    gradient = max(
        float(norm(one.gradient[name] - part) / norm(part))
        for name, part in reference.gradient.items()
    )
    return gradient, float(np.max(np.abs(one.losses - reference.losses) / np.abs(reference.losses)))
