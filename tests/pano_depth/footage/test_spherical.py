"""Spherical metadata: what ffmpeg finds in the files, round trips, and files with false boxes.

The tests put boxes into the files by a search for kinds in the bytes; they do not use the code
under test.
"""

import dataclasses
import os
import re
import struct
import subprocess
import uuid

import imageio_ffmpeg
import numpy as np
import pytest

from pano_depth.footage import spherical, video
from pano_depth.footage.spherical import Spherical

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
TRACK = (b'moov', b'trak')
TABLE = (*TRACK, b'mdia', b'minf', b'stbl')
ENTRY = (*TABLE, b'stsd', b'avc1')
V1_ID = uuid.UUID('ffcc8263-f855-4a93-8814-587a02521fdd').bytes
V1_XML = b"""<?xml version="1.0"?>
<rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">
  <GSpherical:Spherical>true</GSpherical:Spherical>
  <GSpherical:Stitched>true</GSpherical:Stitched>
  <GSpherical:StitchingSoftware>
    Some Camera
  </GSpherical:StitchingSoftware>
  <GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>
  <GSpherical:StereoMode>top-bottom</GSpherical:StereoMode>
  %s
</rdf:SphericalVideo>"""


def _box(kind, *parts):
    body = b''.join(parts)
    return (8 + len(body)).to_bytes(4, 'big') + kind + body


def _v1(extra=b''):
    return _box(b'uuid', V1_ID, V1_XML % extra)


def _v2(mode=2, bounds=(0, 0, 0, 0), projection=None):
    projection = projection or _box(b'equi', bytes(4), struct.pack('>4I', *bounds))
    pose = _box(b'prhd', bytes(4), struct.pack('>3i', 90 << 16, -30 << 16, 15 << 16))
    head = _box(b'svhd', bytes(4), b'a camera\0')
    return _box(b'st3d', bytes(4), bytes([mode])) + _box(
        b'sv3d', head, _box(b'proj', pose, projection)
    )


def _insert(path, boxes, parents):
    """Puts boxes at the end of the innermost of `parents` in a file whose moov stands first."""
    data = bytearray(path.read_bytes())
    starts = [data.find(kind, data.find(parents[0])) - 4 for kind in parents]
    sizes = [int.from_bytes(data[start : start + 4], 'big') for start in starts]
    for start, size in zip(starts, sizes, strict=True):
        data[start : start + 4] = (size + len(boxes)).to_bytes(4, 'big')
    chunks = data.find(b'stco') + 8
    for i in range(int.from_bytes(data[chunks : chunks + 4], 'big')):
        place = chunks + 4 + 4 * i
        data[place : place + 4] = (
            int.from_bytes(data[place : place + 4], 'big') + len(boxes)
        ).to_bytes(4, 'big')
    end = starts[-1] + sizes[-1]
    path.write_bytes(data[:end] + boxes + data[end:])


def _says(path):
    """What ffmpeg prints of a video's stereo layout and projection."""
    text = (
        subprocess.run([FFMPEG, '-nostdin', '-i', str(path)], capture_output=True)
        .stderr.decode()
        .lower()
    )
    found = {
        'stereo': re.search(r'stereo ?3d: ([\w ]+)', text),
        'spherical': re.search(r'spherical(?: mapping)?: (.*)', text),
    }
    return {name: match[1].strip() for name, match in found.items() if match}


def _frames(path):
    return np.stack(list(video.iter_video(path)))


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'plain.mp4'
    rng = np.random.default_rng(0)
    with video.write_video(path, 12) as append:
        for _ in range(8):
            append(rng.integers(0, 256, (32, 64, 3), np.uint8))
    return path


@pytest.fixture
def path(plain, tmp_path):
    """A fresh copy of a video that has no metadata."""
    copy = tmp_path / 'a.mp4'
    copy.write_bytes(plain.read_bytes())
    return copy


