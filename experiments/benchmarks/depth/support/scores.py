"""What the tables of reconstructions say of each: depth, edges, confidence and path, with truth.

Depth is scored at the size of the frames, each image on its own after median scaling, as in
`metrics.depth_metrics`; the figures of a clip are means over its frames.
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from common.run import jsonable
from pano_depth import metrics
from pano_depth.footage.clip import Clip
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.results import Reconstruction

EDGE_RATIO = 1.1  # between the ranges of two neighbours; where it is larger, there is a depth edge
EDGE_REACH = 3  # pixels on either side of a depth edge that count as its surroundings
CONFIDENT = 0.5  # least confidence of a pixel that is said to be right


def edge_surroundings(truth):
    """Where an image is within `EDGE_REACH` pixels of a depth edge.

    An edge lies between two pixels, side by side or one above the other, whose ranges differ by
    more than the ratio; columns wrap around.

    Args:
        truth: [H, W] range, 0 where invalid; an invalid pixel makes no edge.

    Returns:
        [H, W] bool.
    """
    known = truth > 0
    log = jnp.log(jnp.where(known, truth, 1.0))

    def differ(axis):
        both = known & jnp.roll(known, -1, axis)
        return both & (jnp.abs(log - jnp.roll(log, -1, axis)) > np.log(EDGE_RATIO))

    beside, below = differ(1), differ(0).at[-1].set(False)
    near = beside | jnp.roll(beside, 1, 1) | below | jnp.roll(below, 1, 0)
    reach = EDGE_REACH - 1  # the two pixels at the edge are the first on either side
    wrapped = jnp.concatenate([near[:, near.shape[1] - reach :], near, near[:, :reach]], axis=1)
    padded = jnp.pad(wrapped, ((reach, reach), (0, 0)))
    window = (2 * reach + 1, 2 * reach + 1)
    return jax.lax.reduce_window(padded, False, jax.lax.bitwise_or, window, (1, 1), 'valid')


@jax.jit
def frame_scores(prediction, confidence, truth):
    """The figures of one image.

    Args:
        prediction: [H, W] range in any unit, 0 where invalid.
        confidence: [H, W] in [0, 1].
        truth: [H, W] range in metres, 0 where invalid.

    Returns:
        dict: abs_rel and delta1 of the pixels with a prediction, abs_rel_solid_angle, edge_error
        (mean relative error around depth edges), valid (share of the pixels with truth that have a
        prediction), confident (share that is confident), abs_rel_confident (aligned by
        themselves), edge_pixels. NaN where no pixel counts.
    """
    known = jnp.isfinite(truth) & (truth > 0)
    valid = known & (prediction > 0)
    plain = metrics.depth_metrics(prediction, truth, valid=valid)
    weights = sphere.solid_angles(*truth.shape)
    round_ = metrics.depth_metrics(prediction, truth, valid=valid, weights=weights)
    median = lambda x: jnp.nanmedian(jnp.where(valid, x, jnp.nan))
    scaled = prediction * (median(truth) / median(prediction))
    error = jnp.abs(scaled / jnp.where(known, truth, 1.0) - 1)
    sure, edges = valid & (confidence >= CONFIDENT), valid & edge_surroundings(truth)
    mean = lambda where: jnp.sum(jnp.where(where, error, 0)) / jnp.sum(where)
    confident = metrics.depth_metrics(prediction, truth, valid=sure)
    return {
        'abs_rel': plain['abs_rel'],
        'abs_rel_solid_angle': round_['abs_rel'],
        'delta1': plain['delta1'],
        'edge_error': mean(edges),
        'edge_pixels': jnp.sum(edges) / jnp.sum(known),
        'valid': jnp.sum(valid) / jnp.sum(known),
        'confident': jnp.sum(sure) / jnp.sum(known),
        'abs_rel_confident': confident['abs_rel'],
    }


def path_scores(found: Motion, truth: Motion) -> dict[str, float]:
    """Rotation and direction errors in degrees, and ATE in percent of the path's length.

    Steps below 1 cm have no direction in `metrics.pose_metrics`. A clip of such steps is scored as
    if its world were larger, which changes none of the three.
    """
    steps = np.linalg.norm(np.diff(truth.translation, axis=0), axis=-1)
    if not steps.any():
        return {'rotation_deg': metrics.pose_metrics(found, truth)['rotation_deg']}
    larger = max(1.0, 2 * metrics.MIN_STEP / np.median(steps[steps > 0]))
    truth = Motion(truth.rotation, larger * truth.translation)
    errors = metrics.pose_metrics(found, truth)
    return {
        'rotation_deg': errors['rotation_deg'],
        'direction_deg': errors['direction_deg'],
        'ate_percent': 100 * errors['ate'] / (larger * steps.sum()),
    }


def clip_scores(result: Reconstruction, clip: Clip) -> dict[str, float]:
    """All figures of a reconstruction of a clip; those without truth are left out."""
    row = {}
    if clip.depth is not None:
        frames = [
            jax.device_get(frame_scores(result.depth(i), result.confidence(i), clip.depth[i]))
            for i in range(len(clip))
        ]
        for name in frames[0]:
            values = np.array([frame[name] for frame in frames])
            row[name] = float(np.nanmean(values)) if not np.isnan(values).all() else np.nan
    if clip.poses is not None and result.poses is not None and len(clip) > 1:
        row |= path_scores(result.poses, clip.poses)
    return row


class Rows:
    """Result rows in a file of JSON lines, so that a benchmark that was stopped goes on."""

    def __init__(self, path: pathlib.Path | None):
        """Reads the rows of an earlier run; None keeps rows in memory only."""
        self.path, self.rows = path, []
        text = path.read_text() if path is not None and path.exists() else ''
        for line in text.splitlines():
            try:
                self.rows.append(json.loads(line))
            except ValueError:
                continue  # the line that a killed run was writing
        # Such a line gets an end before the next row.
        self._before = '' if text.endswith('\n') or not text else '\n'

    def find(self, key: dict) -> dict | None:
        """The row with these values, or None."""
        return next((row for row in self.rows if key.items() <= row.items()), None)

    def add(self, row: dict) -> None:
        """Keeps, writes and prints a row."""
        line = json.dumps(jsonable(row))
        self.rows.append(json.loads(line))
        print(line, flush=True)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open('a') as file:
                file.write(f'{self._before}{line}\n')
            self._before = ''


COLUMNS = {
    'AbsRel': ('abs_rel', 4),
    'solid angle': ('abs_rel_solid_angle', 4),
    'delta1': ('delta1', 4),
    'edges': ('edge_error', 3),
    'confident, %': ('confident', 1),
    'AbsRel there': ('abs_rel_confident', 4),
    'rotation, deg': ('rotation_deg', 3),
    'direction, deg': ('direction_deg', 3),
    'ATE, % of path': ('ate_percent', 3),
    'seconds': ('seconds', 1),
}
LARGER_IS_BETTER = ('delta1', 'confident')
NOTES = (
    f'Edges: mean relative error within {EDGE_REACH} pixels of a depth edge (neighbours whose true'
    f' ranges differ by more than a factor of {EDGE_RATIO}). Confident: pixels of confidence'
    f' {CONFIDENT} or more. Seconds: from frames in memory to depth and confidence of all of them,'
    ' with the compilation of what is not in --compilation_cache. Of several clips: median, and in'
    ' brackets the worst.'
)


def cell(rows: list[dict], name: str, digits: int) -> str:
    """Median and, of several rows, worst of a figure."""
    factor = 100 if name == 'confident' else 1
    values = [factor * row[name] for row in rows if row.get(name) is not None]
    if not values:
        return '-'
    text = f'{np.median(values):.{digits}f}'
    worst = min(values) if name in LARGER_IS_BETTER else max(values)
    return f'{text} ({worst:.{digits}f})' if len(values) > 1 else text


def table(rows: list[dict], by: tuple[str, ...]) -> str:
    """A Markdown table with one line for each value of the fields `by`, in the order of the rows.

    Args:
        rows: with the fields `by` and figures.
        by: names of fields.
    """
    keys = list(dict.fromkeys(tuple(row[name] for name in by) for row in rows))
    lines = [f'| {" | ".join([*by, *COLUMNS])} |', '|---' * (len(by) + len(COLUMNS)) + '|']
    for key in keys:
        mine = [row for row in rows if tuple(row[name] for name in by) == key]
        cells = [cell(mine, name, digits) for name, digits in COLUMNS.values()]
        lines.append(f'| {" | ".join([*map(str, key), *cells])} |')
    return '\n'.join([*lines, '', NOTES])
