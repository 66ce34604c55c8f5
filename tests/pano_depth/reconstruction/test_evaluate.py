"""The evaluation protocol on known estimates: perfect ones, and ones with a known error."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import Footage, Frame, from_clip
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig, make_grid
from pano_depth.reconstruction import evaluate, infer
from pano_depth.rooms import blind

# Its grid is the equirectangular image of the clips below, so that estimates need no resampling.
MODEL = ModelConfig(face_size=8, padding='equirect', depth_channels=(4, 4), pose_channels=(4,))

METRICS = {'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'delta1', 'delta2', 'delta3'}
POSE = {'rotation_deg', 'direction_deg', 'rpe', 'ate', 'path_m', 'ate_percent'}


def _clip(seed, frames=4, *, depth=True, poses=True):
    rng = np.random.default_rng(seed)
    path = Motion(
        Rotation.from_rotvec(0.1 * np.arange(frames)[:, None] * rng.normal(size=3)).as_matrix(),
        np.cumsum(rng.normal(scale=0.2, size=(frames, 3)), axis=0)
        * (np.arange(frames) > 0)[:, None],
    )
    return Clip(
        f'clip{seed}',
        rng.integers(0, 256, (frames, 16, 32, 3), np.uint8),
        depth=rng.uniform(0.5, 8, (frames, 16, 32)).astype(np.float32) if depth else None,
        poses=path if poses else None,
    )


def _says(depth, poses):
    """An `Analysis` with this depth [N, H, W] or None, and these poses."""
    frames = len(poses.rotation) if depth is None else len(depth)
    disparity = np.ones((frames, 1, 16, 32), np.float32) if depth is None else (1 / depth)[:, None]
    return infer.Analysis(disparity, np.ones(frames), poses, None)


@pytest.fixture
def evaluated(monkeypatch):
    """Scores clips of which the networks say what a function of the clip answers."""

    def run(clips, answer, **options):
        # By their first rows: masked pixels are hidden from the networks.
        known = {clip.frames[:, 0].tobytes(): clip for clip in clips}
        monkeypatch.setattr(
            infer,
            'analyse',
            lambda params, frames, grid, config, **unused: answer(known[frames[:, 0].tobytes()]),
        )
        grid = make_grid(MODEL)
        return evaluate.evaluate({}, map(from_clip, clips), grid, MODEL, **options)

    return run


def _truth_times(factor):
    return lambda clip: _says(
        clip.depth * np.float32(factor),
        Motion(clip.poses.rotation, clip.poses.translation * factor),
    )


@pytest.mark.parametrize('factor', [1.0, 0.13, 40.0])
def test_the_truth_in_another_unit_is_perfect(evaluated, factor):
    clips = [_clip(0), _clip(1, 3)]
    scores = evaluated(clips, _truth_times(factor))
    assert set(scores) == {'depth', 'pose', 'baselines', 'protocol', 'frames'}
    assert set(scores['baselines']) == {'constant', 'blind', 'identity'}
    for kind in ('plain', 'solid_angle'):
        found = scores['depth'][kind]
        assert set(found) == METRICS
        assert all(
            found[name] == pytest.approx(0, abs=1e-5)
            for name in ('abs_rel', 'sq_rel', 'rmse', 'rmse_log')
        )
        assert all(found[name] == pytest.approx(1) for name in ('delta1', 'delta2', 'delta3'))
    assert set(scores['pose']) == set(scores['baselines']['identity']) == POSE
    assert all(
        scores['pose'][name] == pytest.approx(0, abs=1e-3)
        for name in ('rotation_deg', 'direction_deg', 'rpe', 'ate', 'ate_percent')
    )
    assert scores['frames'] == 7
    assert json.loads(json.dumps(scores)) == scores


def test_baselines_do_not_depend_on_the_networks_and_agree_with_numpy(evaluated):
    clip = _clip(2)
    scores = evaluated(
        [clip],
        lambda clip: _says(
            clip.depth[::-1] ** 2, Motion(np.tile(np.eye(3), (4, 1, 1)), np.zeros((4, 3)))
        ),
    )
    assert scores['depth']['plain']['abs_rel'] > 0.3
    truth = clip.depth.astype(np.float64)
    medians = np.median(truth, axis=(1, 2), keepdims=True)
    assert scores['baselines']['constant']['plain']['abs_rel'] == pytest.approx(
        np.mean(np.abs(medians - truth) / truth), rel=1e-4
    )
    prior = media.nearest(blind.training_prior(), 16).astype(np.float64)
    guess = np.clip(prior * medians / np.median(prior), evaluate.MIN_DEPTH, evaluate.MAX_DEPTH)
    assert scores['baselines']['blind']['plain']['abs_rel'] == pytest.approx(
        np.mean(np.abs(guess - truth) / truth), rel=1e-4
    )
    weights = np.cos((0.5 - (np.arange(16) + 0.5) / 16) * np.pi)[:, None] * np.ones(32)
    per_image = [np.average(np.abs(b - t) / t, weights=weights) for b, t in zip(guess, truth)]
    assert scores['baselines']['blind']['solid_angle']['abs_rel'] == pytest.approx(
        np.mean(per_image), rel=1e-3
    )
    # A camera that never turns is wrong by the angle between consecutive frames.
    steps = Rotation.from_matrix(
        np.swapaxes(clip.poses.rotation[:-1], 1, 2) @ clip.poses.rotation[1:]
    ).magnitude()
    length = np.linalg.norm(np.diff(clip.poses.translation, axis=0), axis=-1).sum()
    for pose in (scores['pose'], scores['baselines']['identity']):
        assert pose['rotation_deg'] == pytest.approx(np.degrees(steps).mean(), rel=1e-3)
        assert pose['path_m'] == pytest.approx(length)
        assert pose['ate_percent'] == pytest.approx(100 * pose['ate'] / length)
        assert pose['ate'] > 0.05


def test_the_blind_predictor_knows_training_rooms_and_never_the_footage(evaluated):
    clip = _clip(3)
    blind_of = lambda clips, **prior: evaluated(clips, _truth_times(1), **prior)['baselines'][
        'blind'
    ]['plain']['abs_rel']
    flat = np.ones((16, 32), np.float32)
    constant = evaluated([clip], _truth_times(1))['baselines']['constant']['plain']['abs_rel']
    assert blind_of([clip], prior=flat) == pytest.approx(constant)
    # A clip of one frame is its own median, which would have no error at all.
    poses = Motion(*(part[:1] for part in clip.poses))
    single = Clip('single', clip.frames[:1], depth=clip.depth[:1], poses=poses)
    prior = media.nearest(blind.training_prior(), 16)
    ratio = np.where(single.depth[0] > 0, prior / np.maximum(single.depth[0], 1e-6), np.nan)
    expected = np.nanmean(np.abs(ratio / (np.nanmedian(prior) / np.median(single.depth[0])) - 1))
    assert blind_of([single]) == pytest.approx(expected, rel=0.02) and blind_of([single]) > 0.05


def test_masked_pixels_do_not_count(evaluated):
    clip = _clip(5)
    mask = np.ones((16, 32), bool)
    mask[12:] = False

    def wrong_below(clip):
        depth = clip.depth.copy()
        depth[:, 12:] = 0.2
        return _says(depth, clip.poses)

    seen = evaluated([clip], wrong_below)['depth']
    left_out = evaluated([clip], wrong_below, mask=mask)['depth']
    assert seen['plain']['abs_rel'] > 0.1 and left_out['plain']['abs_rel'] == pytest.approx(
        0, abs=1e-5
    )
    assert left_out['solid_angle']['abs_rel'] == pytest.approx(0, abs=1e-5)


def test_clips_with_only_one_kind_of_truth(evaluated):
    clips = [_clip(6, poses=False)]
    seen = []
    scores = evaluated(
        clips,
        lambda clip: _says(clip.depth, None),
        on_footage=lambda footage, analysis: (
            lambda frame, depth, position: seen.append(
                (footage.name, frame.index, position, np.allclose(depth, frame.depth, rtol=1e-5))
            )
        ),
    )
    assert (
        scores['pose'] is None and scores['baselines']['identity'] is None and scores['frames'] == 4
    )
    assert seen == [('clip6', i, i, True) for i in range(4)]
    assert 'AbsRel' in evaluate.summary(scores) and 'camera motion' not in evaluate.summary(scores)

    clips = [_clip(7, depth=False)]
    scores = evaluated(clips, lambda clip: _says(None, clip.poses))
    assert scores['depth'] is None and scores['pose']['ate'] == pytest.approx(0, abs=1e-5)
    assert 'camera motion, identity' in evaluate.summary(scores)


def test_nothing_to_evaluate_against_is_an_error(evaluated):
    clips = [_clip(8, depth=False, poses=False)]
    with pytest.raises(ValueError, match='no footage has depth or poses'):
        evaluated(
            clips, lambda clip: _says(None, Motion(np.tile(np.eye(3), (4, 1, 1)), np.zeros((4, 3))))
        )


def _confident(clip, answers, mask=None):
    """Scores of refined depth: `answers` gives (depth, confidence) of a position."""
    scores = evaluate.Scores(mask=mask)
    analysis = _says(np.ones_like(clip.depth), clip.poses)
    scores.add(from_clip(clip), analysis, MODEL, refined=answers)
    return scores.result()


def _abs_rel(depth, truth, counts):
    """Mean over the pixels that count of an image that is scaled by the median of just these."""
    depth, truth = depth.astype(np.float64)[counts], truth.astype(np.float64)[counts]
    scaled = np.clip(depth * np.median(truth) / np.median(depth), 0.1, 10)
    return np.mean(np.abs(scaled - truth) / truth)


def _refined(clip, seed=0):
    """Depth that is wrong where it is not sure, and that is missing in places."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0, 1, clip.depth.shape).astype(np.float32)
    noise = rng.normal(0, np.where(sure >= 0.5, 0.02, 0.5))
    depth = (3 * clip.depth * np.exp(noise)).astype(np.float32)
    depth[:, 2:4] = sure[:, 2:4] = 0
    return depth, sure


