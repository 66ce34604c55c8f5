"""The evaluation protocol: depth and motion against truth, next to trivial predictors."""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pano_depth.footage import media
from pano_depth.footage.footage import Footage
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array, Real
from pano_depth.learning.model import Grid, ModelConfig
from pano_depth.reconstruction import infer, metrics, validity
from pano_depth.rooms.blind import training_prior

MIN_DEPTH, MAX_DEPTH = 0.1, 10.0  # metres
BATCH = 8
CONFIDENT = 0.5  # confidence from which on a pixel is said to be right
PROTOCOL = {
    'min_depth_m': MIN_DEPTH,
    'max_depth_m': MAX_DEPTH,
    'depth': 'range along the ray',
    'alignment': 'per-image median, unweighted, then clamped to the caps',
    'logarithm': 'natural',
    'solid_angle': 'each pixel weighted by its solid angle',
    'pose': (
        'consecutive frames; one scale per clip by least squares about frame 0; no rotation is'
        ' fitted'
    ),
    'predicted': 'share of the pixels with truth that have a depth; the others do not count',
    'confident': f'pixels of confidence {CONFIDENT} or more, aligned by themselves',
    'constant': 'the same range everywhere',
    'blind': 'per pixel the median range of training rooms, whatever the image',
    'identity': 'a camera that never moves or turns',
}


@jax.jit
def _depth_scores(prediction, truth, valid, weights):
    one = lambda p, t, v, w: metrics.depth_metrics(
        p, t, valid=v, weights=w, min_depth=MIN_DEPTH, max_depth=MAX_DEPTH
    )
    return jax.vmap(one, in_axes=(0, 0, 0, None))(prediction, truth, valid, weights)


def depth_scores(
    prediction: Float[Array, '... height width'],
    truth: Float[Array, 'frames height width'],
    mask: Real[Array, '... height width'] | None = None,
) -> dict[str, dict[str, Float[np.ndarray, ' frames']]]:
    """Depth metrics of many images.

    Args:
        prediction: one for each frame, or the same for all.
        truth: metres, 0 where invalid.
        mask: where the images count, one for each frame or the same for all; or None.

    Returns:
        {'plain': {...}, 'solid_angle': {...}}: the metrics of each frame.
    """
    count, (height, width) = len(truth), truth.shape[1:]
    valid = np.broadcast_to(True if mask is None else np.asarray(mask, bool), truth.shape)
    angles, even = sphere.solid_angles(height, width), jnp.ones((height, width))
    prediction = np.broadcast_to(prediction, truth.shape)
    scores = {'plain': [], 'solid_angle': []}
    for start in range(0, count, BATCH):
        # The last batch is filled up, so that one program scores them all.
        rows = np.minimum(np.arange(start, start + BATCH), count - 1)
        for name, weights in (('plain', even), ('solid_angle', angles)):
            found = _depth_scores(prediction[rows], truth[rows], valid[rows], weights)
            scores[name].append(jax.device_get(found))
    return {
        name: jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)
        for name, parts in scores.items()
    }


