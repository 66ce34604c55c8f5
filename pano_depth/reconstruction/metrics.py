"""Depth and camera-motion metrics.

Depth: the seven metrics of Eigen et al. 2014 in the SfMLearner protocol (Zhou et al. 2017): natural
log, median scaling first, the prediction clamped to the caps after it. Motion: relative pose errors
and the scale-aligned RPE and ATE of a monocular trajectory.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pano_depth.footage.geometry import from_first_frame, relative_motions
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array, Real

DEPTH_METRICS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'delta1', 'delta2', 'delta3')
Alignment = Literal['median', 'none']
ALIGNMENTS = get_args(Alignment)

# A true step shorter than this (metres) has no direction worth scoring.
MIN_STEP = 0.01


def _masked_median(values, valid):
    """Median of `values` where `valid`, or NaN; of fixed shape, so that it works under jit."""
    return jnp.nanmedian(jnp.where(valid, values, jnp.nan))


def depth_metrics(
    prediction: Real[Array, 'height width'],
    truth: Real[Array, 'height width'],
    *,
    valid: Real[Array, 'height width'] | None = None,
    weights: Real[Array, 'height width'] | None = None,
    align: Alignment = 'median',
    min_depth: float = 0.1,
    max_depth: float = 10.0,
) -> dict[str, Float[jax.Array, '']]:
    """The seven depth metrics of one image; works under `jit` and `vmap`.

    A pixel counts where `valid` is true and the truth is finite and within [min_depth, max_depth].
    Over those pixels the prediction is multiplied by median(truth) / median(prediction), both
    unweighted (`align='median'`), then clamped to [min_depth, max_depth]. The default caps are
    UniFuse's for indoor panoramas; name them beside any figure, since sq_rel and rmse depend on
    them.

    An infinite prediction is clamped like any other; a NaN at a pixel that counts makes every
    metric NaN, so that a broken predictor cannot hide. Without a pixel that counts, with weights
    that sum to 0, or with a median prediction that is not positive and finite, every metric is NaN
    too.

    Args:
        prediction: range depth, metres or, with `align='median'`, any unit.
        truth: range depth, metres; 0 or non-finite where unknown.
        valid: mask of the pixels that may count, or None for every pixel.
        weights: non-negative weights of the means, e.g. solid angles, or None for equal weights.
        align: 'median' or 'none'.
        min_depth, max_depth: caps, metres, inclusive.

    Returns:
        abs_rel, sq_rel (metres), rmse (metres), rmse_log (natural log), delta1, delta2, delta3
        (fractions of max(p/t, t/p) < 1.25, 1.25^2, 1.25^3).

    Raises:
        ValueError: shapes differ, `align` is unknown, or the caps are not 0 < min_depth <
            max_depth.
    """
    if align not in ALIGNMENTS:
        raise ValueError(f'align is {align!r}; accepted: {", ".join(ALIGNMENTS)}')
    if not 0 < min_depth < max_depth:
        raise ValueError(
            f'min_depth, max_depth are {min_depth}, {max_depth}; accepted: 0 < min < max'
        )
    prediction, truth = jnp.asarray(prediction, jnp.float32), jnp.asarray(truth, jnp.float32)
    for name, array in (('prediction', prediction), ('valid', valid), ('weights', weights)):
        if array is not None and jnp.shape(array) != truth.shape:
            raise ValueError(
                f'{name} has shape {jnp.shape(array)}, truth {truth.shape}; accepted: one shape'
            )
    counts = jnp.isfinite(truth) & (truth >= min_depth) & (truth <= max_depth)
    if valid is not None:
        counts = counts & jnp.asarray(valid, bool)
    if align == 'median':
        median = _masked_median(prediction, counts)
        scale = _masked_median(truth, counts) / median
        prediction = prediction * jnp.where((median > 0) & jnp.isfinite(median), scale, jnp.nan)
    prediction = jnp.clip(prediction, min_depth, max_depth)
    weights = jnp.where(counts, 1.0 if weights is None else jnp.asarray(weights, jnp.float32), 0.0)
    total = jnp.sum(weights)
    # Pixels that do not count may hold anything, NaN included; ones keep them out of the sums.
    p, t = jnp.where(counts, prediction, 1.0), jnp.where(counts, truth, 1.0)
    broken = jnp.any(jnp.isnan(p))

    def mean(values):
        weighted = jnp.sum(weights * values) / jnp.where(total > 0, total, 1.0)
        return jnp.where(broken | (total <= 0), jnp.nan, weighted)

    error, ratio = p - t, jnp.maximum(p / t, t / p)
    metrics = {
        'abs_rel': mean(jnp.abs(error) / t),
        'sq_rel': mean(error**2 / t),
        'rmse': jnp.sqrt(mean(error**2)),
        'rmse_log': jnp.sqrt(mean((jnp.log(p) - jnp.log(t)) ** 2)),
    }
    return metrics | {f'delta{k}': mean((ratio < 1.25**k).astype(jnp.float32)) for k in (1, 2, 3)}


def trajectory_scale(predicted: Motion, truth: Motion) -> float:
    """The one factor that brings a predicted trajectory closest to the true one.

    Least squares over the positions seen from frame 0, s = max(0, sum(p . q) / sum(p . p)).
    Negative factors are excluded, since they would turn a path walked backwards into a good one. A
    prediction that never moves has s = 1.

    Args:
        predicted, truth: [N] poses, camera to world.

    Returns:
        The factor for the predicted translations.

    Raises:
        ValueError: a trajectory is not [N, 3, 3] and [N, 3], or their lengths differ.
    """
    p = from_first_frame(predicted, 'predicted').translation
    q = from_first_frame(truth, 'truth').translation
    if len(p) != len(q):
        raise ValueError(f'predicted has {len(p)} frames, truth {len(q)}; accepted: equal numbers')
    square = np.sum(p * p)
    return float(max(0.0, np.sum(p * q) / square)) if square != 0 else 1.0


def _rotation_angle(rotation):
    """[...] angle in radians of [..., 3, 3]; atan2 keeps small angles, which arccos loses."""
    r = rotation
    axis = np.stack([r[..., i, j] - r[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0))], axis=-1)
    return np.arctan2(np.linalg.norm(axis, axis=-1), np.trace(r, axis1=-2, axis2=-1) - 1)


def _direction_error(predicted, truth):
    """[...] angle in radians between vectors; a quarter turn where the prediction is zero."""
    sine = np.linalg.norm(np.cross(predicted, truth), axis=-1)
    angle = np.arctan2(sine, np.sum(predicted * truth, axis=-1))
    return np.where(np.linalg.norm(predicted, axis=-1) == 0, np.pi / 2, angle)


def pose_metrics(predicted: Motion, truth: Motion) -> dict[str, float]:
    """Camera-motion metrics of one clip, in float64.

    Both trajectories are first expressed in their own frame 0. The alignment is by
    `trajectory_scale` alone, one factor for the clip: frame 0 fixes rotation and origin. Umeyama's
    alignment would also fit a rotation, which forgives a wrong heading.

    Args:
        predicted, truth: [N] poses, camera to world, N >= 2; metres (predicted: any unit).

    Returns:
        rotation_deg: mean angle between predicted and true relative rotation, over consecutive
            pairs.
        direction_deg: mean angle between predicted and true relative translation, over the pairs
            whose true motion is at least 1 cm; a prediction without motion counts 90; NaN if there
            is no such pair.
        rpe: root mean square over the pairs of the error of the scale-aligned relative
            translation, metres.
        ate: root mean square over the N frames of the error of the scale-aligned position, metres.

    Raises:
        ValueError: a trajectory is not [N, 3, 3] and [N, 3] with N >= 2, or their lengths differ.
    """
    p, q = from_first_frame(predicted, 'predicted'), from_first_frame(truth, 'truth')
    scale = trajectory_scale(p, q)
    if len(p.translation) < 2:
        raise ValueError(
            f'predicted and truth have {len(p.translation)} frames; accepted: at least 2'
        )
    step_p, step_q = relative_motions(p), relative_motions(q)
    rotation = _rotation_angle(np.swapaxes(step_q.rotation, -1, -2) @ step_p.rotation)
    # The margin keeps a step of exactly 1 cm in, whatever its rounding.
    moves = np.linalg.norm(step_q.translation, axis=-1) >= MIN_STEP * (1 - 1e-6)
    direction = _direction_error(step_p.translation, step_q.translation)[moves]
    step_error = scale * step_p.translation - step_q.translation
    position_error = scale * p.translation - q.translation
    return {
        'rotation_deg': float(np.degrees(np.mean(rotation))),
        'direction_deg': float(np.degrees(np.mean(direction))) if moves.any() else float('nan'),
        'rpe': float(np.sqrt(np.mean(np.sum(step_error**2, axis=-1)))),
        'ate': float(np.sqrt(np.mean(np.sum(position_error**2, axis=-1)))),
    }
