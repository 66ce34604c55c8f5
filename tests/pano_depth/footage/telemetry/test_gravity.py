"""Gravity of files: by true paths at several rates, from damaged files, and of those without."""

import logging

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage import telemetry, video
from pano_depth.footage.open_footage import open_footage
from pano_depth.footage.telemetry import gravity
from tests.pano_depth.footage.layouts import drawn
from tests.pano_depth.footage.layouts.test_files import write as write_tracks
from tests.pano_depth.footage.telemetry import made_tracks
from tests.pano_depth.footage.telemetry.made_tracks import grav, packet


def swaying(times):
    """Rotations of a camera that sways as it is carried, camera to a world with y down."""
    angles = 0.2 * np.sin(np.asarray(times)[:, None] * [1.1, 0.7, 1.9] + [0.3, 0, 1])
    return Rotation.from_rotvec(angles + [0.1, 0, 0.15])


def down(times):
    return swaying(times).inv().apply([0, 1, 0])


def gopro(path, rate, seconds=5.4, *, payload=1.001, **more):
    """A file of payloads of about a second with a vector for each frame."""
    frames, samples, lengths = np.arange(int(rate * seconds)) / rate, [], []
    for start in np.arange(0, seconds, payload):
        inside = (frames >= start - 1e-9) & (frames < start + payload - 1e-9)
        samples.append(grav(down(frames[inside])))
        lengths.append(round(1000 * min(payload, seconds - start)))
    made_tracks.write(path, b'gpmd', samples, lengths, gap=b'pictures', **more)
    return frames


@pytest.mark.parametrize('rate', [6, 24000 / 1001, 30, 60])
def test_every_frame_of_gopro_has_its_vector(tmp_path, rate):
    frames = gopro(tmp_path / 'a.360', rate)
    found = telemetry.read_gravity(tmp_path / 'a.360', as_stored=True)
    assert 'GRAV' in found.source and len(found.times) == len(frames)
    # The vectors of a payload count as even in its time: each is right to about a frame.
    seen = found.at(frames)
    apart = np.linalg.norm(seen - down(frames), axis=1)
    assert np.isfinite(apart).mean() > 0.9
    assert np.nanmedian(apart) < 0.35 / rate and np.nanmax(apart) < 0.8 / rate
    # Every fourth frame of the video.
    np.testing.assert_allclose(found.at(frames[::4]), down(frames[::4]), atol=0.06)
    # A video that is shown half as fast.
    np.testing.assert_allclose(found.paced(2.0).at(2 * frames), found.at(frames), atol=0.05)
    # The panorama of another program may be level already.
    assert telemetry.read_gravity(tmp_path / 'a.360', as_stored=False) is None


def test_orientations_of_camm_are_exact_and_count_for_any_file(tmp_path):
    times = np.arange(200) / 200
    samples = []
    for turn in swaying(times).as_rotvec():
        samples += [packet(0, *turn), packet(3, 1, 2, 3)]
    made_tracks.write(tmp_path / 'a.mp4', b'camm', samples, [1, 4] * 200, each=7)
    found = telemetry.read_gravity(tmp_path / 'a.mp4', as_stored=False)
    np.testing.assert_allclose(found.down, down(times), atol=1e-6)
    np.testing.assert_allclose(found.times, times, atol=1e-9)
    np.testing.assert_array_equal(found.axes, [np.eye(3)])
    # Between two readings lies their mean; far away there is none.
    frames = np.array([0.1025, 0.1075, 0.1125, 5.0])
    seen = found.at(frames)
    np.testing.assert_allclose(seen[:3], down(frames[:3]), atol=1e-4)
    assert np.isnan(seen[3]).all()


def test_accelerometers_have_any_axes(tmp_path):
    samples = [packet(3, *(-9.81 * one)) for one in down(np.arange(100) / 100)]
    made_tracks.write(tmp_path / 'a.mp4', b'camm', samples, [10] * 100)
    found = telemetry.read_gravity(tmp_path / 'a.mp4', as_stored=False)
    np.testing.assert_allclose(found.down, down(np.arange(100) / 100), atol=1e-6)
    assert 'accelerometer' in found.source and len(found.axes) == 24
    assert len(np.unique(gravity.ANY, axis=0)) == 24
    np.testing.assert_allclose(np.linalg.det(gravity.ANY), 1)


def one_line(caplog, path):
    assert len(caplog.records) == 1 and caplog.records[0].levelno == logging.WARNING
    text = caplog.records[0].getMessage()
    assert str(path) in text and '\n' not in text
    return text


