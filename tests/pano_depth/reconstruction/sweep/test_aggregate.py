"""Aggregation against a dynamic programme of its own, on circles in both directions."""

import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.reconstruction.sweep import aggregate
from pano_depth.reconstruction.sweep.volume import columns_of

HEIGHT, COUNT = 12, 5
STEP, JUMP, CONTRAST = 0.004, 0.04, 15.0


def _inputs(seed=0, height=HEIGHT):
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0, 0.1, (COUNT, height, 2 * height)).astype(np.float32)
    grey = rng.uniform(0.3, 0.6, (height, 2 * height)).astype(np.float32)
    return costs, grey


def _aggregated(costs, grey):
    return np.asarray(
        aggregate.aggregate(
            jnp.asarray(costs), jnp.asarray(grey), jnp.float32(STEP), jnp.float32(JUMP)
        )
    )


def _penalties(grey_difference, stiff):
    """[D, D]: what it costs to go from one hypothesis to another."""
    far = max(JUMP * stiff * np.exp(-CONTRAST * abs(grey_difference)), STEP * stiff)
    apart = np.abs(np.arange(COUNT)[:, None] - np.arange(COUNT))
    return np.where(apart == 0, 0, np.where(apart == 1, STEP * stiff, far))


def _walk(costs, grey, stiff):
    """Costs [length, D] of the best way to every pixel of a circle, from an eighth ahead of it."""
    length = len(costs)
    extra = length // 8
    # The first pixel counts twice: it is its own neighbour.
    total = costs[-extra] if extra else costs[0]
    before, found = (-extra) % length, {}
    for position in range(-extra, length):
        here = position % length
        ways = total[:, None] + _penalties(grey[here] - grey[before], stiff)
        total = costs[here] + ways.min(axis=0)
        found[here], before = total, here
    return np.stack([found[i] for i in range(length)])


def _both(costs, grey, stiff):
    return _walk(costs, grey, stiff) + _walk(costs[::-1], grey[::-1], stiff)[::-1]


def _expected(costs, grey):
    costs, grey = np.moveaxis(costs.astype(np.float64), 0, -1), grey.astype(np.float64)
    height, width = grey.shape
    total = np.zeros_like(costs)
    for row in range(height):
        stiff = min(columns_of(height)[row], 50)
        total[row] += _both(costs[row], grey[row], stiff)
    for column in range(width // 2):
        # Down one side of the sphere, across the pole, and up the other side.
        rows = [*range(height), *range(height)[::-1]]
        columns = [column] * height + [column + width // 2] * height
        found = _both(costs[rows, columns], grey[rows, columns], 1.0)
        total[rows, columns] += found
    return np.moveaxis(total, -1, 0)


def test_it_is_the_dynamic_programme_along_rows_and_meridians():
    costs, grey = _inputs()
    found, expected = _aggregated(costs, grey), _expected(costs, grey)
    # Up to a number by pixel: all paths to it are equally long.
    level = lambda x: x - x.min(axis=0)
    np.testing.assert_allclose(level(found), level(expected), atol=2e-5)
    assert (found.argmin(axis=0) != costs.argmin(axis=0)).mean() > 0.05


def test_a_number_more_for_all_hypotheses_of_a_pixel_changes_nothing():
    costs, grey = _inputs(1)
    more = np.random.default_rng(2).uniform(0, 1, grey.shape).astype(np.float32)
    level = lambda x: x - x.min(axis=0)
    np.testing.assert_allclose(
        level(_aggregated(costs + more, grey)), level(_aggregated(costs, grey)), atol=1e-5
    )


@pytest.mark.parametrize('move', ['half a turn', 'quarter of a turn', 'mirror', 'upside down'])
def test_a_scene_that_turns_turns_the_result(move):
    """Only where a path starts differs, which is forgotten after an eighth of the circle."""
    costs, grey = _inputs(3, 32)
    moved = {
        'half a turn': lambda x: np.roll(x, 32, axis=-1),
        'quarter of a turn': lambda x: np.roll(x, 16, axis=-1),
        'mirror': lambda x: x[..., ::-1],
        'upside down': lambda x: x[..., ::-1, :],
    }[move]
    level = lambda x: x - x.min(axis=0)
    found = level(_aggregated(moved(costs).copy(), moved(grey).copy()))
    expected = level(moved(_aggregated(costs, grey)))
    off = np.abs(found - expected).max(axis=0)
    # Jumps cost so much in the rows at the poles that these forget more slowly.
    assert np.quantile(off, 0.9) < 1e-4 and off[4:-4].max() < 0.02
    assert (found.argmin(axis=0) == expected.argmin(axis=0)).mean() > 0.995


@pytest.mark.parametrize('row', [0, 5, 10])
def test_what_is_told_crosses_the_seam_and_the_pole(row):
    """Pixels that tell nothing take what the pixel tells that is next to them on the sphere."""
    costs = np.full((COUNT, HEIGHT, 2 * HEIGHT), 0.05, np.float32)
    grey = np.full((HEIGHT, 2 * HEIGHT), 0.5, np.float32)
    costs[3, row, 0] = 0.0
    found = _aggregated(costs, grey)
    gain = found.max(axis=0) - found[3]
    assert (found.argmin(axis=0)[row] == 3)[[-1, 0, 1]].all()
    assert gain[row, -1] == pytest.approx(gain[row, 1], rel=1e-3)
    if row == 0:
        # Half a turn away in the same row is the pixel behind the pole.
        assert found.argmin(axis=0)[0, HEIGHT] == 3
        assert gain[0, HEIGHT] > gain[0, HEIGHT // 2] + 0.02


def test_an_edge_of_the_image_lets_depth_jump():
    costs = np.full((COUNT, HEIGHT, 2 * HEIGHT), 0.05, np.float32)
    costs[0, :, 8], costs[4, :, 12] = 0, 0
    grey = np.full((HEIGHT, 2 * HEIGHT), 0.3, np.float32)
    grey[:, 11:] = 0.8
    best = _aggregated(costs, grey).argmin(axis=0)[5]
    assert (best[8:11] == 0).all() and (best[11:13] == 4).all()


def test_lowest_is_the_vertex_of_the_parabola():
    rng = np.random.default_rng(4)
    true = rng.uniform(1, 5, (4, 8))
    costs = 0.1 + 0.02 * (np.arange(7)[:, None, None] - true) ** 2
    at, cost = aggregate.lowest(jnp.asarray(costs, jnp.float32))
    np.testing.assert_allclose(at, true, atol=1e-4)
    np.testing.assert_allclose(cost, costs.min(axis=0), atol=1e-6)
    bend = aggregate.bend(jnp.asarray(costs, jnp.float32), at)
    np.testing.assert_allclose(bend, 0.04, atol=1e-6)


def test_lowest_stays_between_the_hypotheses():
    costs = np.array([0.0, 1, 2, 3, 3, 2, 1, 0])[:, None, None] * np.ones((8, 1, 2))
    costs[:4, :, 1] = 5
    at, _ = aggregate.lowest(jnp.asarray(costs, jnp.float32))
    assert ((np.asarray(at) >= 0.5) & (np.asarray(at) <= 6.5)).all()
    assert float(at[0, 0]) < 1.01 and float(at[0, 1]) > 5.99


def test_near_takes_what_there_is():
    costs = jnp.arange(12, dtype=jnp.float32).reshape(3, 2, 2)
    at = jnp.array([[-1, 0], [2, 7]])
    np.testing.assert_array_equal(aggregate.near(costs, at), [[0, 1], [10, 11]])
