"""Learned groups of one kernel: what is pruned, and what counts as condensed."""

import numpy as np

from common.layers import condensation


def test_a_kernel_that_is_not_condensed_is_known():
    mask = np.ones((8, 8))
    assert not condensation.is_condensed(mask, 4, 2)
    mask = condensation.prune(np.random.default_rng(0).random((8, 8)), mask, 4, 2)
    assert condensation.is_condensed(mask, 4, 2) and not condensation.is_condensed(mask, 4, 4)
    assert condensation.prune(np.ones((8, 8)), mask, 4, 2) is None
