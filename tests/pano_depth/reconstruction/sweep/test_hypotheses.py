"""Which distances are tried, and how much the images tell of them."""

import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.reconstruction.sweep import hypotheses

COUNT = 48


def _costs(curve):
    return jnp.asarray(np.broadcast_to(curve[:, None, None], (len(curve), 2, 4)), jnp.float32)


def _told(curve):
    found = np.asarray(hypotheses.told(_costs(curve)))
    assert np.ptp(found) == 0
    return float(found[0, 0])


def test_hypotheses_reach_beyond_what_the_prior_holds():
    depth = np.geomspace(0.8, 9, 512).reshape(16, 32)
    axis = hypotheses.axis(depth, COUNT)
    assert axis.inverse.shape == (COUNT,) and (np.diff(axis.inverse) > 0).all()
    assert axis.inverse[0] == pytest.approx(1 / 9 / 2, rel=0.05)
    assert axis.inverse[-1] == pytest.approx(1 / 0.8 * 5, rel=0.05)
    # Steps in range are finer where things are near.
    steps = -np.diff(1 / axis.inverse)
    assert (np.diff(steps) < 0).all()


def test_a_number_between_hypotheses_has_its_inverse_range():
    axis = hypotheses.axis(np.array([[1.0, 5.0]]), COUNT)
    numbers = jnp.arange(COUNT, dtype=jnp.float32)
    np.testing.assert_allclose(axis.at(numbers), axis.inverse, rtol=1e-5)
    between = np.asarray(axis.at(numbers[:-1] + 0.5))
    assert (between > axis.inverse[:-1]).all() and (between < axis.inverse[1:]).all()


def test_unknown_depth_does_not_count():
    known = hypotheses.axis(np.array([[2.0, 3.0]]), COUNT)
    with_holes = hypotheses.axis(np.array([[0.0, 2.0, 0.0, 3.0]]), COUNT)
    np.testing.assert_array_equal(known.inverse, with_holes.inverse)
    nothing = hypotheses.axis(np.zeros((2, 4)), COUNT)
    assert np.isfinite(nothing.inverse).all() and (nothing.inverse > 0).all()


def test_images_tell_much_of_one_clear_minimum_only():
    number = np.arange(COUNT)
    clear = 0.1 - 0.09 * np.exp(-0.5 * (number - 20) ** 2)
    assert _told(clear) > 0.99
    assert _told(np.full(COUNT, 0.05)) == 0
    stripes = 0.05 - 0.04 * np.cos(2 * np.pi * number / 12)
    assert _told(stripes) < 0.01
    twice = np.minimum(clear, 0.1 - 0.088 * np.exp(-0.5 * (number - 35) ** 2))
    assert _told(twice) < 0.25
    assert _told(0.03 * clear) < 0.5 < _told(0.3 * clear)


def test_the_neighbours_of_a_minimum_are_no_rivals():
    number = np.arange(COUNT)
    broad = 0.1 - 0.09 * np.exp(-0.5 * ((number - 20) / 1.5) ** 2)
    assert _told(broad) > 0.95
    few = np.array([0.1, 0.1, 0.1, 0.015, 0.01, 0.1, 0.1, 0.1])
    assert _told(few) > 0.95


def test_the_prior_pulls_where_the_images_tell_little():
    logs = np.linspace(-2, 1, COUNT).astype(np.float32)
    rng = np.random.default_rng(0)
    costs = rng.uniform(0, 0.1, (COUNT, 2, 4)).astype(np.float32)
    prior = rng.uniform(-1, 0, (2, 4)).astype(np.float32)
    prior[0, 0] = np.nan
    clear = rng.uniform(0, 1, (2, 4)).astype(np.float32)
    clear[1, 1] = 1
    found = np.asarray(
        hypotheses.pulled(
            jnp.asarray(costs), jnp.asarray(logs), jnp.asarray(prior), 0.02, jnp.asarray(clear)
        )
    )
    expected = costs.astype(np.float64)
    for row in range(2):
        for column in range(4):
            if (row, column) != (0, 0):
                off = np.minimum(np.abs(logs - prior[row, column]), 0.5)
                expected[:, row, column] += 0.02 * (1 - clear[row, column]) * off
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found[:, 0, 0], costs[:, 0, 0])
    np.testing.assert_array_equal(found[:, 1, 1], costs[:, 1, 1])
