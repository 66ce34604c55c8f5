"""Planes are found exactly at any slant, wherever the poles and the seam are."""

import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.reconstruction.sweep import planes

HEIGHT = 64
NORMALS = {
    'ahead': [0.1, 0.2, 1.0],
    'behind, at the seam': [0.05, -0.1, -1.0],
    'above, at the pole': [0.15, -1.0, 0.1],
    'below, at the pole': [0.0, 1.0, 0.0],
    'aside and below': [1.0, 0.8, -0.3],
}
GREY = np.full((3, HEIGHT, 2 * HEIGHT), 0.5, np.float32)


def _plane(normal, height=HEIGHT, distance=2.0):
    """1 / range of the plane normal . X = distance; at most 0 where it is not seen."""
    normal = np.array(normal) / np.linalg.norm(normal)
    return sphere.pixel_rays(height, 2 * height) @ normal / distance


def _fitted(inverse, weight, image=GREY):
    cast = lambda x: jnp.asarray(x, jnp.float32)
    return np.asarray(planes.fit(cast(inverse), cast(weight), cast(image)))


def _slopes(normal, height=HEIGHT, distance=2.0):
    """Change of inverse range to the right and downwards, by the tangent of the angle."""
    longitude = ((np.arange(2 * height) + 0.5) / (2 * height) - 0.5) * 2 * np.pi
    latitude = (0.5 - (np.arange(height) + 0.5) / height)[:, None] * np.pi
    sine, cosine = np.sin(longitude), np.cos(longitude)
    right = np.stack(np.broadcast_arrays(cosine, 0 * latitude, -sine), axis=-1)
    down = np.stack(
        [np.sin(latitude) * sine, np.cos(latitude) + 0 * sine, np.sin(latitude) * cosine], axis=-1
    )
    normal = np.array(normal) / np.linalg.norm(normal) / distance
    return right @ normal, down @ normal


@pytest.mark.parametrize('normal', NORMALS.values(), ids=NORMALS)
def test_a_plane_is_found_exactly(normal):
    true = _plane(normal)
    seen = true > 0.1
    # What is not on the plane has no weight.
    found = _fitted(np.where(seen, true, 0.05), seen)
    sure = true > 0.2
    np.testing.assert_allclose(found[0][sure], true[sure], rtol=1e-4)
    right, down = _slopes(normal)
    np.testing.assert_allclose(found[1][sure], right[sure], atol=2e-3)
    np.testing.assert_allclose(found[2][sure], down[sure], atol=2e-3)


@pytest.mark.parametrize('normal', NORMALS.values(), ids=NORMALS)
def test_outliers_are_ignored(normal):
    rng = np.random.default_rng(0)
    true = _plane(normal)
    seen = true > 0.1
    wild = rng.uniform(size=true.shape) < 0.15
    noisy = true * np.exp(rng.normal(0, 0.01, true.shape))
    found = _fitted(np.where(seen, np.where(wild, 2 * true, noisy), 0.05), seen)
    sure = (true > 0.2) & ~wild
    error = np.abs(np.log(found[0][sure] / true[sure]))
    # The noise is averaged over more than a dozen neighbours.
    assert error.mean() < 0.004 and np.quantile(error, 0.95) < 0.015


def test_neighbours_of_another_colour_do_not_count():
    """Two planes that meet at an edge of the image, and hardly differ in depth."""
    one, other = _plane([0.0, 0.0, 1.0]), _plane([0.2, 0.0, 1.0])
    left = np.broadcast_to(np.arange(2 * HEIGHT) < HEIGHT + 3, one.shape)
    image = GREY + np.where(left, 0.25, -0.25)
    inverse, seen = np.where(left, one, other), one > 0.1
    shown = np.s_[10:22, HEIGHT - 4 : HEIGHT + 8]
    error = [
        np.abs(_fitted(np.where(seen, inverse, 0.05), seen, colours)[0] / inverse - 1)[shown].max()
        for colours in (image, GREY)
    ]
    assert error[0] < 1e-3 < 5e-3 < error[1]


