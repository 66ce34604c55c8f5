"""Damaged and hostile mp4 files are read, or refused in one sentence, and never harmed."""

import os

import numpy as np
import pytest

from pano_depth.footage import spherical
from pano_depth.footage.spherical import Spherical
from tests.pano_depth.footage.spherical import boxes


def _write_mono(path):
    spherical.write_spherical(path, spherical.mono_equirect())


def _reads_or_refuses(path):
    """Reading and writing do their job, or raise one sentence with the name of the file."""
    data = path.read_bytes()
    outcomes = []
    for action in (spherical.read_spherical, _write_mono):
        try:
            outcomes.append(action(path))
        except ValueError as error:
            assert path.name in str(error) and '\n' not in str(error)
            assert path.read_bytes() == data
            outcomes.append(error)
    assert os.listdir(path.parent) == [path.name]
    return outcomes


def test_damaged_boxes_never_crash(path):
    boxes.insert(path, boxes.v1(), boxes.TRACK)
    boxes.insert(path, boxes.v2(), boxes.ENTRY)
    data = path.read_bytes()
    end = data.find(b'mdat')
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, end, 1 + trial % 3):
            damaged[place] = rng.choice([0, 1, 7, 0x7F, 0xFF, rng.integers(256)])
        path.write_bytes(damaged[: rng.integers(end)] if trial % 10 == 0 else damaged)
        refused += isinstance(_reads_or_refuses(path)[0], ValueError)
    assert 20 < refused < 280


@pytest.mark.parametrize('size', [0, 1, 7, 2**31, 2**32 - 1])
@pytest.mark.parametrize('kind', [b'moov', b'trak', b'stsd', b'avc1', b'sv3d', b'proj', b'equi'])
def test_impossible_sizes_are_refused(path, kind, size):
    boxes.insert(path, boxes.v2(), boxes.ENTRY)
    data = bytearray(path.read_bytes())
    place = data.find(kind, data.find(b'moov')) - 4
    data[place : place + 4] = size.to_bytes(4, 'big')
    path.write_bytes(data)
    found, written = _reads_or_refuses(path)
    if (kind, size) == (b'moov', 0):
        # At the top level this means "to the end of the file": it can be read, but the media lie in
        # the box.
        assert isinstance(found, Spherical) and isinstance(written, ValueError)
    else:
        assert isinstance(found, ValueError)


def test_bombs_of_boxes_end_quickly(path):
    nested = b''
    for _ in range(5000):
        nested = boxes.box(b'trak', nested)
    for data in (
        boxes.box(b'ftyp') + boxes.box(b'moov', nested),
        boxes.box(b'ftyp') + 200_000 * boxes.box(b'free'),
        boxes.box(b'moov', 200_000 * boxes.box(b'trak')),
        boxes.box(b'ftyp') + b'\0\0\0\1moov' + b'\xff' * 8,
        b'\0\0\0\1moov',
    ):
        path.write_bytes(data)
        found, written = _reads_or_refuses(path)
        assert not isinstance(found, Spherical) and isinstance(written, ValueError)


def test_other_files_have_no_metadata_and_take_none(tmp_path):
    contents = {
        'a.txt': b'no video at all' * 9,
        'empty.mp4': b'',
        'a.mkv': b'\x1aE\xdf\xa3' + bytes(64),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        assert spherical.read_spherical(tmp_path / name) is None
        with pytest.raises(ValueError, match=name):
            spherical.write_spherical(tmp_path / name, spherical.mono_equirect())
    for action in (spherical.read_spherical, _write_mono):
        with pytest.raises(ValueError, match='absent'):
            action(tmp_path / 'absent.mp4')
