"""nerfstudio's own formulas, written here, find the colours and depths of a known scene."""

import json

import numpy as np
import pytest

from pano_depth.footage import media
from pano_depth.results import ply


@pytest.fixture(scope='module')
def exported(clip, make_result, tmp_path_factory):
    room = make_result(clip, tmp_path_factory.mktemp('depth'), mask=np.ones((64, 128), bool))
    folder = tmp_path_factory.mktemp('export') / 'nerfstudio'
    return folder, room.save(folder, format='nerfstudio', faces_fov=100, faces_size=48)


def rays(meta):
    """Origins' directions of all pixels as nerfstudio makes them: [h, w, 3], camera axes OpenGL.

    From `Cameras._generate_rays_from_coords`, where pixel centres are at 0.5; directions of
    pinhole cameras have length 1 along the direction of view.
    """
    y, x = np.mgrid[: meta['h'], : meta['w']] + 0.5
    x, y = (x - meta['cx']) / meta['fl_x'], -(y - meta['cy']) / meta['fl_y']
    if meta['camera_model'] == 'EQUIRECTANGULAR':
        theta, phi = -np.pi * x, np.pi * (0.5 - y)
        parts = -np.sin(theta) * np.sin(phi), np.cos(phi), -np.cos(theta) * np.sin(phi)
        return np.stack(parts, axis=-1)
    return np.stack([x, y, -np.ones_like(x)], axis=-1)


def scene_point(clip, at, points):
    """(row, column) of world points, z up, in frame `at` of the clip, and their distance."""
    points = points @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # x right, y down, z forward
    local = (points - clip.poses.translation[at]) @ clip.poses.rotation[at]
    x, y, z = np.moveaxis(local, -1, 0)
    rows = (np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5) * 64
    columns = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * 128
    rows, columns = rows.astype(int).clip(0, 63), columns.astype(int) % 128
    return rows, columns, np.linalg.norm(local, axis=-1)


@pytest.mark.parametrize('part, model', [('', 'EQUIRECTANGULAR'), ('faces', 'OPENCV')])
def test_depth_along_nerfstudios_rays_meets_the_room(exported, clip, part, model):
    folder = exported[0] / part
    meta = json.loads((folder / 'transforms.json').read_text())
    assert meta['camera_model'] == model and len(meta['frames']) == (30 if part else 5)
    directions = rays(meta)
    for number, frame in enumerate(meta['frames']):
        at, pose = number // (6 if part else 1), np.array(frame['transform_matrix'])
        image = media.read_image(folder / frame['file_path'])
        assert image.shape == (meta['h'], meta['w'], 3)
        stored = media.read_png16(folder / frame['depth_file_path']) * 1e-3
        assert (stored > 0).all()
        if stored.shape == image.shape[:2]:
            # `is_euclidean_depth=False`: depth is multiplied by the length of the direction.
            world = pose[:3, 3] + (stored[..., None] * directions) @ pose[:3, :3].T
            rows, columns, distance = scene_point(clip, at, world)
            off = np.abs(np.log(distance / clip.depth[at, rows, columns]))
            assert np.mean(off < 0.02) > 0.97
        # One unit along each ray: the direction alone tells the pixel.
        world = pose[:3, 3] + directions @ pose[:3, :3].T
        rows, columns, _ = scene_point(clip, at, world)
        difference = np.abs(image.astype(int) - clip.frames[at, rows, columns])
        assert np.median(difference) <= 8


def test_all_files_are_named_and_there(exported):
    for part in ('', 'faces'):
        folder = exported[0] / part
        meta = json.loads((folder / 'transforms.json').read_text())
        for frame in meta['frames']:
            for key in ('file_path', 'depth_file_path', 'mask_path'):
                assert (folder / frame[key]).is_file()
        frame = meta['frames'][-1]
        name = 'down_000004' if part else '000004'
        assert frame['file_path'] == f'images/{name}.jpg'
        assert frame['depth_file_path'] == f'depths/{name}.png'
        assert frame['mask_path'] == f'masks/{name}.png'
        assert (folder / meta['ply_file_path']).is_file()
        # Saved coordinates are original ones: nerfstudio would undo an applied transform.
        assert 'applied_transform' not in meta and not (folder / 'colmap').exists()
    assert exported[1]['nerfstudio']['faces']['image_size'] == [48, 48]


def test_points_lie_in_the_world_of_the_cameras(exported, clip):
    meta = json.loads((exported[0] / 'transforms.json').read_text())
    points, colours = ply.read_ply(exported[0] / meta['ply_file_path'])
    centres = np.array([frame['transform_matrix'] for frame in meta['frames']])[:, :3, 3]
    near, off = [], []
    for at in range(5):
        rows, columns, distance = scene_point(clip, at, points.astype(np.float64))
        seen = np.abs(np.log(distance / clip.depth[at, rows, columns])) < 0.02
        near.append(seen)
        off.append(np.abs(clip.frames[at, rows, columns].astype(int) - colours)[seen])
    assert np.mean(np.any(near, axis=0)) > 0.99 and np.median(np.concatenate(off)) < 6
    # z is up: the path stays at one height, the floor is below it.
    assert np.ptp(centres[:, 2]) < 0.2 and points[:, 2].min() < -1
