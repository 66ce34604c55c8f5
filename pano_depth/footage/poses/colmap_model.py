"""Poses of panoramas in a COLMAP model, text or binary.

COLMAP stores, for each image that it could place, the motion from the world into the camera. The
axes of its EQUIRECTANGULAR camera (COLMAP 4.1 and newer) are those of this package: x right, y
down, z forward. A model of perspective views is accepted if it comes from COLMAP's own script
`panorama_sfm.py`, which cuts panoramas into `pano_camera0/NAME`, `pano_camera1/NAME` and so on: how
these views are turned in the panorama is known, and the model has to agree with it.

The format is described in https://colmap.github.io/format.html. It is read here without pycolmap,
which crashed (4.2.1) in a process that also used JAX.
"""

import mmap
import pathlib
import re
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
# Pitches of the views in degrees, by the two layouts of panorama_sfm.py.
_LAYOUTS = ((-35, 0, 35), (0,))
_ACCEPTED = (
    f'images of an {PANORAMA} camera, or the views pano_camera0/NAME, pano_camera1/NAME, ... that '
    "COLMAP's panorama_sfm.py cuts"
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

    Args:
        path: `pathlib.Path` of the model, or of a folder that holds it as `sparse/0`, `sparse` or
            `0`; or of its file images.bin or images.txt.

    Returns:
        `pathlib.Path` of the folder with images.bin or images.txt.

    Raises:
        ValueError: there is none.
    """
    if path.name in ('images.bin', 'images.txt'):
        path = path.parent
    for place in ('.', 'sparse/0', 'sparse', '0'):
        if any((path / place / f'images.{suffix}').is_file() for suffix in ('bin', 'txt')):
            return path / place
    raise ValueError(
        f'{path} is no COLMAP model; accepted: a folder with cameras and images, .bin or .txt, or '
        'one with sparse/0'
    )


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
    folder = model_folder(pathlib.Path(path))
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


def panoramas(images, path):
    """The panoramas of a COLMAP model.

    Args:
        images: `PosedImages` of the model.
        path: what messages call the model.

    Returns:
        `PosedImages` of one image a panorama and a sentence on what they are. Views are joined:
        their name is that of the panorama. Other images beside panoramas are left out.

    Raises:
        ValueError: the model holds neither panoramas nor views that are known.
    """
    kept = [i for i, camera in enumerate(images.cameras) if camera == PANORAMA]
    if kept:
        found = PosedImages(
            [images.names[i] for i in kept],
            [PANORAMA] * len(kept),
            Motion(images.poses.rotation[kept], images.poses.translation[kept]),
        )
        others = len(images.names) - len(kept)
        return found, PANORAMA + (f', {others} other images left out' if others else '')
    cuts = [re.fullmatch(r'(?:.*/)?pano_camera(\d+)/(.+)', name) for name in images.names]
    if not all(cuts):
        odd = cuts.index(None)
        raise ValueError(
            f'{path} holds no panorama: image {images.names[odd]} has a camera of the model '
            f'{images.cameras[odd]}; accepted: {_ACCEPTED}'
        )
    return _join_views(images, [int(cut[1]) for cut in cuts], [cut[2] for cut in cuts], path)


def _views(pitches):
    """Rotations [V, 3, 3] from the panorama into the views of panorama_sfm.py."""
    # Rows of views are a quarter turn apart; those that look up are shifted by half of it.
    turns = [(-pitch, -(yaw + 45 * (pitch > 0))) for pitch in pitches for yaw in (0, 90, 180, 270)]
    return Rotation.from_euler('XY', turns, degrees=True).as_matrix()


def _join_views(images, numbers, names, path):
    """`PosedImages` of the panoramas that views were cut from, and what they are."""
    first = {}
    for i, name in enumerate(names):
        first.setdefault(name, i)
    kept, of_first = list(first.values()), [first[name] for name in names]
    centre = images.poses.translation
    apart = np.abs(centre - centre[of_first]).max()
    together = len(kept) < len(names) and apart <= 1e-3 * np.ptp(centre, axis=0).max() + 1e-9
    for pitches in _LAYOUTS:
        views = _views(pitches)
        if not together or max(numbers) >= len(views):
            continue
        # All views of a panorama have to tell the same rotation of it.
        rotation = images.poses.rotation @ views[numbers]
        turn = Rotation.from_matrix(np.swapaxes(rotation, -1, -2) @ rotation[of_first])
        if turn.magnitude().max() < 2e-3:
            found = PosedImages(
                list(first), [images.cameras[i] for i in kept], Motion(rotation[kept], centre[kept])
            )
            return found, f'{len(names)} views of panorama_sfm.py, {len(views)} a panorama'
    raise ValueError(
        f'{path} holds views pano_camera0, ... that are not turned as those of panorama_sfm.py, so '
        f'that the axes of their panorama are unknown; accepted: {_ACCEPTED}'
    )
