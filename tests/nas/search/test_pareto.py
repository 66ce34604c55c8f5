"""Pareto sorting and hypervolume against their definitions, and against pymoo if installed."""

import itertools
import time

import numpy as np
import pytest

from nas.search import pareto
from nas.search.free_space.boxes import Boxes


def random_points(seed, count, objectives, *, degenerate):
    """Points in [0, 1.2]; degenerate ones lie on a grid of five values, with many ties and
    duplicates.
    """
    random = np.random.default_rng(seed)
    if degenerate:
        return random.integers(0, 6, (count, objectives)) / 5
    return random.random((count, objectives)) * 1.2


CASES = list(itertools.product(range(3), (2, 3, 4, 5), (False, True)))


def ranks_by_definition(points):
    """Peels off, front by front, the points that no remaining point dominates."""
    ranks, rank = np.full(len(points), -1), 0
    while (ranks < 0).any():
        left = np.flatnonzero(ranks < 0)
        a, b = points[left][:, None], points[left][None]
        dominated = ((a <= b).all(-1) & (a < b).any(-1)).any(0)
        ranks[left[~dominated]] = rank
        rank += 1
    return ranks


def volume_by_inclusion_exclusion(points, reference):
    """Sum over the subsets of the boxes from the points to the reference."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for subset in itertools.combinations(points, size):
            sides = np.maximum(reference - np.max(subset, axis=0), 0)
            total -= (-1) ** size * sides.prod()
    return total


def volume_by_cells(points, reference):
    """Volume of the cells of the grid through all coordinates whose lower corner some point
    dominates.
    """
    points = points[(points < reference).all(axis=1)]
    axes = [np.unique(np.append(points[:, j], reference[j])) for j in range(len(reference))]
    corners = np.stack(np.meshgrid(*(axis[:-1] for axis in axes), indexing='ij'), axis=-1)
    volumes = np.prod(
        np.stack(np.meshgrid(*(np.diff(axis) for axis in axes), indexing='ij')), axis=0
    )
    covered = np.zeros(volumes.shape, bool)
    for point in points:
        covered |= (corners >= point).all(axis=-1)
    return volumes[covered].sum()


@pytest.mark.parametrize('seed,objectives,degenerate', CASES)
def test_sorting_follows_the_definition(seed, objectives, degenerate):
    points = random_points(seed, 120, objectives, degenerate=degenerate)
    ranks = ranks_by_definition(points)
    np.testing.assert_array_equal(pareto.fronts(points), ranks)
    np.testing.assert_array_equal(pareto.non_dominated(points), ranks == 0)


@pytest.mark.parametrize('seed,objectives,degenerate', CASES)
def test_hypervolume_is_exact(seed, objectives, degenerate):
    reference = np.linspace(0.8, 1.0, objectives)
    few = random_points(seed, 9, objectives, degenerate=degenerate)
    expected = volume_by_inclusion_exclusion(few, reference)
    assert pareto.hypervolume(few, reference) == pytest.approx(expected, abs=1e-12)
    more = random_points(seed + 10, 200 if degenerate else 12, objectives, degenerate=degenerate)
    assert pareto.hypervolume(more, reference) == pytest.approx(
        volume_by_cells(more, reference), abs=1e-12
    )


@pytest.mark.parametrize('seed,objectives,degenerate', CASES)
def test_improvement_is_the_difference_of_two_hypervolumes(seed, objectives, degenerate):
    front = np.maximum(random_points(seed, 15, objectives, degenerate=degenerate), 0.2)
    candidates = random_points(seed + 20, 40, objectives, degenerate=degenerate)
    before = pareto.hypervolume(front, 1)
    expected = [pareto.hypervolume([*front, candidate], 1) - before for candidate in candidates]
    assert max(expected) > 0
    np.testing.assert_allclose(Boxes(front, 1).improvement(candidates), expected, atol=1e-9)


def test_improvement_without_a_front_is_the_whole_box():
    space = Boxes(np.zeros((0, 3)), [1, 2, 3])
    gains = space.improvement([[0, 0, 0], [0.5, 1, 2], [1, 0, 0], [5, 0, 0]])
    np.testing.assert_allclose(gains, [6, 0.5, 0, 0])
    space.add([0.5, 1, 2])
    np.testing.assert_allclose(space.improvement([[0, 0, 0], [0.5, 1, 2]]), [5.5, 0])


def test_points_beyond_the_reference_contribute_nothing():
    points = np.array([[0.2, 0.6], [0.6, 0.2]])
    assert pareto.hypervolume(points, [1, 1]) == pytest.approx(0.8 * 0.4 + 0.4 * 0.4)
    beyond = [[-5, 1], [1, -5], [0.1, 7], [np.inf, 0]]
    assert pareto.hypervolume(np.concatenate([points, beyond]), [1, 1]) == pareto.hypervolume(
        points, [1, 1]
    )
    assert pareto.hypervolume(beyond, [1, 1]) == 0


def test_duplicates_are_all_kept_and_add_no_volume():
    points = [[0, 1], [0, 1], [1, 0], [1, 1], [0, 1]]
    assert pareto.non_dominated(points).tolist() == [True, True, True, False, True]
    assert pareto.fronts(points).tolist() == [0, 0, 0, 1, 0]
    assert pareto.hypervolume(points, 2) == 3
    assert np.count_nonzero(pareto.crowding([[0, 2], [1, 1], [1, 1], [2, 0]])) == 3


def test_nothing_is_dominated_in_nothing():
    assert pareto.non_dominated([]).shape == pareto.fronts(np.zeros((0, 3))).shape == (0,)
    assert pareto.hypervolume([], [1, 1]) == pareto.hypervolume(np.zeros((0, 2)), 1) == 0
    assert pareto.crowding([]).shape == (0,)


def test_infeasible_points_come_after_feasible_ones_by_their_violation():
    points = [[0, 0], [1, 2], [2, 1], [3, 3], [0, 0]]
    assert pareto.fronts(points, violation=[5, 0, 0, 0, 1]).tolist() == [3, 0, 0, 1, 2]
    assert pareto.fronts([[0, 1], [1, 1]], violation=[2, 2]).tolist() == [0, 0]
    with pytest.raises(ValueError, match='violation'):
        pareto.fronts(points, violation=[-1, 0, 0, 0, 0])


def test_crowding_of_an_uneven_front():
    # Ranges are 10 and 10: the second point has neighbours 4 and 6 apart, the third 9 and 9.
    points = np.array([[0, 10], [1, 5], [4, 4], [10, 0]])
    np.testing.assert_allclose(pareto.crowding(points), [np.inf, 0.4 + 0.6, 0.9 + 0.5, np.inf])
    np.testing.assert_allclose(pareto.crowding(points[[2, 0, 3, 1]]), [1.4, np.inf, np.inf, 1.0])


def test_hypervolume_by_step_is_that_of_every_prefix():
    points = random_points(3, 40, 3, degenerate=False)
    expected = [pareto.hypervolume(points[: i + 1], 1) for i in range(len(points))]
    np.testing.assert_allclose(pareto.hypervolume_by_step(points, 1), expected)
    assert expected[-1] > expected[0] or expected[0] > 0


def test_large_sets_take_less_than_a_second():
    random = np.random.default_rng(0)
    points = random.random((10_000, 5))
    sphere = np.abs(random.normal(size=(5_000, 5)))
    sphere = 1 - sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    start = time.process_time()
    ranks = pareto.fronts(points)
    middle = time.process_time()
    volume = pareto.hypervolume(sphere, 1)
    assert middle - start < 1 and time.process_time() - middle < 1
    assert ranks.max() > 3 and pareto.non_dominated(sphere).all()
    # The part of the unit ball in one orthant is pi^2/60 in five dimensions; points on it miss a
    # little.
    assert 0.6 * np.pi**2 / 60 < volume < np.pi**2 / 60


@pytest.mark.parametrize(
    'call',
    [
        lambda: pareto.non_dominated([[0, np.nan]]),
        lambda: pareto.fronts([[np.nan, 0], [0, 0]]),
        lambda: pareto.hypervolume([[0, np.nan]], [1, 1]),
        lambda: pareto.non_dominated([1, 2, 3]),
        lambda: pareto.hypervolume([[0, 0]], [1, 1, 1]),
        lambda: pareto.hypervolume([[0, 0]], [1, np.nan]),
        lambda: pareto.hypervolume([[0, -np.inf]], [1, 1]),
        lambda: pareto.crowding([[0, np.inf]]),
    ],
)
def test_bad_points_are_refused(call):
    with pytest.raises(ValueError, match='points|reference'):
        call()


@pytest.mark.parametrize('objectives', [2, 3, 4, 5])
@pytest.mark.parametrize('degenerate', [False, True])
def test_pymoo_agrees(objectives, degenerate):
    sorting = pytest.importorskip('pymoo.util.nds.non_dominated_sorting')
    indicator = pytest.importorskip('pymoo.indicators.hv')
    points = random_points(5, 150, objectives, degenerate=degenerate)
    theirs = np.full(len(points), -1)
    for rank, members in enumerate(sorting.NonDominatedSorting().do(points)):
        theirs[members] = rank
    np.testing.assert_array_equal(pareto.fronts(points), theirs)
    assert pareto.hypervolume(points, 1) == pytest.approx(
        indicator.HV(ref_point=np.ones(objectives))(points)
    )
