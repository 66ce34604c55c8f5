"""pycolmap, and a strict reader as gaussian splatting has it, read what is exported.

Image points are projections of the points, not found in the images. So pycolmap's errors and its
bundle adjustment tell that cameras, poses, points and pixels agree in COLMAP's conventions; they do
not tell how good the reconstruction is.
"""

import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest

from pano_depth.footage import media
from pano_depth.footage.poses import known_poses
from pano_depth.results.exports import ExportConfig, folders

needs_pycolmap = pytest.mark.skipif(
    # Not importorskip: pycolmap is kept out of a process that uses JAX.
    importlib.util.find_spec('pycolmap') is None,
    reason='needs pycolmap, extra [test]',
)


@pytest.fixture(scope='module')
def exported(clip, make_result, tmp_path_factory):
    """A COLMAP folder of a room whose lowest rows are left out."""
    folder, mask = tmp_path_factory.mktemp('export'), np.ones((64, 128), bool)
    mask[60:] = False
    room = make_result(clip, tmp_path_factory.mktemp('depth'), mask=mask)
    facts = room.save(folder / 'colmap', format='colmap')
    return folder / 'colmap', facts['colmap']


READ = """
import json, sys
import numpy as np
import pycolmap

def read(folder, kind):
    model = pycolmap.Reconstruction()
    (model.read_binary if kind == 'bin' else model.read_text)(folder)
    return model

def off(model):
    worst = 0
    for image in model.images.values():
        width = model.cameras[image.camera_id].width
        panorama = model.cameras[image.camera_id].model.name == 'EQUIRECTANGULAR'
        for point in image.points2D:
            if point.has_point3D():
                apart = np.abs(image.project_point(model.points3D[point.point3D_id].xyz) - point.xy)
                if panorama:
                    apart[0] = min(apart[0], width - apart[0])
                worst = max(worst, float(np.linalg.norm(apart)))
    return worst

def centres(model):
    return {i: image.projection_center() for i, image in model.images.items()}

found = []
for folder in sys.argv[1:]:
    for kind in ('bin', 'txt'):
        model = read(folder, kind)
        facts = {
            'images': model.num_reg_images(), 'points': model.num_points3D(),
            'observations': model.compute_num_observations(), 'rigs': model.num_rigs(),
            'frames': model.num_reg_frames(), 'cameras': model.num_cameras(), 'off': off(model),
            'centres': {im.name: im.projection_center().tolist() for im in model.images.values()},
            'rotations': {im.name: im.cam_from_world().inverse().rotation.matrix().tolist()
                          for im in model.images.values()},
            'xyz': sorted(p.xyz.tolist() for p in model.points3D.values()),
        }
        options = pycolmap.BundleAdjustmentOptions()
        options.refine_sensor_from_rig = options.refine_focal_length = False
        options.print_summary = False
        before, rng = centres(model), np.random.default_rng(0)
        step = np.linalg.norm(before[1] - before[model.num_images()]) / (model.num_frames() - 1)
        pycolmap.bundle_adjustment(model, options)
        after = centres(model)
        facts['moved'] = max(np.linalg.norm(after[i] - before[i]) for i in after) / step
        # Points that were moved are pulled back to their observations: the adjustment works.
        model = read(folder, kind)
        for point in model.points3D.values():
            point.xyz = point.xyz + rng.normal(size=3) * 0.05 * step
        facts['shaken'] = off(model)
        pycolmap.bundle_adjustment(model, options)
        facts['settled'] = off(model)
        found.append(facts)
print(json.dumps(found))
"""


