"""Exported files give the depth of prediction: every layer, every padding, any batch."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common import export as files
from pano_depth.learning import checkpoints
from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense
from pano_depth.reconstruction import infer
from pano_depth.results import export, export_job

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('flatbuffers')

CUBE = models.ModelConfig(face_size=16, depth_channels=(8, 12, 8), pose_channels=(4, 4), scales=2)
SHALLOW = dataclasses.replace(CUBE, depth_channels=(8, 12), scales=1)
LEARNED = dataclasses.replace(
    CUBE, depth_cell=('bn_relu', 'lgconv1x1', 'bn_relu', 'gconv3x3'), depth_expansion=2
)
DEPTHWISE = dataclasses.replace(
    SHALLOW,
    padding='zero',
    depth_cell=('bn_relu', 'conv1x1', 'bn', 'dwconv3x3', 'none', 'conv3x3'),
    depth_merge='add',
    depth_down='pool',
    depth_blocks=(1, 2),
)
# Networks, rows, type of the frames, formats.
CASES = {
    'cube': (CUBE, 64, 'uint8', ('onnx', 'stablehlo')),
    'zero': (dataclasses.replace(SHALLOW, padding='zero'), 32, 'float32', ('onnx',)),
    'equirect': (dataclasses.replace(SHALLOW, padding='equirect'), 64, 'float32', ('onnx',)),
    'learned_groups': (LEARNED, 64, 'float32', ('onnx', 'stablehlo')),
    'depthwise': (DEPTHWISE, 32, 'uint8', ('onnx', 'stablehlo')),
    'equirect_cell': (
        dataclasses.replace(
            SHALLOW, padding='equirect', depth_cell=('none', 'gconv1x1', 'bn_relu', 'dwconv3x3')
        ),
        32,
        'float32',
        ('onnx',),
    ),
}


def trained(config):
    """Parameters far from their initial values, so that every one matters; groups condensed."""
    rng = np.random.default_rng(4)

    def moved(keys, leaf):
        mask = keys[-1].key == condense.MASK
        return leaf if mask else np.float32(leaf + rng.normal(0, 0.2, leaf.shape))

    params = jax.tree_util.tree_map_with_path(moved, models.init_params(0, config))
    return {**params, 'depth': condense.prune(build.build(config), params['depth'], 1.0)}


def scenes(count):
    """[N, 32, 64, 3] uint8, no two pixels alike."""
    return np.random.default_rng(5).integers(0, 256, (count, 32, 64, 3)).astype(np.uint8)


def predicted(params, config, frames, height):
    """Depth [N, height, 2 height] that prediction gives for each of N frames [32, 64, 3] uint8."""
    grid, to_depth = models.make_grid(config), infer.depth_maps(config, height)

    def predict(frames):
        upright = jnp.broadcast_to(jnp.eye(3), (len(frames), 3, 3))
        images = models.look(frames[:, None].astype(jnp.float32) / 255, grid, upright)[:, 0]
        return to_depth(
            models.predict_disparity(params, images, grid, config)[0][0], jnp.ones(len(frames))
        )

    # One call does not repay optimisation.
    return np.asarray(
        jax.jit(predict).lower(frames).compile({'xla_backend_optimization_level': 0})(frames)
    )


@pytest.fixture(scope='module', params=CASES)
def written(request, tmp_path_factory):
    """(name in `CASES`, folder with the files, frames [3, ...] for them, predicted depth)."""
    config, height, pixels, formats = CASES[request.param]
    params, folder = trained(config), tmp_path_factory.mktemp('export')
    network = export.exportable(params, config, height=height, pixels=pixels)
    files.write(network, folder, formats, source={})
    # Blocks of equal pixels, whose shrinking needs no rounding.
    frames = scenes(3).repeat(height // 32, axis=1).repeat(height // 32, axis=2)
    frames = frames if pixels == 'uint8' else np.float32(frames / 255)
    return request.param, folder, frames, predicted(params, config, scenes(3), height)


def test_files_give_the_depth_that_prediction_gives(written):
    name, folder, frames, expected = written
    assert (
        np.ptp(expected) > 0.5 and np.abs(expected[0] - expected[1]).max() > 0.1
    )  # the images matter
    for format in CASES[name][-1]:
        found = files.run_file(folder / f'model.{format}', frames)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        alone = files.run_file(folder / f'model.{format}', frames[1:2])
        np.testing.assert_allclose(alone, expected[1:2], rtol=1e-4)


def test_relative_unit_is_as_documented(written):
    _, folder, frames, _ = written
    depth = files.run_file(folder / 'model.onnx', frames)
    latitude = (0.5 - (np.arange(depth.shape[1]) + 0.5) / depth.shape[1]) * np.pi
    weights = np.broadcast_to(np.cos(latitude)[None, :, None], depth.shape)
    np.testing.assert_allclose(np.average(1 / depth, axis=(1, 2), weights=weights), 1, atol=0.05)


def test_file_says_what_goes_in_and_what_comes_out(written):
    name, folder, _, _ = written
    config, height, pixels, _ = CASES[name]
    facts = {entry.key: entry.value for entry in onnx.load(folder / 'model.onnx').metadata_props}
    assert f'frames [batch, {height}, {2 * height}, 3] {pixels}' in facts['input']
    assert f'depth [batch, {height}, {2 * height}] float32' in facts['output']
    for word in ('equirectangular', 'RGB', '0 to 255' if pixels == 'uint8' else '0 to 1'):
        assert word in facts['input']
    for word in ('range', 'not z-depth', 'relative'):
        assert word in facts['output']
    assert ('x / 255' in facts['preprocessing']) == (pixels == 'uint8')
    assert f'{height // 32} x {height // 32} pixels' in facts['preprocessing']
    assert facts['padding'] == config.padding
    assert json.loads((folder / 'export.json').read_text())['facts'] == facts


def test_other_parameters_have_another_digest():
    params, other = trained(CUBE), trained(CUBE)
    other['depth']['head_0']['Conv_0']['bias'][0] += 1
    digest = lambda params: export.exportable(params, CUBE, height=32).facts['parameters_sha256']
    assert digest(params) == digest(trained(CUBE)) != digest(other)


@pytest.mark.parametrize('face_size, rows', [(32, 512), (48, 480), (512, 1024)])
def test_rows_are_the_most_that_fit(face_size, rows):
    assert export.rows_of(dataclasses.replace(CUBE, face_size=face_size)) == rows


@pytest.mark.parametrize('height', [48, -32, 31])
def test_height_that_does_not_fit_is_named(height):
    with pytest.raises(ValueError, match=f'height is {height}.*multiples of 32'):
        export.exportable(trained(CUBE), CUBE, height=height)


def test_file_without_run_directory_is_told_from_one_of_other_parameters(tmp_path):
    path, config = tmp_path / 'network.onnx', DEPTHWISE
    export.write_onnx(path, None, config, 32, facts={'cell': 'mine'})
    assert export.verify_onnx(path, None, config, 32) <= 1e-4
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert facts['cell'] == 'mine' and 'frames [batch, 32, 64, 3] float32' in facts['input']
    with pytest.raises(ValueError, match='differs from that of JAX by'):
        export.verify_onnx(path, export.random_params(config, 1), config, 32)


def test_network_whose_training_was_stopped_early_is_exported_with_a_warning(tmp_path, capsys):
    path = tmp_path / 'weights.npz'
    checkpoints.save_weights(path, models.init_params(0, LEARNED), LEARNED)
    config = export_job.ExportDepthConfig(
        str(path), 32, export=export_job.ExportConfig(format=('onnx',))
    )
    record = export_job.export_depth(tmp_path / 'run', config)
    assert export_job.NOT_CONDENSED in capsys.readouterr().out
    assert record['files']['model.onnx']['difference'] <= record['tolerance']
