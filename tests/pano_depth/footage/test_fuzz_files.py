"""Readers of footage on damaged and hostile files: a right result, or an error with the name."""

import pathlib
import struct
import tempfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image

from pano_depth.footage import depth_files, geometry, media, spherical
from pano_depth.kernels import rigid
from pano_depth.results import ply

# Derandomised, so that a failure is everybody's failure.
quick = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def dpt(width=3, height=2):
    return b'PIEH' + struct.pack('<ii', width, height) + np.arange(1, 7, dtype='<f4').tobytes()


def written(suffix, write):
    """The bytes of a file that a function writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / f'whole{suffix}'
        write(path)
        return path.read_bytes()


def image_file(path):
    Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3) * 997).save(path)


def npy_file(path):
    np.save(path, np.ones((2, 3), np.float32))


def jpeg_file(path):
    Image.new('RGB', (8, 4), (9, 200, 3)).save(path)


def exr_file(path):
    exr = pytest.importorskip('OpenEXR')
    header = {'compression': exr.ZIP_COMPRESSION, 'type': exr.scanlineimage}
    exr.File(header, {'Z': np.ones((2, 3), np.float32)}).write(str(path))


def ply_file(path):
    ply.write_ply(path, np.arange(6.0).reshape(2, 3), np.full((2, 3), 7, np.uint8))


def tum_file(path):
    geometry.write_tum(path, [0, 0.5], rigid.Motion(np.stack([np.eye(3)] * 2), np.ones((2, 3))))


def atom(kind, payload=b''):
    return struct.pack('>I4s', len(payload) + 8, kind) + payload


def mp4_file(path):
    """Boxes of one video track without pictures, tagged in both ways."""
    entry = atom(b'avc1', bytes(78))
    table = atom(
        b'stbl', atom(b'stsd', bytes(4) + struct.pack('>I', 1) + entry) + atom(b'stco', bytes(8))
    )
    handler = atom(b'hdlr', bytes(8) + b'vide' + bytes(12))
    track = atom(b'trak', atom(b'mdia', handler + atom(b'minf', table)))
    path.write_bytes(atom(b'ftyp', b'isom') + atom(b'moov', track))
    spherical.write_spherical(path, spherical.mono_equirect())


def check_depth(values):
    assert values.ndim == 2 and values.dtype == np.float32
    assert np.isfinite(values).all() and (values >= 0).all()


def check_cloud(cloud):
    points, colors = cloud
    assert points.ndim == 2 and points.shape[1] == 3
    assert colors.shape == points.shape and colors.dtype == np.uint8


def check_trajectory(trajectory):
    times, motion = trajectory
    assert np.isfinite(times).all() and motion.translation.shape == (len(times), 3)
    squared = motion.rotation @ np.swapaxes(motion.rotation, -1, -2)
    np.testing.assert_allclose(squared, np.broadcast_to(np.eye(3), (len(times), 3, 3)), atol=1e-9)


def check_sphere(found):
    assert found is None or isinstance(found.projection, str) and found.full in (True, False)


def check_pixels(values):
    assert values.ndim == 3 and values.shape[-1] == 3 and values.dtype == np.uint8


READERS = {
    'dpt': ('.dpt', lambda path: path.write_bytes(dpt()), depth_files.read_depth, check_depth),
    'npy': ('.npy', npy_file, depth_files.read_depth, check_depth),
    'png depth': ('.png', image_file, depth_files.read_depth, check_depth),
    'exr': ('.exr', exr_file, depth_files.read_depth, check_depth),
    'image': ('.png', image_file, media.read_image, check_pixels),
    'jpeg': ('.jpg', jpeg_file, media.read_image, check_pixels),
    'ply': ('.ply', ply_file, ply.read_ply, check_cloud),
    'tum': ('.txt', tum_file, geometry.read_tum, check_trajectory),
    'mp4': ('.mp4', mp4_file, spherical.read_spherical, check_sphere),
}


@pytest.mark.parametrize('name', READERS)
def test_damaged_files_are_read_rightly_or_refused_by_name(tmp_path, name):
    suffix, write, read, check = READERS[name]
    whole, path = written(suffix, write), tmp_path / f'damaged{suffix}'
    path.write_bytes(whole)
    check(read(path))

    def attempt(payload):
        path.write_bytes(payload)
        try:
            check(read(path))
        except ValueError as error:
            assert path.name in str(error) and '\n' not in str(error), error

    places = st.integers(0, len(whole) - 1)
    flipped = st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=4)

    @quick
    @given(st.one_of(st.binary(max_size=60), places, flipped), st.binary(max_size=8))
    def damage(how, inserted):
        if isinstance(how, bytes):
            attempt(how)
        elif isinstance(how, int):
            attempt(whole[:how])
            attempt(whole[:how] + inserted + whole[how:])
        else:
            changed = bytearray(whole)
            for place, mask in how:
                changed[place] ^= mask
            attempt(bytes(changed))

    damage()


NUMBERS = [
    '0',
    '1',
    '-1',
    'nan',
    'inf',
    '1e999',
    '1e200',
    '\u0661',
    '0x1',
    '1_0',
    '#',
    '\n',
    '\t',
    '\x00',
]


@quick
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from(NUMBERS), min_size=6, max_size=20).map(' '.join),
    )
)
def test_trajectories_of_any_text(tmp_path, text):
    path = tmp_path / 'poses.txt'
    path.write_text(text, encoding='utf-8', errors='replace')
    try:
        check_trajectory(geometry.read_tum(path))
    except ValueError as error:
        assert 'poses.txt' in str(error)


@pytest.mark.parametrize(
    'change, words',
    [
        ((b'vertex 2', b'vertex -1'), 'element is vertex -1'),
        ((b'vertex 2', b'vertex 99999999999999999999'), 'element is vertex 9999'),
        ((b'vertex 2', b'face 2'), 'element is face'),
        ((b'uchar red', b'char red'), 'colours are int16'),
    ],
)
def test_claims_of_a_cloud_are_checked(tmp_path, change, words):
    path = tmp_path / 'cloud.ply'
    path.write_bytes(written('.ply', ply_file).replace(*change))
    with pytest.raises(ValueError, match=f'cloud.ply has no coloured vertices.*{words}'):
        ply.read_ply(path)


@pytest.mark.parametrize(
    'header',
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999), }",
        b"{'descr': 'O'}",
        b'{',
        b'(' * 90,
        b"{1: 2, 'a': 3}",
    ],
)
def test_headers_of_arrays_that_numpy_trips_over(tmp_path, header):
    path = tmp_path / 'depth.npy'
    path.write_bytes(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header)
    with pytest.raises(ValueError, match='depth.npy cannot be read'):
        depth_files.read_depth(path)


def test_no_program_is_started_for_an_image(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        EpsImagePlugin, 'Ghostscript', lambda *arguments, **options: calls.append(arguments)
    )
    script = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 6\n%%EndComments\nshowpage\n'
    (tmp_path / 'a.png').write_bytes(script)
    with pytest.raises(ValueError, match='a.png cannot be read'):
        media.read_image(tmp_path / 'a.png')
    assert not calls


def test_numbers_of_a_tag_that_no_float_holds(tmp_path):
    names = (
        'CroppedAreaTopPixels',
        'CroppedAreaImageHeightPixels',
        'FullPanoHeightPixels',
        'CroppedAreaLeftPixels',
        'CroppedAreaImageWidthPixels',
        'FullPanoWidthPixels',
    )
    tags = {
        'Spherical': 'true',
        'ProjectionType': 'equirectangular',
        **dict.fromkeys(names, '1'),
        'CroppedAreaTopPixels': '9' * 400,
    }
    text = ''.join(
        f'<GSpherical:{name}>{value}</GSpherical:{name}>' for name, value in tags.items()
    )
    handler = atom(b'hdlr', bytes(8) + b'vide' + bytes(12))
    kind = bytes.fromhex('ffcc8263f8554a938814587a02521fdd')
    track = atom(b'trak', atom(b'mdia', handler) + atom(b'uuid', kind + text.encode()))
    (tmp_path / 'a.mp4').write_bytes(atom(b'ftyp', b'isom') + atom(b'moov', track))
    found = spherical.read_spherical(tmp_path / 'a.mp4')
    assert found.projection == 'equirectangular' and found.full
