"""Normal equations of one keyframe, against finite differences and a dense solve."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.reconstruction.bundle import points, terms
from pano_depth.reconstruction.bundle.textures import Textures

HEIGHT, SOURCES = 128, 3
ROBUST = np.array([10.0, 20.0], np.float32)  # nothing is an outlier: plain least squares


@pytest.fixture(scope='module')
def scene():
    """Textures of smooth noise on the sphere and a few points in the first of them."""
    rng = np.random.default_rng(3)
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT)
    waves, phases = rng.normal(0, 4, (SOURCES + 1, 3, 6)), rng.uniform(0, 6, (SOURCES + 1, 6))
    grey = [0.5 + 0.07 * np.sin(rays @ w + p).sum(-1) for w, p in zip(waves, phases, strict=True)]
    frames = np.repeat((np.stack(grey) * 255).clip(0, 255).astype(np.uint8)[..., None], 3, axis=-1)
    found = Textures(frames)
    maps = jnp.stack([found.texture(i, HEIGHT, 2.0) for i in range(SOURCES + 1)])
    pixels = rng.choice(np.arange(30 * 256, 98 * 256), 5, replace=False)
    pattern = jnp.asarray(points.pattern_rays(pixels, HEIGHT), jnp.float32)
    inverse = rng.uniform(0.2, 1.0, 5)
    state = {
        'host': Rotation.from_rotvec(rng.normal(0, 0.3, 3)).as_matrix(),
        'rotation': Rotation.from_rotvec(rng.normal(0, 0.3, (SOURCES, 3))).as_matrix(),
        'place': rng.normal(0, 0.4, (SOURCES + 1, 3)),
        'inverse': inverse,
    }
    values = terms.look(maps, jnp.asarray(0), pattern, HEIGHT)
    return maps, pattern, values, state


def _view(scene, state, *, robust=ROBUST, present=(True, True, True)):
    maps, pattern, values, _ = scene
    valid = np.ones(len(state['inverse']), bool)
    inverse = jnp.asarray(state['inverse'], jnp.float32)
    return terms.View(
        maps,
        jnp.arange(1, SOURCES + 1),
        terms.Points(pattern, values, inverse, jnp.asarray(valid)),
        jnp.asarray(state['host'], jnp.float32),
        jnp.asarray(state['rotation'], jnp.float32),
        jnp.asarray(state['place'][0] - state['place'][1:], jnp.float32),
        jnp.asarray(present),
        jnp.asarray(robust),
    )


def _terms(scene, state, **options):
    return terms.host_terms(_view(scene, state, **options), HEIGHT)


def _moved(state, index, amount):
    """The state with one number changed: 6 of the host, 6 of each source, the inverse ranges."""
    state = {name: value.copy() for name, value in state.items()}
    pose, number = divmod(index, 6)
    step = np.zeros(3)
    step[number % 3] = amount
    if pose > SOURCES:
        state['inverse'][index - 6 * (SOURCES + 1)] += amount
    elif number < 3:
        turn = Rotation.from_rotvec(step).as_matrix()
        if pose:
            state['rotation'][pose - 1] = turn @ state['rotation'][pose - 1]
        else:
            state['host'] = turn @ state['host']
    else:
        state['place'][pose] += step
    return state


def test_the_right_side_is_the_downward_slope_of_the_cost(scene):
    found = _terms(scene, scene[3])
    right = np.concatenate([np.asarray(found.right), np.asarray(found.point_right)])
    step = 3e-3
    slopes = np.array(
        [
            float(_terms(scene, _moved(scene[3], i, step)).cost)
            - float(_terms(scene, _moved(scene[3], i, -step)).cost)
            for i in range(len(right))
        ]
    ) / (2 * step)
    # The cost is the square, so that its slope is twice the product of derivative and residual.
    np.testing.assert_allclose(-slopes / 2, right, atol=0.06 * np.abs(right).max())
    assert np.corrcoef(-slopes, right)[0, 1] > 0.995


def test_the_hessian_is_made_of_the_slopes_of_the_residuals(scene):
    found, step = _terms(scene, scene[3]), 3e-3
    residual = lambda state: np.asarray(terms._residual(_view(scene, state), HEIGHT)[0]).ravel()
    slopes = np.stack(
        [
            residual(_moved(scene[3], i, step)) - residual(_moved(scene[3], i, -step))
            for i in range(len(found.right))
        ]
    ) / (2 * step)
    expected = slopes @ slopes.T
    # Textures hold central differences, which are a little smaller than the slopes between pixels.
    share = np.linalg.norm(found.hessian) / np.linalg.norm(expected)
    alike = np.corrcoef(np.ravel(found.hessian), expected.ravel())[0, 1]
    assert 0.8 < share < 1 and alike > 0.995


def test_eliminating_points_is_solving_the_whole_system(scene):
    found = _terms(scene, scene[3])
    poses, count = len(found.right), len(found.point_right)
    damping = 1e-2
    whole = np.zeros((poses + count, poses + count))
    whole[:poses, :poses] = found.hessian
    whole[:poses, poses:] = np.asarray(found.mixed).T
    whole[poses:, :poses] = found.mixed
    whole[poses:, poses:] = np.diag(np.asarray(found.point_hessian) * (1 + damping) + 1e-6)
    free = np.r_[6 : poses + count]  # without a frame that is held it has no one solution
    whole[np.diag_indices(poses)] += 1e-2
    right = np.concatenate([found.right, found.point_right])
    expected = np.linalg.solve(whole[np.ix_(free, free)], right[free])
    hessian, reduced, inverse = (np.asarray(x, np.float64) for x in terms.reduced(found, damping))
    hessian[np.diag_indices(poses)] += 1e-2
    step = np.linalg.solve(hessian[6:, 6:], reduced[6:])
    np.testing.assert_allclose(step, expected[: poses - 6], rtol=2e-2, atol=1e-3)
    deeper = inverse * (
        np.asarray(found.point_right) - np.asarray(found.mixed, np.float64)[:, 6:] @ step
    )
    np.testing.assert_allclose(deeper, expected[poses - 6 :], rtol=2e-2, atol=1e-3)


def test_exposure_drops_out_and_sources_that_are_not_there_count_nothing(scene):
    maps, pattern, values, state = scene
    usual = _terms(scene, state)
    brighter = _terms((maps, pattern, values + 0.2, state), state)
    np.testing.assert_allclose(brighter.cost, usual.cost, rtol=1e-4)
    two = _terms(scene, state, present=(True, False, True))
    assert float(two.count) == 10 and float(usual.count) == 15
    assert not np.asarray(two.hessian)[12:18].any() and not np.asarray(two.mixed)[:, 12:18].any()


def test_hidden_and_outlying_patterns_count_nothing(scene):
    maps, pattern, values, state = scene
    hidden = maps.at[2].set(jnp.nan)
    found = _terms((hidden, pattern, values, state), state)
    assert float(found.count) == 10 and np.isfinite(np.asarray(found.hessian)).all()
    strict = _terms(scene, state, robust=np.array([1e-4, 2e-4], np.float32))
    assert float(strict.count) == 0 and float(strict.cost) == 0
