"""The whole adjustment on rendered clips: a poor path becomes a good one, a good one stays."""

import dataclasses
import time

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import bundle, metrics
from pano_depth.reconstruction.bundle import equations, links, solver, textures
from pano_depth.rooms import rooms

FRAMES, HEIGHT = 8, 128
QUICK = bundle.BundleConfig(points=200, distances=(1, 2, 4), steps=8, returns=0)


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=FRAMES, height=HEIGHT, width=2 * HEIGHT)


@pytest.fixture(scope='module')
def small():
    return rooms.sample_clip(frames=14, height=64, width=128)


def _shaken(poses, *, turn=0.01, move=0.05, seed=0):
    """Poses that are wrong by about `turn` radians and `move` metres, but for the first."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(0, turn, (len(poses.rotation), 3))
    moves = rng.normal(0, move, (len(poses.rotation), 3))
    turns[0] = moves[0] = 0
    return Motion(
        Rotation.from_rotvec(turns).as_matrix() @ poses.rotation, poses.translation + moves
    )


def _rough(depth, seed=0):
    """Depth at an eighth of the size, a fifth off in every place."""
    rng = np.random.default_rng(seed)
    small = depth[:, 4::8, 4::8]
    return small * np.exp(rng.normal(0, 0.2, small.shape)).astype(np.float32)


def _scores(poses, clip):
    return metrics.pose_metrics(poses, clip.poses)


@pytest.fixture(scope='module')
def adjusted(clip):
    start = _shaken(clip.poses)
    return start, bundle.adjust(clip.frames, start, _rough(clip.depth), config=QUICK)


def test_a_poor_path_becomes_a_good_one(adjusted, clip):
    start, found = adjusted
    before, after = _scores(start, clip), _scores(found.poses, clip)
    assert before['rotation_deg'] > 0.8 and before['direction_deg'] > 15
    assert after['rotation_deg'] < 0.06 and after['direction_deg'] < 1.0
    assert after['ate'] < 0.1 * before['ate']
    assert found.residual < found.before and (found.costs > 0).all() and len(found.costs) > 10
    np.testing.assert_allclose(found.poses.rotation[0], clip.poses.rotation[0], atol=1e-12)
    orthogonal = found.poses.rotation @ found.poses.rotation.swapaxes(1, 2)
    np.testing.assert_allclose(orthogonal, np.broadcast_to(np.eye(3), (FRAMES, 3, 3)), atol=1e-9)


def test_points_find_their_range(adjusted, clip):
    _, found = adjusted
    errors = []
    for keyframe, pixels, inverse in zip(found.keyframes, found.pixels, found.inverse, strict=True):
        errors.append(np.abs(np.log(clip.depth[keyframe].ravel()[pixels] * inverse)))
    errors = np.concatenate(errors)
    # The depth was a fifth off where they started; the unit is that of the depth.
    assert np.median(errors) < 0.05
    assert (
        abs(
            np.linalg.norm(found.poses.translation[-1]) / np.linalg.norm(clip.poses.translation[-1])
            - 1
        )
        < 0.15
    )


def test_a_right_path_stays(clip):
    found = bundle.adjust(clip.frames, clip.poses, clip.depth, config=QUICK)
    after = _scores(found.poses, clip)
    assert after['rotation_deg'] < 0.06 and after['direction_deg'] < 1.0 and after['ate'] < 0.01


def test_frames_between_keyframes_are_located(clip):
    config = dataclasses.replace(QUICK, parallax_deg=10.0, turn_deg=90.0)
    start = _shaken(clip.poses, turn=0.005, move=0.02)
    found = bundle.adjust(clip.frames, start, clip.depth, config=config)
    assert 2 <= len(found.keyframes) < FRAMES - 2
    before, after = _scores(start, clip), _scores(found.poses, clip)
    assert after['rotation_deg'] < 0.15 * before['rotation_deg']
    assert after['direction_deg'] < 0.25 * before['direction_deg']


def _problem(clip, height, config=QUICK):
    """(equations on a level, the state at which the points start) of every frame of a clip."""
    found, chosen = textures.Textures(clip.frames), np.arange(len(clip.frames))
    followed = solver._follow(found, clip.depth, chosen, None, config)
    linked = links.link([links.by_distance(len(chosen), config.distances)])
    problem = equations.Equations(found, chosen, followed, linked, config.huber, config.outlier)
    problem.enter(height)
    return problem, equations.State(clip.poses.rotation, clip.poses.translation, followed.inverse)


@jax.jit
def _read_late(view):
    """What the sources show, which is looked at some time after the call."""
    wait = lambda slots: time.sleep(0.02) or np.zeros_like(slots)
    later = jax.pure_callback(wait, jax.ShapeDtypeStruct(view.slots.shape, np.int32), view.slots)
    return view.textures[view.slots + later].sum(axis=(1, 2))


def test_windows_of_memory_change_nothing(small):
    """The array of one window is filled again for the next: no call may still be reading it."""
    problem, state = _problem(small, 64)
    found = []
    for _ in range(2):
        found.append((problem._of_each(state, _read_late), problem.evaluate(state)))
        problem._chunks = problem._in_chunks(8)
        assert len(problem._chunks) > 2
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_moves_along_is_left_out(clip):
    frames, mask = clip.frames.copy(), np.ones((HEIGHT, 2 * HEIGHT), bool)
    mask[96:] = False
    rng = np.random.default_rng(1)
    # A strong pattern below the camera, the same in every frame.
    frames[:, 96:] = rng.integers(0, 256, (32, 2 * HEIGHT, 3), np.uint8)
    start = _shaken(clip.poses, turn=0.005, move=0.03)
    with_mask = bundle.adjust(frames, start, clip.depth, mask=mask, config=QUICK)
    assert _scores(with_mask.poses, clip)['direction_deg'] < 1.5
    assert all((pixels < 96 * 2 * HEIGHT).all() for pixels in with_mask.pixels)


def test_what_cannot_be_adjusted_is_said(clip):
    with pytest.raises(ValueError, match='at least 2'):
        bundle.adjust(clip.frames[:1], Motion(*(x[:1] for x in clip.poses)), clip.depth[:1])
    with pytest.raises(ValueError, match='8, 7 and 8'):
        bundle.adjust(clip.frames, Motion(*(x[:7] for x in clip.poses)), clip.depth)
    plain = np.full_like(clip.frames, 128)
    with pytest.raises(ValueError, match='plain'):
        bundle.adjust(plain, clip.poses, clip.depth)
    with pytest.raises(ValueError, match='H x W with W = 2H|2:1|equirect'):
        bundle.adjust(clip.frames[:, :, :100], clip.poses, clip.depth)


@pytest.mark.parametrize('bad', [{'points': 3}, {'distances': ()}, {'huber': 0.5}, {'steps': 0}])
def test_numbers_that_cannot_be_meant_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        bundle.BundleConfig(**bad)


def test_levels_halve_down_to_the_coarsest():
    assert solver.levels(512) == [32, 64, 128, 256, 512]
    assert solver.levels(100) == [50, 100] and solver.levels(90) == [90]


def test_ranges_that_are_far_off_are_looked_for(clip):
    depth = clip.depth * np.where(np.arange(2 * HEIGHT) < HEIGHT, 1.6, 1.0).astype(np.float32)
    problem, state = _problem(dataclasses.replace(clip, depth=depth), 64)
    looked = problem.search(state, solver.WIDE)
    assert problem.evaluate(looked).cost < 0.8 * problem.evaluate(state).cost

    def off(inverse):
        """How far points in the wrong half are off, in the middle."""
        errors = []
        for i, pixels in enumerate(problem.followed.pixels):
            wrong = pixels % (2 * HEIGHT) < HEIGHT
            truth = clip.depth[i].ravel()[pixels[wrong]]
            errors.append(np.abs(np.log(inverse[i][wrong] * truth)))
        return np.median(np.concatenate(errors))

    assert off(state.inverse) > 0.45 and off(looked.inverse) < 0.15
    # Nothing but what is better changes.
    same = problem.search(looked, (1.0,))
    assert all((a == b).all() for a, b in zip(same.inverse, looked.inverse, strict=True))


def test_a_hole_that_moves_does_not_lead_the_path_astray(adjusted, clip):
    counts = np.ones((FRAMES, HEIGHT, 2 * HEIGHT), bool)
    for i, one in enumerate(counts):
        one[40:84, (60 + 20 * i + np.arange(50)) % (2 * HEIGHT)] = False
    counts[3] = False  # and a frame that shows nothing
    start = adjusted[0]
    paths = []
    for seed in (1, 2):
        noise = np.random.default_rng(seed).integers(0, 256, clip.frames.shape, np.uint8)
        frames = np.where(counts[..., None], clip.frames, noise)
        options = {'config': QUICK, 'mask': counts}
        paths.append(bundle.adjust(frames, start, _rough(clip.depth), **options).poses)
    np.testing.assert_array_equal(paths[0].translation, paths[1].translation)
    assert np.isfinite(paths[0].rotation).all()
    shown = np.delete(np.arange(FRAMES), 3)
    some = lambda poses: Motion(poses.rotation[shown], poses.translation[shown])
    found = metrics.pose_metrics(some(paths[0]), some(clip.poses))
    assert found['rotation_deg'] < 0.1 and found['direction_deg'] < 1.5


def test_the_same_mask_in_each_frame_is_a_mask_of_all_frames(small):
    mask = np.ones((32, 64), bool)
    mask[20:] = False
    same = np.broadcast_to(mask, (14, *mask.shape))
    found = [
        bundle.adjust(small.frames, small.poses, _rough(small.depth), mask=one, config=QUICK)
        for one in (mask, same)
    ]
    for one, other in zip(found[0].poses, found[1].poses, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match='mask has 14 frames; accepted: one mask, or 2 of them'):
        bundle.adjust(
            small.frames[:2], Motion(*(x[:2] for x in small.poses)), small.depth[:2], mask=same
        )


def test_nothing_can_be_followed_where_a_mask_hides_everything(clip):
    nothing = np.zeros((FRAMES, HEIGHT, 2 * HEIGHT), bool)
    with pytest.raises(ValueError, match='or a mask hides them'):
        bundle.adjust(clip.frames, clip.poses, clip.depth, mask=nothing, config=QUICK)
