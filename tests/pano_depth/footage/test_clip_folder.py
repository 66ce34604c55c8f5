"""Clips are written to folders and read back; missing files are named or left out."""

import os
import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage import clip_folder, geometry, media
from pano_depth.footage.clip import Clip
from pano_depth.kernels.rigid import Motion


def _clip(n=6, height=32, name='room_1', seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.3, 20, (n, height, 2 * height)).astype(np.float32)
    depth[:, :3] = 0
    turns = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.2, (n, 3)), axis=0))
    turns = turns[0].inv() * turns
    positions = np.cumsum(rng.normal(0, 0.2, (n, 3)), axis=0)
    poses = Motion(turns.as_matrix(), positions - positions[0])
    return Clip(
        name, rng.integers(0, 256, (n, height, 2 * height, 3), np.uint8), depth, poses, 12.0
    )


@pytest.fixture
def scene(tmp_path):
    return clip_folder.write_clip_folder(tmp_path, _clip())


@pytest.mark.parametrize('depth_format, tolerance', [('png', 0.0005001), ('npy', 0)])
def test_a_written_clip_reads_back(tmp_path, depth_format, tolerance):
    clip = _clip()
    path = clip_folder.write_clip_folder(tmp_path / 'root', clip, depth_format=depth_format)
    assert clip_folder.list_scenes(tmp_path / 'root') == ['room_1'] == os.listdir(tmp_path / 'root')
    back = clip_folder.read_clip_folder(path)
    assert back.name == 'room_1' and back.fps == pytest.approx(12, rel=1e-4)
    np.testing.assert_array_equal(back.frames, clip.frames)
    np.testing.assert_allclose(back.depth, clip.depth, atol=tolerance)
    assert ((back.depth == 0) == (clip.depth == 0)).all() and back.depth.dtype == np.float32
    np.testing.assert_allclose(back.poses.rotation, clip.poses.rotation, atol=1e-8)
    np.testing.assert_allclose(back.poses.translation, clip.poses.translation, atol=1e-8)
    with pytest.raises(ValueError, match='exists already'):
        clip_folder.write_clip_folder(tmp_path / 'root', clip)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    clip = _clip()
    bad = Clip(
        'bad', clip.frames, poses=Motion(clip.poses.rotation[:3], clip.poses.translation[:3])
    )
    with pytest.raises(ValueError, match='3 poses'):
        clip_folder.write_clip_folder(tmp_path, bad)
    for name in ('../up', '', '.hidden'):
        with pytest.raises(ValueError, match='name'):
            clip_folder.write_clip_folder(tmp_path, Clip(name, clip.frames))
    assert os.listdir(tmp_path) == []


def test_stride_and_limit_pick_frames_depth_and_poses_together(scene):
    clip = _clip()
    back = clip_folder.read_clip_folder(scene, stride=2, max_frames=2)
    np.testing.assert_array_equal(back.frames, clip.frames[[0, 2]])
    np.testing.assert_allclose(back.depth, clip.depth[[0, 2]], atol=0.00051)
    np.testing.assert_allclose(back.poses.translation, clip.poses.translation[[0, 2]], atol=1e-8)
    assert back.fps == pytest.approx(6, rel=1e-4)


def test_the_world_is_the_first_frame_whatever_the_file_says(scene):
    poses, world = _clip().poses, Rotation.from_rotvec([0.4, 1.0, -0.2]).as_matrix()
    moved = Motion(world @ poses.rotation, poses.translation @ world.T + [5, 6, 7])
    geometry.write_tum(scene / 'poses.txt', np.arange(6) / 12, moved)
    back = clip_folder.read_clip_folder(scene).poses
    np.testing.assert_allclose(back.rotation, poses.rotation, atol=1e-7)
    np.testing.assert_allclose(back.translation, poses.translation, atol=1e-7)


def test_resizing_averages_frames_and_never_mixes_depth(scene):
    clip = _clip()
    back = clip_folder.read_clip_folder(scene, size=(16, 32))
    assert back.frames.shape == (6, 16, 32, 3) and back.depth.shape == (6, 16, 32)
    np.testing.assert_allclose(
        back.frames[1, 3, 4], clip.frames[1, 6:8, 8:10].mean((0, 1)), atol=0.51
    )
    for v, u in ((5, 5), (15, 31)):
        block = clip.depth[2, 2 * v : 2 * v + 2, 2 * u : 2 * u + 2]
        assert np.abs(block - back.depth[2, v, u]).min() < 0.00051


def test_depth_and_poses_are_optional_and_depth_may_have_its_own_size(scene):
    os.remove(scene / 'poses.txt')
    for i in range(6):
        media.write_png16(scene / 'depth' / f'{i:06d}.png', np.full((16, 32), 1500 + i, np.uint16))
    back = clip_folder.read_clip_folder(scene)
    assert back.poses is None and back.depth.shape == (6, 32, 64)
    assert back.depth[3, 9, 9] == pytest.approx(1.503)
    shutil.rmtree(scene / 'depth')
    assert clip_folder.read_clip_folder(scene).depth is None


