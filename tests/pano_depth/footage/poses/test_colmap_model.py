"""COLMAP models, written here by hand, give back the poses that went into them."""

import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pano_depth.footage.poses import colmap_model, colmap_panoramas
from tests.pano_depth.footage.poses.made_models import (
    EQUIRECTANGULAR,
    PINHOLE,
    check,
    random_poses,
    stored,
    write_model,
)


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


@pytest.mark.parametrize('suffix', ['bin', 'txt'])
def test_of_several_models_the_one_with_the_most_images_is_taken(tmp_path, suffix):
    for number, count in (('0', 2), ('1', 5), ('10', 3)):
        images = {f'{i}.png': (1, stored(pose)) for i, pose in enumerate(random_poses(count))}
        write_model(tmp_path / 'sparse' / number, images, suffix=suffix)
    for path in (tmp_path, tmp_path / 'sparse'):
        assert colmap_model.model_folder(path) == (tmp_path / 'sparse' / '1', 2)
        assert len(colmap_model.read_model(path).names) == 5
    assert len(colmap_model.read_model(tmp_path / 'sparse' / '0').names) == 2


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
