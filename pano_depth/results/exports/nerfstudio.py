"""nerfstudio: transforms.json with images, depth and points, of panoramas or of cube faces.

    transforms.json       cameras, and the names of the files below
    images/NAME           the footage at its own resolution, or its faces as front_NAME, ...
    depths/STEM.png       16-bit, 1/1000 of the unit; range of panoramas, z-depth of faces
    masks/STEM.png        where there is a mask; 0 is left out
    sparse_pc.ply         points in the world of the cameras

Conventions (https://docs.nerf.studio/quickstart/data_conventions.html): poses are camera to world,
a camera is x right, y up, z back, the world has z up, and the centre of the first pixel is 0.5.
A panorama has fl_x = W / 2, fl_y = H, cx = W / 2, cy = H / 2 (`cameras.py` of nerfstudio: "fx = fy
= height = width/2"). Depth is z-depth unless a model's `is_euclidean_depth` is set; both are the
same for panoramas, whose rays have length 1. 1/1000 is the default of `depth_unit_scale_factor`.
"""

import pathlib

import numpy as np

from common.run import write_json
from pano_depth.footage import media
from pano_depth.footage.poses.axes import matrix
from pano_depth.results import ply
from pano_depth.results.exports import names
from pano_depth.results.exports.capture import Capture
from pano_depth.results.exports.views import View

AXES = 'z_up'
_OPENGL = np.diag([1.0, -1.0, -1.0])  # a camera of nerfstudio in ours
POINTS = 'sparse_pc.ply'


def write_depth(path: pathlib.Path, view: View, depth, rows: int) -> int:
    """Writes the depth that a view sees, at most as fine as it is known.

    Nerfstudio brings it to the size of the images.

    Args:
        path: of the file.
        view: the camera.
        depth: [h, 2h] range, 0 where invalid.
        rows: of the panorama whose depth it is.

    Returns:
        How many pixels saturate, from 65.535 units on.
    """
    if view.focal is not None:
        view = view.resized(max(2, round(view.width * min(1, len(depth) / rows))))
        depth = view.nearest(depth) * view.cosines()
    media.write_png16(path, media.to_millimetres(depth))
    return int((depth >= 65.5355).sum())


def write_transforms(folder: pathlib.Path, capture: Capture, *, unit: str, masks: bool) -> dict:
    """Writes transforms.json and the points; returns what `run.json` says of them.

    Args:
        folder: the directory.
        capture: cameras and points.
        unit: 'metre' or 'relative'.
        masks: whether there are masks.
    """
    meta, tracks = transforms(capture, masks=masks), capture.tracks
    # A key that nerfstudio does not know, for people.
    write_json(folder / 'transforms.json', {'unit': unit} | meta)
    ply.write_ply(folder / POINTS, tracks.points, tracks.colours, axes=AXES)
    return {
        'camera_model': meta['camera_model'],
        'image_size': [meta['w'], meta['h']],
        'images': len(meta['frames']),
        'points': len(tracks.points),
        'axes': AXES,
    }


def transforms(capture: Capture, *, masks: bool = False) -> dict:
    """What transforms.json says of cameras, images, depth, masks and points.

    Args:
        capture: cameras and points.
        masks: whether there are masks.
    """
    first, turn = capture.views[0], matrix(AXES)
    panorama = first.focal is None
    meta = {
        'camera_model': 'EQUIRECTANGULAR' if panorama else 'OPENCV',
        'w': first.width,
        'h': first.height,
        'fl_x': first.width / 2 if panorama else first.focal,
        'fl_y': float(first.height) if panorama else first.focal,
        'cx': first.width / 2,
        'cy': first.height / 2,
    }
    if not panorama:
        meta |= dict.fromkeys(('k1', 'k2', 'p1', 'p2'), 0.0)
    frames = []
    for rotation, centre, image in zip(*capture.poses, capture.images, strict=True):
        for view in capture.views:
            name, pose = names.view_name(view.name, image), np.eye(4)
            pose[:3, :3] = turn @ rotation @ view.rotation.T @ _OPENGL
            pose[:3, 3] = turn @ centre
            frame = {'file_path': f'images/{name}', 'transform_matrix': pose.tolist()}
            frame['depth_file_path'] = f'depths/{names.png_name(name)}'
            if masks:
                frame['mask_path'] = f'masks/{names.png_name(name)}'
            frames.append(frame)
    return meta | {'ply_file_path': POINTS, 'frames': frames}