@pytest.mark.parametrize('masked', [False, True])
def test_confident_pixels_have_scores_of_their_own(masked):
    clip = _clip(9, 11)
    clip.depth[:, 10, 5:9] = 0
    depth, sure = _refined(clip)
    mask = np.ones((16, 32), bool)
    if masked:
        mask[12:] = False
    scores = _confident(clip, lambda i: (depth[i], sure[i]), mask)
    known = (clip.depth > 0) & mask
    confident = known & (depth > 0) & (sure >= evaluate.CONFIDENT)
    expected = [_abs_rel(*row) for row in zip(depth, clip.depth, confident)]
    predicted = (known & (depth > 0)).sum((1, 2)) / known.sum((1, 2))
    assert scores['predicted'] == pytest.approx(predicted.mean()) and predicted.mean() < 1
    found = scores['confident']
    assert found['plain']['abs_rel'] == pytest.approx(np.mean(expected), rel=1e-4)
    assert found['share'] == pytest.approx((confident.sum((1, 2)) / known.sum((1, 2))).mean())
    assert set(found['plain']) == set(found['solid_angle']) == METRICS
    # Those of the whole result count all of its depth, and nothing where it has none.
    expected = [_abs_rel(*row) for row in zip(depth, clip.depth, known & (depth > 0))]
    assert scores['depth']['plain']['abs_rel'] == pytest.approx(np.mean(expected), rel=1e-4)
    assert found['plain']['abs_rel'] < 0.03 < 0.1 < scores['depth']['plain']['abs_rel']
    share = f'confident pixels ({found["share"]:.0%}) {found["plain"]["abs_rel"]:.4f}'
    assert share in evaluate.summary(scores)
    assert json.loads(json.dumps(scores)) == scores


