"""Metadata of mkv and webm files, also of damaged ones."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from pano_depth.footage import spherical
from pano_depth.footage.spherical import Spherical
from tests.pano_depth.footage.layouts import made_files


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


@pytest.mark.parametrize('angle', [np.nan, np.inf, 1e30])
def test_angles_that_are_none_are_damage(tmp_path, angle):
    path = made_files.webm(tmp_path / 'a.webm', 1, made_files.equi()[8:], pose=(0, angle, 0))
    with pytest.raises(ValueError, match='a.webm is damaged: an angle of'):
        spherical.read_spherical(path)


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