def test_v1_is_read_as_ffmpeg_reads_it(path, plain):
    assert spherical.read_spherical(path) is None and _says(path) == {}
    _insert(path, _v1(), TRACK)
    says, found = _says(path), spherical.read_spherical(path)
    assert says['stereo'].startswith('top and bottom') and says['spherical'].startswith(
        'equirectangular'
    )
    assert (found.projection, found.stereo, found.versions) == (
        'equirectangular',
        'top-bottom',
        (1,),
    )
    assert found.full
    assert found.xml == (V1_XML % b'').decode()
    np.testing.assert_array_equal(_frames(path), _frames(plain))


def test_v2_is_read_as_ffmpeg_reads_it(path):
    _insert(path, _v2(), ENTRY)
    assert _says(path)['stereo'].startswith('side by side')
    assert _says(path)['spherical'] == 'equirectangular (90.000000/-30.000000/15.000000)'
    expected = Spherical('equirectangular', 'left-right', (90, -30, 15), versions=(2,))
    assert spherical.read_spherical(path) == expected


def test_v2_goes_before_v1(path):
    _insert(path, _v1(), TRACK)
    _insert(path, _v2(mode=0), ENTRY)
    found = spherical.read_spherical(path)
    assert (found.stereo, found.versions, found.pose) == ('mono', (1, 2), (90, -30, 15))
    assert 'top-bottom' in found.xml


def test_half_a_sphere_is_not_called_full(path, plain, tmp_path):
    crop = {
        b'FullPanoWidthPixels': 4000,
        b'FullPanoHeightPixels': 2000,
        b'CroppedAreaImageWidthPixels': 2000,
        b'CroppedAreaImageHeightPixels': 1900,
        b'CroppedAreaLeftPixels': 1000,
        b'CroppedAreaTopPixels': 100,
    }
    tags = (
        b'<GSpherical:%s>%d</GSpherical:%s>' % (name, value, name) for name, value in crop.items()
    )
    _insert(path, _v1(b''.join(tags)), TRACK)
    found = spherical.read_spherical(path)
    assert found.bounds == pytest.approx((0.05, 0, 0.25, 0.25)) and not found.full
    other = tmp_path / 'other.mp4'
    other.write_bytes(plain.read_bytes())
    _insert(other, _v2(bounds=(0, 0, 1 << 30, 1 << 30)), ENTRY)
    assert spherical.read_spherical(other).bounds == (0, 0, 0.25, 0.25)


@pytest.mark.parametrize(
    'kind, projection', [(b'cbmp', 'cubemap'), (b'mshp', 'mesh'), (b'none', 'unknown')]
)
def test_other_projections_are_named_and_not_written(path, kind, projection):
    _insert(path, _v2(projection=_box(kind, bytes(12))), ENTRY)
    found = spherical.read_spherical(path)
    assert found.projection == projection
    with pytest.raises(ValueError, match=f'{projection}.*accepted: equirectangular'):
        spherical.write_spherical(path, found)


@pytest.mark.parametrize(
    'stereo, word',
    [
        ('mono', '2d'),
        ('top-bottom', 'top and bottom'),
        ('left-right', 'side by side'),
        (None, None),
    ],
)
@pytest.mark.parametrize('versions', [(1,), (2,), (1, 2)])
def test_what_is_written_is_seen_by_ffmpeg_and_read_back(path, plain, stereo, word, versions):
    value = Spherical(stereo=stereo, versions=versions)
    spherical.write_spherical(path, value)
    says = _says(path)
    assert says['spherical'].startswith('equirectangular')
    assert says['stereo'].startswith(word) if word else 'stereo' not in says
    found = spherical.read_spherical(path)
    assert dataclasses.replace(found, xml=None) == value and (found.xml is not None) == (
        1 in versions
    )
    np.testing.assert_array_equal(_frames(path), _frames(plain))
    assert os.listdir(path.parent) == ['a.mp4']


def test_pose_and_bounds_are_kept(path):
    value = Spherical(stereo='mono', pose=(-170.5, 45.25, 12), bounds=(0, 0.125, 0.25, 0.25))
    spherical.write_spherical(path, value)
    # V1 has no pose, and its crop would be in pixels.
    assert spherical.read_spherical(path) == dataclasses.replace(value, versions=(2,))
    assert _says(path)['spherical'].startswith('tiled equirectangular')


