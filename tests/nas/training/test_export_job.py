"""Exports from workdirs of trainings, and every kind of bad input."""

import contextlib
import io
import json
import sys

import jax
import numpy as np
import pytest

from common import export, options
from common.checkpoint import Checkpoints
from common.run import jsonable
from nas.cells.architecture import Architecture
from nas.cells.cell import Cell
from nas.cells.skeleton import tiny
from nas.datasets.images import Images
from nas.networks import network
from nas.training import export_job, network_file, recipe, trained
from nas.training.config import ExportTrainedConfig

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('flatbuffers')

CONFIG = recipe.RecipeConfig(epochs=1)


def run_export(workdir, **values):
    """Exports in this process; (what it returns, what was printed)."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        record = export_job.export_trained(options.make(ExportTrainedConfig, values), workdir)
    return record, printed.getvalue()


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
    """The workdir of a training whose best network is that of step 3 and whose last is that of step
    5.
    """
    folder = tmp_path_factory.mktemp('training')
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    images = Images('noise', pixels, np.arange(20) % 10, tuple('abcdefghij'))
    architecture = Architecture('small', Cell.parse('bn_relu-conv1x1'), tiny)
    network_file.write_meta(
        folder, network_file.make_meta(architecture, images, data='noise', config=CONFIG)
    )
    (folder / 'flags.txt').write_text('--mode=train\n')
    for step, name in ((3, network_file.BEST), (5, network_file.LAST)):
        variables = network.init(jax.random.key(step), architecture.plan)
        state = recipe.init_state(architecture.plan, CONFIG, steps=1, seed=0, variables=variables)
        with Checkpoints(folder / name) as checkpoints:
            checkpoints.save(step, recipe.to_variables(state) if step == 3 else state)
    return folder


def test_best_network_goes_into_a_run_of_its_own(workdir, tmp_path):
    found, said = run_export(
        tmp_path / 'files', checkpoint=str(workdir), format=('onnx', 'stablehlo')
    )
    names = {path.name for path in (tmp_path / 'files').iterdir() if not path.name.startswith('.')}
    assert names == {'model.onnx', 'model.stablehlo', 'export.json', 'flags.txt', 'run.json'}
    record = json.loads((tmp_path / 'files' / 'export.json').read_text())
    assert jsonable(found) == record
    text = (tmp_path / 'files' / 'flags.txt').read_text()
    assert '--mode=export\n--pixels=float32\n--which=best\n' in text
    assert (record['source']['step'], record['source']['which']) == (3, 'best')
    assert json.loads(record['facts']['classes']) == list('abcdefghij')
    for name, facts in record['files'].items():
        assert (
            facts['difference'] <= 1e-4
            and f'{name}: ' in said
            and f'{facts["difference"]:.1e}' in said
        )


def test_last_network_goes_into_the_workdir_of_its_training(workdir):
    run_export(workdir, which='last', pixels='uint8')
    record = json.loads((workdir / 'export.json').read_text())
    assert record['source']['step'] == 5 and record['input']['dtype'] == 'uint8'
    assert (workdir / 'flags.txt').read_text() == '--mode=train\n'
    model = trained.load_trained(workdir, which='last')
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    prepared = (images / 255 - np.array(model.meta['mean'])) / np.array(model.meta['std'])
    expected = jax.jit(network.Network(model.plan).apply)(model.variables, np.float32(prepared))
    np.testing.assert_allclose(export.run_file(workdir / 'model.onnx', images), expected, atol=1e-4)


@pytest.mark.parametrize(
    'values, named',
    [
        ({'checkpoint': 'nowhere'}, 'nowhere.network.json does not exist'),
        (
            {'checkpoint': '{workdir}', 'format': ('tflite',)},
            'format is tflite; accepted: onnx, stablehlo',
        ),
        ({'checkpoint': '{workdir}', 'pixels': 'int8'}, "pixels is 'int8'; accepted: float32"),
        ({'checkpoint': '{workdir}', 'which': 'first'}, "which is 'first'; accepted: best, last"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(values, named, workdir, tmp_path):
    checkpoint = values['checkpoint'].format(workdir=workdir)
    with pytest.raises(ValueError, match=named) as caught:
        run_export(tmp_path / 'files', **values | {'checkpoint': checkpoint})
    assert '\n' not in str(caught.value) and not list(tmp_path.iterdir())


def test_something_has_to_be_exported():
    with pytest.raises(ValueError, match='--checkpoint has to name the workdir of a --mode=train'):
        run_export(None)


def test_destination_has_to_be_named(workdir):
    with pytest.raises(ValueError, match='--workdir has to name'):
        run_export(None, checkpoint=str(workdir))


def test_missing_package_names_the_extra(workdir, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'flatbuffers', None)
    with pytest.raises(ValueError, match=r'flatbuffers is missing.*pano-dppnet\[export\]'):
        run_export(tmp_path / 'files', checkpoint=str(workdir), format=('stablehlo',))
    assert not list(tmp_path.iterdir())


def test_all_forms_predict_the_same_with_the_lines_of_the_readme(workdir, tmp_path):
    run_export(tmp_path / 'files', checkpoint=str(workdir), format=('onnx', 'stablehlo'))
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    opened = trained.load_trained(workdir)
    probabilities = opened.predict(images)

    session = pytest.importorskip('onnxruntime').InferenceSession(tmp_path / 'files/model.onnx')
    classes = json.loads(session.get_modelmeta().custom_metadata_map['classes'])
    (logits,) = session.run(None, {'images': images / np.float32(255)})

    record = json.loads((tmp_path / 'files/export.json').read_text())
    program = (tmp_path / 'files/model.stablehlo').read_bytes()
    same = jax.export.deserialize(bytearray(program)).call(images / np.float32(255))

    assert tuple(classes) == opened.classes == tuple(json.loads(record['facts']['classes']))
    np.testing.assert_allclose(jax.nn.softmax(logits), probabilities, atol=1e-5)
    np.testing.assert_allclose(same, logits, atol=1e-4)
    facts = session.get_modelmeta().custom_metadata_map['preprocessing']
    assert facts == record['facts']['preprocessing'] and '8 x 8' in facts and 'mean' in facts
