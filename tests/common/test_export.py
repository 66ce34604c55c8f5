"""common.export: files give the results of JAX and say what they take; others are not kept."""

import dataclasses
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common import conv, export
from common.onnx_graph import OnnxGraph, Port
from common.run import open_run

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


def test_destination_is_a_run_of_its_own(tmp_path):
    workdir = str(tmp_path / 'new')
    with export.destination(workdir, 'default', export.ExportConfig()) as folder:
        assert folder == tmp_path / 'new'
        (folder / 'export.json').write_text('{}')
    flags = (tmp_path / 'new' / 'flags.txt').read_text().splitlines()
    assert {'--mode=export', '--format=onnx', f'--workdir={workdir}'} <= set(flags)
    record = json.loads((tmp_path / 'new' / 'run.json').read_text())
    assert record['files'] == ['export.json', 'flags.txt', 'run.json'] and record['finished']


def test_another_export_is_refused_unless_it_overwrites(tmp_path):
    other = export.ExportConfig(pixels='uint8')
    with export.destination(str(tmp_path), 'default', export.ExportConfig()) as folder:
        (folder / 'model.onnx').write_text('earlier')
    with pytest.raises(ValueError, match='an export with --pixels=float32, not --pixels=uint8'):
        export.check_destination(str(tmp_path), 'default', other)
    export.check_destination(str(tmp_path), 'default', other, overwrite=True)
    with export.destination(str(tmp_path), 'default', other, overwrite=True):
        assert not (tmp_path / 'model.onnx').exists()


def test_record_of_the_training_survives_an_export_into_its_workdir(tmp_path):
    (tmp_path / 'flags.txt').write_text('--mode=train\n')
    own = str(tmp_path), f'{tmp_path}/../{tmp_path.name}', export.ExportConfig()
    with export.destination(*own) as folder:
        assert folder.samefile(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['flags.txt']
    assert (tmp_path / 'flags.txt').read_text() == '--mode=train\n'


def test_an_export_into_a_training_replaces_the_one_before_it(tmp_path):
    with open_run(tmp_path, '--mode=train') as run:
        run.writes('train.json')
        with pytest.raises(ValueError, match='a training that has not ended'):
            export.destination(str(tmp_path), str(tmp_path), export.ExportConfig()).__enter__()
        (tmp_path / 'train.json').write_text('{}')
        run.finish()
    for name in ('onnx', 'stablehlo'):
        config = export.ExportConfig(format=(name,))
        with export.destination(str(tmp_path), str(tmp_path), config) as folder:
            (folder / f'model.{name}').write_text(name)
    # Of the first export, nothing is left beside the second one.
    assert {path.name for path in tmp_path.glob('model.*')} == {'model.stablehlo'}
    files = json.loads((tmp_path / 'run.json').read_text())['files']
    assert files == ['export.json', 'flags.txt', 'model.stablehlo', 'run.json', 'train.json']


def test_destination_has_to_be_named():
    with (
        pytest.raises(ValueError, match='--workdir'),
        export.destination(None, 'default', export.ExportConfig()),
    ):
        pass
