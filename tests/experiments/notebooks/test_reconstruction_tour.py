"""The reconstruction tour: a video becomes depth, path, cloud and files, at sizes that take less
than a minute.
"""

import pytest

from tests.experiments.notebooks.runs import check_stored, execute, read, reported

pytest.importorskip('onnxruntime')

NAME = 'reconstruction_tour'
# Height and frames of the tests of whole reconstructions, whose programs it shares.
SIZES = 'HEIGHT, FRAMES, STEPS = 64, 8, 12'
REPORT = """
import json
print(json.dumps({
    'before': before.scores['depth']['plain']['abs_rel'],
    'after': after.scores['depth']['plain']['abs_rel'],
    'photometric': json.loads(pathlib.Path('runs/walk/run.json').read_text())['photometric_error'],
    'frames': [len(first), len(after)], 'points': len(points), 'difference': difference,
    'files': sorted(path.name for path in pathlib.Path('walk_before').iterdir()),
}))
"""


@pytest.fixture(scope='module')
def stored():
    return read(NAME)


def test_what_is_stored_is_one_run_and_small(stored):
    check_stored(stored, NAME, least_pictures=4)


def test_it_runs_on_small_sizes(stored, tmp_path):
    report = reported(execute(stored, tmp_path, sizes=SIZES, devices=4, report=REPORT))
    assert report['frames'] == [8, 8] and report['points'] > 1000
    assert report['photometric']['after'] < report['photometric']['before']
    assert report['after'] < report['before'] < 0.3
    assert report['difference'] < 0.02
    assert {'cloud.ply', 'confidence', 'depth', 'depth.mp4', 'eval.json', 'trajectory.txt'} <= set(
        report['files']
    )
