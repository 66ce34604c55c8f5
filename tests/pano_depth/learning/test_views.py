"""Single images through several views."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import cube, sphere
from pano_depth.learning import model as models
from pano_depth.learning import views
from pano_depth.learning.model import ModelConfig
from tests.compiling import quickly

CUBE = ModelConfig(face_size=16, depth_channels=(4, 8), pose_channels=(4,))
GRIDS = [CUBE, ModelConfig(face_size=16, padding='equirect', depth_channels=(4, 8))]


def _images(count, rows=32, seed=0):
    """Smooth images: sums of waves over the directions."""
    rng = np.random.default_rng(seed)
    rays = np.asarray(sphere.ray_directions(rows, 2 * rows))
    waves = np.sin(np.einsum('hwi,nci->nhwc', rays, rng.normal(size=(count, 3, 3)) * 2) + 1)
    return (0.5 + 0.4 * waves).astype(np.float32)


def _smooth(directions):
    """A disparity by direction: not symmetric in any axis."""
    x, y, z = jnp.moveaxis(directions, -1, 0)
    return jnp.exp(0.5 * x + 0.3 * y - 0.4 * z + 0.3 * x * z)


@pytest.mark.parametrize('config', GRIDS, ids=['cube', 'equirect'])
def test_every_view_is_brought_back_to_where_it_belongs(config, monkeypatch):
    grid, seen = models.make_grid(config), []

    def look(frames, grid, view):
        seen.append(view)
        return jnp.zeros((len(frames), 1, *grid.rays.shape))

    # A perfect network: what it says depends on the direction in the camera alone.
    def predict(params, images, grid, config):
        return [_smooth(grid.rays @ seen[-1][0].T)[None]], None

    monkeypatch.setattr(models, 'look', look)
    monkeypatch.setattr(models, 'predict_disparity', predict)
    every = (views.matrices(), *views._back(16, config.padding == 'equirect'))
    found, spread = views._disparity.__wrapped__({}, _images(1), grid, every, config)
    true = _smooth(grid.rays)
    true = true / np.average(true, weights=grid.weights)
    np.testing.assert_allclose(found[0], true, rtol=0.02)
    assert float(spread.max()) < 0.02 and spread.shape == found.shape


@pytest.mark.parametrize('config', GRIDS, ids=['cube', 'equirect'])
@quickly()
def test_it_is_the_mean_of_the_views_and_turns_with_the_image(config):
    grid = models.make_grid(config)
    params = models.init_params(0, config)
    # Weights that say more than a constant.
    params['depth'] = jax.tree.map(lambda x: 1.5 * x + 0.05, params['depth'])
    images = _images(2)
    found, spread = views.disparity(params, images, grid, config)
    weights = np.broadcast_to(grid.weights, found.shape[1:])
    np.testing.assert_allclose([np.average(one, weights=weights) for one in found], 1, rtol=1e-5)
    upright = jnp.broadcast_to(jnp.eye(3), (2, 3, 3))
    one_of = lambda images: models.predict_disparity(
        params, models.look(images[:, None], grid, upright)[:, 0], grid, config
    )[0][0]
    one = one_of(images)
    assert float(spread.mean()) > 0.01
    # Mirrored images have mirrored depth, far more than of a single view. On a cube the faces above
    # and below turn with the view, so that theirs differs.
    apart = lambda a, b: np.abs(_flat(a, config) - _flat(b, config)[:, :, ::-1]).mean()
    mirrored = images[:, :, ::-1]
    for a, b in zip((found, spread), views.disparity(params, mirrored, grid, config)):
        assert apart(a, b) < 0.6 * apart(one, one_of(mirrored))


def _flat(grid, config):
    """[N, F, h, w] -> [N, 32, 64]."""
    if config.padding == 'equirect':
        return np.asarray(grid[:, 0])
    return np.asarray(cube.cube_to_equirect(grid[..., None], 32, 64)[..., 0])
