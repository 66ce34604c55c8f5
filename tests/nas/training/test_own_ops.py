"""The `swish_conv` of the README from end to end: searched on every executor, trained, exported."""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from common import options
from common.executors.process import ProcessExecutor
from common.executors.serial import SerialExecutor
from common.export_config import ExportConfig
from nas.cells import own_ops
from nas.cells.cell import Cell
from nas.cells.skeleton import SKELETONS
from nas.training import evaluate, search_job, train_job
from nas.training.config import ExportTrainedConfig, RecipeConfig, SearchConfig, TrainConfig
from nas.training.export_job import export_trained
from nas.training.search import of_images
from nas.training.trained import load_trained
from tests.nas.made_ops import SWISH_CONV, write_ops

ROOT = pathlib.Path(__file__).parents[3]
SIZES = {'skeleton': 'digits', 'stages': (1,), 'growth': (4,)}
RECIPE = {'epochs': 1, 'batch_size': 256, 'crop': 1, 'mirror': False}
SEARCH = {
    **SIZES,
    **RECIPE,
    'objectives': ('error', 'params'),
    'budget': 2,
    'keep': 2,
    'levels': 2,
    'compilation_cache': '',
    'measurement_cache': '',
}


def config_of(kind, **values):
    return options.make(kind, values)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """(folder, ops file, searched workdir, trained workdir); the file is gone after the search."""
    folder = tmp_path_factory.mktemp('own')
    path = write_ops(folder)
    with pytest.MonkeyPatch.context() as patch:
        # Of two cells, one holds the own op.
        patch.setattr(of_images, 'NORMS', ('bn',))
        patch.setattr(of_images, 'CONVS', ('conv1x1',))
        search_job.run_search(config_of(SearchConfig, ops=path, **SEARCH), folder / 'search')
    pathlib.Path(path).unlink()
    lines = (folder / 'search/evaluations.jsonl').read_text().splitlines()
    found = {json.loads(line)['cell']: json.loads(line) for line in lines}
    assert found['bn-swish_conv']['status'] == 'ok'
    index = found['bn-swish_conv']['index']
    config = config_of(TrainConfig, from_search=f'{folder / "search"}:{index}', **RECIPE)
    train_job.train(config, folder / 'trained')
    return folder, path, folder / 'search', folder / 'trained'


def test_a_search_records_its_ops_and_goes_on_with_the_same_ones(runs, tmp_path):
    folder, path, searched, _ = runs
    record = json.loads((searched / 'run.json').read_text())
    assert record['inputs'][f'--ops={path}'] == next(iter(digests(searched)))
    assert 'ops/my_ops.py' in record['files']
    config = config_of(SearchConfig, ops=path, **{**SEARCH, 'budget': 4})
    changed = SWISH_CONV.replace('Swish function', 'Swish function, edited')
    write_ops(folder, changed)
    try:
        with pytest.raises(ValueError, match=r'another content of --ops=\S+my_ops.py \(line 1 was'):
            search_job.run_search(config, searched)
    finally:
        pathlib.Path(path).unlink()
    with pytest.raises(ValueError, match=r'holds a search with --ops=\S+, not no --ops'):
        search_job.run_search(dataclasses.replace(config, ops=None), searched)


def digests(searched):
    return own_ops.read(str(searched / 'ops/my_ops.py')).inputs().values()


