"""The choice of cells from what is predicted of them."""

import numpy as np

from nas.search import acquisition

REFERENCE = np.array([10.0, 10.0])
FRONT = np.array([[5.0, 5.0]])
# The first would add most; the last adds nothing.
MEAN = np.array([[1.0, 1.0], [2.0, 6.0], [6.0, 2.0], [7.0, 7.0]])
STD = np.zeros_like(MEAN)


def test_the_largest_improvement_comes_first_and_the_dominated_last():
    chosen = acquisition.select(9, MEAN, STD, FRONT, REFERENCE)
    assert chosen[0] == 0 and chosen[-1] == 3 and sorted(chosen) == [0, 1, 2, 3]
    assert acquisition.most_promising(9, MEAN, STD, FRONT, REFERENCE) == [0, 1, 2]


def test_what_is_predicted_to_miss_a_limit_comes_after_all_others():
    violation = np.array([0.5, 0.0, 0.1, 0.0])
    options = {'violation': violation}
    assert acquisition.select(9, MEAN, STD, FRONT, REFERENCE, **options) == [1, 3, 2, 0]
    assert acquisition.most_promising(9, MEAN, STD, FRONT, REFERENCE, **options) == [1]


def test_a_doubtful_value_may_be_better_than_its_mean():
    doubt = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [4.0, 0.0]])
    assert 3 in acquisition.most_promising(9, MEAN, doubt, FRONT, REFERENCE)
