"""The report of a run directory in which files are missing, damaged or of another form."""

import json

import numpy as np
import pytest

from common import run
from pano_depth.results import ply
from pano_depth.results.report import depth_report
from tests.pano_depth.results.report.made_reports import (
    METRICS,
    make_report_run,
    read_page,
    scores_of,
)

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
    whole = len(read_page(depth_report(make_report_run(tmp_path / 'whole')))[3])
    folder = make_report_run(tmp_path / 'run')
    (folder / name).unlink()
    text, _, _, page = read_page(depth_report(folder))
    assert len(page) < whole + 200 and (
        name.endswith('.png') or f'{name}: this run has none' in text
    )
    for content in (b'', b'\x00\xff not what it should be'):
        (folder / name).write_bytes(content)
        text, tables, blocks, _ = read_page(depth_report(folder))
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
        {'depth': scores_of(0.1), 'baselines': [1]},
        {
            'depth': {**scores_of(0.1), 'plain': {'abs_rel': 'good'}},
            'baselines': {'blind': scores_of(0.2)},
        },
    ],
)
def test_scores_of_another_form(tmp_path, scores):
    folder = make_report_run(tmp_path)
    run.write_json(folder / 'eval.json', scores)
    text, tables, blocks, _ = read_page(depth_report(folder))
    assert 'eval.json is damaged and was left out' in text and tables == [] and len(blocks) == 3


def test_partial_scores(tmp_path):
    """Depth without poses, without baselines, or not a number where nothing was valid."""
    folder = make_report_run(tmp_path)
    nothing = {'plain': dict.fromkeys(METRICS, float('nan')), 'solid_angle': dict.fromkeys(METRICS)}
    for depth, cell in ((scores_of(0.1), '0.1000'), (nothing, '\u2013')):
        run.write_json(folder / 'eval.json', {'depth': depth, 'pose': None, 'flicker': 0.02})
        text, tables, _, _ = read_page(depth_report(folder))
        assert len(tables) == 2 and tables[0][1][:2] == ['network', cell]
        assert 'flicker' in text and 'damaged' not in text


def test_a_cloud_without_points(tmp_path):
    folder = make_report_run(tmp_path)
    ply.write_ply(folder / 'cloud.ply', np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    text = read_page(depth_report(folder))[0]
    assert 'cloud.ply holds no point: no depth is confirmed' in text and 'damaged' not in text


@pytest.mark.parametrize('damage', [3, [], {'reason': 4}, {'pieces': 7}, {'pieces': [3]}])
def test_a_record_of_another_form(tmp_path, damage):
    folder = make_report_run(tmp_path)
    record = json.loads((folder / 'run.json').read_text()) | {
        'survey': damage,
        'prediction': damage,
    }
    run.write_json(folder / 'run.json', record)
    assert 'Camera motion' in read_page(depth_report(folder))[3]


def test_a_folder_without_a_run(tmp_path):
    text = read_page(depth_report(tmp_path))[0]
    assert text.count('this run has none') == 5 and tmp_path.name in text
    with pytest.raises(ValueError, match='absent is no directory'):
        depth_report(tmp_path / 'absent')
