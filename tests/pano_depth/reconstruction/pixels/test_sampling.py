"""Where points appear in another camera: angles, pixels and directions against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.reconstruction.pixels import sampling
from pano_depth.reconstruction.sweep import confirm

HEIGHT = 64
CLOSE = 2e-6  # radians


def test_arctan2_is_within_its_bound_everywhere():
    rng = np.random.default_rng(0)
    angle = rng.uniform(-np.pi, np.pi, 200_000)
    length = np.exp(rng.uniform(-20, 20, angle.size))
    y, x = ((length * f(angle)).astype(np.float32) for f in (np.sin, np.cos))
    found = np.asarray(jax.jit(sampling.arctan2)(y, x), np.float64)
    error = np.abs(found - np.arctan2(y.astype(np.float64), x.astype(np.float64)))
    assert error.max() < CLOSE


def test_arctan2_on_the_axes():
    y, x = jnp.array([0, 0, 1, -1, 0, 1, -1.0]), jnp.array([1, -1, 0, 0, 0, -1, -1.0])
    expected = np.pi * np.array([0, 1, 0.5, -0.5, 0, 0.75, -0.75])
    np.testing.assert_allclose(sampling.arctan2(y, x), expected, atol=CLOSE)


def test_pixels_are_those_of_project():
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(20_000, 3)) * np.exp(rng.uniform(-9, 9, (20_000, 1)))
    # Around the poles and on both sides of the seam.
    directions[:2000, [0, 2]] *= 1e-3
    directions[2000:4000, 0] *= 1e-3
    directions = directions.astype(np.float32)
    columns, rows = sampling.pixels(list(jnp.asarray(directions.T)), HEIGHT)
    u, v = sphere.project(directions.astype(np.float64), HEIGHT, 2 * HEIGHT)
    np.testing.assert_allclose(columns, u, atol=1e-4)
    np.testing.assert_allclose(rows, v, atol=1e-4)
    assert float(columns.min()) < -0.4 and float(columns.max()) > 2 * HEIGHT - 0.6


def test_poles_and_seam_stay_in_the_image():
    directions = np.array(
        [[0, -1, 0], [0, 1, 0], [1e-7, -1, 0], [0, 0, -1], [1e-9, 0, -1], [-1e-9, 0, -1]],
        np.float32,
    )
    columns, rows = (np.asarray(x) for x in sampling.pixels(list(jnp.asarray(directions.T)), 8))
    np.testing.assert_allclose(rows, [-0.5, 7.5, -0.5, 3.5, 3.5, 3.5], atol=1e-5)
    np.testing.assert_allclose(columns[3:], [15.5, 15.5, -0.5], atol=1e-5)
    assert (columns >= -0.5 - 1e-5).all() and (columns <= 15.5 + 1e-5).all()


def test_points_are_seen_where_a_rigid_motion_takes_them():
    rng = np.random.default_rng(2)
    rays = rng.normal(size=(3, 5, 7))
    rays /= np.linalg.norm(rays, axis=0)
    depth = rng.uniform(0.3, 8, (5, 7))
    rotation, position = Rotation.random(random_state=3).as_matrix(), rng.normal(size=3)
    points = np.einsum('ij,jhw->ihw', rotation, rays * depth) + position[:, None, None]
    cast = lambda *arrays: [jnp.asarray(x, jnp.float32) for x in arrays]
    found = np.stack(sampling.seen_from(*cast(rays, 1 / depth, rotation, position)))
    # Its length is the distance there, divided by that here.
    np.testing.assert_allclose(found * depth, points, atol=1e-5)


def test_compiled_keeps_name_and_result():
    @sampling.compiled
    def double(x):
        """Twice."""
        return 2 * x

    assert double.__name__ == 'double' and double.__doc__ == 'Twice.'
    np.testing.assert_array_equal(double(jnp.arange(3)), [0, 2, 4])


def test_what_is_compiled_works_inside_jit_and_vmap():
    inverse = jnp.asarray(np.random.default_rng(3).uniform(0.2, 1, (2, 16, 32)), jnp.float32)
    centres = jnp.asarray([[0.3, 0.0, 0.1]], jnp.float32)
    alone = np.stack([confirm.precision(one, centres) for one in inverse])
    inside = jax.jit(jax.vmap(confirm.precision, in_axes=(0, None)))(inverse, centres)
    np.testing.assert_allclose(inside, alone, rtol=1e-5)
