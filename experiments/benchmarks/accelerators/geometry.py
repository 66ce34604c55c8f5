"""Adjustment of the path and sweep of depth, per frame, on the sample clip; and how good both are.

The scores say whether the device computes what a CPU computes.
"""

import time
from collections.abc import Iterator

import numpy as np

from experiments.benchmarks.accelerators import clock
from pano_depth import metrics
from pano_depth.footage import media
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import make_grid
from pano_depth.reconstruction import bundle, infer, load_networks, sweep
from pano_depth.rooms import rooms

HEIGHTS, FRAMES = (256, 512), 16
TOY_HEIGHTS, TOY_FRAMES = (64,), 4


def measure(seconds: float, *, toy: bool) -> Iterator[dict]:
    """Rows of both, size by size, as the main job does them after its networks.

    Args:
        seconds: for all of them; where they are over, frames that are left are not swept.
        toy: whether to take few small frames.
    """
    heights, frames = (TOY_HEIGHTS, TOY_FRAMES) if toy else (HEIGHTS, FRAMES)
    deadline = time.monotonic() + 0.9 * seconds
    for height in heights:
        clip = rooms.sample_clip(frames=frames, height=height, width=2 * height)
        poses, depth = _networks(clip.frames)
        row, poses = _bundle(clip, poses, depth)
        yield clock.device() | {'height': height, **row}
        row = _sweep(clip, poses, depth, deadline)
        yield clock.device() | {'height': height, **row}


def _networks(frames) -> tuple[Motion, np.ndarray]:
    """(path, depth at their size) as the networks of the package see frames."""
    networks = load_networks()
    rows = 2 * networks.config.face_size
    small = np.stack([media.resize_equirect(frame, rows, 2 * rows) for frame in frames])
    grid = make_grid(networks.config)
    analysis = infer.analyse(networks.params, small, grid, networks.config)
    depth_of = infer.depth_maps(networks.config, rows)
    return analysis.poses, np.asarray(depth_of(analysis.disparity, analysis.units))


def _bundle(clip, poses, depth):
    """(row, adjusted path): the second of two adjustments counts, the first one compiles."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        found = bundle.adjust(clip.frames, poses, depth)
        times.append(time.perf_counter() - start)
    length = np.linalg.norm(np.diff(clip.poses.translation, axis=0), axis=-1).sum()
    error = metrics.pose_metrics(found.poses, clip.poses)['ate'] / length
    return {
        'what': 'bundle',
        'frames': len(clip),
        'frame_ms': 1e3 * times[1] / len(clip),
        'first_seconds': times[0],
        'score': 100 * float(error),
        'score_of': 'ATE, % of the path',
    }, found.poses


def _sweep(clip, poses, depth, deadline):
    """The row of the sweep: all frames once more after a first one, which compiles."""
    start = time.perf_counter()
    sweep.Sweep(clip.frames, poses, depth).refined(0)
    first = time.perf_counter() - start
    again, errors = sweep.Sweep(clip.frames, poses, depth), []
    start = time.perf_counter()
    for index in range(len(clip)):
        found, _ = again.refined(index)
        errors.append(float(metrics.depth_metrics(found, clip.depth[index])['abs_rel']))
        if time.monotonic() > deadline:
            break
    return {
        'what': 'sweep',
        'frames': len(errors),
        'frame_ms': 1e3 * (time.perf_counter() - start) / len(errors),
        'first_seconds': first,
        'score': float(np.mean(errors)),
        'score_of': 'AbsRel',
    }
