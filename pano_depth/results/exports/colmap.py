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
from pano_depth.results.exports.capture import Capture


def model_of(capture: Capture, axes: str = 'y_down') -> sparse.Sparse:
    """The sparse model of a path with points.

    Args:
        capture: cameras and points.
        axes: of the model's world, see `poses.axes.AXES`.

    Returns:
        The model. Points that fewer than two images show are left out. Image points are where depth
        and path put them, nothing was found in the images: errors of projection are 0.
    """
    tracks, (rotations, centres), views, images = capture
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
    starts = np.concatenate([[0], np.cumsum(np.bincount(point_of - 1, minlength=len(positions)))])
    track = np.stack([image_of + 1, rank], axis=-1)
    errors = np.zeros(len(positions))
    points = sparse.Points(positions, tracks.colours[kept], errors, starts, track)
    return sparse.Sparse(_cameras(views), found, points)


def _image_points(view, pixels, points):
    """The image points of an image; one without a point in space if there is none."""
    if len(points):
        return pixels, points
    # Readers fail on an empty line.
    return np.array([[view.width / 2, view.height / 2]]), np.array([-1])


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


def mask_name(image: str) -> str:
    """The name under which COLMAP looks for the mask of an image: '000017.jpg.png'."""
    return f'{image}.png'


def write_model(folder: pathlib.Path, capture: Capture, axes: str) -> dict:
    """Writes `sparse/0`, see `model_of`; returns what `run.json` says of the model."""
    model = model_of(capture, axes)
    (folder / 'sparse' / '0').mkdir(parents=True)
    sparse.write_sparse(folder / 'sparse' / '0', model)
    return {
        'camera_model': model.cameras[0].model,
        'image_size': [model.cameras[0].width, model.cameras[0].height],
        'images': len(model.images),
        'points': len(model.points.positions),
        'observations': len(model.points.track),
        'axes': axes,
    }
