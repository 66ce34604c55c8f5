"""Metadata of mkv and webm files, meshes, poses; damaged ones end in a sentence."""

import dataclasses
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from pano_depth.footage import spherical, video
from pano_depth.footage.layouts import mesh
from pano_depth.footage.spherical import Spherical
from tests.pano_depth.footage.layouts import made_files


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'plain.mp4'
    with video.write_video(path, 12) as append:
        append(np.full((32, 64, 3), 90, np.uint8))
    return path


@pytest.mark.parametrize('value', [
    Spherical(stereo='top-bottom', pose=(40, -10, 5), versions=(2,)),
    Spherical(stereo='left-right', bounds=(0, 0, 0.25, 0.25), versions=(2,)),
    Spherical(stereo='mono', versions=(2,)),
])  # fmt: skip
@pytest.mark.parametrize('suffix', ['.mkv', '.webm'])
def test_what_ffmpeg_writes_into_matroska_is_read(plain, tmp_path, value, suffix):
    made, path = tmp_path / 'a.mp4', tmp_path / f'a{suffix}'
    made.write_bytes(plain.read_bytes())
    spherical.write_spherical(made, value)
    codec = ['-c:v', 'libvpx-vp9'] if suffix == '.webm' else ['-c', 'copy']
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', made, *codec, path]
    subprocess.run(command, check=True)
    found = spherical.read_spherical(path)
    assert found is not None and found.projection == 'equirectangular'
    assert found.stereo == value.stereo and found.full == value.full
    np.testing.assert_allclose(found.pose, value.pose, atol=1e-3)
    np.testing.assert_allclose(found.bounds, value.bounds, atol=1e-3)


def test_a_plain_matroska_file_says_nothing(plain, tmp_path):
    path = tmp_path / 'a.mkv'
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', plain, '-c', 'copy', path]
    subprocess.run(command, check=True)
    assert spherical.read_spherical(path) is None


def test_elements_of_matroska_are_read(tmp_path):
    path = tmp_path / 'a.webm'
    made_files.webm(path, 2, made_files.cbmp(padding=4)[8:], stereo=1, pose=(1, 2, 3))
    found = spherical.read_spherical(path)
    assert (found.projection, found.stereo, found.pose) == ('cubemap', 'left-right', (1, 2, 3))
    assert found.cubemap == (0, 4)
    xml = '<GSpherical:Spherical>true</GSpherical:Spherical>'
    xml += '<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>'
    made_files.webm(path, tag=xml)
    assert spherical.read_spherical(path).projection == 'equirectangular'
    made_files.webm(path, 0)
    assert spherical.read_spherical(path) is None


def test_matroska_cut_anywhere_ends_without_a_crash(tmp_path):
    path = tmp_path / 'a.webm'
    whole = made_files.webm(path, 3, made_files.mshp(made_files.youtube_mesh())[8:]).read_bytes()
    for end in [*range(4, 120, 3), len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:end])
        assert spherical.read_spherical(path) is None
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(4, 150, 3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            spherical.read_spherical(path)
        except ValueError as error:
            assert 'a.webm' in str(error)


def test_down_follows_the_specification():
    """Checked by turning vectors step by step, as the text of `prhd` says it."""

    def turned(vector, axis, degrees):
        """Counterclockwise around the axis for who looks from its tip (Rodrigues)."""
        angle, axis = np.radians(degrees), np.asarray(axis, float)
        along = axis * (axis @ vector)
        return along + np.cos(angle) * (vector - along) + np.sin(angle) * np.cross(axis, vector)

    rng = np.random.default_rng(0)
    for yaw, pitch, roll in rng.uniform(-1, 1, (20, 3)) * (180, 80, 170):
        # In a right-handed frame: right x, up y, behind z.
        right, up, forward = np.eye(3)[0], np.eye(3)[1], -np.eye(3)[2]
        right, forward = turned(right, up, yaw), turned(forward, up, yaw)
        up, forward = turned(up, right, pitch), turned(forward, right, pitch)
        # With the clock for who looks along forward, which is counterclockwise around backward.
        right, up = turned(right, forward, roll), turned(up, forward, roll)
        world_down = np.array([0.0, -1.0, 0.0])
        expected = [world_down @ right, -(world_down @ up), world_down @ forward]
        np.testing.assert_allclose(Spherical(pose=(yaw, pitch, roll)).down, expected, atol=1e-9)
    # The front of the picture shows the sky: what is down lies behind.
    np.testing.assert_allclose(Spherical(pose=(0, 90, 0)).down, [0, 0, -1], atol=1e-9)
    # The right side of the camera hangs down.
    np.testing.assert_allclose(Spherical(pose=(0, 0, 90)).down, [1, 0, 0], atol=1e-9)
    assert Spherical(pose=(120, 0, 0)).down is None


def test_metadata_of_converted_frames_can_be_written(plain, tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(plain.read_bytes())
    old = Spherical('cubemap', 'right-left', (10, 20, 30), versions=(1, 2), view=(90, 0, 0))
    new = spherical.as_equirect(old)
    spherical.write_spherical(path, dataclasses.replace(new, stereo='top-bottom'))
    found = spherical.read_spherical(path)
    assert (found.projection, found.stereo) == ('equirectangular', 'top-bottom')
    assert found.pose == (10, 20, 30) and found.full
    assert 'InitialViewHeadingDegrees>90<' in found.xml
    assert spherical.as_equirect(None) is None


@pytest.mark.parametrize('packed', [True, False])
@pytest.mark.parametrize('half', [None, 'left_right', 'top_bottom'])
def test_a_mesh_is_the_layout_that_its_corners_show(packed, half):
    box = made_files.mshp(made_files.youtube_mesh(half=half), packed)
    assert mesh.layout_of(box[8:]) == ('eac', '', half)


def test_the_mesh_of_a_panorama_is_told():
    v, u = np.meshgrid(np.linspace(0, 1, 19), np.linspace(0, 1, 37), indexing='ij')
    lon, lat = (u - 0.5) * 2 * np.pi, (v - 0.5) * np.pi
    rays = (np.cos(lat) * np.sin(lon), np.sin(lat), -np.cos(lat) * np.cos(lon))
    corners = np.stack([*rays, u, v], axis=-1).reshape(-1, 5)
    assert mesh.layout_of(made_files.mshp(corners)[8:]) == ('equirect', '', None)
    corners[:, 3:] = corners[:, [4, 3]]
    assert mesh.layout_of(made_files.mshp(corners)[8:]) is None


def test_a_damaged_mesh_is_refused_with_a_reason():
    payload = made_files.mshp(made_files.youtube_mesh(2), packed=False)[8:]
    for bad, reason in (
        (payload[:8] + b'lzma' + payload[12:], 'encoding'),
        (payload[:16] + b'nope' + payload[20:], 'holds no mesh'),
        (payload[:20] + b'\x7f' + payload[21:], 'claims .* coordinates'),
    ):
        with pytest.raises(ValueError, match=reason):
            mesh.layout_of(bad)
    packed = made_files.mshp(made_files.youtube_mesh(2))[8:]
    with pytest.raises(ValueError, match='unpacked|holds no mesh'):
        mesh.layout_of(packed[:12] + b'\xff' * 20)
