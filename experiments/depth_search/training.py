"""Trains the depth network alone on rendered rooms, with early stopping."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.depth_search.config import DepthRecipe
from experiments.depth_search.frames import Frames
from experiments.depth_search.scoring import disparity, make_predictor, score
from nas.search.rungs import Rungs
from nas.training.search.result import Course, Point, Result
from pano_depth.learning import augment
from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense
from pano_depth.learning.model import ModelConfig
from pano_depth.learning.supervised import log_error
from pano_depth.learning.train import flatten, unflatten

CLIP_NORM = 1.0  # largest norm of the gradient
AVERAGE = 0.99  # decay of the running average of the parameters, which is scored


@dataclasses.dataclass(frozen=True)
class DepthResult(Result):
    """The result of a candidate.

    Attributes:
        shown: depth [H, 2H] float16 of the first unseen frame, in the network's unit.
    """

    shown: np.ndarray | None = None


def init_state(config: ModelConfig, recipe: DepthRecipe, seed: int) -> tuple:
    """The state before the first step, see `make_step`."""
    flat = flatten({'depth': models.init_params(seed, config)['depth']})['depth']
    return flat, _optimizer(recipe).init(flat), flat


def _optimizer(recipe: DepthRecipe):
    warmup = max(1, recipe.steps // 10)
    rate = optax.warmup_cosine_decay_schedule(
        0.0, recipe.learning_rate, warmup, max(recipe.steps, warmup + 1)
    )
    return optax.chain(optax.clip_by_global_norm(CLIP_NORM), optax.adam(rate))


def make_step(config: ModelConfig, recipe: DepthRecipe) -> Callable:
    """Compiles a step of training.

    Args:
        config: of the model.
        recipe: of the training.

    Returns:
        step(state, images, depth, key, index) -> (state, loss), with the state
        (parameters, state of the optimiser, running average); parameters are one vector, which
        compiles several times faster than many small arrays.
    """
    grid, optimizer = models.make_grid(config), _optimizer(recipe)

    def loss_of(flat, images, depth, view):
        params = jax.lax.optimization_barrier(unflatten({'depth': flat}, config))
        found = disparity(params, images, view, grid, config)
        weights = jnp.broadcast_to(grid.weights, found.shape)
        return log_error(depth, found, view, weights, grid)[0]

    @jax.jit
    def step(state, images, depth, key, index):
        flat, optimizer_state, average = state
        keys = jax.random.split(jax.random.fold_in(key, index), len(images))
        view = augment.views(keys, rotation='yaw', mirror=True)
        loss, gradient = jax.value_and_grad(loss_of)(flat, images, depth, view)
        # Without the barrier XLA fuses the long concatenation into every use of it.
        gradient = jax.lax.optimization_barrier(gradient)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, flat)
        flat = optax.apply_updates(flat, updates)
        decay = jnp.minimum(AVERAGE, (1.0 + index) / (10.0 + index))
        return (flat, optimizer_state, decay * average + (1 - decay) * flat), loss

    return step


def _batches(frames: Frames, recipe: DepthRecipe, seed: int) -> Iterator[tuple]:
    """(images, depth) of each step: shuffled rounds through the frames."""
    order, size = np.zeros(0, int), recipe.batch_size
    rng = np.random.default_rng(seed)
    for _ in range(recipe.steps):
        while len(order) < size:
            order = np.concatenate([order, rng.permutation(len(frames.images))])
        rows, order = order[:size], order[size:]
        yield frames.images[rows], frames.depth[rows].astype(np.float32)


def train(
    config: ModelConfig,
    recipe: DepthRecipe,
    frames: Frames,
    unseen: Frames,
    *,
    seed: int,
    rungs: Rungs | None = None,
    costs: Mapping[str, float] | None = None,
) -> DepthResult:
    """Trains and scores a depth network; the result depends on nothing but the arguments.

    Args:
        config: of the model.
        recipe: of the training.
        frames: to learn from.
        unseen: to score on.
        seed: of parameters, order and augmentation.
        rungs: early stopping, or None to train to the end; it counts steps.
        costs: known costs of the candidate, by which `rungs` compares it.

    Returns:
        The result: its error is AbsRel in percent, its epochs are steps.

    Raises:
        FloatingPointError: a loss or the error is not finite; the message names the step.
    """
    course = Course(recipe.steps, rungs=rungs, costs=costs)
    predict = make_predictor(config, unseen.images.shape[1])
    for done, loss, average in _steps(config, recipe, frames, seed):
        if done not in (*course.stops, recipe.steps):
            continue
        params = jax.device_get(unflatten({'depth': average}, config))
        error, shown = score(predict, params, unseen)
        if not np.isfinite(error):
            raise FloatingPointError(f'the depth after step {done} is not finite')
        if course.add(Point(done, float(loss), error)):
            break
    return course.result(DepthResult, shown=np.float16(shown))


def _steps(config: ModelConfig, recipe: DepthRecipe, frames: Frames, seed: int) -> Iterator[tuple]:
    """Yields (steps done, loss of the last one, running average of the parameters)."""
    step, key, plan = make_step(config, recipe), jax.random.key(seed), build.build(config)
    prunings = condense.steps_of_events(plan, recipe.steps)
    state, before = init_state(config, recipe, seed), None
    for index, (images, depth) in enumerate(_batches(frames, recipe, seed)):
        state, loss = step(state, images, depth, key, np.int32(index))
        # One step late, so that the device computes in the meantime.
        _check(before, index)
        before, done = loss, index + 1
        if done in prunings:
            state = _prune(state, plan, config, done / recipe.steps)
        if done == recipe.steps:
            _check(loss, done)
        yield done, loss, state[2]


def _check(loss, step):
    if loss is not None and not np.isfinite(loss):
        raise FloatingPointError(f'the loss of step {step} is {float(loss)}')


def _prune(state, plan, config, progress):
    """The state with pruned learned groups, also in the running average."""
    flat, optimizer_state, average = state
    params, mean = (unflatten({'depth': part}, config)['depth'] for part in (flat, average))
    params = condense.prune(plan, params, progress)
    mean = condense.prune(plan, mean, progress, by=params)
    flat, average = (flatten({'depth': part})['depth'] for part in (params, mean))
    return flat, optimizer_state, average
