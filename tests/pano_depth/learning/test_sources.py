"""The promises of the sources: data independent of hosts and resume, all targets equally often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.footage.clip import Clip
from pano_depth.learning import sources
from pano_depth.rooms.wide import shots

BATCH = 4


def _clip(seed, frames, height=4):
    """Frames whose every pixel is the frame's number, with the clip's seed in the last channel."""
    numbers = np.broadcast_to(
        np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, height, 2 * height, 3)
    ).copy()
    numbers[..., 2] = seed
    return Clip(f'clip{seed}', numbers)


def _make(kind, seed=0):
    if kind == 'clip':
        return sources.ClipSource(_clip(0, 12), stride=2, batch_size=BATCH, seed=seed)
    if kind == 'window':
        return sources.WindowSource([_clip(0, 7), _clip(1, 7)], batch_size=BATCH, seed=seed)
    return sources.LiveSource(height=8, batch_size=BATCH, seed=seed)


def _equal(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.parametrize('kind', ['clip', 'window', 'live'])
def test_hosts_read_their_part_of_the_same_batch(kind):
    whole = _make(kind).batch(5, range(BATCH))
    parts = [_make(kind).batch(5, range(start, start + 2)) for start in (0, 2)]
    assert _equal(whole, jax.tree.map(lambda *x: np.concatenate(x), *parts))
    assert all(len(leaf) == BATCH for leaf in jax.tree.leaves(whole)) and jax.tree.leaves(whole)


@pytest.mark.parametrize('kind', ['clip', 'window', 'live'])
def test_a_batch_depends_on_its_step_and_the_seed_alone(kind):
    source = _make(kind)
    first = source.batch(3, range(BATCH))
    other = source.batch(4, range(BATCH))
    assert _equal(first, source.batch(3, range(BATCH))) and _equal(
        first, _make(kind).batch(3, range(BATCH))
    )
    assert not _equal(first, other) and not _equal(
        first, _make(kind, seed=1).batch(3, range(BATCH))
    )


def test_every_target_of_a_clip_is_seen_equally_often():
    source = _make('clip')  # twelve targets: three batches of four are one round
    orders = set()
    for start in (0, 6):
        seen = np.concatenate(
            [source.batch(step, range(BATCH))['index'] for step in range(start, start + 3)]
        )
        assert sorted(seen[:, 1]) == list(range(12))
        inner = seen[(seen[:, 1] >= 2) & (seen[:, 1] < 10)]
        np.testing.assert_array_equal(np.diff(inner, axis=1), 2)
        orders.add(tuple(seen[:, 1]))
    assert len(orders) == 2


def test_the_ends_of_a_clip_have_their_only_neighbour_on_both_sides():
    source = sources.ClipSource(_clip(0, 7), stride=2, batch_size=7)
    found = {
        target: (before, after)
        for before, target, after in source.batch(0, range(7))['index'].tolist()
    }
    assert found == {0: (2, 2), 1: (3, 3), 2: (0, 4), 3: (1, 5), 4: (2, 6), 5: (3, 3), 6: (4, 4)}


def test_neighbours_move_away_and_some_are_near():
    source = sources.ClipSource(
        _clip(0, 100), stride=4, batch_size=BATCH, reach=3, widen_from=10, near=0.25
    )

    def distances(steps):
        found = np.concatenate([source.batch(step, range(BATCH))['index'] for step in steps])
        found = found[(found[:, 1] >= 12) & (found[:, 1] < 88)]
        np.testing.assert_array_equal(np.diff(found[:, :2]), np.diff(found[:, 1:]))
        return found[:, 1] - found[:, 0]

    early, late = distances(range(10)), distances(range(10, 210))
    assert set(early) <= {1, 2, 3, 4} and 4 in early
    assert set(late) == {1, 2, 3, 4, 8, 12}
    assert 0.2 < (late < 4).mean() < 0.3 and 0.2 < (late == 12).mean() < 0.3
    short = sources.ClipSource(_clip(0, 9), stride=2, batch_size=BATCH, reach=9)
    reached = np.concatenate(
        [np.diff(short.batch(step, range(BATCH))['index']).ravel() for step in range(50)]
    )
    assert set(np.abs(reached)) <= {2, 4}


def test_rounds_of_a_clip_may_end_within_a_batch():
    source = sources.ClipSource(_clip(0, 7), stride=1, batch_size=BATCH)
    seen = np.concatenate([source.batch(step, range(BATCH))['index'][:, 1] for step in range(7)])
    assert np.bincount(seen).tolist() == [4] * 7


def test_a_clip_gives_its_frames_as_floats():
    source = _make('clip')
    batch = {'index': np.array([[0, 2, 4], [5, 7, 9]], np.int32)}
    frames = np.asarray(jax.jit(source.sample)(batch, jax.tree.map(np.asarray, source.shared))[0])
    assert frames.shape == (2, 3, 4, 8, 3) and frames.dtype == np.float32
    np.testing.assert_allclose(frames[:, :, 1, 3, 0] * 255, batch['index'], rtol=1e-6)


def test_a_clip_carries_the_prior_of_its_targets():
    source = _make('clip')
    source.add_prior(
        np.arange(12, dtype=np.float16)[:, None, None] * np.ones((1, 4, 8), np.float16)
    )
    batch = source.batch(0, range(BATCH))
    _, known = source.sample(batch, source.shared)
    np.testing.assert_array_equal(known.prior[:, 0, 0], batch['index'][:, 1])
    assert known.depth is None and known.motion is None
    with pytest.raises(ValueError, match='3 depth maps.*12 frames'):
        source.add_prior(np.ones((3, 4, 8)))


def test_every_window_of_stored_clips_is_seen_once_a_round():
    source = _make('window')  # two clips of seven frames: ten windows of three
    pixels = np.concatenate(
        [source.batch(step, range(BATCH))['frames'][:, :, 0, 0] for step in range(5)]
    )  # two rounds
    np.testing.assert_array_equal(np.diff(pixels[..., 0].astype(int), axis=1), 1)
    assert (pixels[:, :, 2] == pixels[:, :1, 2]).all()
    windows = [(int(p[0, 2]), int(p[0, 0])) for p in pixels]
    for turn in (windows[:10], windows[10:]):
        assert sorted(turn) == [(clip, start) for clip in (0, 1) for start in range(5)]


def test_live_rooms_are_rendered_on_the_device():
    source = _make('live')
    batch = source.batch(0, range(2))
    # Unoptimised: compiling takes most of the time.
    render = jax.jit(source.sample, compiler_options={'xla_backend_optimization_level': 0})
    frames, truth = jax.tree.map(np.asarray, render(batch, source.shared))
    assert truth.depth.shape == (2, 8, 16) and truth.depth.min() > 0.1
    # A walker's step from the target to each source, in opposite directions but for the turn in
    # between.
    steps = np.linalg.norm(truth.motion.translation, axis=-1)
    assert truth.motion.rotation.shape == (4, 3, 3) and steps.min() > 0.02 and steps.max() < 0.6
    assert (np.sum(truth.motion.translation[:2] * truth.motion.translation[2:], axis=-1) < 0).all()
    assert frames.shape == (2, 3, 8, 16, 3) and frames.min() >= 0 and 0.5 < frames.max() <= 1
    within = np.abs(frames[0, 0] - frames[0, 1]).mean()
    between = np.abs(frames[0, 1] - frames[1, 1]).mean()
    assert 0 < within < between


@pytest.mark.parametrize('frames, stride', [(4, 2), (2, 1), (5, 0)])
def test_clips_too_short_for_the_stride_are_refused(frames, stride):
    with pytest.raises(ValueError, match=f'clip0 has {frames} frames.*{stride} frames apart'):
        sources.ClipSource(_clip(0, frames), stride=stride, batch_size=BATCH)
    with pytest.raises(ValueError, match='stride'):
        sources.WindowSource([_clip(0, frames)], stride=stride, batch_size=BATCH)


def test_masks_go_with_the_frames_of_a_triplet():
    clip, valid = _clip(0, 12), np.random.default_rng(0).random((12, 4, 8)) > 0.5
    source = sources.ClipSource(clip, stride=2, batch_size=BATCH, valid=valid)
    batch = source.batch(0, range(BATCH))
    frames, known = source.sample(batch, jax.tree.map(jax.numpy.asarray, source.shared))
    np.testing.assert_array_equal(known.valid, valid[batch['index']])
    assert known.prior is None and frames.shape[:2] == known.valid.shape[:2] == (BATCH, 3)
    # Nothing more is kept or known without masks.
    plain = sources.ClipSource(clip, stride=2, batch_size=BATCH)
    assert set(plain.shared) == {'frames'} and plain.sample(batch, plain.shared)[1] is None
    with pytest.raises(ValueError, match=r'valid has shape \(3, 4, 8\); accepted: \(12, 4, 8\)'):
        sources.ClipSource(clip, stride=2, batch_size=BATCH, valid=valid[:3])


def test_a_tripod_in_live_rooms_counts_nowhere_and_the_sky_everywhere(monkeypatch):
    # Nothing is rendered: depth 0 all over, as of the sky.
    empty = lambda shot, height, width: (
        jnp.zeros((3, height, width, 3)),
        jnp.zeros((3, height, width)),
    )
    monkeypatch.setattr(shots, 'shoot', empty)
    source = sources.LiveSource(height=32, batch_size=24, style=shots.WIDE)
    batch = source.batch(0, range(24))
    _, truth = source.sample(batch, {})
    shown, cap, legs = np.asarray(truth.shown), batch['look'].cap, batch['look'].legs
    assert shown.shape == (24, 3, 32, 64) and (shown == shown[:, :1]).all()
    nadir = np.pi * (1 - (np.arange(32) + 0.5) / 32)
    for one, disc, leg in zip(shown[:, 1], cap, legs, strict=True):
        assert not one[nadir < disc].any() and one[nadir > max(disc, leg)].all()
    assert (cap > 0.2).any() and ((cap == 0) & (legs == 0)).any()
    usual = sources.LiveSource(height=32, batch_size=2)
    assert usual.sample(usual.batch(0, range(2)), {})[1].shown is None


def test_targets_alone_come_with_their_depth_and_no_motion(monkeypatch):
    # Frames are numbered, not rendered.
    def numbered(shot, height, width):
        numbers = jnp.arange(1.0, 1 + len(shot.poses.rotation), dtype=jnp.float32)
        depth = jnp.broadcast_to(numbers[:, None, None], (len(numbers), height, width))
        return jnp.stack(3 * [depth], axis=-1), depth

    monkeypatch.setattr(shots, 'shoot', numbered)
    for alone, middle in ((True, 0), (False, 1)):
        source = sources.LiveSource(height=8, batch_size=2, style=shots.WIDE, alone=alone)
        frames, truth = source.sample(source.batch(1, range(2)), {})
        assert frames.shape == (2, 2 * middle + 1, 8, 16, 3)
        assert (truth.motion is None) == alone and truth.shown.shape == frames.shape[:4]
        assert truth.depth.shape == (2, 8, 16) and (truth.depth == middle + 1).all()
