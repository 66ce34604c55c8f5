"""Points: even over the sphere, on strong gradients, with patterns of one size everywhere."""

import numpy as np

from pano_depth.kernels import sphere
from pano_depth.reconstruction.bundle import points

HEIGHT = 64


def test_cells_have_about_equal_solid_angle():
    for count in (100, 600):
        cells = points.cells_of(256, count)
        areas = np.bincount(cells.ravel(), np.asarray(sphere.solid_angles(256, 512)).ravel())
        assert 0.7 * count < len(areas) < 1.3 * count
        assert areas.min() > 0.3 * areas.mean() and areas.max() < 2 * areas.mean()


def test_strong_gradients_are_taken_one_in_each_cell():
    rng = np.random.default_rng(0)
    gradient = np.zeros((HEIGHT, 2 * HEIGHT, 3), np.float32)
    gradient[20:40, 10:60, 0] = 0.1
    gradient[30, 30, 0] = 5.0
    mask = np.ones((HEIGHT, 2 * HEIGHT), bool)
    mask[:, 45:] = False
    found = points.choose(gradient, 200, mask=mask, rng=rng)
    rows, columns = np.divmod(found, 2 * HEIGHT)
    assert 30 * 2 * HEIGHT + 30 in found
    assert rows.min() >= 20 and rows.max() < 40 and columns.min() >= 10 and columns.max() < 45
    cells = points.cells_of(HEIGHT, 200).ravel()[found]
    assert len(set(cells)) == len(cells) > 5


def test_a_plain_image_has_no_points():
    plain = np.zeros((HEIGHT, 2 * HEIGHT, 3), np.float32)
    assert len(points.choose(plain, 200, rng=np.random.default_rng(0))) == 0


def test_patterns_are_equally_large_at_every_latitude():
    pixels = np.array([32, 20, 8]) * 2 * HEIGHT + 17
    rays = points.pattern_rays(pixels, HEIGHT, spread=2.0)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)
    centres = sphere.pixel_rays(HEIGHT, 2 * HEIGHT).reshape(-1, 3)[pixels]
    np.testing.assert_allclose(rays[:, 0], centres, atol=1e-12)
    angles = np.arccos(np.clip(np.einsum('pki,pi->pk', rays, centres), -1, 1))
    expected = np.hypot(*points.PATTERN.T) * 2 * np.pi / HEIGHT
    np.testing.assert_allclose(
        angles, np.broadcast_to(expected, angles.shape), rtol=0.12, atol=1e-7
    )
