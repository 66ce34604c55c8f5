"""The evaluation protocol: depth and motion against truth, beside predictors that know nothing."""

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth import infer, metrics, sphere
from pano_depth.rigid import Motion

MIN_DEPTH, MAX_DEPTH = 0.1, 10.0  # metres
PROTOCOL = {
    'min_depth_m': MIN_DEPTH, 'max_depth_m': MAX_DEPTH, 'depth': 'range along the ray',
    'alignment': 'per-image median, unweighted, then clamped to the caps', 'logarithm': 'natural',
    'solid_angle': 'each pixel weighted by its solid angle',
    'pose': 'consecutive frames; one scale per clip by least squares about frame 0; no rotation is fitted',
    'constant': 'the same range everywhere', 'blind': 'per pixel the median training range, whatever the image',
    'identity': 'a camera that never moves or turns',
}


@jax.jit
def _depth_scores(prediction, truth, valid, weights):
    one = lambda p, t, v, w: metrics.depth_metrics(p, t, valid=v, weights=w, min_depth=MIN_DEPTH, max_depth=MAX_DEPTH)
    return jax.vmap(one, in_axes=(0, 0, None, None))(prediction, truth, valid, weights)


def depth_scores(prediction, truth, mask=None):
    """Depth metrics of many images.

    Args:
      prediction: [N, H, W], or [H, W] for the same prediction everywhere.
      truth: [N, H, W] metres, 0 where invalid.
      mask: [H, W] bool, where the images count, or None.

    Returns:
      {'plain': {...}, 'solid_angle': {...}} of [N] float arrays.
    """
    height, width = truth.shape[1:]
    valid = jnp.ones((height, width), bool) if mask is None else jnp.asarray(mask, bool)
    angles, even = sphere.solid_angles(height, width), jnp.ones((height, width))
    prediction = np.broadcast_to(prediction, truth.shape)
    scores = {'plain': [], 'solid_angle': []}
    for start in range(0, len(truth), 8):
        part = slice(start, start + 8)
        for name, weights in (('plain', even), ('solid_angle', angles)):
            scores[name].append(jax.device_get(_depth_scores(prediction[part], truth[part], valid, weights)))
    return {name: jax.tree.map(lambda *x: np.concatenate(x), *parts) for name, parts in scores.items()}


def blind_prior(truths, height):
    """The image-blind predictor: per pixel the median range over training frames.

    Args:
      truths: iterable of [N, H, W] training depths, 0 where invalid.
      height: rows of the result, at most those of the truths.

    Returns:
      [height, 2 height] float32.
    """
    frames = []
    for truth in truths:
        rows, columns = ((np.arange(n) + 0.5) * size / n for n, size in ((height, truth.shape[1]), (2 * height, truth.shape[2])))
        frames.append(truth[:, rows.astype(int)][:, :, columns.astype(int)])
    frames = np.concatenate(frames)
    return np.nanmedian(np.where(frames > 0, frames, np.nan), axis=0).astype(np.float32)


def evaluate(params, clips, grid, config, *, prior=None, mask=None, on_clip=None):
    """Scores the networks on clips with truth.

    Args:
      params: {'depth', 'pose'} parameters.
      clips: iterable of `Clip`s with depth or poses or both.
      grid: `Grid`.
      config: `ModelConfig`.
      prior: [H, W] of `blind_prior` at the clips' size; None takes each clip's own truth.
      mask: [H, W] bool at the clips' size, where images count, or None.
      on_clip: called with (clip, `Estimate`) after each clip.

    Returns:
      dict of the form of `eval.json`: depth and pose scores, those of the baselines, the protocol, the number of frames.

    Raises:
      ValueError: no clip has truth.
    """
    depth_rows = {name: [] for name in ('network', 'constant', 'blind')}
    pose_rows = {'network': [], 'identity': []}
    for clip in clips:
        estimate = infer.estimate(params, clip.frames, grid, config, height=clip.frames.shape[1])
        if clip.depth is not None:
            blind = blind_prior([clip.depth], clip.depth.shape[1]) if prior is None else prior
            for name, prediction in (('network', estimate.depth), ('constant', np.ones(clip.depth.shape[1:])), ('blind', blind)):
                depth_rows[name].append(depth_scores(prediction, clip.depth, mask))
        if clip.poses is not None and len(clip) > 1:
            still = Motion(np.broadcast_to(np.eye(3), (len(clip), 3, 3)), np.zeros((len(clip), 3)))
            length = float(np.linalg.norm(np.diff(clip.poses.translation, axis=0), axis=-1).sum())
            for name, poses in (('network', estimate.poses), ('identity', still)):
                scores = metrics.pose_metrics(poses, clip.poses)
                pose_rows[name].append({**scores, 'path_m': length, 'ate_percent': 100 * scores['ate'] / max(length, 1e-9)})
        if on_clip is not None:
            on_clip(clip, estimate)
    if not depth_rows['network'] and not pose_rows['network']:
        raise ValueError('there is nothing to evaluate: no clip has depth or poses')
    depth = {name: _mean_depth(rows) for name, rows in depth_rows.items()}
    pose = {name: {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]} if rows else None
            for name, rows in pose_rows.items()}
    frames = int(sum(len(row['plain']['abs_rel']) for row in depth_rows['network']))
    return {'depth': depth['network'], 'pose': pose['network'],
            'baselines': {'constant': depth['constant'], 'blind': depth['blind'], 'identity': pose['identity']},
            'protocol': PROTOCOL, 'frames': frames}


def _mean_depth(rows):
    """[{'plain': {metric: [N]}, ...}] -> {'plain': {metric: mean}, ...}, or None of nothing."""
    if not rows:
        return None
    return {name: {metric: float(np.nanmean(np.concatenate([row[name][metric] for row in rows]))) for metric in rows[0][name]}
            for name in rows[0]}


def summary(scores):
    """The scores as a few lines of text for a terminal."""
    lines = []
    if scores['depth'] is not None:
        value = lambda entry: f"{entry['plain']['abs_rel']:.4f} ({entry['solid_angle']['abs_rel']:.4f})"
        lines.append('AbsRel, plain (by solid angle): ' + ', '.join(f'{name} {value(entry)}' for name, entry in (
            ('network', scores['depth']), ('image-blind', scores['baselines']['blind']), ('constant', scores['baselines']['constant']))))
    for name, pose in (('network', scores['pose']), ('identity', scores['baselines']['identity'])):
        if pose is not None:
            lines.append(f"camera motion, {name}: rotation {pose['rotation_deg']:.2f} deg, direction {pose['direction_deg']:.2f} deg, RPE "
                         f"{pose['rpe']:.3f} m, ATE {pose['ate']:.3f} m ({pose['ate_percent']:.1f} % of the path)")
    return '\n'.join(lines)