def test_a_trained_network_finds_its_ops_in_another_process(runs):
    _, _, _, trained = runs
    program = (
        'import sys, numpy as np; from nas import load_trained\n'
        'images = np.arange(128, dtype=np.uint8).reshape(2, 8, 8, 1)\n'
        'found = load_trained(sys.argv[1])\n'
        'print(str(found.architecture.cell), *found.predict(images).ravel().round(4))'
    )
    done = subprocess.run(
        [sys.executable, '-c', program, str(trained)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cell, *values = done.stdout.split()
    images = np.arange(128, dtype=np.uint8).reshape(2, 8, 8, 1)
    expected = load_trained(trained).predict(images).ravel()
    assert cell == 'bn-swish_conv'
    np.testing.assert_allclose([float(value) for value in values], expected, atol=1e-3)


def test_exports_in_both_formats_give_the_results_of_jax(runs, tmp_path):
    pytest.importorskip('onnxruntime')
    given = write_ops(tmp_path)
    config = ExportTrainedConfig(
        checkpoint=str(runs[3]), ops=given, files=ExportConfig(format=('onnx', 'stablehlo'))
    )
    export_trained(config, tmp_path / 'export')  # compares both files with JAX
    assert {'model.onnx', 'model.stablehlo'} <= {p.name for p in (tmp_path / 'export').iterdir()}
    record = json.loads((tmp_path / 'export/run.json').read_text())
    assert own_ops.read(given).inputs().items() <= record['inputs'].items()


def test_a_training_does_not_go_on_with_other_ops(runs):
    _, _, searched, trained = runs
    copy = searched / 'ops' / 'my_ops.py'
    text = copy.read_text()
    config = options.from_flagfile(TrainConfig, (trained / 'flags.txt').read_text())
    copy.write_text(text.replace('Swish function', 'Swish function, edited'))
    try:
        with pytest.raises(ValueError, match=r'another content of --ops=\S+my_ops.py \(line 1 was'):
            train_job.train(config, trained)
    finally:
        copy.write_text(text)
    assert train_job.train(config, trained).step > 0


def test_a_missing_or_changed_copy_is_named(runs):
    copy = runs[3] / 'ops' / 'my_ops.py'
    text = copy.read_text()
    copy.unlink()
    try:
        with pytest.raises(ValueError, match='ops/my_ops.py, which registers swish_conv, is miss'):
            load_trained(runs[3])
        # A file may be given instead, for example one that has an ONNX form by now.
        given = write_ops(runs[0], text, 'given.py')
        assert load_trained(runs[3], ops=given).architecture.cell.ops == ('bn', 'swish_conv')
        copy.write_text(text.replace('Swish function', 'Swish'))
        with pytest.raises(ValueError, match='my_ops.py, which registers swish_conv, has changed'):
            load_trained(runs[3])
    finally:
        copy.write_text(text)


def test_ops_are_checked_before_the_work(tmp_path):
    text = SWISH_CONV.replace('swish_conv', 'swishy').replace('= 9 *', '= 3 *')
    config = config_of(SearchConfig, ops=write_ops(tmp_path, text), **SEARCH)
    message = re.escape("op 'swishy' from 8 to 4 channels: its count gives 96 parameters, but its")
    with pytest.raises(ValueError, match=message):
        search_job.run_search(config, tmp_path / 'run')
    cell = config_of(TrainConfig, ops=config.ops, cell='bn-swishy', **SIZES, **RECIPE)
    with pytest.raises(ValueError, match=message):
        train_job.train(cell, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_device_of_onnx_files_needs_an_onnx_form(tmp_path):
    pytest.importorskip('onnx')
    text = SWISH_CONV.replace('swish_conv', 'formless').replace('    onnx=onnx,\n', '')
    values = {**SEARCH, 'objectives': ('error', 'latency_ms'), 'device': ('onnx',)}
    config = config_of(SearchConfig, ops=write_ops(tmp_path, text), **values)
    with pytest.raises(ValueError, match="'formless' has no ONNX form; pass onnx= to"):
        search_job.run_search(config, tmp_path / 'run')


def test_searches_of_tables_take_no_ops(tmp_path):
    config = SearchConfig(ops='my_ops.py', benchmark='nas_bench_201', table='table.npz')
    with pytest.raises(ValueError, match='--ops'):
        search_job.run_search(config, tmp_path / 'run')


def job(folder):
    """A candidate with `swish_conv`."""
    skeleton = dataclasses.replace(SKELETONS['digits'], stages=(1,), growth=(4,), stem=8)
    ops = own_ops.read(write_ops(folder)).load()
    cell = Cell.parse('bn-swish_conv')
    return evaluate.Job(cell, skeleton, 'digits', RecipeConfig(**RECIPE), seed=1, ops=ops)


def check(executor, folder):
    """The executor trains the candidate to the error that this process finds."""
    one = job(folder)
    expected = evaluate.run_job(one).error
    found = dict(executor.map(evaluate.run_job, [one, one]))
    assert [found[index].error for index in range(2)] == pytest.approx([expected] * 2, abs=1.5)


def test_candidates_with_own_ops_in_this_process(tmp_path):
    check(SerialExecutor(), tmp_path)


@pytest.mark.slow
def test_candidates_with_own_ops_in_processes_of_their_own(tmp_path):
    check(ProcessExecutor(workers=2, platform='cpu'), tmp_path)


@pytest.mark.slow
def test_candidates_with_own_ops_on_ray(tmp_path):
    pytest.importorskip('ray')
    from common.executors.ray import RayExecutor

    check(RayExecutor(platform='cpu'), tmp_path)


@pytest.mark.slow
def test_candidates_with_own_ops_on_slurm(tmp_path):
    pytest.importorskip('submitit')
    from common.executors.slurm import SlurmExecutor

    options_ = {'cluster': 'local'}
    check(SlurmExecutor(folder=tmp_path / 'jobs', options=options_, platform='cpu'), tmp_path)
