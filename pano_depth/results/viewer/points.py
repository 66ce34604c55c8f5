"""Coloured points for the viewer: samples of depth images with their depth and confidence."""

from typing import Literal, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float32, UInt8

from pano_depth.kernels import sphere
from pano_depth.results import panels
from pano_depth.results.files.fusion import FrameFusion
from pano_depth.results.viewer.sources import evenly, images_of, pose_of

Kind = Literal['colour', 'depth', 'confidence']
FRAMES = 48  # from which the points of a piece are taken, at most


class Points(NamedTuple):
    """Points of one or more frames.

    Attributes:
        points: [M, 3] in the world x right, y down, z forward of the piece.
        colours: [M, 3] uint8, or None where no frame can be read.
        depth: [M] distance from the camera that saw the point.
        confidence: [M] in [0, 1]; 1 where there is none.
    """

    points: Float32[np.ndarray, 'points 3']
    colours: UInt8[np.ndarray, 'points 3'] | None
    depth: Float32[np.ndarray, ' points']
    confidence: Float32[np.ndarray, ' points']


def of_frame(source, number: int, at: int, *, count: int, image=None) -> Points:
    """Points of one frame, evenly spread over the sphere.

    Args:
        source: `StoredRun` or `OfResult`.
        number: of the piece.
        at: of the frame in the piece.
        count: points, at most; those without depth are missing.
        image: [h, 2h, 3] uint8, or None.
    """
    piece = source.pieces[number]
    position = piece.frames[at]
    depth, confidence = source.depth(position), source.confidence(position)
    height = depth.shape[0]
    # By area: a pixel at a pole covers less of the sphere.
    random = np.random.default_rng(position)
    rows = (np.arccos(random.uniform(-1, 1, count)) / np.pi * height).astype(int)
    rows, columns = np.minimum(rows, height - 1), random.integers(0, 2 * height, count)
    known = depth[rows, columns] > 0
    rows, columns = rows[known], columns[known]
    found = depth[rows, columns].astype(np.float32)
    rotation, translation = pose_of(piece, at)
    rays = sphere.pixel_rays(*depth.shape)[rows, columns]
    points = (rays * found[:, None]) @ rotation.T + translation
    colours = None
    if image is not None:
        scale = image.shape[0] / height
        colours = image[(rows * scale).astype(int), (columns * scale).astype(int)]
    sure = np.ones_like(found) if confidence is None else confidence[rows, columns]
    return Points(points.astype(np.float32), colours, found, sure.astype(np.float32))


def of_piece(source, number: int, *, count: int) -> Points:
    """Points of frames that lie evenly over a piece.

    Args:
        source: as above.
        number: of the piece, which has a path and frames.
        count: points, at most.
    """
    piece = source.pieces[number]
    shown = evenly(piece.frames, FRAMES)
    images, each = images_of(source, shown), max(1, count // len(shown))
    parts = [
        of_frame(source, number, position - piece.frames[0], count=each, image=images.get(position))
        for position in shown
    ]
    colours = [part.colours for part in parts]
    joined = Points(
        np.concatenate([part.points for part in parts]),
        None if any(part is None for part in colours) else np.concatenate(colours),
        np.concatenate([part.depth for part in parts]),
        np.concatenate([part.confidence for part in parts]),
    )
    if not len(joined.depth):
        return joined
    return chosen(joined, joined.depth <= FrameFusion.FAR * np.median(joined.depth))


def chosen(points: Points, which: np.ndarray) -> Points:
    """The points at a mask or at indices."""
    return Points(*(None if part is None else part[which] for part in points))


def coloured(
    points: Points, kind: Kind, limits: tuple[float, float]
) -> UInt8[np.ndarray, 'points 3']:
    """Colours of points.

    Args:
        points: the points.
        kind: what the colour tells; without any image 'colour' is depth.
        limits: depths at the two ends of the colour scale.
    """
    if kind == 'confidence':
        table = matplotlib.colormaps['viridis'](np.arange(256))[:, :3]
        grey = np.rint(np.clip(points.confidence, 0, 1) * 255).astype(int)
        return np.rint(table[grey] * 255).astype(np.uint8)
    if kind == 'colour' and points.colours is not None:
        return points.colours
    return panels.depth_colors(points.depth, low=limits[0], high=limits[1])


def thinned(points: np.ndarray, colours: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most so many points of a cloud with their colours, by a fixed random choice."""
    if len(points) <= most:
        return points, colours
    kept = np.sort(np.random.default_rng(0).choice(len(points), most, replace=False))
    return points[kept], colours[kept]
