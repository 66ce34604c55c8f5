"""Reads and runs the notebooks of `experiments/notebooks`, and checks their stored results."""

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
import pytest

nbclient = pytest.importorskip('nbclient', reason="runs notebooks: pip install -e '.[test]'")
nbformat = pytest.importorskip('nbformat', reason="reads notebooks: pip install -e '.[test]'")
pytest.importorskip('ipykernel', reason="runs notebooks: pip install -e '.[test]'")

ROOT = pathlib.Path(__file__).parents[3]
FOLDER = ROOT / 'experiments' / 'notebooks'


def read(name):
    """A stored notebook by the name of its file."""
    return nbformat.read(FOLDER / f'{name}.ipynb', as_version=4)


def execute(stored, folder, *, sizes=None, devices=1, report):
    """Runs a notebook in an empty folder; a cell that raises fails here.

    Args:
        stored: the notebook.
        folder: where it runs.
        sizes: source for the cell `sizes`, or None to leave it.
        devices: faked ones. As many as tests have (`tests/conftest.py`): it finds the programs that
            they compiled, or they find its own.
        report: source of a last cell, of the id `report`.
    """
    notebook = copy.deepcopy(stored)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
        if sizes is not None and cell.id == 'sizes':
            cell.source = sizes
    notebook.cells.append(nbformat.v4.new_code_cell(report, id='report'))
    with pytest.MonkeyPatch.context() as patch:
        paths = filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])
        patch.setenv('PYTHONPATH', os.pathsep.join(paths))
        patch.setenv('IPYTHONDIR', str(folder / 'ipython'))
        patch.setenv('JUPYTER_RUNTIME_DIR', str(folder / 'runtime'))
        patch.setenv('JAX_PLATFORMS', 'cpu')
        patch.setenv('JAX_NUM_CPU_DEVICES', str(devices))
        return nbclient.NotebookClient(
            notebook,
            timeout=600,
            kernel_name='python3',
            resources={'metadata': {'path': str(folder)}},
        ).execute()


def reported(executed):
    """What the last cell of an executed notebook printed last, as JSON."""
    return json.loads(printed(executed.cells[-1]).splitlines()[-1])


def code_cells(notebook):
    """The cells of code."""
    return [cell for cell in notebook.cells if cell.cell_type == 'code']


def printed(cell):
    """All that a cell printed; where a stream is cut into several outputs depends on the timing."""
    return ''.join(output.text for output in cell.outputs if output.output_type == 'stream')


def pictures(cell):
    """The PNG files below a cell."""
    return [
        base64.b64decode(output.data['image/png'])
        for output in cell.outputs
        if 'image/png' in output.get('data', {})
    ]


def check_stored(stored, name, *, least_pictures):
    """Asserts that what is stored is one whole run, small, of pictures that show something, and
    names no path of some machine.
    """
    cells = code_cells(stored)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [
        output
        for output in outputs
        if output.output_type == 'error' or output.get('name') == 'stderr'
    ]
    assert sum(bool(pictures(cell)) for cell in cells) >= least_pictures
    assert (FOLDER / f'{name}.ipynb').stat().st_size < 1e6
    for png in [png for cell in cells for png in pictures(cell)]:
        pixels = matplotlib.image.imread(io.BytesIO(png), format='png')[..., :3]
        assert pixels.std() > 0.05 and min(pixels.shape[:2]) > 100
    _check_paths(stored)


def _check_paths(stored):
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
