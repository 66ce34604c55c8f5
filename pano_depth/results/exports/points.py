"""Points of a reconstruction with tracks: in which frames each of them is seen, and where.

A point is a pixel whose depth other views confirm. It is seen in a further frame if the depth there
agrees with its distance. Its place in the image of each frame is where depth and path put it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from pano_depth.footage.footage import Frame
from pano_depth.kernels import sphere
from pano_depth.reconstruction import infer
from pano_depth.reconstruction.sweep.confirm import CONFIRMED, TOLERANCE
from pano_depth.results.exports import views
from pano_depth.results.files.fusion import FrameFusion

PER_FRAME = 500
MOST = 200_000  # points of a piece: long footage gets fewer in each frame
LEAST_PER_FRAME = 50
# Frames in which a point is looked for, counted from its own.
OFFSETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_GOLDEN = (1 + 5**0.5) / 2


class Tracks(NamedTuple):
    """Points, and where they are seen: at least twice each.

    Attributes:
        points: in the world of the piece, in its unit.
        colours: RGB.
        point, frame: of each observation, the number of the point and the position of the frame in
            the piece; by point, then by frame.
        rays: of each observation, the unit direction in the camera frame.
    """

    points: Float64[np.ndarray, 'points 3']
    colours: UInt8[np.ndarray, 'points 3']
    point: Int64[np.ndarray, ' observations']
    frame: Int64[np.ndarray, ' observations']
    rays: Float64[np.ndarray, 'observations 3']


def spread_pixels(
    counts: Bool[np.ndarray, 'height width'], number: int, turn: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that count, about evenly spread over the sphere.

    Args:
        counts: pixels that may be taken.
        number: how many are wanted; fewer where pixels are too coarse, or at most four times as
            many directions as that would be needed.
        turn: which of many spreads, so that frames do not all look along the same rays.

    Returns:
        (rows, columns), without repetitions.
    """
    height, width = counts.shape
    row = np.asarray(sphere.solid_angles(height, width))[:, 0]
    share = float(counts.sum(axis=1) @ row) / (4 * np.pi)
    if not share:
        return np.zeros(0, int), np.zeros(0, int)
    tried = round(number / max(share, 0.25))
    order = np.arange(tried)
    # A spiral in equal areas: each direction stands for the same solid angle.
    rows = np.arccos(1 - 2 * (order + 0.5) / tried) / np.pi * height
    columns = (order / _GOLDEN + turn / _GOLDEN**2) % 1 * width
    rows = np.minimum(rows.astype(int), height - 1)
    columns = np.minimum(columns.astype(int), width - 1)
    kept = np.unique((rows * width + columns)[counts[rows, columns]])
    return kept // width, kept % width


def find_tracks(result, piece, *, on_frame: Callable[[Frame], None] = lambda frame: None) -> Tracks:
    """The points of a piece with their tracks; the footage is read once for their colours.

    Args:
        result: `reconstruction.Reconstruction`.
        piece: `pieces.Piece` with a path.
        on_frame: called with each frame, at the size of the depth maps.
    """
    count = piece.stop - piece.start
    number = int(np.clip(MOST // count, LEAST_PER_FRAME, PER_FRAME))
    poses = piece.analysis.poses
    seeds = [
        _seeds(result, position, frame.image, number, poses, position - piece.start, piece)
        for position, frame in _stepped(result.frames(piece.start, piece.stop), on_frame)
    ]
    start = np.cumsum([0] + [len(points) for points, _, _ in seeds])
    found = []
    for at in range(count):
        own = np.arange(start[at], start[at + 1])
        found.append((own, np.full(len(own), at), seeds[at][2]))
        near = [at + sign * offset for offset in OFFSETS for sign in (-1, 1)]
        near = [i for i in near if 0 <= i < count and len(seeds[i][0])]
        if near:
            points = np.concatenate([seeds[i][0] for i in near])
            numbers = np.concatenate([np.arange(start[i], start[i + 1]) for i in near])
            seen, rays = _seen(result.solid(piece.start + at), points, poses, at)
            found.append((numbers[seen], np.full(seen.sum(), at), rays[seen]))
    points, colours = (np.concatenate([seed[i] for seed in seeds]) for i in (0, 1))
    return _joined(points, colours, *(np.concatenate(part) for part in zip(*found, strict=True)))


def _stepped(stream, on_frame):
    for entry in stream:
        on_frame(entry[1])
        yield entry


def _seeds(result, position, image, number, poses, at, piece):
    """(points [P, 3], colours [P, 3], rays [P, 3]) of confident pixels of a frame."""
    depth = result.depth(position)
    far = FrameFusion.FAR * infer.median_depth(piece.analysis)
    counts = (depth > 0) & (depth <= far) & (result.confidence(position) >= CONFIRMED)
    rows, columns = spread_pixels(counts, number, position)
    rays = sphere.pixel_rays(*depth.shape)[rows, columns]
    points = rays * depth[rows, columns].astype(np.float64)[:, None]
    points = points @ poses.rotation[at].T + poses.translation[at]
    return points, image[rows, columns], rays


def _seen(depth, points, poses, at):
    """(whether each point [P, 3] is seen in a frame, its unit direction there [P, 3])."""
    local = (points - poses.translation[at]) @ poses.rotation[at]
    distance = np.linalg.norm(local, axis=-1)
    rays = local / np.maximum(distance, 1e-12)[:, None]
    rows, columns = views.panorama_pixels(rays, len(depth))
    there = depth[rows, columns].astype(np.float64)
    known = (there > 0) & (distance > 0)
    off = np.log(np.where(known, distance, 1) / np.where(known, there, 1))
    return known & (np.abs(off) < TOLERANCE), rays


def _joined(points, colours, point, frame, rays):
    """`Tracks` of the points that are seen at least twice, numbered anew."""
    seen = np.bincount(point, minlength=len(points))
    kept = seen >= 2
    numbers = np.cumsum(kept) - 1
    order = np.lexsort([frame, point])
    order = order[kept[point[order]]]
    return Tracks(
        points[kept],
        colours[kept],
        numbers[point[order]].astype(np.int64),
        frame[order].astype(np.int64),
        rays[order],
    )
