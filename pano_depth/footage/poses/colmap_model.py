"""The images of a COLMAP model, text or binary, with their poses.

COLMAP stores, for each image that it could place, the motion from the world into the camera. The
axes of its EQUIRECTANGULAR camera (COLMAP 4.1 and newer) are those of this package: x right, y
down, z forward. `colmap_panoramas` tells which panoramas the images are or belong to.

The format is described in https://colmap.github.io/format.html. It is read here without pycolmap,
which crashed (4.2.1) in a process that also used JAX.
"""

import mmap
import pathlib
import struct
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from pano_depth.kernels.rigid import Motion

PANORAMA = 'EQUIRECTANGULAR'
# (name, number of parameters) by the number of a camera model in cameras.bin.
_CAMERAS = (
    ('SIMPLE_PINHOLE', 3),
    ('PINHOLE', 4),
    ('SIMPLE_RADIAL', 4),
    ('RADIAL', 5),
    ('OPENCV', 8),
    ('OPENCV_FISHEYE', 8),
    ('FULL_OPENCV', 12),
    ('FOV', 5),
    ('SIMPLE_RADIAL_FISHEYE', 4),
    ('RADIAL_FISHEYE', 5),
    ('THIN_PRISM_FISHEYE', 12),
    ('RAD_TAN_THIN_PRISM_FISHEYE', 16),
    ('SIMPLE_DIVISION', 4),
    ('DIVISION', 5),
    ('SIMPLE_FISHEYE', 3),
    ('FISHEYE', 4),
    ('EUCM', 6),
    (PANORAMA, 2),
)


class PosedImages(NamedTuple):
    """Images with poses.

    Attributes:
        names: list of the names of the N images.
        cameras: list of the names of their camera models.
        poses: `Motion` of [N, 3, 3] and [N, 3] numpy float64, camera to world, in COLMAP's unit.
    """

    names: list[str]
    cameras: list[str]
    poses: Motion


class _Bytes:
    """Little-endian values of a file, one after the other."""

    def __init__(self, path):
        self.path, self.at = path, 0
        try:
            with open(path, 'rb') as file:
                size = file.seek(0, 2)
                # Mapped, since most of images.bin are image points, which are passed over.
                access = mmap.ACCESS_READ
                self.data = mmap.mmap(file.fileno(), 0, access=access) if size else b''
        except OSError as error:
            raise ValueError(f'COLMAP model {path} cannot be read: {error}') from error

    def skip(self, size):
        if self.at + size > len(self.data):
            raise ValueError(
                f'COLMAP model {self.path} is cut off after {len(self.data)} bytes; accepted: a '
                'whole file'
            )
        self.at += size

    def take(self, layout):
        start = self.at
        self.skip(struct.calcsize('<' + layout))
        return struct.unpack_from('<' + layout, self.data, start)

    def text(self):
        start, end = self.at, self.data.find(b'\0', self.at)
        self.skip((end if end >= 0 else len(self.data)) - start + 1)
        return self.data[start:end].decode()


def _cameras_bin(path):
    """{camera: model} of cameras.bin."""
    file, models = _Bytes(path), {}
    for _ in range(file.take('Q')[0]):
        camera, model, _, _ = file.take('IiQQ')
        if not 0 <= model < len(_CAMERAS):
            # Its number of parameters is unknown, so that the cameras behind it cannot be found.
            models[camera] = f'number {model}, which is unknown'
            break
        models[camera], parameters = _CAMERAS[model]
        file.skip(8 * parameters)
    return models


def _images_bin(path):
    """[(where, name, camera, seven numbers of the pose)] of images.bin."""
    file, rows = _Bytes(path), []
    for _ in range(file.take('Q')[0]):
        _, *pose, camera = file.take('I7dI')
        try:
            name = file.text()
        except UnicodeDecodeError as error:
            raise ValueError(
                f'COLMAP model {path} has an image whose name is no text: {error}'
            ) from error
        file.skip(24 * file.take('Q')[0])
        rows.append((f'{path}, image {name!r}', name, camera, pose))
    return rows


def _lines(path):
    """(number, line) of a text file, without comments."""
    try:
        with open(path, encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                if not line.startswith('#'):
                    yield number, line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'COLMAP model {path} cannot be read: {error}') from error


def _numbers(kind, words, where, accepted):
    try:
        return [kind(word) for word in words]
    except ValueError as error:
        raise ValueError(f'{where}: {error}; accepted: {accepted}') from error


