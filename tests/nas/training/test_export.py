"""nas.training.export: the files take raw images and give the logits of the trained network."""

import json

import jax
import numpy as np
import pytest

from common import export as files
from nas.cells import plan as plan_lib
from nas.cells import zoo
from nas.cells.fingerprint import plan_hash
from nas.cells.skeleton import tiny
from nas.networks import condense, network
from nas.training import batches, export
from nas.training.trained import Trained

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('flatbuffers')

MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.2, 0.1]
CLASSES = [f'class {i}' for i in range(10)]
PLAN = plan_lib.build(zoo.CELLS['dpp-net-panacea'], tiny)


def trained(progress=1.0):
    """A masked network with learned groups, statistics unlike the initial ones, condensed or half
    so.
    """
    rng = np.random.default_rng(3)
    variables = network.init(jax.random.key(0), PLAN)
    for leaves in variables['batch_stats'].values():
        leaves['mean'] = rng.normal(0, 0.3, leaves['mean'].shape).astype(np.float32)
        leaves['var'] = rng.uniform(0.3, 3, leaves['var'].shape).astype(np.float32)
    meta = {'name': 'panacea', 'classes': CLASSES, 'mean': MEAN, 'std': STD, 'data': 'cifar10'}
    return Trained(PLAN, condense.condense(PLAN, variables, progress), meta, 7)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """({type of the images: folder}, uint8 images, logits of the masked network on the training's
    input).
    """
    folders, model = {}, trained()
    for pixels, formats in (('float32', ['onnx', 'stablehlo']), ('uint8', ['onnx'])):
        folders[pixels] = tmp_path_factory.mktemp(pixels)
        files.write(
            export.exportable(model, pixels=pixels), folders[pixels], formats, source={'step': 7}
        )
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    data = batches.Data(None, None, np.float32(MEAN), np.float32(STD))
    logits = jax.jit(network.Network(PLAN).apply)(model.variables, batches.normalise(images, data))
    return folders, images, np.asarray(logits)


@pytest.mark.parametrize(
    'pixels, name',
    [('float32', 'model.onnx'), ('float32', 'model.stablehlo'), ('uint8', 'model.onnx')],
)
def test_files_take_raw_images_and_give_the_trained_logits(written, pixels, name):
    folders, images, expected = written
    assert np.ptp(expected, axis=0).min() > 0.05  # the images matter
    images = images if pixels == 'uint8' else np.float32(images / 255)
    np.testing.assert_allclose(files.run_file(folders[pixels] / name, images), expected, atol=1e-4)
    np.testing.assert_allclose(
        files.run_file(folders[pixels] / name, images[:1]), expected[:1], atol=1e-4
    )


def test_file_documents_its_preprocessing_and_classes(written):
    model = onnx.load(written[0]['uint8'] / 'model.onnx')
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts['classes']) == CLASSES and facts['plan_sha256'] == plan_hash(PLAN)
    assert 'images [batch, 8, 8, 3] uint8' in facts['input'] and 'RGB' in facts['input']
    assert facts['output'].startswith('logits [batch, 10] float32')
    assert 'x / 255, then (x - mean) / std' in facts['preprocessing']
    for number in (*MEAN, *STD):
        assert f'{np.float32(number):.3g}' in facts['preprocessing']
    stored = json.loads((written[0]['uint8'] / 'export.json').read_text())
    assert stored['source'] == {'step': 7} and stored['output']['shape'] == ['batch', 10]
    assert stored['facts'].items() <= facts.items()


def test_half_trained_learned_groups_are_refused():
    with pytest.raises(ValueError, match='not fully condensed'):
        export.exportable(trained(0.2))


def test_unknown_pixels_are_named():
    with pytest.raises(ValueError, match="pixels is 'float16'"):
        export.exportable(trained(), pixels='float16')
