"""common.export: files give the results of JAX and say what they take; others are not kept."""

import dataclasses
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common import export
from common.layers import conv
from common.onnx_graph import OnnxGraph, Port

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('flatbuffers')

WEIGHTS = np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32)


def oracle(images):
    """What the network of these tests computes, in float64."""
    images = np.asarray(images, np.float64) / (255 if images.dtype == np.uint8 else 1)
    return np.tanh(images.reshape(len(images), -1) @ WEIGHTS)


def network(pixels='float32', *, weights=WEIGHTS, outputs=5):
    """An `Exportable`; its ONNX file has these weights, its JAX function always has `WEIGHTS`."""
    port = export.pixel_port('images', (4, 3), pixels, 'row, channel')
    result = Port('scores', (outputs,), 'float32', 'between -1 and 1')

    def function(images):
        return jnp.tanh(export.unit_range(images).reshape(-1, 12) @ WEIGHTS)

    def write_onnx(path, facts):
        graph = OnnxGraph()
        x = graph.reshape(graph.unit_range(port), 0, -1)
        x = graph.node('Tanh', graph.node('MatMul', x, graph.constant(weights, 'weights')))
        graph.save(path, x, input=port, output=result, facts=facts)

    example = np.random.default_rng(0).integers(0, 256, (2, 4, 3)).astype(np.uint8)
    example = example if pixels == 'uint8' else np.float32(example / 255)
    return export.Exportable(
        function, function, write_onnx, port, result, example, {'author': 'test'}
    )


@pytest.fixture(scope='module', params=['float32', 'uint8'])
def written(request, tmp_path_factory):
    """(type of the images, folder, what `write` returned)."""
    folder = tmp_path_factory.mktemp('export')
    record = export.write(
        network(request.param), folder, ('stablehlo', 'onnx', 'onnx'), source={'step': 7}
    )
    return request.param, folder, record


@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize('name', ['model.onnx', 'model.stablehlo'])
def test_files_give_the_right_results_for_any_batch(written, name, batch):
    pixels, folder, _ = written
    images = np.random.default_rng(2).integers(0, 256, (batch, 4, 3)).astype(np.uint8)
    images = images if pixels == 'uint8' else np.float32(images / 255)
    np.testing.assert_allclose(export.run_file(folder / name, images), oracle(images), atol=1e-5)


def test_record_says_what_goes_in_what_comes_out_and_how_well_it_agrees(written):
    pixels, folder, record = written
    stored = json.loads((folder / 'export.json').read_text())
    assert {path.name for path in folder.iterdir()} == {
        'model.onnx',
        'model.stablehlo',
        'export.json',
    }
    assert stored['input']['shape'] == ['batch', 4, 3] and stored['output']['shape'] == ['batch', 5]
    assert (stored['input']['dtype'], stored['input']['name']) == (pixels, 'images')
    assert {'float32': '0 to 1', 'uint8': '0 to 255'}[pixels] in stored['input']['meaning']
    assert stored['source'] == {'step': 7} and stored['facts']['author'] == 'test'
    assert {'jax', 'onnx', 'onnxruntime', 'flatbuffers'} == set(stored['versions'])
    for name, facts in stored['files'].items():
        assert facts['bytes'] == (folder / name).stat().st_size and 0 <= facts['difference'] <= 1e-4
        (line,) = (
            line for line in export.summary(record).splitlines() if line.startswith(f'{name}: ')
        )
        assert f'{facts["difference"]:.1e}' in line


def test_onnx_file_documents_itself(written):
    pixels, folder, _ = written
    model = onnx.load(folder / 'model.onnx')
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert (
        facts['author'] == 'test'
        and f'images [batch, 4, 3] {pixels}: row, channel' in facts['input']
    )
    assert facts['output'] == 'scores [batch, 5] float32: between -1 and 1'
    session = onnxruntime.InferenceSession(
        folder / 'model.onnx', providers=['CPUExecutionProvider']
    )
    assert (session.get_inputs()[0].name, session.get_outputs()[0].name) == ('images', 'scores')


def test_stablehlo_is_one_program_for_all_platforms_with_plain_convolutions(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 8)).astype(np.float32)
    function = lambda x: conv.conv_general_dilated(
        x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'), feature_group_count=4
    )
    port, path = Port('x', (6, 6, 8), 'float32', 'anything'), tmp_path / 'model.stablehlo'
    export.write_stablehlo(function, port, path)
    exported = jax.export.deserialize(bytearray(path.read_bytes()))
    assert set(exported.platforms) == {'cpu', 'cuda', 'tpu'}
    # What this machine's CPU would take has no groups left.
    assert 'feature_group_count = 4' in exported.mlir_module()
    assert 'precision HIGHEST' in exported.mlir_module() and 'DEFAULT' not in exported.mlir_module()
    images = np.random.default_rng(1).normal(size=(3, 6, 6, 8)).astype(np.float32)
    np.testing.assert_allclose(exported.call(images), function(images), atol=1e-4)


@pytest.mark.parametrize(
    'wrong',
    [
        {'weights': WEIGHTS + 1e-3},
        {'weights': WEIGHTS * np.nan},
        {'weights': np.zeros((12, 4), np.float32), 'outputs': 4},
    ],
)
def test_wrong_file_is_refused_and_nothing_changes(wrong, tmp_path):
    good = export.write(network(), tmp_path, ['onnx'], source={})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for formats in (['stablehlo', 'onnx'], ['onnx', 'stablehlo']):
        with pytest.raises(ValueError, match='model.onnx is not written.*differ'):
            export.write(network(**wrong), tmp_path, formats, source={})
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert good['files']['model.onnx']['difference'] < 1e-5


def test_reference_is_what_files_are_held_to(tmp_path):
    other = dataclasses.replace(network(), reference=lambda images: jnp.zeros((len(images), 5)))
    with pytest.raises(ValueError, match='model.stablehlo is not written'):
        export.write(other, tmp_path, ['stablehlo'], source={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'formats, named', [(['onnx', 'tflite'], 'format is tflite'), ([], 'format is empty')]
)
def test_unknown_format_is_named_with_those_that_exist(formats, named, tmp_path):
    with pytest.raises(ValueError, match=f'{named}.*onnx, stablehlo'):
        export.write(network(), tmp_path, formats, source={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('format, package', [('onnx', 'onnxruntime'), ('stablehlo', 'flatbuffers')])
def test_missing_package_names_the_extra_before_anything_is_computed(
    format, package, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    never = dataclasses.replace(network(), reference=lambda images: pytest.fail('computed'))
    with pytest.raises(
        ValueError, match=rf"{package} is missing: pip install 'pano-dppnet\[export\]'"
    ):
        export.write(never, tmp_path, [format], source={})
    assert not list(tmp_path.iterdir())


def test_unknown_pixels_are_named():
    with pytest.raises(ValueError, match="pixels is 'int8'; accepted: float32, uint8"):
        network('int8')