def test_baselines_are_not_those_of_the_pixels_with_depth():
    clip = _clip(10)
    depth, sure = _refined(clip)
    whole = _confident(clip, lambda i: (clip.depth[i], np.ones_like(sure[i])))
    part = _confident(clip, lambda i: (depth[i], sure[i]))
    for name in ('constant', 'blind'):
        assert part['baselines'][name] == whole['baselines'][name]
    assert whole['confident']['share'] == 1
    assert whole['confident']['plain'] == whole['depth']['plain']


def test_nothing_confident_has_no_share_and_no_error():
    clip = _clip(11)
    scores = _confident(clip, lambda i: (clip.depth[i], np.full((16, 32), 0.49, np.float32)))
    assert scores['confident']['share'] == 0
    assert np.isnan(scores['confident']['plain']['abs_rel'])
    assert scores['depth']['plain']['abs_rel'] == pytest.approx(0, abs=1e-5)


def test_refined_depth_of_another_size_is_scored_at_that_of_the_truth():
    clip = _clip(12)
    large = lambda i: clip.depth[i].repeat(2, axis=0).repeat(2, axis=1)
    scores = _confident(clip, lambda i: (large(i), np.ones((32, 64), np.float32)))
    assert scores['depth']['plain']['abs_rel'] == pytest.approx(0, abs=1e-5)
    assert scores['confident']['share'] == 1