def _cameras_txt(path):
    """{camera: model} of cameras.txt."""
    models, accepted = {}, 'CAMERA_ID MODEL WIDTH HEIGHT PARAMS'
    for number, line in _lines(path):
        words = line.split()
        if words:
            where = f'{path}, line {number}'
            if len(words) < 4:
                raise ValueError(f'{where}: {len(words)} values; accepted: {accepted}')
            models[_numbers(int, words[:1], where, accepted)[0]] = words[1]
    return models


def _images_txt(path):
    """[(where, name, camera, seven numbers of the pose)] of images.txt."""
    rows, lines = [], _lines(path)
    accepted = 'IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME'
    for number, line in lines:
        if not line:
            continue
        where, words = f'{path}, line {number}', line.split(maxsplit=9)
        if len(words) < 10:
            raise ValueError(f'{where}: {len(words)} values; accepted: {accepted}')
        pose = _numbers(float, words[1:8], where, accepted)
        camera = _numbers(int, words[8:9], where, accepted)[0]
        rows.append((where, words[9], camera, pose))
        # The line of image points belongs to the image even if it is empty.
        number, points = next(lines, (number + 1, ''))
        if len(points.split()) % 3:
            raise ValueError(
                f'{path}, line {number}: no image points, X Y POINT3D_ID of each; accepted: a line '
                'of them, which may be empty, below each image'
            )
    return rows


def model_folder(path):
    """The folder of a COLMAP model.

    COLMAP writes a model of its own for each part of the images that it could not join: sparse/0,
    sparse/1 and so on, in no order of size.

    Args:
        path: `pathlib.Path` of the model, or of a folder that holds models as `sparse/0`, `sparse`
            or `0`; or of its file images.bin or images.txt.

    Returns:
        (folder, others): `pathlib.Path` of the folder with images.bin or images.txt; of several
        models the one with the most images, and the number of the other ones.

    Raises:
        ValueError: there is none, or a file cannot be read.
    """
    if path.name in ('images.bin', 'images.txt'):
        path = path.parent
    if _holds_model(path):
        return path, 0
    for place in (path / 'sparse', path):
        numbered = place.glob('[0-9]*') if place.is_dir() else ()
        found = [folder for folder in numbered if folder.name.isdigit() and _holds_model(folder)]
        if found:
            found.sort(key=lambda folder: int(folder.name))
            return max(found, key=_count_images), len(found) - 1
        if _holds_model(place):
            return place, 0
    raise ValueError(
        f'{path} is no COLMAP model; accepted: a folder with cameras and images, .bin or .txt, or '
        'one with sparse/0'
    )


def _holds_model(folder):
    return any((folder / f'images.{suffix}').is_file() for suffix in ('bin', 'txt'))


def _count_images(folder):
    """Number of images of a model, as its file says."""
    if (folder / 'images.bin').is_file():
        return _Bytes(folder / 'images.bin').take('Q')[0]
    return len(_images_txt(folder / 'images.txt'))


def read_model(path):
    """Reads the images of a COLMAP model that have a pose.

    Args:
        path: see `model_folder`. Binary files are preferred, as by COLMAP.

    Returns:
        `PosedImages` in the order of the file.

    Raises:
        ValueError: a file is missing, cut off or no such file, the model has no image, or a pose is
            not finite or has no unit quaternion. The message names file and line or image.
    """
    folder, _ = model_folder(pathlib.Path(path))
    if (folder / 'images.bin').is_file():
        models, rows = _cameras_bin(folder / 'cameras.bin'), _images_bin(folder / 'images.bin')
    else:
        models, rows = _cameras_txt(folder / 'cameras.txt'), _images_txt(folder / 'images.txt')
    if not rows:
        raise ValueError(f'COLMAP model {folder} has no image with a pose')
    for where, _, _, pose in rows:
        # Beyond 1e100 the position of the camera could overflow.
        if not np.isfinite(pose).all() or np.abs(pose).max() > 1e100:
            raise ValueError(f'{where}: a value of the pose is not finite')
        length = np.linalg.norm(pose[:4])
        if abs(length - 1) > 1e-2:
            raise ValueError(f'{where}: the quaternion has length {length:.4f}; accepted: 1')
    stored = np.array([pose for *_, pose in rows], np.float64)
    # COLMAP writes w x y z, SciPy takes x y z w.
    rotation = Rotation.from_quat(stored[:, [1, 2, 3, 0]]).inv().as_matrix()
    centre = -np.einsum('nij,nj->ni', rotation, stored[:, 4:])
    cameras = [models.get(camera, 'unknown') for _, _, camera, _ in rows]
    return PosedImages([name for _, name, _, _ in rows], cameras, Motion(rotation, centre))