def test_a_file_that_is_cut_gives_what_it_has_and_one_line(tmp_path, caplog):
    """Its moov stands first, as in files for streaming; so that the end of the data is missing."""
    path = tmp_path / 'a.360'
    frames = gopro(path, 30)
    data = path.read_bytes()
    start = data.rfind(b'moov') - 4
    moov = bytearray(data[start:])
    place = moov.rfind(b'stco') + 8
    for i in range(int.from_bytes(moov[place : place + 4], 'big')):
        at = place + 4 + 4 * i
        moved = int.from_bytes(moov[at : at + 4], 'big') + len(moov)
        moov[at : at + 4] = moved.to_bytes(4, 'big')
    head = int.from_bytes(data[:4], 'big')
    moved = data[:head] + bytes(moov) + data[head:start]
    path.write_bytes(moved)
    assert len(telemetry.read_gravity(path, as_stored=True).times) == len(frames)
    assert not caplog.records
    path.write_bytes(moved[: -len(moved) // 3])
    found = telemetry.read_gravity(path, as_stored=True)
    assert 30 <= len(found.times) < len(frames)
    np.testing.assert_allclose(found.at(frames[:20]), down(frames[:20]), atol=0.02)
    assert 'file ends before' in one_line(caplog, path)


def test_a_damaged_payload_is_passed_over(tmp_path, caplog):
    path = tmp_path / 'a.360'
    frames = gopro(path, 30)
    data = bytearray(path.read_bytes())
    second = data.find(b'DEVC', data.find(b'DEVC') + 4)
    data[second + 5] = 255
    path.write_bytes(data)
    found = telemetry.read_gravity(path, as_stored=True)
    assert len(frames) - 40 < len(found.times) < len(frames)
    assert 'at 1.00 s' in one_line(caplog, path)


@pytest.mark.parametrize('kind', ['gpmd', 'camm'])
def test_damage_never_ends_a_run_and_is_one_line(tmp_path, caplog, kind):
    path = tmp_path / 'a.360'
    if kind == 'gpmd':
        gopro(path, 12, 3)
    else:
        samples = [packet(0, *turn) for turn in swaying(np.arange(30) / 10).as_rotvec()]
        made_tracks.write(path, b'camm', samples, [100] * 30)
    data, rng, said = path.read_bytes(), np.random.default_rng(1), 0
    for trial in range(200):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 1 + trial % 6):
            damaged[place] = rng.choice([0, 1, 255, rng.integers(256)])
        path.write_bytes(damaged[: rng.integers(len(data))] if trial % 10 == 0 else damaged)
        caplog.clear()
        found = telemetry.read_gravity(path, as_stored=True)
        assert len(caplog.records) <= 1
        said += len(caplog.records)
        assert found is None or np.isfinite(found.down).all()
    assert said > 5


def test_blank_vectors_and_turned_pictures_are_left_out(tmp_path, caplog):
    """HERO8 writes zeros; a picture that the camera turned has another frame than its body."""
    path = tmp_path / 'a.360'
    made_tracks.write(path, b'gpmd', [grav(np.zeros((30, 3)))] * 3, [1000] * 3)
    assert telemetry.read_gravity(path, as_stored=True) is None and not caplog.records
    turn = np.round(32767 * np.array([0.9, 0, 0.43589, 0])).astype('>i2').tobytes()
    stream = made_tracks.nest('STRM', made_tracks.klv('IORI', 's', 8, turn))
    samples = [grav(down(np.arange(30) / 30)) + made_tracks.nest('DEVC', stream)] * 2
    made_tracks.write(path, b'gpmd', samples, [1000] * 2)
    assert telemetry.read_gravity(path, as_stored=True) is None
    text = one_line(caplog, path)
    assert 'turned its pictures' in text and text.endswith('it is left out')


def test_files_without_gravity_have_none_and_nothing_is_said(tmp_path, caplog):
    contents = {'a.txt': b'no video' * 9, 'empty.mp4': b'', 'a.mkv': b'\x1aE\xdf\xa3' + bytes(64)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        assert telemetry.read_gravity(tmp_path / name, as_stored=True) is None
    assert telemetry.read_gravity(tmp_path / 'absent.mp4', as_stored=True) is None
    with video.write_video(tmp_path / 'plain.mp4', 12) as append:
        append(np.zeros((32, 64, 3), np.uint8))
    assert telemetry.read_gravity(tmp_path / 'plain.mp4', as_stored=True) is None
    assert not caplog.records


def test_gigabytes_of_pictures_are_not_read(tmp_path, monkeypatch):
    """A file of 6 GB, most of it a hole, with the samples at its end."""
    path, hole = tmp_path / 'a.360', 6 * 2**30
    samples = [grav(down(np.arange(30) / 30))] * 3
    head = made_tracks.box(b'ftyp', b'isom', bytes(4))
    media = (1).to_bytes(4, 'big') + b'mdat' + (16 + hole).to_bytes(8, 'big')
    place = len(head) + 16 + hole - sum(map(len, samples))
    sizes = [len(one) for one in samples]
    track = made_tracks.trak(b'gpmd', [1000] * 3, sizes, [(place, 3)], wide=True)
    with open(path, 'wb') as file:
        file.write(head + media)
        file.seek(place)
        file.write(b''.join(samples) + made_tracks.movie(made_tracks.video(), track))
    read, opened = [], open

    def counting(*arguments):
        file = opened(*arguments)
        whole = file.read

        class Counted:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def read(self, *size):
                read.append(whole(*size))
                return read[-1]

            seek = file.seek

        return Counted()

    monkeypatch.setattr(gravity, 'open', counting, raising=False)
    assert len(telemetry.read_gravity(path, as_stored=True).times) == 90
    assert sum(map(len, read)) < 10_000


def test_footage_of_a_360_file_has_its_gravity(tmp_path):
    tracks = drawn.gopro_tracks(drawn.panorama(64), 32, 4)
    path = write_tracks(tmp_path / 'GS010001.360', *tracks)
    assert open_footage(path)[0].gravity is None
    times = np.arange(3) / 12
    made_tracks.add(path, b'gpmd', [grav(down(times))], [250])
    (footage,) = open_footage(path)
    np.testing.assert_allclose(footage.gravity.at(times), down(times), atol=1e-3)
    assert len(list(footage.frames())) == 3
    # One of its tracks, taken for a panorama, is not as the camera stored it.
    plain = write_tracks(tmp_path / 'plain.mp4', drawn.panorama(64))
    made_tracks.add(plain, b'gpmd', [grav(down(times))], [250])
    assert open_footage(plain)[0].gravity is None