def test_networks_alone_have_no_confident_pixels(evaluated):
    assert 'confident' not in evaluated([_clip(13)], _truth_times(1))


def test_images_of_different_sizes_are_scored_each_at_its_own():
    small, large = (_clip(seed, 2, poses=False) for seed in (0, 1))
    depths = [*small.depth, *(media.nearest(depth, 32) for depth in large.depth)]
    frames = [
        Frame(i, f'{i}', np.zeros((*depth.shape, 3), np.uint8), depth)
        for i, depth in enumerate(depths)
    ]

    def read(size, start, stride):
        yield from frames if size is None else ()

    footage = Footage('mixed', 32, 64, 24, 4, read, has_depth=True, ordered=False)
    prior, seen = np.ones((16, 32), np.float32), []
    scores = evaluate.Scores(prior)
    analysis = _says(np.stack([*small.depth, *large.depth]), small.poses or Motion(np.eye(3), None))
    scores.add(
        footage,
        analysis,
        MODEL,
        refined=lambda i: (1.1 * depths[i] if i else depths[i], np.ones(depths[i].shape)),
        on_frame=lambda frame, depth, position: seen.append(depth.shape),
    )
    assert seen == [(16, 32)] * 2 + [(32, 64)] * 2
    found = scores.result()['depth']['plain']
    assert found['abs_rel'] == pytest.approx(0, abs=1e-5)


def test_what_frames_do_not_show_does_not_count():
    """Depth is wrong, but only where the frames are not valid."""
    clip = _clip(0)
    valid = np.random.default_rng(1).random(clip.depth.shape) > 0.3
    shown = from_clip(clip)

    def read(size, start, stride):
        for frame in shown.read(size, start, stride):
            yield frame._replace(valid=valid[frame.index])

    analysis = _says(np.where(valid, clip.depth, 3 * clip.depth), clip.poses)
    errors = []
    for footage in (shown, dataclasses.replace(shown, read=read)):
        scores = evaluate.Scores()
        scores.add(footage, analysis, MODEL)
        errors.append(scores.result()['depth']['plain']['abs_rel'])
    assert errors[0] > 0.2 and errors[1] == pytest.approx(0, abs=1e-5)


def test_the_networks_do_not_see_what_does_not_count(monkeypatch):
    clip = _clip(0)
    mask = np.ones((16, 32), bool)
    mask[10:] = False
    frames = clip.frames.copy()
    frames[:, ~mask] = 255 - frames[:, ~mask]
    seen = []

    def analyse(params, frames, grid, config, **unused):
        seen.append(frames)
        return _says(clip.depth, clip.poses)

    monkeypatch.setattr(infer, 'analyse', analyse)
    for one in (clip, dataclasses.replace(clip, frames=frames)):
        evaluate.evaluate({}, [from_clip(one)], make_grid(MODEL), MODEL, mask=mask)
    np.testing.assert_array_equal(*seen)
    np.testing.assert_array_equal(seen[0][:, mask], clip.frames[:, mask])


@pytest.mark.parametrize('ordered', [True, False])
def test_unrelated_images_are_seen_through_several_views(monkeypatch, ordered):
    class Asked(Exception):
        pass

    def analyse(*_, ordered, spread):
        raise Asked(ordered, spread is not None)

    monkeypatch.setattr(infer, 'analyse', analyse)
    footage = dataclasses.replace(from_clip(_clip(15)), ordered=ordered)
    with pytest.raises(Asked) as asked:
        evaluate.evaluate({}, [footage], make_grid(MODEL), MODEL)
    assert asked.value.args == (ordered, not ordered)
