"""Depth files of every kind become metres of range; damaged ones are refused by name."""

import struct
import sys

import cv2
import numpy as np
import pytest

from pano_depth.footage import depth_files

METRES = np.array([[0.5, 1.25, 2.0, 3.75], [65.0, 0.001, 7.5, 12.125]], np.float32)


def _dpt(path, values, size=None, magic=b'PIEH'):
    rows, columns = np.shape(values) if size is None else size
    path.write_bytes(
        magic + struct.pack('<ii', columns, rows) + np.asarray(values, '<f4').tobytes()
    )
    return path


def test_png_is_millimetres_unless_told_otherwise(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.array([[0, 1, 1503, 65535]], np.uint16))
    depth = depth_files.read_depth(tmp_path / 'a.png')
    np.testing.assert_allclose(depth, [[0, 0.001, 1.503, 65.535]], rtol=1e-7)
    quarter = depth_files.read_depth(tmp_path / 'a.png', scale=0.25)
    assert quarter.dtype == np.float32 and quarter.tolist() == [[0, 0.25, 375.75, 16383.75]]


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_npy_is_metres_and_what_is_no_distance_becomes_zero(tmp_path, dtype):
    values = np.array([[1.5, -2, np.nan, np.inf], [0, 0.25, -np.inf, 8]], dtype)
    np.save(tmp_path / 'a.npy', values)
    depth = depth_files.read_depth(tmp_path / 'a.npy')
    assert depth.dtype == np.float32 and depth.tolist() == [[1.5, 0, 0, 0], [0, 0.25, 0, 8]]


def test_integers_in_npy_need_a_scale(tmp_path):
    np.save(tmp_path / 'a.npy', np.array([[0, 1503]], np.uint16))
    with pytest.raises(ValueError, match=r'a.npy is uint16 \(1, 2\).*scale'):
        depth_files.read_depth(tmp_path / 'a.npy')
    depth = depth_files.read_depth(tmp_path / 'a.npy', scale=0.001)
    np.testing.assert_allclose(depth, [[0, 1.503]], rtol=1e-6)


def test_dpt_rows_and_columns(tmp_path):
    np.testing.assert_array_equal(depth_files.read_depth(_dpt(tmp_path / 'a.dpt', METRES)), METRES)


def test_exr(tmp_path):
    exr = pytest.importorskip('OpenEXR')
    header = {'compression': exr.ZIP_COMPRESSION, 'type': exr.scanlineimage}
    for name, dtype, tolerance in (('Z', np.float32, 1e-6), ('Y', np.float16, 1e-3)):
        exr.File(header, {name: METRES.astype(dtype)}).write(str(tmp_path / 'a.exr'))
        np.testing.assert_allclose(
            depth_files.read_depth(tmp_path / 'a.exr'), METRES, rtol=tolerance
        )
    exr.File(header, {'mist': METRES}).write(str(tmp_path / 'b.exr'))
    with pytest.raises(ValueError, match='b.exr has the channels mist'):
        depth_files.read_depth(tmp_path / 'b.exr')
    (tmp_path / 'c.exr').write_bytes((tmp_path / 'a.exr').read_bytes()[:60])
    with pytest.raises(ValueError, match='c.exr cannot be read'):
        depth_files.read_depth(tmp_path / 'c.exr')


def test_exr_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / 'a.exr').write_bytes(b'\x76\x2f\x31\x01')
    monkeypatch.setitem(sys.modules, 'OpenEXR', None)
    with pytest.raises(ValueError, match=r'a.exr .*pip install "pano-dppnet\[exr\]"'):
        depth_files.read_depth(tmp_path / 'a.exr')


class _Trap:
    """Leaves a file where unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (self._path, 'w')


def test_nothing_is_unpickled(tmp_path):
    np.save(
        tmp_path / 'a.npy', np.array([[_Trap(str(tmp_path / 'sprung'))]], object), allow_pickle=True
    )
    with pytest.raises(ValueError, match='a.npy cannot be read'):
        depth_files.read_depth(tmp_path / 'a.npy')
    assert not (tmp_path / 'sprung').exists()


def test_damage_is_refused_with_the_name_of_the_file(tmp_path):
    cv2.imwrite(str(tmp_path / 'eight.png'), np.full((4, 8), 9, np.uint8))
    noise = np.random.default_rng(0).integers(0, 65536, (32, 64), np.uint16)
    cv2.imwrite(str(tmp_path / 'whole.png'), noise)
    (tmp_path / 'cut.png').write_bytes((tmp_path / 'whole.png').read_bytes()[:900])
    np.save(tmp_path / 'whole.npy', METRES)
    (tmp_path / 'cut.npy').write_bytes((tmp_path / 'whole.npy').read_bytes()[:-1])
    np.save(tmp_path / 'cube.npy', METRES[None])
    np.save(tmp_path / 'complex.npy', METRES.astype(complex))
    np.savez(tmp_path / 'many.npz', METRES)
    (tmp_path / 'many.npz').rename(tmp_path / 'many.npy')
    (tmp_path / 'empty.npy').touch()
    (tmp_path / 'folder.png').mkdir()
    _dpt(tmp_path / 'cut.dpt', METRES[0], size=(2, 4))
    _dpt(tmp_path / 'long.dpt', METRES, size=(1, 4))
    _dpt(tmp_path / 'huge.dpt', METRES, size=(2**31 - 1, 2**31 - 1))
    _dpt(tmp_path / 'negative.dpt', METRES, size=(-2, -4))
    _dpt(tmp_path / 'magic.dpt', METRES, magic=b'HEIP')
    (tmp_path / 'stub.dpt').write_bytes(b'PIEH')
    for name, words in (
        ('eight.png', 'mode L'),
        ('cut.png', 'cannot be read'),
        ('cut.npy', 'cannot be read'),
        ('cube.npy', r'\(1, 2, 4\)'),
        ('complex.npy', 'complex'),
        ('many.npy', 'several'),
        ('empty.npy', 'cannot be read'),
        ('folder.png', 'a folder'),
        ('absent.png', 'not exist'),
        ('cut.dpt', '4x2.*28 bytes'),
        ('long.dpt', 'cut short'),
        ('huge.dpt', 'cut short'),
        ('negative.dpt', 'cut short'),
        ('magic.dpt', 'HEIP'),
        ('stub.dpt', 'cut short'),
        ('a.txt', 'no depth file'),
    ):
        with pytest.raises(ValueError, match=f'{name}.*{words}'):
            depth_files.read_depth(tmp_path / name)
    for scale in (0, -1, np.nan):
        with pytest.raises(ValueError, match='scale'):
            depth_files.read_depth(tmp_path / 'whole.npy', scale=scale)
