"""The notebook: what is stored is a real run of it and small, and it runs again with results that
hold.
"""

import base64
import copy
import io
import json
import os
import pathlib
import re
import sys
import tempfile

import matplotlib.image
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

nbclient = pytest.importorskip('nbclient', reason="runs notebooks: pip install -e '.[test]'")
nbformat = pytest.importorskip('nbformat', reason="reads notebooks: pip install -e '.[test]'")
pytest.importorskip('ipykernel', reason="runs notebooks: pip install -e '.[test]'")

ROOT = pathlib.Path(__file__).parents[2]
PATH = ROOT / 'experiments' / 'notebooks' / 'projection_tour.ipynb'

# What the last cell of the executed copy hands over.
REPORT = """
import json
plain = lambda x: x.tolist() if hasattr(x, 'tolist') else x
print(json.dumps({name: plain(value) for name, value in {
    'poses': clip.poses.rotation, 'positions': clip.poses.translation, 'pair': [target, source],
    'extra': extra, 'start': paths[-1, 0], 'found': paths[-1, -1],
    'made': [mean(left), mean(after)], 'parts': knows,
    'gradients': [by_motion, differences], 'share': share, 'scales': [scales, depth_only, both],
    'neighbour': neighbour, 'smooth_error': smooth_error,
}.items()}, default=plain))
"""


@pytest.fixture(scope='module')
def stored():
    return nbformat.read(PATH, as_version=4)


@pytest.fixture(scope='module')
def executed(stored, tmp_path_factory):
    """The executed notebook with the report's cell, run in an empty folder; a cell that raises
    fails here.
    """
    folder = tmp_path_factory.mktemp('notebook')
    notebook = copy.deepcopy(stored)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    notebook.cells.append(nbformat.v4.new_code_cell(REPORT, id='report'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            'PYTHONPATH', os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
        )
        patch.setenv('IPYTHONDIR', str(folder / 'ipython'))
        patch.setenv('JUPYTER_RUNTIME_DIR', str(folder / 'runtime'))
        patch.setenv('JAX_PLATFORMS', 'cpu')
        client = nbclient.NotebookClient(
            notebook,
            timeout=600,
            kernel_name='python3',
            resources={'metadata': {'path': str(folder)}},
        )
        return client.execute()


@pytest.fixture(scope='module')
def report(executed):
    return json.loads(printed(executed.cells[-1]))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == 'code']


def printed(cell):
    """All that a cell printed; where a stream is cut into several outputs depends on the timing."""
    return ''.join(output.text for output in cell.outputs if output.output_type == 'stream')


def pictures(cell):
    return [
        base64.b64decode(output.data['image/png'])
        for output in cell.outputs
        if 'image/png' in output.get('data', {})
    ]


def sentences(text):
    """Text without its numbers, which differ a little between machines."""
    return re.sub(r'([-+]?\d[\d.]*(e[-+]?\d+)?|\s)+', ' ', text)


def test_stored_outputs_are_those_of_one_run_from_top_to_bottom(stored):
    cells = code_cells(stored)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [
        output
        for cell in cells
        for output in cell.outputs
        if output.output_type == 'error' or output.get('name') == 'stderr'
    ]
    assert sum(bool(pictures(cell)) for cell in cells) >= 10


def test_stored_pictures_show_something_and_the_file_is_small(stored):
    assert PATH.stat().st_size < 1e6
    for png in [png for cell in code_cells(stored) for png in pictures(cell)]:
        pixels = matplotlib.image.imread(io.BytesIO(png), format='png')[..., :3]
        assert pixels.std() > 0.05 and min(pixels.shape[:2]) > 100


def test_nothing_stored_names_a_path_of_some_machine(stored):
    # All but the pictures, whose base64 may spell anything.
    bare = copy.deepcopy(stored)
    for cell in code_cells(bare):
        for output in cell.outputs:
            output.get('data', {}).pop('image/png', None)
    text = json.dumps(bare)
    for path in (str(ROOT), sys.prefix, str(pathlib.Path.home()) + os.sep, tempfile.gettempdir()):
        assert path not in text
    assert not re.search(
        r'(?<![\w.\]\[)])/(?:home|Users|root|tmp|mnt|var|usr|opt)/|[A-Z]:\\\\', text
    )


def test_it_runs_again_and_puts_out_what_is_stored(stored, executed):
    for before, now in zip(code_cells(stored), code_cells(executed)[:-1], strict=True):
        assert sentences(printed(now)) == sentences(printed(before)), now.id
        assert len(pictures(now)) == len(pictures(before)), now.id


def test_the_motion_is_recovered_from_the_images(report):
    rotation, position = np.array(report['poses']), np.array(report['positions'])
    target, source = report['pair']
    # In float64 from the camera-to-world poses; the source camera is then turned.
    turned = Rotation.from_matrix(report['extra']) * Rotation.from_matrix(rotation[source].T)
    truth = turned * Rotation.from_matrix(rotation[target])
    translation = turned.apply(position[target] - position[source])
    start, found = np.array(report['start']), np.array(report['found'])
    assert (
        np.all(start == 0)
        and truth.magnitude() > np.radians(8)
        and np.linalg.norm(translation) > 0.2
    )
    assert np.degrees((truth * Rotation.from_rotvec(found[:3]).inv()).magnitude()) < 0.2
    assert np.linalg.norm(found[3:] - translation) < 0.02


def test_views_losses_and_gradients_say_what_the_text_says(report):
    (before, after), parts = report['made'], report['parts']
    assert after < 0.35 * before
    assert parts['both'] < parts['translation only'] < parts['rotation only'] < parts['nothing']
    autodiff, differences = map(np.array, report['gradients'])
    np.testing.assert_allclose(autodiff, differences, atol=0.1 * np.abs(differences).max())
    scales, depth_only, both = map(np.array, report['scales'])
    assert (
        abs(scales[depth_only.argmin()] - 1) < 0.11
        and depth_only[[0, -1]].min() > 1.5 * depth_only.min()
    )
    np.testing.assert_allclose(both, both[0], rtol=1e-2)
    assert 0 < report['smooth_error'] < 1e-3 and 0.6 < report['share'] < 1


def test_the_table_of_neighbours_is_that_of_the_cube(report):
    forward = {
        'front': (0, 0, 1),
        'right': (1, 0, 0),
        'back': (0, 0, -1),
        'left': (-1, 0, 0),
        'up': (0, -1, 0),
        'down': (0, 1, 0),
    }
    right = [(1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 0)]
    down = [(0, 1, 0)] * 4 + [(0, 0, 1), (0, 0, -1)]
    sides = (('right', right, 1), ('left', right, -1), ('below', down, 1), ('above', down, -1))
    for side, axes, sign in sides:
        found = [forward[name] for name in report['neighbour'][side]]
        assert found == [tuple(sign * x for x in axis) for axis in axes]
