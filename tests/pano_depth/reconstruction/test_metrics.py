"""Metrics against loops in float64, known answers and invariants."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import metrics


def _images(seed=0, shape=(8, 16)):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.5, 9.0, shape)
    return truth * np.exp(rng.normal(0, 0.3, shape)), truth


def _loop_oracle(prediction, truth, valid, weights, low, high, align):
    """The definition, pixel by pixel in Python floats."""
    kept = [
        i
        for i in np.ndindex(truth.shape)
        if valid[i] and math.isfinite(truth[i]) and low <= truth[i] <= high
    ]
    scale = 1.0
    if align == 'median':
        scale = float(np.median([truth[i] for i in kept])) / float(
            np.median([prediction[i] for i in kept])
        )
    sums = dict.fromkeys(metrics.DEPTH_METRICS, 0.0)
    total = sum(weights[i] for i in kept)
    for i in kept:
        p, t, w = min(max(scale * prediction[i], low), high), truth[i], weights[i] / total
        sums['abs_rel'] += w * abs(p - t) / t
        sums['sq_rel'] += w * (p - t) ** 2 / t
        sums['rmse'] += w * (p - t) ** 2
        sums['rmse_log'] += w * (math.log(p) - math.log(t)) ** 2
        for k in (1, 2, 3):
            sums[f'delta{k}'] += w * (max(p / t, t / p) < 1.25**k)
    return sums | {name: math.sqrt(sums[name]) for name in ('rmse', 'rmse_log')}


@pytest.mark.parametrize('align', ['median', 'none'])
def test_depth_metrics_match_the_definition_with_masks_caps_and_weights(align):
    prediction, truth = _images()
    rng = np.random.default_rng(1)
    valid, weights = rng.random(truth.shape) < 0.7, rng.uniform(0.1, 2, truth.shape)
    truth[0, :4] = [0.0, np.nan, np.inf, 50.0]
    prediction[0, :4] = np.nan
    prediction[~valid] = np.nan
    prediction[3, :3] *= 20
    valid[3, :3] = True
    found = metrics.depth_metrics(
        prediction, truth, valid=valid, weights=weights, align=align, min_depth=0.8, max_depth=7.0
    )
    expected = _loop_oracle(prediction, truth, valid, weights, 0.8, 7.0, align)
    assert set(found) == set(metrics.DEPTH_METRICS)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=2e-5), name


def test_depth_metrics_of_a_constant_factor():
    _, truth = _images()
    perfect = metrics.depth_metrics(3.7 * truth, truth)
    assert perfect['abs_rel'] == pytest.approx(0, abs=1e-6) and perfect['delta1'] == 1
    off = metrics.depth_metrics(1.3 * truth, truth, align='none', max_depth=100.0)
    assert off['abs_rel'] == pytest.approx(0.3, rel=1e-5)
    assert off['rmse_log'] == pytest.approx(math.log(1.3), rel=1e-5)
    assert (off['delta1'], off['delta2']) == (0, 1)


def test_median_scaling_comes_before_the_clamp_and_ignores_weights():
    truth = jnp.array([[1.0, 2.0, 4.0, 8.0]])
    weights = jnp.array([[100.0, 1.0, 1.0, 1.0]])
    # The median of the prediction is 300: clamped first, all of it would become 10.
    found = metrics.depth_metrics(100 * truth, truth, weights=weights)
    assert found['abs_rel'] == pytest.approx(0, abs=1e-6)


def test_depth_metrics_under_jit_and_vmap_equal_single_images():
    pairs = [_images(seed) for seed in range(3)]
    prediction, truth = (jnp.array(x) for x in zip(*pairs, strict=True))
    valid = jnp.arange(truth.size).reshape(truth.shape) % 3 > 0
    batch = jax.jit(jax.vmap(lambda p, t, v: metrics.depth_metrics(p, t, valid=v)))(
        prediction, truth, valid
    )
    for i in range(3):
        single = metrics.depth_metrics(prediction[i], truth[i], valid=valid[i])
        for name in metrics.DEPTH_METRICS:
            assert batch[name][i] == pytest.approx(float(single[name]), rel=1e-6)
            assert single[name] > 0


def test_what_cannot_be_scored_is_nan_and_never_hidden():
    prediction, truth = _images()
    nothing = metrics.depth_metrics(prediction, np.zeros_like(truth))
    one_nan, zeros = prediction.copy(), np.zeros_like(truth)
    one_nan[2, 2] = np.nan
    for found in (
        nothing,
        metrics.depth_metrics(one_nan, truth),
        metrics.depth_metrics(zeros, truth),
    ):
        assert all(np.isnan(value) for value in found.values())
    infinite = prediction.copy()
    infinite[2, 2] = np.inf
    assert all(np.isfinite(value) for value in metrics.depth_metrics(infinite, truth).values())


@pytest.mark.parametrize(
    'options, word',
    [
        ({'align': 'mean'}, 'align'),
        ({'min_depth': 0.0}, 'min_depth'),
        ({'valid': np.ones((2, 2), bool)}, 'valid'),
    ],
)
def test_depth_metrics_refuse_bad_options(options, word):
    prediction, truth = _images()
    with pytest.raises(ValueError, match=word):
        metrics.depth_metrics(prediction, truth, **options)


def _walk(n=12, seed=0, step=0.2):
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.1, (n, 3)), axis=0))
    return Motion(rotation.as_matrix(), np.cumsum(rng.normal(0, step, (n, 3)), axis=0))


def _matrix(motion, i):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = motion.rotation[i], motion.translation[i]
    return matrix


def _pose_oracle(predicted, truth):
    """The definitions with 4x4 matrices, scipy's rotations and numpy's least squares."""
    n = len(truth.translation)
    p = [np.linalg.inv(_matrix(predicted, 0)) @ _matrix(predicted, i) for i in range(n)]
    q = [np.linalg.inv(_matrix(truth, 0)) @ _matrix(truth, i) for i in range(n)]
    flat_p, flat_q = (np.concatenate([m[:3, 3] for m in track]) for track in (p, q))
    scale = np.linalg.lstsq(flat_p[:, None], flat_q, rcond=None)[0][0]
    angles, directions, errors = [], [], []
    for i in range(n - 1):
        a, b = np.linalg.inv(p[i]) @ p[i + 1], np.linalg.inv(q[i]) @ q[i + 1]
        angles.append(Rotation.from_matrix(a[:3, :3].T @ b[:3, :3]).magnitude())
        errors.append(np.sum((scale * a[:3, 3] - b[:3, 3]) ** 2))
        if np.linalg.norm(b[:3, 3]) >= 0.01:
            cosine = a[:3, 3] @ b[:3, 3] / np.linalg.norm(a[:3, 3]) / np.linalg.norm(b[:3, 3])
            directions.append(np.arccos(np.clip(cosine, -1, 1)))
    positions = [np.sum((scale * a[:3, 3] - b[:3, 3]) ** 2) for a, b in zip(p, q, strict=True)]
    return {
        'rotation_deg': np.degrees(np.mean(angles)),
        'direction_deg': np.degrees(np.mean(directions)),
        'rpe': np.sqrt(np.mean(errors)),
        'ate': np.sqrt(np.mean(positions)),
    }


def test_pose_metrics_match_the_definition():
    truth, noise = _walk(), _walk(seed=1, step=0.05)
    still = truth.translation.copy()
    still[5] = still[4] + 0.001
    truth = Motion(truth.rotation, still)
    predicted = Motion(truth.rotation @ noise.rotation, 0.4 * truth.translation + noise.translation)
    found, expected = metrics.pose_metrics(predicted, truth), _pose_oracle(predicted, truth)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-7), name
        assert value > 0.01


def test_pose_metrics_ignore_scale_and_the_choice_of_world():
    truth = _walk()
    world = Rotation.from_rotvec([0.3, -1.2, 0.5]).as_matrix()
    moved = Motion(world @ truth.rotation, 0.2 * truth.translation @ world.T + [3.0, 1.0, -2.0])
    found = metrics.pose_metrics(moved, truth)
    assert max(found['rpe'], found['ate']) < 1e-12
    assert max(found['rotation_deg'], found['direction_deg']) < 1e-6
    assert metrics.trajectory_scale(moved, truth) == pytest.approx(5)


def test_pose_metrics_known_answers():
    n = 6
    eye = np.tile(np.eye(3), (n, 1, 1))
    forward = np.arange(n)[:, None] * [0.0, 0.0, 0.5]
    truth = Motion(eye, forward)
    yaw = Rotation.from_rotvec(np.radians(2 * np.arange(n))[:, None] * [0, 1, 0]).as_matrix()
    assert metrics.pose_metrics(Motion(yaw, forward), truth)['rotation_deg'] == pytest.approx(2)
    sideways = Motion(eye, np.arange(n)[:, None] * [0.5, 0.0, 0.0])
    assert metrics.pose_metrics(sideways, truth)['direction_deg'] == pytest.approx(90)
    # Scale 0 is the best for both: the errors are those of standing still.
    for predicted in (sideways, Motion(eye, -forward)):
        found = metrics.pose_metrics(predicted, truth)
        assert found['rpe'] == pytest.approx(0.5)
        assert found['ate'] == pytest.approx(0.5 * math.sqrt(np.mean(np.arange(n) ** 2)))
    assert metrics.pose_metrics(Motion(eye, -forward), truth)['direction_deg'] == pytest.approx(180)
    identity = metrics.pose_metrics(Motion(eye, 0 * forward), truth)
    assert identity['direction_deg'] == 90 and identity['rpe'] == pytest.approx(0.5)


def test_direction_counts_true_steps_from_one_centimetre_on():
    eye = np.tile(np.eye(3), (3, 1, 1))
    predicted = Motion(eye, np.array([[0, 0, 0], [1.0, 0, 0], [1.0, 0, 1.0]]))
    steps = Motion(eye, np.array([[0, 0, 0], [0, 0, 0.009], [0, 0, 0.019]]))
    assert metrics.pose_metrics(predicted, steps)['direction_deg'] == pytest.approx(0, abs=1e-9)
    still = Motion(eye, np.zeros((3, 3)))
    assert math.isnan(metrics.pose_metrics(predicted, still)['direction_deg'])


def test_pose_metrics_refuse_unequal_lengths_and_single_frames():
    walk = _walk()
    with pytest.raises(ValueError, match='12 frames, truth 5'):
        metrics.pose_metrics(walk, _walk(5))
    with pytest.raises(ValueError, match='at least 2'):
        metrics.pose_metrics(_walk(1), _walk(1))
    with pytest.raises(ValueError, match='truth has rotation'):
        metrics.pose_metrics(walk, Motion(np.eye(3), np.zeros(3)))