def test_what_nothing_tells_stays():
    inverse = np.random.default_rng(1).uniform(0.2, 1, (HEIGHT, 2 * HEIGHT)).astype(np.float32)
    found = _fitted(inverse, np.zeros_like(inverse))
    np.testing.assert_array_equal(found[0], inverse)
    assert not found[1:].any()


@pytest.mark.parametrize('normal', NORMALS.values(), ids=NORMALS)
def test_a_plane_goes_on_between_its_pixels(normal):
    true = _plane(normal)
    plane = np.stack([true, *_slopes(normal)])
    found = np.asarray(planes.finer(jnp.asarray(plane, jnp.float32)))[0]
    expected = _plane(normal, 2 * HEIGHT)
    sure = expected > 0.2
    np.testing.assert_allclose(found[sure], expected[sure], rtol=1e-4)


def test_slopes_that_are_wrong_do_not_turn_depth_over():
    wild = np.random.default_rng(2).normal(0, 100, (3, HEIGHT, 2 * HEIGHT)).astype(np.float32)
    wild[0] = 0.5
    found = np.asarray(planes.finer(jnp.asarray(wild)))[0]
    assert found.min() > 0.34 and found.max() < 0.71


def test_neighbours_lie_around_on_the_sphere():
    table = planes.around(HEIGHT, 2, 1)
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT).reshape(-1, 3)
    by_pixel = table.index.reshape(len(table.index), HEIGHT, 2 * HEIGHT)
    for row, column in ((0, 0), (3, 2 * HEIGHT - 1), (16, 0), (63, 40)):
        cosine = rays[by_pixel[:, row, column]] @ rays[row * 2 * HEIGHT + column]
        np.testing.assert_allclose(cosine, table.along[:, row, 0], atol=1e-6)
        # Two pixels of the equator away at most, but for a rounding to whole pixels.
        apart = np.arccos(np.clip(cosine, -1, 1)) / (np.pi / HEIGHT)
        assert apart.max() < 2.8
        if row in (3, 16):
            aside = np.abs(table.right[:, row, 0]) / (np.pi / HEIGHT)
            assert 1.7 < aside.max() < 2.6


def test_candidates_are_the_planes_of_the_pixel_and_of_those_around_it():
    plane = np.zeros((3, 16, 32), np.float32)
    plane[0] = np.random.default_rng(5).uniform(1, 2, (16, 32))
    found = np.asarray(planes.finer(jnp.asarray(plane))).reshape(5, 16, 2, 32, 2)
    rows, columns = np.meshgrid(np.arange(16), np.arange(32), indexing='ij')
    for candidate, (down, right) in zip(found, ((0, 0), (0, 2), (0, -2), (2, 0), (-2, 0))):
        index = sphere.wrap_pixels(rows + down, columns + right, 16, 32, xp=np)
        near = plane[0].ravel()[index]
        # A plane without slopes is seen at its inverse range times the cosine of the way to it.
        cosine = candidate / near[:, None, :, None]
        assert (cosine[4:-4] > 0.88).all() and (cosine <= 1 + 1e-6).all()


def test_a_finer_level_may_take_the_plane_of_a_neighbour():
    # A wall at 1 / 2 that ends at column 15, though the coarse level put its end at column 16.
    plane = np.zeros((3, 16, 32), np.float32)
    plane[0] = 0.25
    plane[0, :, :16] = 0.5
    found = np.asarray(planes.finer(jnp.asarray(plane)))
    assert found.shape[0] == 5
    offered = np.sort(found[:, 8, 31])  # the last fine column of the wall
    assert offered[0] == pytest.approx(0.25, rel=0.2) and offered[-1] == pytest.approx(0.5, rel=0.2)
    assert np.ptp(found[:, 8, 10]) < 0.1  # far from the edge all say the same
