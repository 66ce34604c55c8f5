"""Sparse models in COLMAP's formats, binary and text, with rigs and frames.

The formats are those of https://colmap.github.io/format.html and of COLMAP 4.1 and newer. Written
without pycolmap, which crashed (4.2.1) in a process that also used JAX. Strict readers, such as
that of gaussian splatting, want an entry of image points for every image and a track for every
point; both are given here.
"""

import pathlib
import struct
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from scipy.spatial.transform import Rotation

MODELS = {'PINHOLE': 1, 'EQUIRECTANGULAR': 17}
_CAMERA = 0  # type of a sensor
_OBSERVATION = np.dtype([('pixel', '<f8', 2), ('point', '<i8')])


class Camera(NamedTuple):
    """A camera of a rig.

    Attributes:
        number: its ID, from 1.
        model: 'PINHOLE' (fx, fy, cx, cy) or 'EQUIRECTANGULAR' (width, height).
        width, height: pixels.
        params: numbers of the model.
        rotation: from the rig into the camera; there is no translation. The first camera of a rig
            has the identity.
    """

    number: int
    model: str
    width: int
    height: int
    params: tuple[float, ...]
    rotation: Float64[np.ndarray, '3 3']


class Image(NamedTuple):
    """An image.

    Attributes:
        number: its ID, from 1.
        frame: ID of its frame.
        camera: ID of its camera.
        name: below the folder of images.
        rotation, translation: from the world into the camera.
        pixels: of its points, the centre of the first pixel is 0.5.
        points: IDs of these points, -1 for none.
    """

    number: int
    frame: int
    camera: int
    name: str
    rotation: Float64[np.ndarray, '3 3']
    translation: Float64[np.ndarray, '3']
    pixels: Float64[np.ndarray, 'pixels 2']
    points: Int64[np.ndarray, ' pixels']


class Points(NamedTuple):
    """Points, whose IDs count from 1 in this order, with their tracks.

    Attributes:
        positions: in the world.
        colours: RGB.
        errors: mean distance in pixels between image points and projections.
        start: the track of point i is start[i] to start[i + 1] of `track`.
        track: (ID of the image, number of the image point) of each observation.
    """

    positions: Float64[np.ndarray, 'points 3']
    colours: UInt8[np.ndarray, 'points 3']
    errors: Float64[np.ndarray, ' points']
    start: Int64[np.ndarray, ' starts']
    track: Int64[np.ndarray, 'observations 2']


class Sparse(NamedTuple):
    """A model with one rig; each of its frames has one image of each camera.

    Attributes:
        cameras: list of `Camera`, the first is the reference of the rig.
        images: list of `Image`, all of a frame one after the other, the first camera's first.
        points: `Points`.
    """

    cameras: list[Camera]
    images: list[Image]
    points: Points


def write_sparse(folder: pathlib.Path, model: Sparse) -> None:
    """Writes cameras, rigs, frames, images and points3D, each as .bin and .txt.

    Args:
        folder: an existing directory, `sparse/0`.
        model: the model.
    """
    write_binary(folder, model)
    write_text(folder, model)


