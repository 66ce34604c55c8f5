"""Tables of samples: times and places by all that the boxes can say; damage is refused."""

import numpy as np
import pytest

from pano_depth.footage import mp4
from pano_depth.footage.telemetry import tables
from tests.pano_depth.footage.telemetry import made_tracks

SAMPLES = [bytes([65 + i]) * (5 + i % 3) for i in range(11)]


def read(path, number=-1):
    with open(path, 'rb') as file:
        moov = mp4.find_moov(file)[2]
        traks = [payload for kind, payload in mp4.split(moov) if kind == b'trak']
        track = tables.read_track(moov, traks[number])
        return track, list(tables.payloads(file, track))


@pytest.mark.parametrize('each, gap, wide', [(1, b'', False), (3, b'??', False), (4, b'!', True)])
def test_samples_come_back_wherever_they_lie(tmp_path, each, gap, wide):
    lengths = [40, 41, 39] * 3 + [40, 40]
    path = tmp_path / 'a.mp4'
    made_tracks.write(path, b'camm', SAMPLES, lengths, each=each, gap=gap, wide=wide)
    track, found = read(path)
    assert [data for _, _, data in found] == SAMPLES
    np.testing.assert_allclose(track.lengths, np.array(lengths) / 1000)
    np.testing.assert_allclose(track.times, (np.cumsum(lengths) - lengths) / 1000)


def test_edits_shift_the_track_against_the_pictures(tmp_path):
    """The track is left out for 100 of its ticks, and begins 300 ms in; the video 200 ms in."""
    late = made_tracks.edits((300, -1), (5000, 100))
    first = made_tracks.video(edits=made_tracks.edits((200, -1), (5000, 2048)))
    path = tmp_path / 'a.mp4'
    made_tracks.write(path, b'gpmd', SAMPLES, [50] * 11, ticks=1000, edits=late, first=first)
    track, _ = read(path)
    np.testing.assert_allclose(track.times, np.arange(11) * 0.05 - 0.1 + 0.3 - 0.2, atol=1e-12)


def test_a_file_that_ends_early_gives_what_it_has(tmp_path):
    path = made_tracks.write(tmp_path / 'a.mp4', b'gpmd', SAMPLES, [50] * 11, gap=b'?')
    with open(path, 'rb') as file:
        moov = mp4.find_moov(file)[2]
    traks = [payload for kind, payload in mp4.split(moov) if kind == b'trak']
    track, found = tables.read_track(moov, traks[1]), []
    path.write_bytes(path.read_bytes()[: track.places[7] + 2])
    with open(path, 'rb') as file, pytest.raises(ValueError, match='sample 7 of 11'):
        for _, _, data in tables.payloads(file, track):
            found.append(data)
    assert found == SAMPLES[:7]


@pytest.mark.parametrize(
    'kind, place, value',
    [
        (b'stsz', 12, 2**31),
        (b'stco', 8, 2**31),
        (b'stco', 12, 2**31),
        (b'stts', 8, 2**30),
        (b'stsc', 8, 2**31),
        (b'stsc', 12, 7),
        (b'mdhd', 16, 0),
        (b'stco', 0, 0),
    ],
)
def test_impossible_tables_are_refused(tmp_path, kind, place, value):
    """`place` counts from the letters of the box."""
    path = made_tracks.write(tmp_path / 'a.mp4', b'gpmd', SAMPLES, [50] * 11)
    data = bytearray(path.read_bytes())
    start = data.rfind(kind) + place
    data[start : start + 4] = value.to_bytes(4, 'big')
    path.write_bytes(data)
    with pytest.raises(ValueError):
        read(path)


def test_tables_that_disagree_give_the_samples_that_all_have(tmp_path):
    path = made_tracks.write(tmp_path / 'a.mp4', b'gpmd', SAMPLES, [50] * 4)
    track, found = read(path)
    assert [data for _, _, data in found] == SAMPLES[:4] and len(track.times) == 4