def _remove(name):
    return lambda scene: os.remove(scene / name)


def _small_frame(scene):
    media.write_image(scene / 'rgb/000003.png', np.zeros((16, 32, 3), np.uint8))


def _square_frames(scene):
    for i in range(6):
        media.write_image(scene / f'rgb/{i:06d}.png', np.zeros((64, 64, 3), np.uint8))


def _gray8_depth(scene):
    media.write_image(scene / 'depth/000002.png', np.zeros((32, 64, 3), np.uint8))


def _double(scene):
    media.write_image(scene / 'rgb/000001.jpg', np.zeros((32, 64, 3), np.uint8))


def _short_poses(scene):
    lines = (scene / 'poses.txt').read_text().splitlines(keepends=True)
    (scene / 'poses.txt').write_text(''.join(lines[:-1]))


def _cut_depth(scene):
    path = scene / 'depth/000004.png'
    path.write_bytes(path.read_bytes()[:500])


def _bad_npy(scene):
    os.remove(scene / 'depth/000001.png')
    np.save(scene / 'depth/000001.npy', np.ones((32, 64), np.int32))


@pytest.mark.parametrize(
    'damage, words',
    [
        (_remove('rgb/000002.png'), 'rgb/000002.png is missing'),
        (_remove('rgb/000000.png'), 'rgb/000000.png is missing'),
        (_remove('depth/000005.png'), 'depth/000005.png is missing'),
        (_remove('depth/000001.png'), 'depth/000001.png is missing'),
        (_remove('rgb/000005.png'), 'rgb/000005.png is missing'),
        (_small_frame, 'rgb/000003.png is 32x16'),
        (_square_frames, 'rgb/000000.png is 64x64.*stereo'),
        (_gray8_depth, 'depth/000002.png has mode RGB'),
        (_double, '000001.png and 000001.jpg are one frame'),
        (_short_poses, 'poses.txt has 5 poses for 6 frames'),
        (_cut_depth, 'depth/000004.png cannot be read'),
        (_bad_npy, r'depth/000001.npy is int32 \(32, 64\)'),
    ],
)
def test_damage_is_refused_with_the_name_of_the_file(scene, damage, words):
    damage(scene)
    with pytest.raises(ValueError, match=words):
        clip_folder.read_clip_folder(scene)


def test_a_missing_frame_keeps_the_numbers_and_poses_of_the_others(scene):
    for name in ('rgb/000000.png', 'depth/000003.png'):
        os.remove(scene / name)
    footage, clip = clip_folder.open_scene(scene, on_bad='skip'), _clip()
    assert [frame.index for frame in footage.frames()] == [1, 2, 4, 5] and footage.length == 6
    assert [reason.split(' is missing')[0] for _, reason in footage.skipped] == [
        str(scene / 'rgb/000000.png'),
        str(scene / 'depth/000003.png'),
    ]
    back = footage.clip(stride=2)
    np.testing.assert_array_equal(back.frames, clip.frames[[2, 4]])
    # inverse(T_2) o T_4, translation
    step = clip.poses.rotation[2].T @ (clip.poses.translation[4] - clip.poses.translation[2])
    np.testing.assert_allclose(back.poses.translation, [[0, 0, 0], step], atol=1e-7)


def test_poses_that_cannot_be_assigned_are_left_out_by_name(scene):
    _short_poses(scene)
    footage = clip_folder.open_scene(scene, on_bad='skip')
    assert footage.poses is None and [name for name, _ in footage.skipped] == [
        str(scene / 'poses.txt')
    ]
    assert len(list(footage.frames())) == 6


def test_depth_has_a_scale(scene):
    depth = next(clip_folder.open_scene(scene, depth_scale=0.002).frames()).depth
    np.testing.assert_allclose(depth, 2 * _clip().depth[0], atol=0.00101)


def test_bad_options_are_refused(scene):
    for options, word in (
        ({'size': (16, 16)}, 'size'),
        ({'stride': 0}, 'stride'),
        ({'max_frames': 0}, 'max_frames'),
    ):
        with pytest.raises(ValueError, match=word):
            clip_folder.read_clip_folder(scene, **options)


def test_uneven_times_are_those_of_the_frames(scene):
    clip, times = _clip(), 5 + np.array([0, 0.1, 0.3, 0.4, 1.0, 1.2])
    geometry.write_tum(scene / 'poses.txt', times, clip.poses)
    footage = clip_folder.open_scene(scene)
    shown = {frame.index: frame.time for frame in footage.frames(start=1, stride=2)}
    assert shown == pytest.approx({1: 0.1, 3: 0.4, 5: 1.2})
    geometry.write_tum(scene / 'poses.txt', np.arange(6) / 12, clip.poses)
    assert all(frame.time is None for frame in clip_folder.open_scene(scene).frames())
