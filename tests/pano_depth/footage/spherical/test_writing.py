"""What is written into mp4 and mov files is seen by ffmpeg; the pictures stay as they are."""

import dataclasses
import os
import struct
import subprocess

import numpy as np
import pytest

from pano_depth.footage import spherical, video
from pano_depth.footage.spherical import Spherical
from tests.pano_depth.footage.spherical import boxes


def _frames(path):
    return np.stack(list(video.iter_video(path)))


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
    says = boxes.says(path)
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
    assert boxes.says(path)['spherical'].startswith('tiled equirectangular')


def test_metadata_of_the_file_is_replaced(path):
    boxes.insert(path, boxes.v1(), boxes.TRACK)
    boxes.insert(path, boxes.v2(), boxes.ENTRY)
    spherical.write_spherical(path, spherical.mono_equirect())
    once = path.read_bytes()
    spherical.write_spherical(path, spherical.mono_equirect())
    assert path.read_bytes() == once and once.count(boxes.V1_ID) == once.count(b'sv3d') == 1
    assert boxes.says(path)['stereo'].startswith('2d')


def _remuxed(plain, path, *options):
    """The video beside a tone, two tracks in alternating chunks."""
    sources = ('-f', 'lavfi', '-i', 'sine=duration=1', '-i', str(plain))
    subprocess.run(
        [boxes.FFMPEG, '-v', 'error', '-y', *sources, '-c:v', 'copy', *options, str(path)],
        check=True,
    )


def _wide_offsets(path):
    """Turns stco into co64 in a file whose moov stands first and that has one track."""
    data = path.read_bytes()
    start = data.find(b'stco') - 4
    (count,) = struct.unpack_from('>I', data, start + 12)
    offsets = struct.unpack_from(f'>{count}I', data, start + 16)
    end = start + 16 + 4 * count
    path.write_bytes(data[:start] + boxes.box(b'free', bytes(end - start - 8)) + data[end:])
    moved = (offset + 16 + 8 * count for offset in offsets)
    table = boxes.box(b'co64', bytes(4), struct.pack(f'>I{count}Q', count, *moved))
    data = bytearray(path.read_bytes())
    for kind in boxes.TABLE:
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
        command = [boxes.FFMPEG, '-v', 'error', '-i', str(path), '-f', 'framemd5', '-']
        return subprocess.run(command, capture_output=True, check=True)

    before = decoded()
    assert before.stderr == b'' and before.stdout.count(b'\n') > 8
    spherical.write_spherical(path, spherical.mono_equirect())
    after = decoded()
    assert after.stdout == before.stdout and after.stderr == b''
    assert boxes.says(path)['spherical'].startswith('equirectangular')
    assert spherical.read_spherical(path).stereo == 'mono'


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
