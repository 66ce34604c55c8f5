"""The search on one level, and the sizes of all levels."""

import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.reconstruction.sweep import SweepConfig, planes, search, textures, views, volume
from pano_depth.rooms import rooms

HEIGHT = 64
CONFIG = SweepConfig(sources=4, hypotheses=40)


def _features(frame):
    return textures.features(frame, np.zeros((1, 1), bool), HEIGHT)


def _sources(frames, poses, target, others):
    motions = [views.relative(poses, target, j) for j in others]
    return volume.Sources(
        jnp.stack([textures.pack(_features(frames[j])) for j in others]),
        jnp.stack([jnp.asarray(motion.rotation) for motion in motions]),
        jnp.stack([jnp.asarray(motion.translation) for motion in motions]),
        jnp.ones((len(others), HEIGHT, 2 * HEIGHT)),
    )


@pytest.fixture(scope='module')
def scene():
    """(features, sources, sources that show nothing, true range) of a frame."""
    clip = rooms.render_clip(5, 0, frames=9, height=HEIGHT, width=2 * HEIGHT)
    others = [0, 2, 6, 8]
    sources = _sources(clip.frames, clip.poses, 4, others)
    plain = _sources(np.full_like(clip.frames, 120), clip.poses, 4, others)
    return _features(clip.frames[4]), sources, plain, clip.depth[4]


def test_levels_halve_down_to_few_rows():
    assert search.levels(64) == [64]
    assert search.levels(256) == [256]
    assert search.levels(320) == [160, 320]
    assert search.levels(1024) == [256, 512, 1024]
    assert search.levels(262) == [131, 262]
    for height in range(16, 2100, 2):
        found = search.levels(height)
        assert found[-1] == height and all(2 * a == b for a, b in zip(found, found[1:]))
        assert found[0] > search.FULL // 2 or len(found) == 1
        assert found[0] <= search.FULL or found[0] % 2


def test_depth_is_found_among_all_hypotheses(scene):
    target, sources, _, depth = scene
    prior = np.zeros_like(depth)
    found = np.asarray(search.anywhere(target, sources, views.coarse(depth), prior, CONFIG))
    error = np.abs(np.log(found[0] * depth))
    assert np.median(error) < 0.025 and (error < 0.1).mean() > 0.85
    assert np.isfinite(found).all() and (found[0] > 0).all()


def test_an_answer_that_is_nearly_right_comes_closer(scene):
    target, sources, _, depth = scene
    start = jnp.asarray(np.exp(0.03) / depth)
    found = np.asarray(search.closer(target, sources, start, CONFIG))
    error = np.log(found[0] * depth)
    assert np.median(error) < 0.012 and np.median(np.abs(error)) < 0.015


def test_an_answer_stays_where_images_tell_nothing(scene):
    _, _, plain, depth = scene
    target = _features(np.full((HEIGHT, 2 * HEIGHT, 3), 120, np.uint8))
    even = jnp.asarray(np.full_like(depth, 0.4))
    found = search.closer(target, plain, even, CONFIG)
    # But for the planes that are fitted to what is round.
    stays = planes.fit(even, jnp.ones_like(even), target[:3])
    np.testing.assert_allclose(found[0], stays[0], rtol=1e-4)


def test_the_prior_stands_where_images_tell_nothing(scene):
    _, _, plain, depth = scene
    target = _features(np.full((HEIGHT, 2 * HEIGHT, 3), 120, np.uint8))
    prior = np.where(np.arange(2 * HEIGHT) < HEIGHT, 1.5, 3.0) * np.ones_like(depth)
    coarse = views.coarse(depth)
    found = np.asarray(search.anywhere(target, plain, coarse, prior.astype(np.float32), CONFIG))
    off = np.abs(np.log(found[0] * prior))
    # To the next hypothesis; at the step neighbours pull.
    assert np.median(off) < 0.06 and np.quantile(off, 0.9) < 0.15


def _coarser(depth, shift=0):
    """What a level of half the size might have found: no slopes, and all `shift` columns aside."""
    inverse = np.roll(1 / depth[1::2, 1::2], shift, axis=1)
    return jnp.asarray(np.stack([inverse, 0 * inverse, 0 * inverse]), jnp.float32)


def test_an_edge_that_was_put_wrong_comes_right_on_the_finer_level(scene):
    target, sources, _, depth = scene
    plane = _coarser(depth, 2)
    wrong = lambda inverse: (np.abs(np.log(np.asarray(inverse) * depth)) > 0.2).mean()
    before, after = planes.finer(plane)[0], search.finer(target, sources, plane)
    assert wrong(after) < 0.6 * wrong(before)


def test_a_pixel_keeps_its_own_plane_where_images_tell_nothing(scene):
    _, _, plain, depth = scene
    target = _features(np.full((HEIGHT, 2 * HEIGHT, 3), 120, np.uint8))
    plane = _coarser(depth)
    found = search.finer(target, plain, plane)
    np.testing.assert_array_equal(found, planes.finer(plane)[0])


def test_what_the_mask_hides_tells_its_neighbours_nothing(scene):
    target, sources, _, depth = scene
    hidden = np.zeros(depth.shape, bool)
    hidden[20:44, 50:80] = True
    masked = jnp.asarray(target).at[6].set(jnp.asarray(~hidden, jnp.float32))
    # Other gradients and another answer in the hidden part, at the same colours.
    other = masked.at[3:6].set(jnp.where(hidden, 0.2, masked[3:6]))
    start = 1 / depth
    moved = np.where(hidden, 1.04 * start, start).astype(np.float32)
    found = search.closer(masked, sources, jnp.asarray(start), CONFIG)
    same = search.closer(other, sources, jnp.asarray(moved), CONFIG)
    np.testing.assert_allclose(
        np.asarray(found)[0][~hidden], np.asarray(same)[0][~hidden], rtol=1e-5
    )