def test_metadata_of_the_file_is_replaced(path):
    _insert(path, _v1(), TRACK)
    _insert(path, _v2(), ENTRY)
    spherical.write_spherical(path, spherical.mono_equirect())
    once = path.read_bytes()
    spherical.write_spherical(path, spherical.mono_equirect())
    assert path.read_bytes() == once and once.count(V1_ID) == once.count(b'sv3d') == 1
    assert _says(path)['stereo'].startswith('2d')


def _remuxed(plain, path, *options):
    """The video beside a tone, two tracks in alternating chunks."""
    sources = ('-f', 'lavfi', '-i', 'sine=duration=1', '-i', str(plain))
    subprocess.run(
        [FFMPEG, '-v', 'error', '-y', *sources, '-c:v', 'copy', *options, str(path)], check=True
    )


def _wide_offsets(path):
    """Turns stco into co64 in a file whose moov stands first and that has one track."""
    data = path.read_bytes()
    start = data.find(b'stco') - 4
    (count,) = struct.unpack_from('>I', data, start + 12)
    offsets = struct.unpack_from(f'>{count}I', data, start + 16)
    end = start + 16 + 4 * count
    path.write_bytes(data[:start] + _box(b'free', bytes(end - start - 8)) + data[end:])
    moved = (offset + 16 + 8 * count for offset in offsets)
    table = _box(b'co64', bytes(4), struct.pack(f'>I{count}Q', count, *moved))
    data = bytearray(path.read_bytes())
    for kind in TABLE:
        place = data.find(kind) - 4
        data[place : place + 4] = (
            int.from_bytes(data[place : place + 4], 'big') + len(table)
        ).to_bytes(4, 'big')
    path.write_bytes(data[:start] + table + data[start:])


@pytest.mark.parametrize('layout', ['moov_first', 'moov_last', 'mov', 'co64'])
def test_every_layout_still_decodes_to_the_same(plain, tmp_path, layout):
    path = tmp_path / ('a.mov' if layout == 'mov' else 'a.mp4')
    if layout == 'co64':
        path.write_bytes(plain.read_bytes())
        _wide_offsets(path)
    else:
        _remuxed(plain, path, *(['-movflags', '+faststart'] if layout == 'moov_first' else []))
    data = path.read_bytes()
    assert (data.find(b'moov') < data.find(b'mdat')) == (layout in ('moov_first', 'co64'))

    def decoded():
        # Hashes of all decoded frames and samples.
        command = [FFMPEG, '-v', 'error', '-i', str(path), '-f', 'framemd5', '-']
        return subprocess.run(command, capture_output=True, check=True)

    before = decoded()
    assert before.stderr == b'' and before.stdout.count(b'\n') > 8
    spherical.write_spherical(path, spherical.mono_equirect())
    after = decoded()
    assert after.stdout == before.stdout and after.stderr == b''
    assert _says(path)['spherical'].startswith('equirectangular')
    assert spherical.read_spherical(path).stereo == 'mono'


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
    _insert(path, _v1(), TRACK)
    _insert(path, _v2(), ENTRY)
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
    _insert(path, _v2(), ENTRY)
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
        nested = _box(b'trak', nested)
    for data in (
        _box(b'ftyp') + _box(b'moov', nested),
        _box(b'ftyp') + 200_000 * _box(b'free'),
        _box(b'moov', 200_000 * _box(b'trak')),
        _box(b'ftyp') + b'\0\0\0\1moov' + b'\xff' * 8,
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


def test_fragmented_files_and_unknown_values_are_refused(plain, tmp_path):
    path = tmp_path / 'a.mp4'
    _remuxed(plain, path, '-movflags', '+frag_keyframe+empty_moov')
    with pytest.raises(ValueError, match='fragmented'):
        spherical.write_spherical(path, spherical.mono_equirect())
    for value, word in (
        (Spherical(stereo='sideways'), 'sideways'),
        (Spherical(versions=(3,)), 'versions'),
        (Spherical(versions=()), 'versions'),
    ):
        with pytest.raises(ValueError, match=word):
            spherical.write_spherical(path, value)
