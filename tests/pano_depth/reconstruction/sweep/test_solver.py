"""The whole sweep on a rendered clip, and what it makes of unusual input."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from pano_depth.footage import media
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import sweep
from pano_depth.reconstruction.sweep import SweepConfig, confirm, search
from pano_depth.rooms import rooms
from tests.compiling import quickly

FRAMES, HEIGHT, MIDDLE = 9, 64, 4
CONFIG = SweepConfig(sources=4, hypotheses=40)
POLES = np.array([0, 1, 2, -3, -2, -1])


@pytest.fixture(scope='module')
def clip():
    return rooms.render_clip(5, 0, frames=FRAMES, height=HEIGHT, width=2 * HEIGHT)


@pytest.fixture(scope='module')
def prior(clip):
    """Depth at half the size, wrong by a fifth in smooth patches."""
    rng = np.random.default_rng(0)
    small = clip.depth[:, 1::2, 1::2]
    noise = np.stack([gaussian_filter(rng.normal(size=one.shape), 4, mode='wrap') for one in small])
    return (small * np.exp(0.2 * noise / noise.std())).astype(np.float32)


@pytest.fixture(scope='module')
def refined(clip, prior):
    return sweep.refine(clip.frames, clip.poses, prior, MIDDLE, config=CONFIG)


def _refined(clip, prior, index=MIDDLE, frames=None, poses=None, **options):
    return sweep.refine(
        clip.frames if frames is None else frames,
        clip.poses if poses is None else poses,
        prior,
        index,
        **{'config': CONFIG, **options},
    )


def _error(depth, clip, index=MIDDLE):
    return np.abs(depth - clip.depth[index]) / clip.depth[index]


def _valid(depth, confidence):
    assert depth.dtype == confidence.dtype == np.float32 and depth.shape == confidence.shape
    assert np.isfinite(depth).all() and (depth >= 0).all()
    assert (confidence >= 0).all() and (confidence <= 1).all()
    np.testing.assert_array_equal(depth == 0, confidence == 0)


def test_a_poor_prior_becomes_good_depth(refined, clip, prior):
    depth, confidence = refined
    _valid(depth, confidence)
    before = _error(media.nearest(prior[MIDDLE], HEIGHT), clip)
    after, sure = _error(depth, clip), confidence >= confirm.CONFIRMED
    assert before.mean() > 0.15 and after.mean() < 0.045
    assert sure.mean() > 0.5 and after[sure].mean() < 0.02
    # The poles and the seam are no worse than the rest.
    assert after[POLES].mean() < 0.03
    assert after[:, [0, 1, -2, -1]].mean() < 0.05
    # Confidence tells right from wrong.
    assert after[~sure].mean() > 3 * after[sure].mean()


@pytest.mark.parametrize('index', [0, FRAMES - 1])
def test_the_first_and_the_last_frame_are_refined_too(clip, prior, index):
    depth, confidence = _refined(clip, prior, index)
    sure = confidence >= confirm.CONFIRMED
    assert _error(depth, clip, index).mean() < 0.06 and sure.mean() > 0.4


def test_the_world_and_the_unit_do_not_matter(refined, clip, prior):
    turn = Rotation.from_rotvec([1.0, -2.0, 0.5]).as_matrix()
    poses = Motion(
        turn @ clip.poses.rotation, 3 * (clip.poses.translation @ turn.T) + [500.0, -200, 90]
    )
    depth, confidence = _refined(clip, 3 * prior, poses=poses)
    off = np.abs(np.log(depth / 3 / refined[0]))
    assert np.quantile(off, 0.95) < 1e-3
    assert np.quantile(np.abs(confidence - refined[1]), 0.95) < 5e-3


def test_brightness_that_changes_over_the_clip_does_not_matter(refined, clip, prior):
    factors = np.linspace(0.8, 1.1, FRAMES)[:, None, None, None]
    frames = np.clip(np.rint(clip.frames * factors), 0, 255).astype(np.uint8)
    depth, confidence = _refined(clip, prior, frames=frames)
    sure = confidence >= confirm.CONFIRMED
    assert _error(depth, clip).mean() < 1.3 * _error(refined[0], clip).mean()
    assert _error(depth, clip)[sure].mean() < 0.025
    assert sure.mean() > 0.8 * (refined[1] >= confirm.CONFIRMED).mean()


def test_what_the_mask_hides_has_no_depth(refined, clip, prior):
    mask = np.ones((16, 32), bool)
    mask[12:, 8:24] = False
    frames = clip.frames.copy()
    hidden = ~media.nearest(mask, HEIGHT)
    # The same in all frames, as the carrier of the camera is.
    frames[:, hidden] = np.random.default_rng(1).integers(0, 255, (hidden.sum(), 3), np.uint8)
    depth, confidence = _refined(clip, prior, frames=frames, mask=mask)
    _valid(depth, confidence)
    np.testing.assert_array_equal(depth == 0, hidden)
    shown = ~hidden
    assert _error(depth, clip)[shown].mean() < 1.5 * _error(refined[0], clip)[shown].mean()


@pytest.fixture(scope='module')
def hole():
    """What counts of each frame: all but a hole that moves around."""
    counts = np.ones((FRAMES, HEIGHT, 2 * HEIGHT), bool)
    for i, one in enumerate(counts):
        one[20:40, (30 + 14 * i + np.arange(22)) % (2 * HEIGHT)] = False
    return counts


def test_a_hole_that_moves_has_no_depth_and_disturbs_nothing(refined, clip, prior, hole):
    found = []
    for seed in (1, 2):
        noise = np.random.default_rng(seed).integers(0, 256, clip.frames.shape, np.uint8)
        frames = np.where(hole[..., None], clip.frames, noise)
        found.append(_refined(clip, prior, frames=frames, mask=hole))
        _valid(*found[-1])
    # What the hole holds tells nothing at all.
    np.testing.assert_array_equal(found[0], found[1])
    depth, shown = found[0][0], hole[MIDDLE]
    np.testing.assert_array_equal(depth == 0, ~shown)
    # It is 0.0248 off in the mean without holes, 0.0259 with them, 0.0285 if nothing masks them.
    assert _error(depth, clip)[shown].mean() < 1.15 * _error(refined[0], clip)[shown].mean()
    unmasked = _error(_refined(clip, prior, frames=frames)[0], clip)[shown].mean()
    assert unmasked > 1.05 * _error(depth, clip)[shown].mean()


def test_the_same_mask_in_each_frame_is_a_mask_of_all_frames(clip, prior, hole):
    one = _refined(clip, prior, mask=hole[0])
    same = np.broadcast_to(hole[0], hole.shape)
    np.testing.assert_array_equal(_refined(clip, prior, mask=same), one)


def test_a_frame_that_shows_nothing_leaves_the_others_alone(clip, prior, refined):
    counts = np.ones((FRAMES, HEIGHT, 2 * HEIGHT), bool)
    counts[MIDDLE + 1] = False
    found = sweep.Sweep(clip.frames, clip.poses, prior, mask=counts, config=CONFIG)
    assert MIDDLE + 1 not in found.sources(MIDDLE)
    assert not np.any(found.refined(MIDDLE + 1))
    assert _error(found.refined(MIDDLE)[0], clip).mean() < 1.3 * _error(refined[0], clip).mean()


def test_a_mask_of_everything_leaves_nothing(clip, prior):
    depth, confidence = _refined(clip, prior, mask=np.zeros((HEIGHT, 2 * HEIGHT), bool))
    assert not depth.any() and not confidence.any()


def test_only_what_is_confirmed_without_filling(refined, clip, prior):
    depth, confidence = _refined(clip, prior, fill='none')
    _valid(depth, confidence)
    sure = refined[1] >= confirm.CONFIRMED
    np.testing.assert_array_equal(depth, np.where(sure, refined[0], 0))
    np.testing.assert_array_equal(confidence, np.where(sure, refined[1], 0))


def _is_prior(depth, confidence, prior):
    np.testing.assert_allclose(depth, media.nearest(prior, HEIGHT), rtol=1e-6)
    np.testing.assert_allclose(confidence, confirm.UNKNOWN)


def test_a_single_frame_has_its_prior(clip, prior):
    poses = Motion(clip.poses.rotation[:1], clip.poses.translation[:1])
    found = sweep.refine(clip.frames[:1], poses, prior[:1], 0, config=CONFIG)
    _is_prior(*found, prior[0])
    depth, confidence = sweep.refine(clip.frames[:1], poses, prior[:1], 0, fill='none')
    assert not depth.any() and not confidence.any()


def test_a_camera_that_only_turns_has_its_prior(clip, prior):
    poses = Motion(clip.poses.rotation, np.broadcast_to([1.0, 2.0, 3.0], (FRAMES, 3)))
    _is_prior(*_refined(clip, prior, poses=poses), prior[MIDDLE])


def test_two_frames_tell_each_others_depth(clip, prior):
    two = [2, 6]
    poses = Motion(clip.poses.rotation[two], clip.poses.translation[two])
    depth, confidence = sweep.refine(clip.frames[two], poses, prior[two], 1, config=CONFIG)
    _valid(depth, confidence)
    sure = confidence >= confirm.CONFIRMED
    before = _error(media.nearest(prior[6], HEIGHT), clip, 6)
    after = _error(depth, clip, 6)
    assert after.mean() < 0.7 * before.mean() and sure.mean() > 0.3
    assert np.median(after[sure]) < 0.02


def test_a_frame_without_texture_has_about_its_prior(clip, prior):
    frames = clip.frames.copy()
    frames[MIDDLE] = 90
    depth, confidence = _refined(clip, prior, frames=frames)
    _valid(depth, confidence)
    wrong = _error(media.nearest(prior[MIDDLE], HEIGHT), clip).mean()
    assert _error(depth, clip).mean() < 1.3 * wrong
    # Little of it is called sure.
    assert (confidence >= confirm.CONFIRMED).mean() < 0.2


def test_frames_without_texture_have_about_their_prior(clip):
    """A prior without errors stays, within the distance of two hypotheses."""
    frames = np.full_like(clip.frames, 130)
    depth, confidence = _refined(clip, clip.depth, frames=frames)
    _valid(depth, confidence)
    assert np.median(_error(depth, clip)) < 0.05


def test_a_prior_with_holes_is_used_where_it_is_known(refined, clip, prior):
    holes = prior.copy()
    holes[:, 10:14], holes[:, 20:22], holes[:, 24:26, 5:20] = 0, np.nan, np.inf
    depth, confidence = _refined(clip, holes)
    _valid(depth, confidence)
    known = media.nearest(np.isfinite(holes[MIDDLE]) & (holes[MIDDLE] > 0), HEIGHT)
    sure = confidence >= confirm.CONFIRMED
    # In the holes stands what is confirmed, and nothing else.
    np.testing.assert_array_equal(depth > 0, known | sure)
    assert sure[~known].mean() > 0.3 and _error(depth, clip)[sure].mean() < 0.025
    assert _error(depth, clip)[known].mean() < 1.3 * _error(refined[0], clip)[known].mean()


@pytest.mark.parametrize('nothing', [0.0, np.nan])
def test_a_prior_that_knows_nothing_of_a_frame(clip, prior, nothing):
    blank = prior.copy()
    blank[MIDDLE] = nothing
    depth, confidence = _refined(clip, blank)
    _valid(depth, confidence)
    assert not depth.any()
    # Its neighbours do without it.
    depth, confidence = _refined(clip, blank, MIDDLE + 1)
    _valid(depth, confidence)
    assert _error(depth, clip, MIDDLE + 1).mean() < 0.06


@pytest.mark.parametrize('height', [64, 10, 3])
def test_the_prior_may_have_any_size(clip, prior, height):
    other = np.stack([media.nearest(one, height) for one in prior])
    depth, confidence = _refined(clip, other)
    _valid(depth, confidence)
    assert _error(depth, clip).mean() < 0.09


@quickly()
def test_rows_of_all_even_numbers(clip, monkeypatch):
    """Also where a level has an odd number of rows, and blocks do not come out even."""
    monkeypatch.setattr(search, 'FULL', 20)
    height = 34
    frames = np.stack([media.resize_equirect(frame, height, 2 * height) for frame in clip.frames])
    truth = media.nearest(clip.depth[MIDDLE], height)
    config = SweepConfig(sources=2, hypotheses=32)
    found = sweep.Sweep(frames, clip.poses, 1.2 * clip.depth, config=config)
    depth, confidence = found.refined(MIDDLE)
    assert depth.shape == (height, 2 * height)
    _valid(depth, confidence)
    error = np.abs(depth - truth) / truth
    assert error.mean() < 0.1 and error[POLES].mean() < 0.15


def test_every_frame_is_the_same_alone_and_among_others(refined, clip, prior):
    found = sweep.Sweep(clip.frames, clip.poses, prior, config=CONFIG)
    found.refined(MIDDLE + 1)
    for one, other in zip(found.refined(MIDDLE - FRAMES), refined):
        np.testing.assert_array_equal(one, other)


def _in_a_ball(wrong=(), plain=False):
    """A sweep that has found the range in a ball already, and that range.

    Args:
        wrong: frames whose range is a fifth off.
        plain: whether the ball has no texture.
    """
    count, height, radius = 5, 32, 6.0
    rotation = Rotation.random(count, random_state=2).as_matrix()
    places = (np.arange(count)[:, None] - 2) * np.array([[1.4, 0.0, 0.5]])
    rays = sphere.pixel_rays(height, 2 * height) @ rotation.swapaxes(1, 2)[:, None]
    along = (rays * places[:, None, None]).sum(axis=-1)
    depth = np.sqrt(along**2 + radius**2 - (places**2).sum(axis=-1)[:, None, None]) - along
    noise = np.random.default_rng(1).integers(0, 256, (*depth.shape, 3), np.uint8)
    frames, depth = np.full_like(noise, 90) if plain else noise, depth.astype(np.float32)
    found = sweep.Sweep(frames, Motion(rotation, places), depth, fill='none', config=CONFIG)
    found._raw = lambda i: np.float32(1.2 if i in wrong else 1) / depth[i]
    centres = (places - places[2]) @ rotation[2]
    return found, depth[2], centres


def test_confidence_is_that_of_the_parallax_where_all_views_agree():
    found, range_there, centres = _in_a_ball()
    depth, confidence = found.refined(2)
    rays = sphere.pixel_rays(32, 64)
    aside = np.max([np.linalg.norm(np.cross(rays, centre), axis=-1) for centre in centres], axis=0)
    pixels = aside / range_there / (np.pi / 32)
    # A tenth of a pixel may be an error of 3 % of the range.
    expected = 1 / (1 + (0.1 / 0.03 / np.maximum(pixels, 1e-6)) ** 2)
    expected[expected < confirm.CONFIRMED] = 0
    assert 0.1 < (expected > 0).mean() < 0.9
    assert np.quantile(np.abs(confidence - expected), 0.95) < 0.1
    # Depth is averaged with what the nearest pixels of other views say, and pixels are wide here.
    error = np.abs(depth / range_there - 1)[confidence > 0]
    assert np.median(error) < 0.005 and error.max() < 0.03


def test_depth_is_averaged_over_the_views_that_agree():
    found, range_there, _ = _in_a_ball()
    exact, noise = found._raw, np.random.default_rng(0).normal(0, 0.01, (5, 32, 64))
    found._raw = lambda i: exact(i) * np.exp(noise[i]).astype(np.float32)
    depth, confidence = found.refined(2)
    sure = confidence > 0
    assert np.log(depth[sure] / range_there[sure]).std() < 0.007


@pytest.mark.parametrize('wrong, confirmed', [((0, 1), True), ((0, 1, 3), False)])
def test_two_views_have_to_confirm_a_pixel(wrong, confirmed):
    found, _, _ = _in_a_ball(wrong)
    assert ((found.refined(2)[1] > 0).mean() > 0.1) == confirmed


def test_where_nothing_is_to_be_seen_views_that_agree_confirm_nothing():
    found, _, _ = _in_a_ball(plain=True)
    assert not found.refined(2)[1].any()


def test_kept_forgets_the_oldest():
    calls = []
    get = sweep.solver._kept(lambda key: calls.append(key) or 10 * key, 2)
    assert [get(1), get(2), get(1), get(3), get(1), get(2)] == [10, 20, 10, 30, 10, 20]
    assert calls == [1, 2, 3, 2]


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda a: {'frames': a['frames'] / np.float32(255)},
            'frames are float32; accepted: uint8',
        ),
        (lambda a: {'frames': a['frames'][..., 0]}, r'frames have shape .*; accepted: \[N, H, 2H'),
        (lambda a: {'frames': a['frames'][:, 1:]}, 'frames is 128x63 pixels'),
        (lambda a: {'frames': a['frames'][:-1]}, 'frames, poses and prior are 8, 9 and 9'),
        (lambda a: {'prior': a['prior'][1:]}, 'frames, poses and prior are 9, 9 and 8'),
        (lambda a: {'prior': a['prior'][0]}, r'prior has shape \(32, 64\); accepted: \[N, h, 2h\]'),
        (lambda a: {'prior': a['prior'][:, 1:]}, 'prior is 31 x 64 pixels'),
        (lambda a: {'mask': np.ones((8, 8), bool)}, 'mask is 8 x 8 pixels'),
        (
            lambda a: {'mask': np.ones((8, 16))},
            r'mask is float64 of shape \(8, 16\); accepted: bool',
        ),
        (lambda a: {'fill': 'network'}, "fill is 'network'; accepted: networks, none"),
        (lambda a: {'poses': Motion(np.eye(3), np.zeros(3))}, 'poses has rotation'),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(clip, prior, change, message):
    arguments = {'frames': clip.frames, 'poses': clip.poses, 'prior': prior}
    with pytest.raises(ValueError, match=message):
        sweep.refine(**{**arguments, **change(arguments)}, index=0)


@pytest.mark.parametrize('index', [FRAMES, -FRAMES - 1])
def test_there_are_only_so_many_frames(clip, prior, index):
    with pytest.raises(IndexError, match=f'index is {index}; there are {FRAMES} frames'):
        _refined(clip, prior, index)


def test_options_are_checked():
    with pytest.raises(ValueError, match='sources'):
        SweepConfig(sources=0)
    with pytest.raises(ValueError, match='hypotheses'):
        SweepConfig(hypotheses=2)
