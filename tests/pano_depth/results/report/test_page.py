"""The report of a run directory: what it shows, and what it leaves out."""

import base64
import io
import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from common import run
from pano_depth.results import ply
from pano_depth.results.report import depth_report
from tests.browser import find_browser
from tests.pano_depth.results.report.made_reports import POINTS, TRACK, make_report_run, read_page


def test_a_whole_run(tmp_path):
    path = depth_report(make_report_run(tmp_path))
    assert path == tmp_path / 'report.html'
    text, tables, blocks, page = read_page(path)
    assert 'my clip' in text and 'depth_main.py --seed=7' in text and '--input=</script>' in text
    assert 'Left out' not in text
    assert 'beats the image-blind predictor' in text and '0.100 against 0.300' in text
    plain, angle, pose = tables
    assert [row[0] for row in plain] == ['predictor', 'network', 'image-blind', 'constant']
    assert len(plain[0]) == 8
    assert plain[1][1:] == [f'{0.1 + 0.01 * i:.4f}' for i in range(7)]
    assert angle[3][1] == '0.9000'
    assert pose[1][1] == '0.2500' and pose[2][:2] == ['camera that never moves', '3.5']
    titles = [block['title'] for block in blocks if 'series' in block]
    assert len(titles) == 2 and 'brand_new' in titles
    loss = next(block for block in blocks if 'series' in block)['series']
    assert [series['name'] for series in loss] == ['loss', 'photometric']
    assert loss[0]['x'] == list(range(20, 180, 20)) and loss[0]['y'][:2] == [0.5, 0.25]
    pictures = [
        base64.b64decode(data) for data in re.findall('src="data:image/png;base64,([^"]*)"', page)
    ]
    assert [Image.open(io.BytesIO(picture)).size for picture in pictures] == [(64, 32), (32, 32)]


@pytest.mark.parametrize('axes', ['y_up', 'z_up', 'y_down'])
def test_cloud_and_path_share_one_frame(tmp_path, axes):
    """Whatever the axes of the file, the viewer gets x right, y up, z back."""
    blocks = read_page(depth_report(make_report_run(tmp_path, axes=axes)))[2]
    scene = next(block for block in blocks if 'positions' in block)
    steps = np.frombuffer(base64.b64decode(scene['positions']), '<u2').reshape(-1, 3)
    points = steps * np.array(scene['scale']) + scene['offset']
    np.testing.assert_allclose(points, POINTS * [1, -1, -1], atol=1e-4)
    np.testing.assert_allclose(scene['path'], TRACK * [1, -1, -1], atol=1e-6)
    assert scene['unit'] == 'm'


def test_a_network_that_sees_nothing_is_called_so(tmp_path):
    text = read_page(depth_report(make_report_run(tmp_path, blind=0.05)))[0]
    assert 'does not beat the image-blind predictor' in text and '0.100 against 0.050' in text


def test_pieces_their_clouds_and_what_is_left_out(tmp_path):
    folder, pieces = make_report_run(tmp_path), []
    for number in range(1, 7):
        name = 'cloud.ply' if number == 1 else f'cloud_{number}.ply'
        ply.write_ply(folder / name, POINTS, np.zeros((6, 3), np.uint8))
        mask = {'share': number / 100, 'reason': f'{number} % move along'}
        pieces.append({'frames': [number, number], 'path': True, 'cloud': name, 'mask': mask})
    pieces.append({'frames': [7, 9], 'path': False})
    for name in ('mask.png', 'mask_3.png'):
        Image.new('L', (64, 32)).save(folder / name)
    record = json.loads((folder / 'run.json').read_text())
    record['survey'] = {'reason': 'the footage is cut'}
    record['prediction'] |= {'pieces': pieces, 'mask': pieces[0]['mask']}
    run.write_json(folder / 'run.json', record)
    text, tables, blocks, _ = read_page(depth_report(folder))
    assert 'The footage is cut.' in text and '1 % move along.' in text
    assert tables[0][2] == ['2', '2 to 2', 'moves', '\u2013', 'cloud_2.ply', '\u2013', '2.0%']
    assert tables[0][-1][2] == 'no path: the networks alone'
    scenes = [block for block in blocks if 'positions' in block]
    assert len(scenes) == 4 and '2 more clouds are in the directory of the run' in text
    assert 'mask.png. ' in text and 'hides 1.0% of' in text and 'hides 3.0% of' in text


def test_what_was_done_to_the_footage_is_said(tmp_path):
    folder = make_report_run(tmp_path)
    record = json.loads((folder / 'run.json').read_text())
    record['data'] = {'name': 'walk', 'notes': ['walk.360 holds two tracks', 5]}
    run.write_json(folder / 'run.json', record)
    text = read_page(depth_report(folder))[0]
    assert 'Walk.360 holds two tracks.' in text and 'damaged' not in text


def test_in_a_browser(tmp_path):
    """The page draws its cloud and the browser has nothing to complain about."""
    browser = find_browser()
    page = depth_report(make_report_run(tmp_path / 'run'))
    result = subprocess.run(
        [
            browser,
            '--headless',
            '--no-sandbox',
            '--no-first-run',
            '--disable-quic',
            '--disable-sync',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-3d-apis',
            f'--user-data-dir={tmp_path / "profile"}',
            '--window-size=800,3000',
            '--enable-logging=stderr',
            '--virtual-time-budget=2000',
            f'--screenshot={tmp_path / "shot.png"}',
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'CONSOLE' not in result.stderr, result.stderr
    pixels = np.asarray(Image.open(tmp_path / 'shot.png').convert('RGB')).reshape(-1, 3)
    # The middle and the end of the path, colours that nothing else on the page has.
    for color in ((230, 125, 147), (205, 80, 255)):
        assert (np.abs(pixels.astype(int) - color).max(axis=-1) < 12).sum() > 5


def test_what_no_run_wrote_is_not_in_the_report(tmp_path):
    folder = make_report_run(tmp_path)
    colours = np.zeros((6, 3), np.uint8)
    ply.write_ply(folder / 'cloud_2.ply', POINTS, colours)
    record = json.loads((folder / 'run.json').read_text())
    record['files'] = ['cloud.ply', 'flags.txt', 'run.json', 'trajectory.txt']
    run.write_json(folder / 'run.json', record)
    text, tables, _, page = read_page(depth_report(folder))
    assert 'points in cloud.ply' in text and 'cloud_2' not in text
    # Nor are scores, curves and pictures of an earlier version, which the record does not name.
    assert not tables and 'panels.png' not in text and 'data:image/png' not in page
    assert 'eval.json: this run has none' in text
    del record['files']  # of before there was a list
    run.write_json(folder / 'run.json', record)
    text, tables, _, _ = read_page(depth_report(folder))
    assert 'points in cloud_2.ply' in text and tables and 'panels.png' in text