@needs_pycolmap
def test_pycolmap_reads_both_models_and_leaves_them_as_they_are(exported, clip):
    folder, facts = exported
    models = [folder / 'sparse' / '0', folder / 'faces' / 'sparse' / '0']
    command = [sys.executable, '-c', READ, *map(os.fspath, models)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    found = json.loads(done.stdout.splitlines()[-1])
    for kind, views, pair in (('panoramas', 1, found[:2]), ('faces', 6, found[2:])):
        for model in pair:
            assert model['images'] == facts[kind]['images'] == 5 * views
            assert model['cameras'] == views and model['rigs'] == 1 and model['frames'] == 5
            assert model['points'] == facts[kind]['points'] > 1000
            assert model['observations'] == facts[kind]['observations'] > 3 * model['points']
            assert model['off'] < 0.01 and model['moved'] < 0.01
            assert model['shaken'] > 0.05 and model['settled'] < 0.01
        # Text and binary say the same.
        np.testing.assert_array_equal(pair[0]['xyz'], pair[1]['xyz'])
        for name, centre in pair[0]['centres'].items():
            at = int(name.partition('.')[0][-6:])
            np.testing.assert_allclose(centre, clip.poses.translation[at], atol=1e-9)
    for at in range(5):
        rotation = found[0]['rotations'][f'{at:06d}.jpg']
        np.testing.assert_allclose(rotation, clip.poses.rotation[at], atol=1e-9)
        # The right face looks to the right: its forward axis is the camera's right one.
        right = np.array(found[2]['rotations'][f'right_{at:06d}.jpg'])
        np.testing.assert_allclose(right[:, 2], clip.poses.rotation[at][:, 0], atol=1e-9)


def test_images_and_masks_have_the_names_that_colmap_expects(exported, clip):
    folder, _ = exported
    assert sorted(path.name for path in (folder / 'images').iterdir()) == [
        f'{i:06d}.jpg' for i in range(5)
    ]
    image = media.read_image(folder / 'images' / '000003.jpg')
    assert np.abs(image.astype(int) - clip.frames[3]).mean() < 4
    mask = media.read_image(folder / 'masks' / '000003.jpg.png')[..., 0]
    assert (mask[:60] == 255).all() and (mask[60:] == 0).all()
    down = media.read_image(folder / 'faces' / 'masks' / 'down_000003.jpg.png')[..., 0]
    front = media.read_image(folder / 'faces' / 'masks' / 'front_000003.jpg.png')[..., 0]
    assert down[16, 16] == 0 and down[0, 0] == 255 and front.min() == 255


@pytest.mark.parametrize('part', ['', 'faces'])
def test_a_strict_reader_finds_points_and_tracks_that_agree(exported, part):
    """Unpacks the files field by field, as scripts do that do not know rigs."""
    folder = exported[0] / part / 'sparse' / '0'
    data, at, images = (folder / 'images.bin').read_bytes(), 8, {}
    for _ in range(struct.unpack_from('<Q', data)[0]):
        number, *_, camera = struct.unpack_from('<I7dI', data, at)
        at += 64
        end = data.index(b'\0', at)
        name, at = data[at:end].decode(), end + 1
        (count,) = struct.unpack_from('<Q', data, at)
        entries = np.array(struct.unpack_from('<' + 'ddq' * count, data, at + 8)).reshape(-1, 3)
        at += 8 + 24 * count
        images[number] = name, entries
    assert at == len(data) and all(len(entries) for _, entries in images.values())
    data, at = (folder / 'points3D.bin').read_bytes(), 8
    for _ in range(struct.unpack_from('<Q', data)[0]):
        number, x, y, z, *colour, error, length = struct.unpack_from('<Q3d3BdQ', data, at)
        track = struct.unpack_from('<' + 'ii' * length, data, at + 51)
        at += 51 + 8 * length
        assert length >= 2 and error == 0 and np.isfinite([x, y, z]).all()
        for image, place in zip(track[::2], track[1::2], strict=True):
            assert images[image][1][place, 2] == number
    assert at == len(data)
    # Below the line of each image stands a line of its points, which is not empty.
    lines = [x for x in (folder / 'images.txt').read_text().splitlines() if x[0] != '#']
    assert len(lines) == 2 * len(images) and all(len(x.split()) % 3 == 0 for x in lines[1::2])
    assert (exported[0] / part / 'images' / images[1][0]).is_file()


@pytest.mark.parametrize('suffix', ['bin', 'txt'])
@pytest.mark.parametrize('part', ['', 'faces'])
def test_the_model_as_known_poses_gives_back_the_path(exported, clip, part, suffix, tmp_path):
    place = exported[0] / part
    if suffix == 'txt':  # binary files go before text
        for path in (place / 'sparse' / '0').glob('*.txt'):
            shutil.copy(path, tmp_path)
        place = tmp_path
    found = known_poses.read_poses(place, np.arange(5), fps=clip.fps, total=5)
    np.testing.assert_allclose(found.poses.rotation, clip.poses.rotation, atol=1e-9)
    np.testing.assert_allclose(found.poses.translation, clip.poses.translation, atol=1e-9)
    assert found.facts['matched_by'] == 'numbers in the names'


def test_the_world_has_the_axes_of_the_trajectory(room, tmp_path, clip):
    turned = room.__class__(
        room.footage,
        _frames_of(room),
        room.pieces,
        room.model,
        height=64,
        axes={'trajectory': 'z_up', 'cloud': 'z_up'},
    )
    folders.export_one(tmp_path / 'c', turned, 'colmap', ExportConfig(export_views='panoramas'))
    assert not (tmp_path / 'c' / 'faces').exists()
    lines = (tmp_path / 'c' / 'sparse' / '0' / 'points3D.txt').read_text().splitlines()[1:]
    z = np.array([float(line.split()[3]) for line in lines])
    # The camera is at 0; the floor lies below it and the ceiling above, nearer than the floor.
    assert z.min() < -1 and z.max() > 0.5
    found = known_poses.read_poses(tmp_path / 'c', np.arange(5), fps=clip.fps, total=5)
    np.testing.assert_allclose(found.poses.translation, clip.poses.translation, atol=1e-9)


def _frames_of(result):
    from pano_depth.reconstruction.analysis import Frames

    return Frames(None, result.indices, '')