class Scores:
    """Collects the scores of footage with truth."""

    def __init__(
        self, prior: Float[Array, '_ _'] | None = None, mask: Bool[Array, '_ _'] | None = None
    ):
        """Starts empty.

        Args:
            prior: `blind.blind_prior` over other training rooms than those of the package, or
                None.
            mask: equirectangular of any size, where images count, or None. Where a frame of the
                footage is not valid it does not count either.
        """
        self._prior, self._mask = training_prior() if prior is None else prior, mask
        self._depth = {name: [] for name in ('network', 'constant', 'blind', 'confident')}
        self._shares = {'predicted': [], 'confident': []}
        self._pose = {'network': [], 'identity': []}

    def add(
        self,
        footage: Footage,
        analysis: infer.Analysis,
        config: ModelConfig,
        *,
        limit: int | None = None,
        refined: Callable | None = None,
        on_frame: Callable | None = None,
    ) -> None:
        """Scores one piece of footage.

        Args:
            footage: with its truth.
            analysis: the predictions of the networks for it.
            config: of the model.
            limit: number of frames that were analysed, or None for all.
            refined: function of a position that gives (depth, confidence) of a frame [h, 2h], which
                are scored instead of the networks' depth; where depth is 0 it does not count.
            on_frame: called with (frame, depth [H, W], position) of every frame with truth.
        """
        indices = []
        if footage.has_depth:
            prior, maps, batch = self._prior, {}, []
            count = len(analysis.units) if limit is None else limit
            for position, frame in zip(range(count), footage.frames()):
                indices.append(frame.index)
                height = frame.depth.shape[0]
                if batch and len(batch[0][0]) != height:
                    # Unrelated images may have different sizes; a batch has one.
                    self._score(batch, prior, refined is not None)
                    batch = []
                if height not in maps:
                    maps[height] = infer.depth_maps(config, height)
                sure = np.ones(frame.depth.shape, np.float32)
                if refined is None:
                    found = maps[height](analysis.disparity[[position]], analysis.units[[position]])
                    depth = np.asarray(found)[0]
                else:
                    depth, sure = (media.nearest(part, height) for part in refined(position))
                counts = np.ones(depth.shape, bool) if frame.valid is None else frame.valid
                batch.append((depth, sure, frame.depth, media.nearest(counts, height)))
                if on_frame is not None:
                    on_frame(frame, depth, position)
                if len(batch) == BATCH:
                    self._score(batch, prior, refined is not None)
                    batch = []
            if batch:
                self._score(batch, prior, refined is not None)
        if footage.poses is not None and analysis.poses is not None and len(analysis.units) > 1:
            kept = np.array(indices) if indices else np.arange(len(analysis.units))
            truth = Motion(*(part[kept] for part in footage.poses))
            self._add_poses(analysis.poses, truth, footage.has_rotation)

    def _score(self, batch, prior, has_confidence):
        depth, sure, truth, mask = (np.stack(part) for part in zip(*batch))
        height = truth.shape[1]
        if self._mask is not None:
            mask = mask & media.nearest(self._mask, height)
        for name, prediction in (
            ('network', depth),
            ('constant', np.ones(truth.shape[1:])),
            ('blind', media.nearest(prior, height)),
        ):
            counts = mask & (depth > 0) if name == 'network' else mask & (truth > 0)
            self._depth[name].append(depth_scores(prediction, truth, counts))
        if has_confidence:
            known, predicted = mask & (truth > 0), mask & (depth > 0)
            confident = predicted & (sure >= CONFIDENT)
            self._depth['confident'].append(depth_scores(depth, truth, confident))
            for name, part in (('predicted', predicted), ('confident', confident)):
                share = (known & part).sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)
                self._shares[name] += list(share)

    def _add_poses(self, poses, truth, has_rotation):
        count = len(truth.rotation)
        still = Motion(np.broadcast_to(np.eye(3), (count, 3, 3)), np.zeros((count, 3)))
        length = float(np.linalg.norm(np.diff(truth.translation, axis=0), axis=-1).sum())
        for name, predicted in (('network', poses), ('identity', still)):
            scores = metrics.pose_metrics(predicted, truth)
            if not has_rotation:
                scores['rotation_deg'] = np.nan
            self._pose[name].append(
                {**scores, 'path_m': length, 'ate_percent': 100 * scores['ate'] / max(length, 1e-9)}
            )

    def result(self) -> dict:
        """The scores as in `eval.json`: depth, pose, baselines, protocol, number of frames.

        Raises:
            ValueError: nothing had truth.
        """
        if not self._depth['network'] and not self._pose['network']:
            raise ValueError('there is nothing to evaluate: no footage has depth or poses')
        depth = {name: _mean_depth(rows) for name, rows in self._depth.items()}
        pose = {
            name: {key: _mean([row[key] for row in rows]) for key in rows[0]} if rows else None
            for name, rows in self._pose.items()
        }
        refined = {}
        if self._depth['confident']:
            share = {name: _mean(values) for name, values in self._shares.items()}
            refined = {
                'predicted': share['predicted'],
                'confident': {'share': share['confident'], **depth['confident']},
            }
        return {
            'depth': depth['network'],
            **refined,
            'pose': pose['network'],
            'baselines': {
                'constant': depth['constant'],
                'blind': depth['blind'],
                'identity': pose['identity'],
            },
            'protocol': PROTOCOL,
            'frames': int(sum(len(row['plain']['abs_rel']) for row in self._depth['network'])),
        }


