"""The search tour: a space of one's own, and cells that are found, trained, exported and run, at
sizes that take less than a minute.
"""

import pytest

from tests.experiments.notebooks.runs import check_stored, execute, read, reported

pytest.importorskip('onnxruntime')

NAME = 'search_tour'
SIZES = 'DEPTH, BUDGET, CELLS, EPOCHS = 2, 12, 4, 15'
REPORT = """
import json
lines = pathlib.Path('perceptrons.jsonl').read_text().splitlines()
told = [found.objectives for found in result.evaluations if found.status == 'ok']
print(json.dumps({
    'perceptrons': values, 'trainings': list(trainings.values()),
    'log': [json.loads(line)['cell'] for line in lines],
    'front': [found.cell for found in search.front()], 'covered': ours.tolist(),
    'cells': told, 'cell_front': [found.objectives for found in result.front()],
    'balanced': result.facts['chosen']['balanced']['cell'], 'trained': trained.meta['cell'],
    'accuracy': accuracy, 'sums': probabilities.sum(axis=1).tolist(), 'difference': difference,
    'files': sorted(str(path) for path in pathlib.Path().glob('[re]*/**/*') if path.is_file()),
}))
"""


@pytest.fixture(scope='module')
def stored():
    return read(NAME)


@pytest.fixture(scope='module')
def report(stored, tmp_path_factory):
    folder = tmp_path_factory.mktemp(NAME)
    return reported(execute(stored, folder, sizes=SIZES, report=REPORT))


def optimal(points):
    """Those of some points, as tuples, that no other is at least as good as everywhere."""
    return {
        p
        for p in points
        if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)
    }


def test_what_is_stored_is_one_run_and_small(stored):
    check_stored(stored, NAME, least_pictures=3)


def test_the_space_of_ones_own_is_searched(report):
    point_of = {
        cell: (values['error'], values['latency_ms'])
        for cell, values in report['perceptrons'].items()
    }
    # 6 perceptrons of one layer and 36 of two: 12 of them the search's, and its log's.
    assert len(point_of) == 42 and len(set(report['log'])) == len(report['log']) == 12
    tried = [point_of[cell] for cell in report['log']]
    assert {point_of[cell] for cell in report['front']} == optimal(tried)
    # Nothing is trained twice, but for the one that is shown first.
    assert sum(report['trainings']) == 43
    assert min(error for error, _ in point_of.values()) < 10
    assert all(latency > 0 for _, latency in point_of.values())
    covered = report['covered']
    assert covered == sorted(covered) and 0.8 < covered[-1] <= 1 + 1e-9


def test_cells_are_found_trained_and_exported(report):
    names = ('error', 'latency_ms', 'params')
    points, front = (
        [tuple(values[name] for name in names) for values in report[key]]
        for key in ('cells', 'cell_front')
    )
    assert len(points) >= 3 and set(front) == optimal(points)
    assert report['trained'] == report['balanced']
    # Ten classes: chance is right in a tenth of the cases.
    assert report['accuracy'] > 0.85
    assert report['sums'] == pytest.approx([1] * 359, abs=1e-5)
    assert report['difference'] < 1e-4
    assert {
        'exported/export.json',
        'exported/model.onnx',
        'runs/digits/evaluations.jsonl',
        'runs/digits/pareto.csv',
        'runs/digits/report.html',
        'runs/trained/report.html',
        'runs/trained/train.json',
    } <= set(report['files'])
