"""Gathering with tables: a plain loop, table reuse, compiled size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import cube, remap, sphere


def _table(seed, pixels, grid, taps=4):
    rng = np.random.default_rng(seed)
    weights = rng.random((taps,) + grid)
    return rng.integers(0, pixels, (taps,) + grid), weights / weights.sum(axis=0)


@pytest.mark.parametrize('batch, channels', [((), 3), ((2,), 1), ((2, 3), 4)])
def test_apply_table_is_a_weighted_sum_of_pixels(batch, channels):
    indices, weights = _table(0, 50, (6, 7))
    source = np.random.default_rng(1).random(batch + (50, channels), np.float32)
    found = remap.apply_table(remap.make_table(list(indices), list(weights)), source)
    expected = np.zeros(batch + (6, 7, channels))
    for tap in range(4):
        for i, j in np.ndindex(6, 7):
            expected[..., i, j, :] += weights[tap, i, j] * source[..., indices[tap, i, j], :]
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32])
def test_integers_are_rounded_to_nearest(dtype):
    indices, weights = _table(2, 40, (500,))
    source = np.random.default_rng(3).integers(0, 256, (40, 3)).astype(dtype)
    table = remap.make_table(list(indices), list(weights))
    found = remap.apply_table(table, source)
    assert found.dtype == dtype
    np.testing.assert_array_equal(
        found, np.round(np.asarray(remap.apply_table(table, source.astype(np.float32))))
    )
    exact = np.einsum('tn,tnc->nc', weights, source[indices].astype(np.float64))
    assert np.abs(np.asarray(found, np.float64) - exact).max() <= 0.5 + 1e-4


@pytest.mark.parametrize('dtype', [np.uint8, np.float32, np.int32])
def test_a_table_without_weights_copies_pixels(dtype):
    indices, _ = _table(4, 40, (5, 3), taps=1)
    source = np.random.default_rng(5).integers(0, 200, (2, 40, 2)).astype(dtype)
    found = remap.apply_table(remap.make_table(list(indices), None), source)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, source[:, indices[0]])


@pytest.mark.parametrize('method', ['bilinear', 'nearest'])
def test_projections_give_the_same_with_and_without_a_table(method):
    image = np.random.default_rng(6).random((2, 16, 32, 3), np.float32)
    there = cube.equirect_to_cube_table(16, 32, 8, method)
    back = cube.cube_to_equirect_table(8, 16, 32, method)

    @jax.jit
    def both(there, back, image):
        faces = cube.equirect_to_cube(image, 8, method=method, table=there)
        return faces, cube.cube_to_equirect(faces, 16, 32, method=method, table=back)

    faces = cube.equirect_to_cube(image, 8, method=method)
    found = both(there, back, image)
    np.testing.assert_allclose(found[0], faces, atol=1e-6)
    np.testing.assert_allclose(
        found[1], cube.cube_to_equirect(faces, 16, 32, method=method), atol=1e-6
    )


def test_tables_are_built_once_per_shape_even_under_a_trace():
    image = jnp.zeros((12, 24, 1))
    jax.jit(lambda x: cube.equirect_to_cube(x, 5))(image)
    table = cube.equirect_to_cube_table(12, 24, 5)
    assert table is cube.equirect_to_cube_table(12, 24, 5)
    assert all(isinstance(np.asarray(leaf), np.ndarray) for leaf in jax.tree.leaves(table))
    assert cube.equirect_to_cube_table(12, 24, 6) is not table


def test_a_table_passed_as_an_argument_keeps_the_program_small():
    image, table = jnp.zeros((64, 128, 3)), cube.equirect_to_cube_table(64, 128, 32)
    program = lambda x, t: cube.equirect_to_cube(x, 32, table=t)
    argument = len(jax.jit(program).lower(image, table).as_text())
    constant = len(jax.jit(lambda x: program(x, table)).lower(image).as_text())
    assert argument < 20_000 and constant > 5 * argument


def test_a_coordinate_that_is_not_a_number_touches_its_own_pixel_only():
    image = np.random.default_rng(7).random((8, 16, 3), np.float32)
    rays = np.array(sphere.ray_directions(8, 16))
    rays[2, 3] = np.nan
    found = np.asarray(sphere.sample_equirect(image, rays))
    keep = np.ones((8, 16), bool)
    keep[2, 3] = False
    np.testing.assert_allclose(found[keep], image[keep], atol=1e-5)
    assert not np.isfinite(found[2, 3]).any()


def test_gradient_to_the_source_scatters_the_weights():
    indices, weights = _table(8, 30, (200,))
    table = remap.make_table(list(indices), list(weights))
    found = jax.grad(lambda s: remap.apply_table(table, s).sum())(jnp.zeros((30, 2)))
    expected = np.bincount(indices.ravel(), weights=weights.ravel(), minlength=30)
    np.testing.assert_allclose(found, np.stack([expected] * 2, axis=-1), rtol=1e-5)
