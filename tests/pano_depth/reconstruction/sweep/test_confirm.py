"""What other views confirm, and what stands where none does."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.reconstruction.sweep import confirm

HEIGHT, RADIUS = 64, 3.0
BALL, SIZE = np.array([0.8, 0.2, 1.0]), 0.5  # a ball in the room, which is a ball itself
TURN = Rotation.from_rotvec([0.3, 1.9, -0.4]).as_matrix()
PLACE = np.array([-0.5, 0.3, 0.6])


def _hit(start, rays, centre, radius):
    """Distances at which rays enter and leave a ball; NaN where they miss it."""
    along = rays @ (centre - start)
    with np.errstate(invalid='ignore'):
        half = np.sqrt(radius**2 - (centre - start) @ (centre - start) + along**2)
    return along - half, along + half


def _depth(rotation, place):
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT) @ rotation.T
    near, _ = _hit(place, rays, BALL, SIZE)
    _, wall = _hit(place, rays, np.zeros(3), RADIUS)
    return np.where(near > 0, near, wall), rays


def _agreement(inverse, other):
    cast = lambda x: jnp.asarray(x, jnp.float32)
    position = -TURN.T @ PLACE
    return np.asarray(confirm.compare(cast(inverse), cast(other), cast(TURN.T), cast(position))[0])


@pytest.fixture(scope='module')
def pair():
    """(range here, range there, what both see); what is next to the ball's rim is in doubt."""
    here, rays = _depth(np.eye(3), np.zeros(3))
    there, _ = _depth(TURN, PLACE)
    points = here[..., None] * rays
    ways = points - PLACE
    length = np.linalg.norm(ways, axis=-1)
    ways = ways / length[..., None]
    along = np.clip(ways @ (BALL - PLACE), 0, length)
    clearance = np.linalg.norm(PLACE + along[..., None] * ways - BALL, axis=-1) / SIZE
    on_ball = np.linalg.norm(points - BALL, axis=-1) < SIZE * 1.001
    faces = ((points - BALL) * -ways).sum(axis=-1) / SIZE
    seen = np.where(on_ball, faces > 0.5, clearance > 1.3)
    hidden = np.where(on_ball, faces < -0.3, (clearance < 0.8) & (along < length))
    return here, there, seen, hidden


def test_views_agree_where_both_see_and_nowhere_else(pair):
    here, there, seen, hidden = pair
    found = _agreement(1 / here, 1 / there)
    assert seen.mean() > 0.8 and 0.005 < hidden.mean() < 0.2
    assert np.quantile(found[seen], 0.02) > 0.7 and np.median(found[seen]) > 0.99
    assert found[hidden].max() < 0.01


def test_agreement_falls_with_the_difference(pair):
    here, there, seen, _ = pair
    for off in (-0.02, 0.02):
        found = _agreement(1 / here, np.exp(off) / there)
        assert np.median(found[seen]) == pytest.approx(np.exp(-0.5), abs=0.03)
    wrong = _agreement(np.exp(0.1) / here, 1 / there)
    assert np.median(wrong[seen]) < 0.05


def test_the_difference_is_what_the_other_view_says_instead(pair):
    here, there, seen, _ = pair
    cast = lambda x: jnp.asarray(x, jnp.float32)
    motion = cast(TURN.T), cast(-TURN.T @ PLACE)
    for off in (-0.02, 0.02):
        found = confirm.compare(cast(1 / here), cast(np.exp(off) / there), *motion)[1]
        assert np.median(np.asarray(found)[seen]) == pytest.approx(off, abs=1e-3)


def test_noise_is_averaged_over_the_views_that_agree():
    rng = np.random.default_rng(0)
    truth = np.full((32, 64), 0.5, np.float32)
    own, *others = 0.01 * rng.standard_normal((9, 32, 64)).astype(np.float32)
    differences = np.stack(others) - own
    agreements = np.exp(-0.5 * (differences / confirm.TOLERANCE) ** 2)
    # One view sees something else in front.
    differences[0], agreements[0] = 1.0, 0.0
    noisy = (truth * np.exp(own)).astype(np.float32)
    found = confirm.averaged(noisy, agreements, differences)
    error = lambda inverse: np.sqrt(np.mean(np.log(inverse / truth) ** 2))
    assert error(found) < 0.45 * error(noisy)
    nothing = confirm.averaged(noisy, 0 * agreements, differences)
    np.testing.assert_array_equal(nothing, noisy)
    assert not confirm.averaged(0 * noisy, agreements, differences).any()


def test_what_is_unknown_is_not_confirmed(pair):
    here, there, _, _ = pair
    inverse, other = 1 / here, 1 / there
    inverse[:10] = 0
    found = _agreement(inverse, other)
    assert not found[:10].any() and found[10:].any()
    assert not _agreement(1 / here, 0 * other).any()


