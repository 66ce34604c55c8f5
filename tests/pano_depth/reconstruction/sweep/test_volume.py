"""Costs of hypotheses: lowest at the truth, whatever hides behind something in some sources."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.reconstruction.sweep import textures, volume

HEIGHT, FINE = 32, 4
RADIUS = 3.0  # of the ball from whose inside its painted wall is seen
WAVES = np.random.default_rng(0).normal(0, 0.8, (8, 3))
INVERSE = np.geomspace(0.15, 1.0, 17).astype(np.float32)
PLACES = 1.6 * np.array([[0.5, 0.1, 0.2], [-0.4, 0.2, 0.3], [0.1, -0.3, -0.5], [0.3, 0.3, -0.2]])
TURNS = Rotation.from_rotvec(
    [[0.1, 0.5, 0], [0, 0, 0], [0.3, -0.2, 0.4], [0, 2.5, 0.1]]
).as_matrix()


def _painted(rotation, place, height, brightness=1.0):
    """Frame and range of a camera inside the ball; rotation and place: camera to world."""
    rays = sphere.pixel_rays(height, 2 * height) @ rotation.T
    along = rays @ place
    depth = np.sqrt(along**2 + RADIUS**2 - place @ place) - along
    points = place + depth[..., None] * rays
    phase = np.arange(3)[:, None] + np.arange(8)
    colours = 0.5 + 0.1 * np.sin((points @ WAVES.T)[..., None, :] + phase).sum(axis=-1)
    return np.rint(np.clip(colours * brightness, 0, 1) * 255).astype(np.uint8), depth


def _noise(seed):
    small = np.random.default_rng(seed).integers(0, 2, (HEIGHT, 2 * HEIGHT, 3), np.uint8)
    return (255 * small).repeat(FINE, axis=0).repeat(FINE, axis=1)


def _features(frame):
    return textures.features(frame, np.zeros((1, 1), bool), HEIGHT)


def _sources(frames, gain=1.0, count=4):
    words = jnp.stack([textures.pack(_features(frame)) for frame in frames])
    rotation = TURNS[:count].swapaxes(1, 2)
    position = -np.einsum('nij,nj->ni', rotation, PLACES[:count])
    return volume.Sources(
        words,
        jnp.asarray(rotation, jnp.float32),
        jnp.asarray(position, jnp.float32),
        jnp.full((count, HEIGHT, 2 * HEIGHT), gain, jnp.float32),
    )


@pytest.fixture(scope='module')
def scene():
    """(features of the target, its range, frames of the sources)."""
    frame, _ = _painted(np.eye(3), np.zeros(3), FINE * HEIGHT)
    _, depth = _painted(np.eye(3), np.zeros(3), HEIGHT)
    frames = [_painted(turn, place, FINE * HEIGHT)[0] for turn, place in zip(TURNS, PLACES)]
    return _features(frame), depth, frames


def _around(depth, factors):
    return jnp.asarray(np.log(np.asarray(factors)[:, None, None] / depth), jnp.float32)


FACTORS = (0.4, 0.65, 1.0, 1.5, 2.5)


@pytest.fixture(scope='module')
def costs(scene):
    """Costs of the true range and of others, by the four sources."""
    target, depth, frames = scene
    return np.asarray(volume.volume(target, _sources(frames), _around(depth, FACTORS)))


def test_the_truth_costs_next_to_nothing(costs):
    assert np.quantile(costs[2], 0.95) < 0.018 and np.median(costs[2]) < 0.009
    # It is the lowest, at the poles and at the seam as well.
    best = costs.argmin(axis=0) == 2
    assert best.mean() > 0.97 and best[[0, 1, -2, -1]].mean() > 0.9
    assert best[:, [0, -1]].mean() > 0.9
    assert np.median(np.delete(costs, 2, axis=0).min(axis=0) / costs[2]) > 1.8


def test_hypotheses_of_the_whole_image_are_those_of_each_pixel(scene):
    target, _, frames = scene
    logs = np.log(INVERSE[:5])
    sources = _sources(frames)
    one = volume.volume(target, sources, jnp.asarray(logs))
    each = np.broadcast_to(logs[:, None, None], (5, HEIGHT, 2 * HEIGHT))
    other = volume.volume(target, sources, jnp.asarray(each))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_hides_a_point_in_half_of_the_sources_does_not_matter(scene, costs):
    target, depth, frames = scene
    noise = _noise(1)
    hidden = _sources([noise, frames[1], noise, frames[3]])
    found = np.asarray(volume.volume(target, hidden, _around(depth, FACTORS)))
    assert np.quantile(found[2], 0.95) < 0.025
    assert (found.argmin(axis=0) == 2).mean() > 0.95
    # In three of four it does.
    hidden = _sources([noise, frames[1], noise, noise])
    worse = np.asarray(volume.volume(target, hidden, _around(depth, FACTORS[2:3])))
    assert np.median(worse[0]) > 3 * np.median(found[2])


def test_no_source_costs_more_than_the_truncation(scene):
    target, depth, _ = scene
    found = np.asarray(volume.volume(target, _sources([_noise(2)] * 4), _around(depth, [1.0])))
    assert found.max() <= volume.TRUNCATION + 1e-6
    assert np.median(found) > 0.9 * volume.TRUNCATION


@pytest.mark.parametrize('gain', [1.5, 0.8])
def test_a_gain_makes_up_for_the_brightness_of_the_sources(scene, gain):
    target, depth, _ = scene
    darker = [
        _painted(turn, place, FINE * HEIGHT, 1 / gain)[0] for turn, place in zip(TURNS, PLACES)
    ]
    logs = _around(depth, FACTORS)
    known = np.asarray(volume.volume(target, _sources(darker, gain), logs))
    unknown = np.asarray(volume.volume(target, _sources(darker), logs))
    assert np.median(known[2]) < 0.012 and np.median(unknown[2]) > 0.04
    assert (known.argmin(axis=0) == 2).mean() > 0.85


def test_a_cost_is_the_difference_at_the_brightness_of_the_target():
    even = lambda grey: np.full((HEIGHT, 2 * HEIGHT, 3), grey, np.uint8)
    sources = _sources([even(60)] * 4, 1.25)
    found = volume.volume(_features(even(100)), sources, jnp.asarray([-1.0, 0.5]))
    # Colours count half; there is no gradient.
    np.testing.assert_allclose(found, 0.5 * (100 - 1.25 * 60) / 255, atol=1e-3)


def test_sorting_pairs_sort():
    """A network that sorts all zeros and ones sorts everything (Knuth's 0-1 principle)."""
    for count in range(1, 10):
        for bits in itertools.product((0, 1), repeat=count):
            values = list(bits)
            for low, high in volume.sorting_pairs(count):
                assert low < high
                if values[low] > values[high]:
                    values[low], values[high] = values[high], values[low]
            assert values == sorted(bits)


@pytest.mark.parametrize('height', [16, 30])
def test_pooled_is_the_mean_over_a_patch_of_the_sphere(height):
    width = 2 * height
    costs = np.random.default_rng(3).uniform(0, 1, (2, height, width)).astype(np.float32)
    expected = np.zeros((2, height, width))
    for row in range(height):
        latitude = (0.5 - (row + 0.5) / height) * np.pi
        aside = int(np.clip(np.floor(1.5 / np.cos(latitude)), 1, width // 8))
        for column in range(width):
            patch = []
            for down in (-1, 0, 1):
                r, shift = row + down, 0
                if not 0 <= r < height:
                    r, shift = np.clip(r, 0, height - 1), height
                for move in range(-aside, aside + 1):
                    patch.append(costs[:, r, (column + move + shift) % width])
            expected[:, row, column] = np.mean(patch, axis=0)
    np.testing.assert_allclose(volume.pooled(jnp.asarray(costs)), expected, atol=2e-6)


def test_columns_are_as_wide_as_a_pixel_of_the_equator():
    columns = volume.columns_of(64)
    assert columns[32] == pytest.approx(1, abs=1e-3) and columns.max() <= 64
    rays = sphere.pixel_rays(64, 128)
    apart = np.linalg.norm(rays[:, 1] - rays[:, 0], axis=-1)
    np.testing.assert_allclose(columns * apart, apart[32], rtol=2e-3)


def test_bands_of_rows_have_the_costs_of_the_whole(scene, monkeypatch):
    target, depth, frames = scene
    gains = np.random.default_rng(1).uniform(0.8, 1.2, (4, HEIGHT, 2 * HEIGHT))
    sources = _sources(frames)._replace(gain=jnp.asarray(gains, jnp.float32))
    wavy = depth * np.random.default_rng(2).uniform(0.7, 1.4, depth.shape)
    for logs in (_around(wavy, FACTORS), jnp.asarray(np.log(INVERSE))):
        whole = np.asarray(volume.volume(target, sources, logs))
        monkeypatch.setattr(volume, 'band_of', lambda height: height // 4)
        # A function of its own: JAX would remember how it traced the other one.
        again = jax.jit(lambda *args: volume.volume.__wrapped__(*args))
        bands = np.asarray(again(target, sources, logs))
        monkeypatch.undo()
        np.testing.assert_allclose(bands, whole, atol=1e-6)


@pytest.mark.parametrize(
    ('height', 'rows'),
    [(32, 32), (256, 32), (512, 16), (1024, 8), (200, 40), (250, 25), (514, 514)],
)
def test_bands_fit_into_the_cache_and_divide_the_rows(height, rows):
    assert volume.band_of(height) == rows
