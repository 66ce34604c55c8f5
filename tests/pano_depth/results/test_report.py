"""The report of a run directory: complete, partial and damaged ones."""

import base64
import html
import io
import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from common import run
from pano_depth.footage import geometry
from pano_depth.kernels.rigid import Motion
from pano_depth.results import ply
from pano_depth.results.report import depth_report
from tests.browser import find_browser

METRICS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'delta1', 'delta2', 'delta3')
POINTS = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1], [1, 2, 3]], float
)  # y down
TRACK = np.array([[0, 0, 0], [0.1, -0.2, 0.3], [0.2, -0.5, 0.7]])


def _metrics(first):
    return {
        weighting: {name: first + 0.01 * i + shift for i, name in enumerate(METRICS)}
        for weighting, shift in (('plain', 0), ('solid_angle', 0.5))
    }


def _run(folder, *, blind=0.3, axes='y_up'):
    """A run directory with every file that the report reads."""
    pose = lambda value: {
        'rotation_deg': value,
        'direction_deg': 2 * value,
        'rpe': value,
        'ate': value,
        'path_m': 5.5,
        'ate_percent': value,
    }
    with run.open_run(
        folder, '--seed=7\n--input=</script>', argv=['depth_main.py', '--seed=7']
    ) as directory:
        directory.update(data={'name': 'my clip'}, prediction={'scale': 'metres', 'unit': 'metre'})
        directory.writes('eval.json', 'metrics.jsonl', 'panels*.png', 'trajectory*', 'mask*.png')
        directory.writes('cloud*.ply', 'depth/', 'depth.mp4')
    run.write_json(
        folder / 'eval.json',
        {
            'depth': _metrics(0.1),
            'pose': pose(0.25),
            'baselines': {
                'blind': _metrics(blind),
                'constant': _metrics(0.4),
                'identity': pose(3.5),
            },
            'protocol': {'alignment': 'median'},
            'frames': 32,
        },
    )
    rows = [
        {'step': 20 * i, 'loss': 0.5**i, 'photometric': 0.4**i, 'brand_new': i / 7}
        for i in range(1, 9)
    ]
    (folder / 'metrics.jsonl').write_text(
        ''.join(json.dumps(row) + '\n' for row in rows) + '{"step": 18'
    )
    Image.new('RGB', (64, 32), (10, 200, 30)).save(folder / 'panels.png')
    Image.new('RGB', (32, 32), (200, 10, 30)).save(folder / 'trajectory.png')
    colors = (40 * np.arange(18).reshape(6, 3) % 256).astype(np.uint8)
    ply.write_ply(folder / 'cloud.ply', POINTS, colors, axes=axes)
    geometry.write_tum(
        folder / 'trajectory.txt', np.arange(3) / 6, Motion(np.stack([np.eye(3)] * 3), TRACK)
    )
    return folder


def _read(path):
    """The page's text without tags, its tables as rows of cells, and its JSON blocks."""
    page = path.read_text(encoding='utf-8')
    bare = lambda text, space: html.unescape(re.sub('<[^>]*>', space, text))
    cells = lambda row: [bare(cell, '') for cell in re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row)]
    tables = [
        [cells(row) for row in re.findall('<tr>(.*?)</tr>', table)]
        for table in re.findall('(?s)<table>(.*?)</table>', page)
    ]
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', page)
    text = bare(re.sub(r'(?s)<(script|style).*?</\1>', '', page), '\n')
    return text, tables, [json.loads(block) for block in blocks], page


def test_a_whole_run(tmp_path):
    path = depth_report(_run(tmp_path))
    assert path == tmp_path / 'report.html'
    text, tables, blocks, page = _read(path)
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
    blocks = _read(depth_report(_run(tmp_path, axes=axes)))[2]
    scene = next(block for block in blocks if 'positions' in block)
    steps = np.frombuffer(base64.b64decode(scene['positions']), '<u2').reshape(-1, 3)
    points = steps * np.array(scene['scale']) + scene['offset']
    np.testing.assert_allclose(points, POINTS * [1, -1, -1], atol=1e-4)
    np.testing.assert_allclose(scene['path'], TRACK * [1, -1, -1], atol=1e-6)
    assert scene['unit'] == 'm'


def test_a_network_that_sees_nothing_is_called_so(tmp_path):
    text = _read(depth_report(_run(tmp_path, blind=0.05)))[0]
    assert 'does not beat the image-blind predictor' in text and '0.100 against 0.050' in text


FILES = (
    'run.json',
    'flags.txt',
    'eval.json',
    'metrics.jsonl',
    'panels.png',
    'trajectory.png',
    'trajectory.txt',
    'cloud.ply',
)


