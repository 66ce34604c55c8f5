"""Reading the results of a run again, and the panoramas that the report makes of them."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from common import run
from pano_depth.results.files.stored import StoredRun
from pano_depth.results.report import depth_report, panorama
from tests.pano_depth.results import made_runs
from tests.pano_depth.results.made_runs import FRAMES, HEIGHT, make_run


def _close(image, expected):
    """Whether a picture from a video is the one that was written."""
    assert image.shape == expected.shape
    return np.abs(image.astype(int) - expected).mean() < 6


@pytest.mark.parametrize('turn, even', [('y_up', True), ('z_up', True), ('y_down', False)])
def test_everything_comes_back_in_the_axes_of_the_package(tmp_path, turn, even):
    stored = StoredRun(make_run(tmp_path / 'run: 1', turn=turn, even=even))
    assert (stored.name, stored.unit, stored.numbers) == ('a walk', 'metre', list(range(FRAMES)))
    (piece,) = stored.pieces
    assert piece.frames == range(FRAMES)
    np.testing.assert_allclose(piece.poses.rotation, made_runs.poses().rotation, atol=1e-6)
    np.testing.assert_allclose(piece.poses.translation, made_runs.poses().translation, atol=1e-6)
    points, colours = stored.cloud(0)
    np.testing.assert_allclose(points, made_runs.CLOUD, atol=1e-6)
    np.testing.assert_array_equal(colours, made_runs.COLOURS)
    np.testing.assert_allclose(stored.depth(3), made_runs.depth(3), atol=1e-3)
    np.testing.assert_allclose(stored.confidence(3), made_runs.confidence(3), atol=1e-2)
    for position in (4, 0, 5):
        assert _close(stored.image(position), made_runs.image(position))
    some = dict(stored.some_images(range(1, FRAMES, 2)))
    assert list(some) == [1, 3, 5] and _close(some[3], made_runs.image(3))


def test_pieces_have_their_frames_paths_and_clouds(tmp_path):
    first, second = StoredRun(make_run(tmp_path / 'run', pieces=True)).pieces
    assert (first.frames, second.frames) == (range(4), range(4, 6))
    np.testing.assert_allclose(second.poses.translation, made_runs.poses().translation[4:])
    assert first.cloud.name == 'cloud.ply' and second.cloud.name == 'cloud_2.ply'


def test_a_run_in_progress_gives_what_is_there(tmp_path):
    folder = make_run(tmp_path / 'run', finished=False)
    for i in (4, 5):
        (folder / 'depth' / f'{i:06d}.png').unlink()
    stored = StoredRun(folder)
    assert stored.numbers == [0, 1, 2, 3] and stored.image(2) is None and stored.cloud(0) is None
    assert stored.pieces[0].frames == range(4) and len(stored.pieces[0].poses.translation) == 6
    # With several paths nobody knows yet which frames are whose.
    cut = StoredRun(make_run(tmp_path / 'cut', finished=False, pieces=True))
    assert [len(piece.frames) for piece in cut.pieces] == [0, 0]
    assert [len(piece.poses.translation) for piece in cut.pieces] == [4, 2]


def test_files_that_a_finished_run_does_not_list_are_not_its_own(tmp_path):
    folder = make_run(tmp_path / 'run')
    (folder / 'trajectory_true.txt').write_text('0 0 0 0 0 0 0 1\n')
    assert [piece.frames for piece in StoredRun(folder).pieces] == [range(FRAMES)]
    shutil.copy(folder / 'trajectory.txt', folder / 'trajectory_2.txt')
    assert len(StoredRun(folder).pieces) == 2
    record = json.loads((folder / 'run.json').read_text())
    record |= {'finished': 'today', 'files': ['depth/{000000..000002}.png', 'depth.mp4']}
    run.write_json(folder / 'run.json', record)
    stored = StoredRun(folder)
    assert stored.numbers == [0, 1, 2] and [p.frames for p in stored.pieces] == [range(3)]


def test_a_directory_without_results_is_refused(tmp_path):
    with pytest.raises(ValueError, match='absent is no directory'):
        StoredRun(tmp_path / 'absent')
    with pytest.raises(ValueError, match='holds no result.*depth/, trajectory.txt or cloud.ply'):
        StoredRun(tmp_path)


def _panoramas(page):
    """{(frame, layer): picture} of a report."""
    found = re.findall(
        r'<img src="data:image/jpeg;base64,([^"]*)"[^>]* data-frame="([^"]*)" data-layer="([^"]*)"',
        page.read_text(encoding='utf-8'),
    )
    return {
        (frame, layer): np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data, frame, layer in found
    }


def test_the_report_has_frames_in_colour_and_as_depth(tmp_path, monkeypatch):
    monkeypatch.setattr(panorama, 'MOST_FRAMES', 3)
    folder = make_run(tmp_path / 'run')
    found = _panoramas(depth_report(folder))
    assert list(found) == [
        (f'frame {i}', layer) for i in (0, 2, 4) for layer in ('Colour', 'Depth')
    ]
    assert _close(found['frame 4', 'Colour'], made_runs.image(4))
    near, far = (found[f'frame {i}', 'Depth'][HEIGHT // 3].mean(axis=0) for i in (0, 4))
    # One scale for all: near is red, far is blue; what has no depth is black.
    assert near[0] > near[2] + 50 and far[2] > near[2] + 30 and far[0] < near[0] - 50
    assert found['frame 0', 'Depth'][-4:].max() < 40
    (folder / 'depth.mp4').unlink()
    assert {layer for _, layer in _panoramas(depth_report(folder))} == {'Depth'}
    (folder / 'depth' / '000002.png').write_bytes(b'no picture')
    page = depth_report(folder)
    assert not _panoramas(page) and '000002.png' in page.read_text()


def test_pictures_stay_within_their_bytes():
    noise = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    size = lambda found: sum(len(data) for one in found.values() for data in one.values())
    best, least = (size(panorama._within({0: {'Depth': noise}}, budget)) for budget in (10**9, 1))
    between = size(panorama._within({0: {'Depth': noise}}, best - 1))
    assert least < between < best
