"""Which frames tell the depth of a frame: far enough for parallax, near enough to see the same."""

import numpy as np
from jaxtyping import Float, Float32

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array, Size

WIDEST = 0.8  # parallax of a typical point to the farthest source, radians
WALKED = 64  # frames to either side among which sources are chosen
LEAST_OVERLAP = 0.3  # part of a frame that a source has to see as well
_LIKE = 1.4  # factor between two depths that may be the same surface
_ROWS = 16  # of the depth that overlap is measured with


def relative(poses: Motion, target: int, source: int) -> Motion:
    """Motion from the camera of one frame to that of another, float32."""
    world = poses.rotation[source].T
    return Motion(
        (world @ poses.rotation[target]).astype(np.float32),
        (world @ (poses.translation[target] - poses.translation[source])).astype(np.float32),
    )


def overlap(
    target: Float[np.ndarray, 'height width'],
    source: Float[np.ndarray, 'height width'],
    motion: Motion,
) -> float:
    """Part of a frame that another one sees too, by their coarse depth; 0 where it is invalid.

    Args:
        target, source: range, 0 where invalid.
        motion: from the target's camera to the source's, in the unit of the depth.
    """
    height, width = target.shape
    points = target[..., None] * sphere.pixel_rays(height, width)
    points = points @ motion.rotation.T.astype(np.float64) + motion.translation
    distance = np.linalg.norm(points, axis=-1)
    x, y, z = np.moveaxis(points, -1, 0)
    columns = np.floor((np.arctan2(x, z) / (2 * np.pi) + 0.5) * width).astype(int) % width
    rows = np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5
    rows = np.clip(np.floor(rows * height).astype(int), 0, height - 1)
    seen = source[rows, columns]
    known = (target > 0) & (seen > 0) & (distance > 0)
    like = np.abs(np.log(np.where(known, distance, 1) / np.where(known, seen, 1))) < np.log(_LIKE)
    # Rows near the poles show little of the sphere.
    weight = np.broadcast_to(
        np.cos((0.5 - (np.arange(height)[:, None] + 0.5) / height) * np.pi), target.shape
    )
    return float((weight * (known & like)).sum() / max((weight * (target > 0)).sum(), 1e-9))


def choose(
    poses: Motion, depth: Float[np.ndarray, 'frames rows columns'], index: Size, count: Size
) -> list[int]:
    """Sources of a frame: on both sides in time, at parallaxes that double from one to the next.

    Near sources look alike and leave little doubt; far ones are precise.

    Args:
        poses: camera to world.
        depth: coarse range of all frames, in the unit of the poses; 0 where unknown.
        index: of the frame.
        count: most sources.

    Returns:
        Numbers of frames, fewer than `count` if there are no more.
    """
    known = depth[index][depth[index] > 0]
    inverse = 1 / np.median(known) if known.size else 0.0
    sides, parallax = [], {}
    for direction in (-1, 1):
        side = []
        for j in range(index + direction, index + direction * (WALKED + 1), direction):
            if not 0 <= j < len(depth):
                break
            moved = np.linalg.norm(poses.translation[j] - poses.translation[index]) * inverse
            if moved > 1.25 * WIDEST and side:
                break
            if moved > 0:
                parallax[j] = moved
                side.append(j)
        sides.append(side)
    seen = {
        j: overlap(depth[index], depth[j], relative(poses, index, j)) >= LEAST_OVERLAP
        for side in sides
        for j in side
    }
    sides = [[j for j in side if seen[j]] or side[:1] for side in sides]
    chosen = []
    for side in sides:
        chosen += _spread(side, parallax, count // 2)
    rest = [j for side in sides for j in side if j not in chosen]
    return sorted(chosen + _spread(rest, parallax, count - len(chosen)))


def _spread(side, parallax, count):
    """Up to `count` of the frames of one side whose parallaxes double from one to the next."""
    if not side or count < 1:
        return []
    widest = min(WIDEST, max(parallax[j] for j in side))
    left, found = list(side), []
    for i in range(count):
        if left:
            wanted = widest / 2**i
            best = min(left, key=lambda j: abs(np.log(parallax[j] / wanted)))
            found.append(best)
            left.remove(best)
    return found


def coarse(depth: Float[Array, 'rows columns']) -> Float32[np.ndarray, '_ _']:
    """Depth at the few pixels that overlap is measured with; 0 where it is unknown."""
    step = max(1, depth.shape[0] // _ROWS)
    return known(np.asarray(depth)[step // 2 :: step, step // 2 :: step])


def known(depth: Float[np.ndarray, 'rows columns']) -> Float32[np.ndarray, 'rows columns']:
    """Depth with 0 where it is no positive number."""
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)