@pytest.mark.parametrize('name', FILES)
def test_one_file_less(tmp_path, name):
    """Without one file, or with a damaged one, the rest of the page stays."""
    whole = len(_read(depth_report(_run(tmp_path / 'whole')))[3])
    folder = _run(tmp_path / 'run')
    (folder / name).unlink()
    text, _, _, page = _read(depth_report(folder))
    assert len(page) < whole + 200 and (
        name.endswith('.png') or f'{name}: this run has none' in text
    )
    for content in (b'', b'\x00\xff not what it should be'):
        (folder / name).write_bytes(content)
        text, tables, blocks, _ = _read(depth_report(folder))
        if name != 'flags.txt' or content:
            assert f'{name} is damaged and was left out' in text
        assert len(tables) == (0 if name == 'eval.json' else 3)
        expected = 3 - {'metrics.jsonl': 2, 'cloud.ply': 1}.get(name, 0)
        assert len(blocks) == expected


@pytest.mark.parametrize(
    'scores',
    [
        [],
        'text',
        {'depth': 3},
        {'depth': {'plain': None}},
        {'depth': _metrics(0.1), 'baselines': [1]},
        {
            'depth': {**_metrics(0.1), 'plain': {'abs_rel': 'good'}},
            'baselines': {'blind': _metrics(0.2)},
        },
    ],
)
def test_scores_of_another_form(tmp_path, scores):
    folder = _run(tmp_path)
    run.write_json(folder / 'eval.json', scores)
    text, tables, blocks, _ = _read(depth_report(folder))
    assert 'eval.json is damaged and was left out' in text and tables == [] and len(blocks) == 3


def test_partial_scores(tmp_path):
    """Depth without poses, without baselines, or not a number where nothing was valid."""
    folder = _run(tmp_path)
    nothing = {'plain': dict.fromkeys(METRICS, float('nan')), 'solid_angle': dict.fromkeys(METRICS)}
    for depth, cell in ((_metrics(0.1), '0.1000'), (nothing, '\u2013')):
        run.write_json(folder / 'eval.json', {'depth': depth, 'pose': None, 'flicker': 0.02})
        text, tables, _, _ = _read(depth_report(folder))
        assert len(tables) == 2 and tables[0][1][:2] == ['network', cell]
        assert 'flicker' in text and 'damaged' not in text


def test_pieces_their_clouds_and_what_is_left_out(tmp_path):
    folder, pieces = _run(tmp_path), []
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
    text, tables, blocks, _ = _read(depth_report(folder))
    assert 'The footage is cut.' in text and '1 % move along.' in text
    assert tables[0][2] == ['2', '2 to 2', 'moves', '\u2013', 'cloud_2.ply', '\u2013', '2.0%']
    assert tables[0][-1][2] == 'no path: the networks alone'
    scenes = [block for block in blocks if 'positions' in block]
    assert len(scenes) == 4 and '2 more clouds are in the directory of the run' in text
    assert 'mask.png. ' in text and 'hides 1.0% of' in text and 'hides 3.0% of' in text


def test_what_was_done_to_the_footage_is_said(tmp_path):
    folder = _run(tmp_path)
    record = json.loads((folder / 'run.json').read_text())
    record['data'] = {'name': 'walk', 'notes': ['walk.360 holds two tracks', 5]}
    run.write_json(folder / 'run.json', record)
    text = _read(depth_report(folder))[0]
    assert 'Walk.360 holds two tracks.' in text and 'damaged' not in text


def test_a_cloud_without_points(tmp_path):
    folder = _run(tmp_path)
    ply.write_ply(folder / 'cloud.ply', np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    text = _read(depth_report(folder))[0]
    assert 'cloud.ply holds no point: no depth is confirmed' in text and 'damaged' not in text


@pytest.mark.parametrize('damage', [3, [], {'reason': 4}, {'pieces': 7}, {'pieces': [3]}])
def test_a_record_of_another_form(tmp_path, damage):
    folder = _run(tmp_path)
    record = json.loads((folder / 'run.json').read_text()) | {
        'survey': damage,
        'prediction': damage,
    }
    run.write_json(folder / 'run.json', record)
    assert 'Camera motion' in _read(depth_report(folder))[3]


def test_a_folder_without_a_run(tmp_path):
    text = _read(depth_report(tmp_path))[0]
    assert text.count('this run has none') == 5 and tmp_path.name in text
    with pytest.raises(ValueError, match='absent is no directory'):
        depth_report(tmp_path / 'absent')


def test_in_a_browser(tmp_path):
    """The page draws its cloud and the browser has nothing to complain about."""
    browser = find_browser()
    page = depth_report(_run(tmp_path / 'run'))
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
    folder = _run(tmp_path)
    colours = np.zeros((6, 3), np.uint8)
    ply.write_ply(folder / 'cloud_2.ply', POINTS, colours)
    record = json.loads((folder / 'run.json').read_text())
    record['files'] = ['cloud.ply', 'flags.txt', 'run.json', 'trajectory.txt']
    run.write_json(folder / 'run.json', record)
    text, tables, _, page = _read(depth_report(folder))
    assert 'points in cloud.ply' in text and 'cloud_2' not in text
    # Nor are scores, curves and pictures of an earlier version, which the record does not name.
    assert not tables and 'panels.png' not in text and 'data:image/png' not in page
    assert 'eval.json: this run has none' in text
    del record['files']  # of before there was a list
    run.write_json(folder / 'run.json', record)
    text, tables, _, _ = _read(depth_report(folder))
    assert 'points in cloud_2.ply' in text and tables and 'panels.png' in text
