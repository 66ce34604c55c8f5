"""COLMAP models, written here by hand, give back the poses that went into them."""

import importlib.util
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pano_depth.footage.poses import colmap_model, colmap_panoramas

EQUIRECTANGULAR, PINHOLE = (17, 'EQUIRECTANGULAR', [64, 32]), (1, 'PINHOLE', [9.5, 9.5, 16, 16])


def quaternion_matrix(w, x, y, z):
    """The textbook matrix of a unit quaternion."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_quaternion(matrix):
    """(w, x, y, z) of a rotation: the null space of `matrix(q) - matrix`, by an eigenvector."""
    m = matrix
    k = np.array(
        [
            [m.trace(), m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [0, m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [0, 0, m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
            [0, 0, 0, m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    return np.linalg.eigh(k, UPLO='U')[1][:, -1]


def random_poses(count, seed=0):
    """`count` matrices [4, 4], camera to world."""
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (count, 1, 1))
    for pose in poses:
        q = rng.normal(size=4)
        pose[:3, :3] = quaternion_matrix(*(q / np.linalg.norm(q)))
        pose[:3, 3] = rng.normal(size=3)
    return poses


def stored(pose):
    """The seven numbers that COLMAP stores for a camera-to-world matrix."""
    inverse = np.linalg.inv(pose)
    return [*matrix_quaternion(inverse[:3, :3]), *inverse[:3, 3]]


def write_model(folder, images, *, cameras=None, suffix='bin', points=2):
    """Writes {name: (camera, seven numbers)}; cameras: {number: (model number, name, params)}."""
    cameras = cameras or {1: EQUIRECTANGULAR}
    folder.mkdir(parents=True, exist_ok=True)
    if suffix == 'txt':
        lines = [f'{k} {name} 64 32 {" ".join(map(str, p))}' for k, (_, name, p) in cameras.items()]
        (folder / 'cameras.txt').write_text('# Camera list\n' + '\n'.join(lines) + '\n')
        text = '# Image list\n'
        for number, (name, (camera, pose)) in enumerate(images.items(), 1):
            values = ' '.join(repr(float(value)) for value in pose)
            text += f'{number} {values} {camera} {name}\n' + '1.5 2.5 -1 ' * points + '\n'
        (folder / 'images.txt').write_text(text)
        return folder
    data = struct.pack('<Q', len(cameras))
    for number, (model, _, params) in cameras.items():
        data += struct.pack(f'<IiQQ{len(params)}d', number, model, 64, 32, *params)
    (folder / 'cameras.bin').write_bytes(data)
    data = struct.pack('<Q', len(images))
    for number, (name, (camera, pose)) in enumerate(images.items(), 1):
        data += struct.pack('<I7dI', number, *pose, camera) + name.encode() + b'\0'
        data += struct.pack('<Q', points) + struct.pack('<ddq', 1.5, 2.5, -1) * points
    (folder / 'images.bin').write_bytes(data)
    return folder


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


def check(images, names, poses):
    assert images.names == names
    np.testing.assert_allclose(images.poses.rotation, poses[:, :3, :3], atol=1e-9)
    np.testing.assert_allclose(images.poses.translation, poses[:, :3, 3], atol=1e-9)


@pytest.mark.parametrize('suffix', ['bin', 'txt'])
@pytest.mark.parametrize('place', ['', 'sparse/0'])
def test_poses_are_read_back(tmp_path, suffix, place):
    poses = random_poses(5)
    names = [f'left eye/{i}.png' for i in range(5)]
    images = {name: (7, stored(pose)) for name, pose in zip(names, poses, strict=True)}
    write_model(tmp_path / place, images, cameras={3: PINHOLE, 7: EQUIRECTANGULAR}, suffix=suffix)
    found, kind = colmap_panoramas.panoramas(colmap_model.read_model(tmp_path), tmp_path)
    check(found, names, poses)
    assert kind == 'EQUIRECTANGULAR'


def test_a_text_model_as_a_person_writes_it(tmp_path):
    # A quarter turn about y: what is right in the world is ahead of the camera.
    (tmp_path / 'cameras.txt').write_text('2 EQUIRECTANGULAR 64 32 64 32\n')
    (tmp_path / 'images.txt').write_text(
        '# comment\n\n4 0.70710678118654757 0 -0.70710678118654757 0 0.5 0 -2 2 a b.png\n\n'
        '5 1 0 0 0 1 2 3 2 c.png'
    )
    images = colmap_model.read_model(tmp_path)
    assert images.names == ['a b.png', 'c.png']
    np.testing.assert_allclose(images.poses.rotation[0] @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(images.poses.translation, [[2, 0, 0.5], [-1, -2, -3]], atol=1e-12)


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


@pytest.mark.parametrize('suffix', ['bin', 'txt'])
def test_of_several_models_the_one_with_the_most_images_is_taken(tmp_path, suffix):
    for number, count in (('0', 2), ('1', 5), ('10', 3)):
        images = {f'{i}.png': (1, stored(pose)) for i, pose in enumerate(random_poses(count))}
        write_model(tmp_path / 'sparse' / number, images, suffix=suffix)
    for path in (tmp_path, tmp_path / 'sparse'):
        assert colmap_model.model_folder(path) == (tmp_path / 'sparse' / '1', 2)
        assert len(colmap_model.read_model(path).names) == 5
    assert len(colmap_model.read_model(tmp_path / 'sparse' / '0').names) == 2


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


@pytest.mark.parametrize('suffix', ['bin', 'txt'])
@pytest.mark.parametrize(
    'pose, words',
    [
        ([0, 0, 0, 0, 1, 2, 3], 'quaternion has length 0'),
        ([1, 0, 0, 0, 1, np.nan, 3], 'not finite'),
        ([np.inf, 0, 0, 0, 1, 2, 3], 'not finite'),
    ],
)
def test_poses_that_are_none_are_refused(tmp_path, suffix, pose, words):
    images = {'a.jpg': (1, [1, 0, 0, 0, 0, 0, 0]), 'b.jpg': (1, pose)}
    write_model(tmp_path, images, suffix=suffix)
    place = "images.bin, image 'b.jpg'" if suffix == 'bin' else 'images.txt, line 4'
    with pytest.raises(ValueError, match=f'{place}: .*{words}'):
        colmap_model.read_model(tmp_path)


@pytest.mark.parametrize(
    'old, new, words',
    [
        (' 0.5 ', ' half ', "images.txt, line 2: .*'half'"),
        (' 1 a.jpg', ' x a.jpg', "images.txt, line 2: .*'x'"),
        (' 1 a.jpg', '', 'images.txt, line 2: 8 values'),
        ('1.5 2.5 -1', '2 1 0 0 0 0 0 0 1 b.jpg', 'images.txt, line 3: no image points'),
        ('# Image list', '# \udcff', 'images.txt cannot be read'),
    ],
)
def test_text_that_is_no_model_is_refused_with_its_line(tmp_path, old, new, words):
    write_model(tmp_path, {'a.jpg': (1, [1, 0, 0, 0, 0.5, 0, 0])}, suffix='txt', points=1)
    path = tmp_path / 'images.txt'
    path.write_text(path.read_text().replace(old, new), errors='surrogateescape')
    with pytest.raises(ValueError, match=words):
        colmap_model.read_model(tmp_path)


def test_files_that_are_missing_or_empty_are_named(tmp_path):
    with pytest.raises(ValueError, match='is no COLMAP model; accepted: a folder with cameras'):
        colmap_model.read_model(tmp_path)
    write_model(tmp_path, {})
    with pytest.raises(ValueError, match='has no image with a pose'):
        colmap_model.read_model(tmp_path)
    (tmp_path / 'cameras.bin').write_bytes(b'')
    with pytest.raises(ValueError, match=r'cameras\.bin is cut off after 0 bytes'):
        colmap_model.read_model(tmp_path)
    (tmp_path / 'cameras.bin').unlink()
    with pytest.raises(ValueError, match=r'cameras\.bin cannot be read'):
        colmap_model.read_model(tmp_path)


def test_damaged_binary_files_are_read_rightly_or_refused_by_name(tmp_path):
    write_model(tmp_path, {f'{i}.jpg': (1, stored(p)) for i, p in enumerate(random_poses(2))})
    path = tmp_path / 'images.bin'
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=rf'images\.bin is cut off after {size} bytes'):
            colmap_model.read_model(tmp_path)

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)), min_size=1))
    def damage(changes):
        changed = bytearray(whole)
        for place, mask in changes:
            changed[place] ^= mask
        path.write_bytes(bytes(changed))
        try:
            images = colmap_model.read_model(tmp_path)
        except ValueError as error:
            assert '\n' not in str(error) and tmp_path.name in str(error)
        else:
            squared = images.poses.rotation @ np.swapaxes(images.poses.rotation, -1, -2)
            np.testing.assert_allclose(squared, np.tile(np.eye(3), (len(squared), 1, 1)), atol=1e-9)
            assert np.isfinite(images.poses.translation).all()

    damage()


WRITE_BY_PYCOLMAP = """
import sys
import numpy as np
import pycolmap
model = pycolmap.Reconstruction()
model.add_camera_with_trivial_rig(
    pycolmap.Camera(camera_id=3, model='EQUIRECTANGULAR', width=64, height=32, params=[64, 32]))
for i, pose in enumerate(np.load(sys.argv[1])):
    pose = pycolmap.Rigid3d(pycolmap.Rotation3d(pose[:3, :3]), pose[:3, 3]).inverse()
    image = pycolmap.Image(
        name=f'{i:04d}.jpg', keypoints=np.ones((i, 2)), camera_id=3, image_id=9 + i)
    model.add_image_with_trivial_frame(image, pose)
model.write_binary(sys.argv[2])
model.write_text(sys.argv[3])
"""


def test_models_that_colmap_writes(tmp_path):
    # Not importorskip: pycolmap is kept out of a process that uses JAX.
    if importlib.util.find_spec('pycolmap') is None:
        pytest.skip('needs pycolmap, extra [test]')
    poses = random_poses(4)
    np.save(tmp_path / 'poses.npy', poses)
    folders = [tmp_path / 'binary', tmp_path / 'text']
    for folder in folders:
        pathlib.Path(folder).mkdir()
    command = [sys.executable, '-c', WRITE_BY_PYCOLMAP, tmp_path / 'poses.npy', *folders]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    for folder in folders:
        found, _ = colmap_panoramas.panoramas(colmap_model.read_model(folder), folder)
        check(found, [f'{i:04d}.jpg' for i in range(4)], poses)
