"""The undominated space as samples: against exact volumes, and as a part of the choice."""

import time

import numpy as np
import pytest
from scipy import stats

from nas.search import acquisition, pareto
from nas.search.free_space.boxes import Boxes
from nas.search.free_space.open_space import MOST_BOXES, open_space
from nas.search.free_space.samples import Samples


def correlated(count, objectives, seed):
    """Costs that grow together, and the others against them, as those of networks do."""
    random = np.random.default_rng(seed)
    size = random.uniform(0.1, 1, count)
    costs = size[:, None] ** random.uniform(0.5, 1.2, objectives - 1)
    noise = random.lognormal(0, 0.25, (count, objectives))
    return np.concatenate([0.2 / size[:, None], costs], axis=1) * noise


def gains_by_difference(front, candidates, reference):
    before = pareto.hypervolume(front, reference)
    return np.array([pareto.hypervolume([*front, c], reference) - before for c in candidates])


@pytest.mark.parametrize('objectives', [4, 6, 8])
def test_samples_estimate_what_each_candidate_adds(objectives):
    points = correlated(60, objectives, 0)
    front, reference = points[pareto.non_dominated(points)], points.max(axis=0) * 1.1
    candidates = correlated(150, objectives, 1)
    space = Samples(front, reference, candidates.min(axis=0))
    exact, found = gains_by_difference(front, candidates, reference), space.improvement(candidates)
    assert stats.spearmanr(exact, found).statistic > 0.9
    best = np.argsort(-exact)[:10]
    np.testing.assert_allclose(found[best], exact[best], rtol=0.25)
    dominated = (front[:, None] <= candidates).all(axis=-1).any(axis=0)
    beyond = (candidates >= reference).any(axis=1)
    assert dominated.any() and not found[dominated | beyond].any()


def test_a_chosen_point_takes_its_part_of_the_samples():
    candidates = correlated(40, 6, 2)
    space = Samples(np.zeros((0, 6)), np.full(6, 5.0), candidates.min(axis=0))
    before = space.improvement(candidates)
    space.add(candidates[3])
    after = space.improvement(candidates)
    assert after[3] == 0 < before[3] and (after <= before).all() and (after < before).sum() > 1
    again = Samples(np.zeros((0, 6)), np.full(6, 5.0), candidates.min(axis=0))
    np.testing.assert_array_equal(again.improvement(candidates), before)


def test_few_objectives_or_boxes_stay_exact():
    assert isinstance(open_space(correlated(300, 3, 0), np.full(3, 9.0), np.zeros(3)), Boxes)
    assert isinstance(open_space(correlated(3, 6, 0), np.full(6, 9.0), np.zeros(6)), Boxes)
    many = np.random.default_rng(0).dirichlet(np.ones(6), 51)
    assert isinstance(open_space(many, np.ones(6), np.zeros(6)), Samples)
    assert len(Boxes(many, np.ones(6))) > 5 * MOST_BOXES


def test_a_batch_for_six_objectives_is_chosen_quickly_and_adds_much():
    random = np.random.default_rng(0)
    # Nothing dominates anything: the worst case for boxes.
    front, mean = (1.2 * random.dirichlet(np.ones(6), count) for count in (51, 3000))
    start = time.process_time()
    chosen = acquisition.select(8, mean, np.full_like(mean, 0.02), front, np.ones(6))
    assert time.process_time() - start < 3
    drawn = [pareto.hypervolume([*front, *mean[i : i + 8]], 1) for i in range(0, 400, 8)]
    assert len(set(chosen)) == 8
    assert pareto.hypervolume([*front, *mean[chosen]], 1) > max(drawn)


def test_hypervolume_after_each_step_is_that_of_all_points_so_far():
    points = correlated(80, 6, 5)
    volumes = pareto.hypervolume_by_step(points, np.ones(6))
    expected = [pareto.hypervolume(points[: i + 1], np.ones(6)) for i in range(len(points))]
    np.testing.assert_allclose(volumes, expected, rtol=1e-9)
    assert volumes[-1] > 0