def _mean(values):
    """Mean of the finite values; NaN if there are none, without a warning of numpy."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float('nan')


def _mean_depth(rows):
    """[{'plain': {metric: [N]}, ...}] -> {'plain': {metric: mean}, ...}; None without rows."""
    if not rows:
        return None
    return {
        name: {
            metric: _mean(np.concatenate([row[name][metric] for row in rows]))
            for metric in rows[0][name]
        }
        for name in rows[0]
    }


def evaluate(
    params: dict,
    footages: Iterable[Footage],
    grid: Grid,
    config: ModelConfig,
    *,
    prior: Float[Array, '_ _'] | None = None,
    mask: Bool[Array, '_ _'] | None = None,
    on_footage: Callable | None = None,
) -> dict:
    """Scores the networks on footage with truth.

    Args:
        params: {'depth', 'pose'} parameters.
        footages: with depth or poses or both, each short enough for its frames at the size of the
            model to be in memory.
        grid: of the model.
        config: of the model.
        prior, mask: see `Scores`.
        on_footage: called with (footage, analysis) before each is scored; may return a function
            `on_frame` for `Scores.add`.

    Returns:
        Scores in the form of `eval.json`.

    Raises:
        ValueError: nothing has truth.
    """
    scores, height = Scores(prior, mask), 2 * config.face_size
    for footage in footages:
        # What does not count is hidden from the networks, as in `analysis.read_frames`.
        hidden = None if mask is None else media.nearest(mask, height)
        frames = np.stack(
            [
                validity.filled(frame.image, validity.both(hidden, frame.valid))
                for frame in footage.frames(size=(height, 2 * height))
            ]
        )
        # Single images are seen through several views, as a reconstruction sees them.
        spread = None
        if not footage.ordered:
            spread = np.empty((len(frames), *grid.rays.shape[:3]), np.float32)
        analysis = infer.analyse(
            params, frames, grid, config, ordered=footage.ordered, spread=spread
        )
        on_frame = on_footage(footage, analysis) if on_footage is not None else None
        scores.add(footage, analysis, config, on_frame=on_frame)
    return scores.result()


def summary(scores: dict) -> str:
    """The scores as a few lines of text for a terminal."""
    lines, baselines = [], scores['baselines']
    if scores['depth'] is not None:
        entries = {
            'result': scores['depth'],
            'image-blind': baselines['blind'],
            'constant': baselines['constant'],
        }
        if 'confident' in scores:
            entries[f'confident pixels ({scores["confident"]["share"]:.0%})'] = scores['confident']
        if 'networks' in scores:
            entries['networks alone'] = scores['networks']['depth']
        texts = [
            f'{name} {entry["plain"]["abs_rel"]:.4f} ({entry["solid_angle"]["abs_rel"]:.4f})'
            for name, entry in entries.items()
        ]
        lines.append('AbsRel, plain (by solid angle): ' + ', '.join(texts))
    poses = {'result': scores['pose'], 'identity': baselines['identity']}
    if 'networks' in scores:
        poses['networks alone'] = scores['networks']['pose']
    for name, pose in poses.items():
        if pose is not None:
            lines.append(
                f'camera motion, {name}: rotation {pose["rotation_deg"]:.3f} deg, direction'
                f' {pose["direction_deg"]:.2f} deg, RPE {pose["rpe"]:.4f} m, ATE {pose["ate"]:.4f}'
                f' m ({pose["ate_percent"]:.2f} % of the path)'
            )
    return '\n'.join(lines)
