"""COLMAP: the panoramas as a model with EQUIRECTANGULAR cameras, or cube faces as a rig.

    images/NAME           the footage at its own resolution, or its faces as front_NAME, ...
    masks/NAME.png        where there is a mask; 0 is left out
    sparse/0/             cameras, rigs, frames, images, points3D, each as .bin and .txt

COLMAP >= 4.1 reads panoramas; any version and gaussian splatting read the faces.
"""

import pathlib

import numpy as np

from pano_depth.footage.poses.axes import matrix
from pano_depth.results.exports import names, sparse
from pano_depth.results.exports.points import Tracks
from pano_depth.results.exports.views import View


def model_of(
    tracks: Tracks, rotations, centres, views: list[View], images: list[str], axes: str = 'y_down'
) -> sparse.Sparse:
    """The sparse model of a path with points.

    Args:
        tracks: the points.
        rotations, centres: [N, 3, 3] and [N, 3], camera to world.
        views: the cameras at each place: the panorama, or faces.
        images: names of the N panoramas.
        axes: of the model's world, see `poses.axes.AXES`.

    Returns:
        The model. Points that fewer than two images show are left out.
    """
    turn = matrix(axes).astype(np.float64)
    rotations, centres = turn @ rotations, centres @ turn.T
    pixels, inside = zip(*(view.project(tracks.rays) for view in views), strict=True)
    # Of each observation and view: which images show it, in order of points.
    inside = np.stack(inside, axis=-1)
    # A point that several faces of one frame show has still one place from which it is seen.
    kept = np.bincount(tracks.point[inside.any(axis=-1)], minlength=len(tracks.points)) >= 2
    inside &= kept[tracks.point][:, None]
    number = np.where(kept, np.cumsum(kept), -1)
    observation, view_of = np.nonzero(inside)
    image_of = tracks.frame[observation] * len(views) + view_of
    place = np.stack(pixels, axis=1)[observation, view_of]
    point_of = number[tracks.point[observation]]
    # Image points are numbered within their image; a stable sort keeps the order of points.
    order = np.argsort(image_of, kind='stable')
    start = np.searchsorted(image_of[order], np.arange(len(images) * len(views) + 1))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - start[image_of[order]]
    found = []
    for at, name in enumerate(images):
        for i, view in enumerate(views):
            own = order[start[at * len(views) + i] : start[at * len(views) + i + 1]]
            rotation = view.rotation @ rotations[at].T
            found.append(
                sparse.Image(
                    at * len(views) + i + 1,
                    at + 1,
                    i + 1,
                    names.view_name(view.name, name),
                    rotation,
                    -rotation @ centres[at],
                    *_image_points(view, place[own], point_of[own]),
                )
            )
    positions = tracks.points[kept] @ turn.T
    errors = _errors(positions, found, views, image_of, place, point_of)
    starts = np.concatenate([[0], np.cumsum(np.bincount(point_of - 1, minlength=len(positions)))])
    track = np.stack([image_of + 1, rank], axis=-1)
    points = sparse.Points(positions, tracks.colours[kept], errors, starts, track)
    return sparse.Sparse(_cameras(views), found, points)


def _image_points(view, pixels, points):
    """The image points of an image; one without a point in space if there is none."""
    if len(points):
        return pixels, points
    # Readers fail on an empty line.
    return np.array([[view.width / 2, view.height / 2]]), np.array([-1])


def _errors(positions, images, views, image_of, place, point_of):
    """Mean distance of each point's projections from its image points, in pixels."""
    off = np.zeros(len(place))
    for number in np.unique(image_of):
        own, image, view = image_of == number, images[number], views[number % len(views)]
        local = positions[point_of[own] - 1] @ image.rotation.T + image.translation
        found, _ = view.project(local @ view.rotation)
        apart = np.abs(found - place[own])
        if view.focal is None:  # columns go round
            apart[:, 0] = np.minimum(apart[:, 0], view.width - apart[:, 0])
        off[own] = np.linalg.norm(apart, axis=-1)
    count = np.bincount(point_of - 1, minlength=len(positions))
    return np.bincount(point_of - 1, off, minlength=len(positions)) / np.maximum(count, 1)


def _cameras(views):
    """The cameras of the rig; the first view is its reference."""
    found = []
    for number, view in enumerate(views, 1):
        model, params = 'EQUIRECTANGULAR', (float(view.width), float(view.height))
        if view.focal is not None:
            model, params = 'PINHOLE', (view.focal, view.focal, view.width / 2, view.height / 2)
        rotation = view.rotation @ views[0].rotation.T
        found.append(sparse.Camera(number, model, view.width, view.height, params, rotation))
    return found


def write_model(
    folder: pathlib.Path,
    tracks: Tracks,
    rotations,
    centres,
    views: list[View],
    images: list[str],
    axes: str,
) -> dict:
    """Writes `sparse/0`, see `model_of`; returns what `run.json` says of the model."""
    model = model_of(tracks, rotations, centres, views, images, axes)
    (folder / 'sparse' / '0').mkdir(parents=True)
    sparse.write_sparse(folder / 'sparse' / '0', model)
    seen = len(model.points.track)
    return {
        'camera_model': model.cameras[0].model,
        'image_size': [model.cameras[0].width, model.cameras[0].height],
        'images': len(model.images),
        'points': len(model.points.positions),
        'observations': seen,
        'mean_error_pixels': float(model.points.errors.mean()) if seen else None,
        'axes': axes,
    }
