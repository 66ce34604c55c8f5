"""A run directory with every file that the report reads, and what a page of it says."""

import html
import json
import re

import numpy as np
from PIL import Image

from common import run
from pano_depth.footage import geometry
from pano_depth.kernels.rigid import Motion
from pano_depth.results import ply

METRICS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'delta1', 'delta2', 'delta3')
POINTS = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1], [1, 2, 3]], float
)  # y down
TRACK = np.array([[0, 0, 0], [0.1, -0.2, 0.3], [0.2, -0.5, 0.7]])


def scores_of(first):
    """Depth scores of eval.json whose first number is given."""
    return {
        weighting: {name: first + 0.01 * i + shift for i, name in enumerate(METRICS)}
        for weighting, shift in (('plain', 0), ('solid_angle', 0.5))
    }


def make_report_run(folder, *, blind=0.3, axes='y_up'):
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
            'depth': scores_of(0.1),
            'pose': pose(0.25),
            'baselines': {
                'blind': scores_of(blind),
                'constant': scores_of(0.4),
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


def read_page(path):
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