def write_binary(folder: pathlib.Path, model: Sparse) -> None:
    """Writes the five binary files."""
    with open(folder / 'cameras.bin', 'wb') as file:
        file.write(struct.pack('<Q', len(model.cameras)))
        for camera in model.cameras:
            size = (camera.width, camera.height)
            file.write(struct.pack('<IiQQ', camera.number, MODELS[camera.model], *size))
            file.write(np.asarray(camera.params, '<f8').tobytes())
    with open(folder / 'rigs.bin', 'wb') as file:
        file.write(struct.pack('<QII', 1, 1, len(model.cameras)))
        file.write(struct.pack('<iI', _CAMERA, model.cameras[0].number))
        for camera in model.cameras[1:]:
            file.write(struct.pack('<iIB', _CAMERA, camera.number, 1))
            file.write(np.asarray(_pose(camera.rotation, np.zeros(3)), '<f8').tobytes())
    frames = _frames(model)
    with open(folder / 'frames.bin', 'wb') as file:
        file.write(struct.pack('<Q', len(frames)))
        for number, images in frames.items():
            pose = _pose(images[0].rotation, images[0].translation)
            file.write(struct.pack('<II7dI', number, 1, *pose, len(images)))
            for image in images:
                file.write(struct.pack('<iIQ', _CAMERA, image.camera, image.number))
    with open(folder / 'images.bin', 'wb') as file:
        file.write(struct.pack('<Q', len(model.images)))
        for image in model.images:
            pose = _pose(image.rotation, image.translation)
            file.write(struct.pack('<I7dI', image.number, *pose, image.camera))
            file.write(image.name.encode() + b'\0' + struct.pack('<Q', len(image.points)))
            entries = np.empty(len(image.points), _OBSERVATION)
            entries['pixel'], entries['point'] = image.pixels, image.points
            file.write(entries.tobytes())
    points = model.points
    with open(folder / 'points3D.bin', 'wb') as file:
        file.write(struct.pack('<Q', len(points.positions)))
        for i, (position, colour) in enumerate(zip(points.positions, points.colours)):
            track = points.track[points.start[i] : points.start[i + 1]]
            values = (i + 1, *position, *map(int, colour), points.errors[i], len(track))
            file.write(struct.pack('<Q3d3BdQ', *values) + track.astype('<u4').tobytes())


def write_text(folder: pathlib.Path, model: Sparse) -> None:
    """Writes the five text files."""
    cameras = [
        (camera.number, camera.model, camera.width, camera.height, *camera.params)
        for camera in model.cameras
    ]
    _write(folder / 'cameras.txt', 'CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]', cameras)
    rig = [1, len(model.cameras), 'CAMERA', model.cameras[0].number]
    for camera in model.cameras[1:]:
        rig += ['CAMERA', camera.number, 1, *_pose(camera.rotation, np.zeros(3))]
    _write(
        folder / 'rigs.txt',
        'RIG_ID, NUM_SENSORS, REF_SENSOR_TYPE, REF_SENSOR_ID,'
        ' SENSORS[] as (SENSOR_TYPE, SENSOR_ID, HAS_POSE, [QW, QX, QY, QZ, TX, TY, TZ])',
        [rig],
    )
    frames = []
    for number, images in _frames(model).items():
        row = [number, 1, *_pose(images[0].rotation, images[0].translation), len(images)]
        for image in images:
            row += ['CAMERA', image.camera, image.number]
        frames.append(row)
    _write(
        folder / 'frames.txt',
        'FRAME_ID, RIG_ID, RIG_FROM_WORLD[QW, QX, QY, QZ, TX, TY, TZ], NUM_DATA_IDS,'
        ' DATA_IDS[] as (SENSOR_TYPE, SENSOR_ID, DATA_ID)',
        frames,
    )
    images = []
    for image in model.images:
        pose = _pose(image.rotation, image.translation)
        images.append((image.number, *pose, image.camera, image.name))
        seen = zip(image.pixels.tolist(), image.points.tolist())
        images.append([value for (x, y), point in seen for value in (x, y, point)])
    _write(
        folder / 'images.txt',
        'IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n#   POINTS2D[] as'
        ' (X, Y, POINT3D_ID)',
        images,
    )
    points = model.points
    rows = (
        (
            i + 1,
            *points.positions[i].tolist(),
            *points.colours[i].tolist(),
            float(points.errors[i]),
            *points.track[points.start[i] : points.start[i + 1]].ravel().tolist(),
        )
        for i in range(len(points.positions))
    )
    _write(
        folder / 'points3D.txt',
        'POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)',
        rows,
    )


def _write(path, heading, rows):
    """Rows of values in full precision, below a comment."""
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'#   {heading}\n')
        for row in rows:
            words = (repr(float(v)) if isinstance(v, float) else str(v) for v in row)
            file.write(' '.join(words) + '\n')


def _pose(rotation, translation):
    """The seven numbers qw qx qy qz tx ty tz of a motion from the world."""
    x, y, z, w = Rotation.from_matrix(rotation).as_quat(canonical=True).tolist()
    return (w, x, y, z, *np.asarray(translation, np.float64).tolist())


def _frames(model):
    """{ID of a frame: its images}."""
    found = {}
    for image in model.images:
        found.setdefault(image.frame, []).append(image)
    return found
