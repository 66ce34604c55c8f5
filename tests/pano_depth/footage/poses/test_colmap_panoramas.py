"""Which panoramas the images of a COLMAP model are, or were cut from."""

import numpy as np
import pytest

from pano_depth.footage.poses import colmap_model, colmap_panoramas
from tests.pano_depth.footage.poses.made_models import (
    EQUIRECTANGULAR,
    PINHOLE,
    check,
    random_poses,
    stored,
    write_model,
)


def view(yaw, pitch):
    """Rotation from the panorama into a view that looks there: its right, down and forward axes."""
    yaw, pitch = np.deg2rad([yaw, pitch])
    right = [np.cos(yaw), 0, -np.sin(yaw)]
    forward = [np.cos(pitch) * np.sin(yaw), -np.sin(pitch), np.cos(pitch) * np.cos(yaw)]
    return np.stack([right, np.cross(forward, right), forward])


# As panorama_sfm.py numbers them.
TWELVE = [(90 * k, -35) for k in range(4)] + [(90 * k, 0) for k in range(4)]
TWELVE += [(45 + 90 * k, 35) for k in range(4)]
FOUR = [(90 * k, 0) for k in range(4)]


def cut(poses, views):
    """The images of views of panoramas, by name."""
    images = {}
    for i, pose in enumerate(poses):
        for k, (yaw, pitch) in enumerate(views):
            turned = pose.copy()
            turned[:3, :3] = pose[:3, :3] @ view(yaw, pitch).T
            images[f'pano_camera{k}/{i:03d}.jpg'] = (1, stored(turned))
    return images


def test_ordinary_photos_beside_panoramas_are_left_out(tmp_path):
    poses = random_poses(3)
    images = {f'{i}.jpg': (1 + (i == 1), stored(pose)) for i, pose in enumerate(poses)}
    write_model(tmp_path, images, cameras={1: EQUIRECTANGULAR, 2: PINHOLE})
    found, kind = colmap_panoramas.panoramas(colmap_model.read_model(tmp_path), tmp_path)
    check(found, ['0.jpg', '2.jpg'], poses[[0, 2]])
    assert '1 other' in kind


@pytest.mark.parametrize('views', [TWELVE, FOUR])
def test_views_of_panoramas_tell_the_pose_of_the_panorama(tmp_path, views):
    poses = random_poses(4)
    images = cut(poses, views)
    del images['pano_camera0/002.jpg'], images['pano_camera1/002.jpg']
    write_model(tmp_path, images, cameras={1: PINHOLE})
    found, kind = colmap_panoramas.panoramas(colmap_model.read_model(tmp_path), tmp_path)
    check(found, [f'{i:03d}.jpg' for i in range(4)], poses)
    assert f'{len(views)} a panorama' in kind


# Where the faces of a cube look, as (yaw, pitch): front, right, back, left, up, down.
CUBE = {'front': (0, 0), 'right': (90, 0), 'back': (180, 0), 'left': (-90, 0)}
CUBE |= {'up': (0, 90), 'down': (0, -90)}


def test_faces_of_a_cube_tell_the_pose_of_the_panorama(tmp_path):
    poses, images = random_poses(3), {}
    for i, pose in enumerate(poses):
        for name, (yaw, pitch) in CUBE.items():
            turned = pose.copy()
            turned[:3, :3] = pose[:3, :3] @ view(yaw, pitch).T
            images[f'{name}_up_{i}.jpg'] = (1, stored(turned))
    del images['front_up_1.jpg']
    write_model(tmp_path, images, cameras={1: PINHOLE})
    found, kind = colmap_panoramas.panoramas(colmap_model.read_model(tmp_path), tmp_path)
    check(found, [f'up_{i}.jpg' for i in range(3)], poses)
    assert kind == '17 faces of a cube, 6 a panorama'
    images = {name.replace('up_up', 'left_up'): value for name, value in images.items()}
    write_model(tmp_path, images, cameras={1: PINHOLE})
    with pytest.raises(ValueError, match='not turned as faces of a cube'):
        colmap_panoramas.panoramas(colmap_model.read_model(tmp_path), tmp_path)


def test_views_that_are_turned_in_another_way_are_refused(tmp_path):
    poses = random_poses(3)
    single = {name: value for name, value in cut(poses, FOUR).items() if 'camera0/' in name}
    elsewhere = {
        name: (camera, [*pose[:6], pose[6] + 0.1 * name.startswith('pano_camera1')])
        for name, (camera, pose) in cut(poses, FOUR).items()
    }
    for images in (cut(poses, [(72 * k, 0) for k in range(5)]), single, elsewhere):
        write_model(tmp_path, images, cameras={1: PINHOLE})
        with pytest.raises(ValueError, match='axes of their panorama are unknown; accepted: im'):
            colmap_panoramas.panoramas(colmap_model.read_model(tmp_path), tmp_path)


@pytest.mark.parametrize(
    'camera, words',
    [
        (PINHOLE, 'a.jpg has a camera of the model PINHOLE'),
        ((40, '', [1, 2, 3]), 'number 40, which is unknown'),
    ],
)
def test_images_that_are_no_panoramas_are_refused(tmp_path, camera, words):
    write_model(tmp_path, {'a.jpg': (1, [1, 0, 0, 0, 1, 2, 3])}, cameras={1: camera})
    images = colmap_model.read_model(tmp_path)
    with pytest.raises(ValueError, match=f'no panorama.*{words}; accepted: images of an EQUIRECT'):
        colmap_panoramas.panoramas(images, tmp_path)
