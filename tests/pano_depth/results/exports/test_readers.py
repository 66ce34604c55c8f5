"""Programs that people use read path and cloud: evo, plyfile, trimesh."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

EVO = """
import copy, json, sys
import numpy as np
from evo.core import metrics, sync
from evo.tools import file_interface

true, found = (file_interface.read_tum_trajectory_file(path) for path in sys.argv[1:])
true, found = sync.associate_trajectories(true, found, max_diff=1e-3)
scores = {'poses': found.num_poses, 'valid': all(part[0] for part in (true.check(), found.check()))}
relation = metrics.PoseRelation
for name, metric in (
    ('ape', metrics.APE(relation.translation_part)),
    ('rpe', metrics.RPE(relation.translation_part, 1, metrics.Unit.frames)),
    ('turn', metrics.RPE(relation.rotation_angle_deg, 1, metrics.Unit.frames)),
):
    metric.process_data((true, found))
    scores[name] = metric.get_statistic(metrics.StatisticsType.rmse)
print(json.dumps(scores))
"""


@pytest.fixture(scope='module')
def saved(room, tmp_path_factory):
    folder = tmp_path_factory.mktemp('saved')
    room.save(folder)
    room.save(folder / 'clip', format='clip')
    return folder


def test_evo_reads_and_scores_the_path(saved, clip, tmp_path):
    if importlib.util.find_spec('evo') is None:
        pytest.skip('needs evo, extra [test]')
    # The second pose is moved by 3 cm, so that the scores are not 0.
    lines = (saved / 'trajectory.txt').read_text().splitlines()
    second = [i for i, line in enumerate(lines) if not line.startswith('#')][1]
    words = lines[second].split()
    words[2] = str(float(words[2]) + 0.03)
    lines[second] = ' '.join(words)
    (tmp_path / 'moved.txt').write_text('\n'.join(lines) + '\n')
    paths = [(saved / 'clip' / 'room' / 'poses.txt', saved / 'trajectory.txt')]
    paths.append((saved / 'trajectory.txt', tmp_path / 'moved.txt'))
    scores = []
    for pair in paths:
        # evo writes its settings into the home directory when it is imported.
        done = subprocess.run(
            [sys.executable, '-c', EVO, *map(os.fspath, pair)],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, 'HOME': os.fspath(tmp_path), 'MPLBACKEND': 'agg'},
        )
        scores.append(json.loads(done.stdout.splitlines()[-1]))
    same, moved = scores
    assert same['poses'] == moved['poses'] == 5 and same['valid'] and moved['valid']
    assert max(same['ape'], same['rpe'], same['turn']) < 1e-6
    assert moved['ape'] == pytest.approx(0.03 / 5**0.5, rel=1e-3)
    assert moved['rpe'] == pytest.approx(0.03 / 2**0.5, rel=1e-3) and moved['turn'] < 1e-6


def test_plyfile_and_trimesh_read_the_cloud(saved, room):
    plyfile = pytest.importorskip('plyfile', reason='needs plyfile, extra [test]')
    trimesh = pytest.importorskip('trimesh', reason='needs trimesh, extra [test]')
    points, colours = room.cloud()
    expected = points * [1, -1, -1]  # y up, the default
    vertices = plyfile.PlyData.read(saved / 'cloud.ply')['vertex']
    read = np.stack([vertices[axis] for axis in 'xyz'], axis=-1)
    np.testing.assert_allclose(read, expected, atol=1e-6)
    seen = np.stack([vertices[name] for name in ('red', 'green', 'blue')], axis=-1)
    np.testing.assert_array_equal(seen, colours)
    cloud = trimesh.load(saved / 'cloud.ply')
    np.testing.assert_allclose(np.asarray(cloud.vertices), expected, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(cloud.colors)[:, :3], colours)
