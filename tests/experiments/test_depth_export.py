"""`pano-depth --mode=export` as a user runs it, and every kind of bad input."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from common import export
from common.checkpoint import Checkpoints
from pano_depth.learning import checkpoints
from pano_depth.learning import model as models
from pano_depth.results import export_job

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('flatbuffers')

ROOT = pathlib.Path(__file__).parents[2]
MODEL = models.ModelConfig(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8))
CASES = {
    'both': (
        '--checkpoint=weights.npz',
        '--format=onnx,stablehlo',
        '--export_height=64',
        '--pixels=uint8',
    ),
    'format': ('--checkpoint=weights.npz', '--format=tflite'),
    'height': ('--checkpoint=weights.npz', '--export_height=100'),
    'untrained': ('--checkpoint=none',),
    'no_workdir': ('--checkpoint=weights.npz', '--workdir='),
}
BAD = {
    'format': 'format is tflite; accepted: onnx, stablehlo',
    'height': 'multiples of 32',
    'untrained': 'no trained networks',
    'no_workdir': '--workdir has to name',
}

# Importing takes seconds: one interpreter, forked for each command line, whose output goes into
# files.
FORKING = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import tensorflow_datasets
from experiments import depth_flags, depth_main
for name, arguments in json.loads(sys.argv[2]).items():
    child = os.fork()
    if not child:
        for stream, descriptor in (('stdout', 1), ('stderr', 2)):
            os.dup2(os.open(f'{name}.{stream}', os.O_WRONLY | os.O_CREAT), descriptor)
        sys.argv = ['pano-depth'] + arguments
        depth_main.run()
    open(name + '.code', 'w').write(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where every command line of `CASES` was run, with --workdir=run_NAME."""
    folder = tmp_path_factory.mktemp('export')
    checkpoints.save_weights(folder / 'weights.npz', models.init_params(0, MODEL), MODEL)
    cases = {
        name: ['--mode=export', '--compilation_cache=', f'--workdir=run_{name}', *arguments]
        for name, arguments in CASES.items()
    }
    subprocess.run(
        [sys.executable, '-c', FORKING, str(ROOT), json.dumps(cases)],
        cwd=folder,
        check=True,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
        capture_output=True,
    )
    return folder


def test_files_and_figures_are_there(folder):
    assert (folder / 'both.code').read_text() == '0', (folder / 'both.stderr').read_text()
    names = {path.name for path in (folder / 'run_both').iterdir() if not path.name.startswith('.')}
    assert names == {'model.onnx', 'model.stablehlo', 'export.json', 'flags.txt', 'run.json'}
    said = (folder / 'both.stdout').read_text()
    record = json.loads((folder / 'run_both' / 'export.json').read_text())
    assert record['source'] == {'checkpoint': 'weights.npz'}
    assert record['input']['shape'] == ['batch', 64, 128, 3]
    for name, facts in record['files'].items():
        assert (
            facts['difference'] <= 1e-4
            and f'{name}: ' in said
            and f'{facts["difference"]:.1e}' in said
        )
    flags = (folder / 'run_both' / 'flags.txt').read_text().splitlines()
    assert {
        '--mode=export',
        '--format=onnx,stablehlo',
        '--export_height=64',
        '--pixels=uint8',
    } <= set(flags)


def test_both_files_see_the_same_depth(folder):
    frames = np.random.default_rng(0).integers(0, 256, (1, 64, 128, 3)).astype(np.uint8)
    onnx, stablehlo = (
        export.run_file(folder / 'run_both' / f'model.{name}', frames)
        for name in ('onnx', 'stablehlo')
    )
    assert onnx.shape == (1, 64, 128) and onnx.min() > 0
    np.testing.assert_allclose(onnx, stablehlo, rtol=1e-4)


@pytest.mark.parametrize('name', BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(folder, name):
    said = (folder / f'{name}.stderr').read_text()
    assert (folder / f'{name}.code').read_text() == '1' and 'Traceback' not in said
    assert said.splitlines()[-1].startswith('error: ') and BAD[name] in said.splitlines()[-1]
    assert not (folder / f'run_{name}').exists()


def test_networks_of_the_workdir_are_meant_before_those_of_the_package(tmp_path):
    assert export_job.default_checkpoint(None) == 'default'
    assert export_job.default_checkpoint(str(tmp_path)) == 'default'
    with Checkpoints(tmp_path / 'checkpoints') as checkpoints:
        checkpoints.save(1, {'x': jax.numpy.zeros(1)})
    assert export_job.default_checkpoint(str(tmp_path)) == str(tmp_path)