def test_precision_falls_with_the_baseline():
    height = 64
    inverse = np.full((height, 2 * height), 0.5, np.float32)
    rays = sphere.pixel_rays(height, 2 * height)
    means = []
    for length in (0.02, 0.1, 0.5):
        centres = np.array([[0, 0, length], [0, 0, 0.01]], np.float32)
        found = np.asarray(confirm.precision(jnp.asarray(inverse), jnp.asarray(centres)))
        sine = np.hypot(rays[..., 0], rays[..., 1])
        pixels = length * sine * 0.5 / (np.pi / height)
        # A tenth of a pixel is the part 0.1 / pixels of the range, which may be off by 0.03.
        np.testing.assert_allclose(found, 1 / (1 + (0.1 / pixels / 0.03) ** 2), atol=1e-4)
        means.append(found.mean())
    assert means[0] < 0.01 < 0.04 < means[1] < 0.1 < 0.5 < means[2]
    # A second source at right angles tells what lies along the first baseline.
    both = np.array([[0, 0, 0.5], [0.5, 0, 0]], np.float32)
    assert confirm.precision(jnp.asarray(inverse), jnp.asarray(both)).min() > 0.5


@pytest.mark.parametrize('height', [16, 60, 64, 90, 100, 122])
def test_a_constant_spreads_out_whatever_the_size(height):
    weight = (np.random.default_rng(0).uniform(size=(height, 2 * height)) < 0.05).astype(np.float32)
    weight[: height // 2] = 0
    found = confirm.spread_out(np.full(weight.shape, 0.7, np.float32), weight)
    assert found.shape == weight.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, 0.7, atol=1e-5)


@pytest.mark.parametrize('height', [32, 50])
def test_near_values_count_most(height):
    values = np.zeros((height, 2 * height), np.float32)
    values[:, height:] = 1
    weight = np.ones_like(values)
    gap = np.s_[:, height - 4 : height + 4]
    weight[gap] = 0
    found = confirm.spread_out(values, weight)
    known = weight > 0
    # A pixel that is known hardly changes but at the edge.
    assert np.abs(found - values)[known].mean() < 0.1
    row = found[height // 2]
    assert row[height - 3] < 0.4 and row[height + 3] > 0.6
    assert (found >= 0).all() and (found <= 1).all()


def test_values_spread_around_the_seam():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(32, 64)).astype(np.float32)
    weight = (rng.uniform(size=values.shape) < 0.1).astype(np.float32)
    turned = lambda x: np.roll(x, 32, axis=1)
    found = confirm.spread_out(turned(values), turned(weight))
    np.testing.assert_allclose(found, turned(confirm.spread_out(values, weight)), atol=1e-6)


def test_nothing_known_spreads_zeros():
    zeros = np.zeros((16, 32), np.float32)
    np.testing.assert_array_equal(confirm.spread_out(zeros + 5, zeros), 0)


def _found(seed=0, ratio=1.3, shape=(32, 64)):
    """(inverse, sure, prior): found is `ratio` times the prior, and half of it is confirmed."""
    rng = np.random.default_rng(seed)
    prior = rng.uniform(1, 4, shape).astype(np.float32)
    sure = rng.uniform(0, 1, shape).astype(np.float32)
    return (1 / (ratio * prior)).astype(np.float32), sure, prior


def test_filled_is_the_prior_scaled_to_what_is_confirmed():
    inverse, sure, prior = _found()
    # What is not confirmed is wrong.
    inverse[sure < confirm.CONFIRMED] *= 3
    depth, confidence = confirm.filled(inverse, sure, prior)
    np.testing.assert_allclose(depth, 1.3 * prior, rtol=1e-5)
    kept = sure >= confirm.CONFIRMED
    np.testing.assert_array_equal(confidence[kept], sure[kept])
    assert confidence[~kept].max() <= confirm.UNKNOWN and confidence.min() >= 1 / 255 - 1e-9


def test_nothing_found_is_the_prior():
    _, _, prior = _found(1)
    zeros = np.zeros_like(prior)
    depth, confidence = confirm.filled(zeros, zeros, prior)
    np.testing.assert_array_equal(depth, prior)
    assert (confidence > 0).all() and (confidence <= confirm.UNKNOWN).all()


@pytest.mark.parametrize('fill', [True, False])
def test_confidence_is_zero_exactly_where_depth_is(fill):
    inverse, sure, prior = _found(2)
    inverse[5:9], prior[7:12], sure[20:22] = 0, 0, 0
    depth, confidence = (
        confirm.filled(inverse, sure, prior) if fill else confirm.only_confirmed(inverse, sure)
    )
    assert depth.dtype == confidence.dtype == np.float32
    np.testing.assert_array_equal(depth == 0, confidence == 0)
    assert not depth[7:9].any() and (depth > 0).any()
    confirmed = (sure >= confirm.CONFIRMED) & (inverse > 0)
    # Where only the prior is missing, what was found stands.
    np.testing.assert_allclose(depth[confirmed], 1 / inverse[confirmed], rtol=1e-6)
    if not fill:
        assert not depth[~confirmed].any()
