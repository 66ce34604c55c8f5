"""The files of a training open again as the same network."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from common.checkpoint import Checkpoints
from nas.cells import zoo
from nas.cells.architecture import Architecture
from nas.cells.cell import Cell
from nas.cells.cost import count
from nas.cells.plan import build
from nas.cells.skeleton import Skeleton, cifar10, imagenet
from nas.datasets.crops import Preparation
from nas.networks import condense, network
from nas.training import network_file, recipe, trained
from nas.training.recipe import RecipeConfig
from tests.nas.made_images import CELL, SKELETON, make_images

ARCHITECTURE = Architecture('made', CELL, SKELETON)
PLAN, CONFIG = ARCHITECTURE.plan, RecipeConfig(epochs=2, batch_size=16)


@pytest.fixture
def workdir(tmp_path):
    """A workdir as a training leaves it: the best network at step 2, the last, condensed further,
    at 4.
    """
    network_file.write_meta(
        tmp_path, network_file.make_meta(ARCHITECTURE, make_images(30), data='made', config=CONFIG)
    )
    for step, progress, folder in ((2, 0.2, 'best'), (4, 1.0, 'checkpoints')):
        state = state_after(step, progress)
        with Checkpoints(tmp_path / folder) as checkpoints:
            checkpoints.save(step, recipe.to_variables(state) if folder == 'best' else state)
    return tmp_path


def state_after(seed, progress):
    variables = condense.condense(PLAN, network.init(jax.random.key(seed), PLAN), progress)
    return recipe.init_state(PLAN, CONFIG, steps=4, seed=0, variables=variables)


def test_best_and_last_open_as_they_were_saved(workdir):
    for which, step, progress in (('best', 2, 0.2), ('last', 4, 1.0)):
        opened = trained.load_trained(workdir, which=which)
        assert (opened.step, opened.plan) == (step, PLAN)
        expected = recipe.to_variables(state_after(step, progress))
        jax.tree.map(np.testing.assert_array_equal, opened.variables, expected)
        assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(opened.variables))
    assert trained.load_trained(workdir).step == 2


def test_it_is_shown_in_a_line_without_its_weights(workdir):
    shown, params = repr(trained.load_trained(workdir)), count(PLAN).params
    assert shown == f'Trained(made: {params:,} parameters, 3 classes, step 2)'


def test_meta_says_what_the_network_takes(workdir):
    images, meta = make_images(30), trained.load_trained(workdir).meta
    assert meta == json.loads((workdir / 'network.json').read_text())
    assert (meta['name'], meta['cell'], meta['network']) == ('made', str(CELL), None)
    assert (meta['size'], meta['channels'], meta['classes']) == (4, 1, ['a', 'b', 'c'])
    pixels = images.images / 255
    assert meta['mean'] == pytest.approx([pixels.mean()]) and meta['std'] == pytest.approx(
        [pixels.std()]
    )
    assert meta['data'] == 'made' and RecipeConfig(**meta['recipe']) == CONFIG
    assert meta['skeleton']['stages'] == [1] and meta['skeleton']['stem'] == 8


def test_photographs_are_read_as_the_network_was_scored_on_them(workdir, tmp_path):
    exif, pixels = Image.Exif(), np.zeros((4, 8, 4), np.uint8)
    exif[0x0112] = 3
    pixels[:, 2:4] = 0, 0, 0, 255
    Image.fromarray(pixels).save(tmp_path / 'icon.png', exif=exif)
    opened = trained.load_trained(workdir)
    images = opened.read(tmp_path / 'icon.png', str(tmp_path / 'icon.png'))
    # The middle square, turned by half; white where it is transparent.
    expected = np.tile(np.uint8([[255], [255], [0], [0]]), (2, 4, 1, 1))
    np.testing.assert_array_equal(images, expected)
    assert opened.predict(images).shape == (2, 3)
    train = dataclasses.replace(make_images(30), preparation=Preparation(0.5, (9, 9, 9)))
    meta = network_file.make_meta(ARCHITECTURE, train, data='made', config=CONFIG)
    half = dataclasses.replace(opened, meta=meta)
    assert half.preparation == Preparation(0.5, (9, 9, 9))
    assert half.read(tmp_path / 'icon.png').max() == 9
    # Files of earlier versions do not say it.
    del meta['preparation']
    assert dataclasses.replace(opened, meta=meta).preparation == Preparation()
    (tmp_path / 'bad.png').write_bytes(b'x')
    with pytest.raises(ValueError, match='bad.png cannot be read'):
        opened.read(tmp_path / 'icon.png', tmp_path / 'bad.png')


def test_the_deployed_network_gives_the_same_logits(workdir):
    opened = trained.load_trained(workdir, which='last')
    images = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4, 4, 1)), jnp.float32)
    masked = network.Network(PLAN).apply(opened.variables, images)
    deployed = network.Network(PLAN, deployed=True).apply(opened.deployed(), images)
    np.testing.assert_allclose(deployed, masked, rtol=1e-5, atol=1e-6)
    assert np.abs(masked).max() > 0.01
    with pytest.raises(ValueError, match='not fully condensed'):
        trained.load_trained(workdir, which='best').deployed()


def some_images(number, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, 4, 4, 1)).astype(np.uint8)


def test_predictions_are_the_probabilities_of_the_network(workdir):
    images, found = some_images(259), {}
    for which, given in (('best', {}), ('last', {'which': 'last'})):
        opened = trained.load_trained(workdir, **given)
        found[which] = opened.predict(images)
        mean, std = (np.array(opened.meta[name]) for name in ('mean', 'std'))
        logits = network.Network(PLAN).apply(
            opened.variables, jnp.asarray((images / 255 - mean) / std, jnp.float32)
        )
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found[which], expected, atol=1e-5)
        assert found[which].shape == (259, 3) and found[which].dtype == np.float32
        assert (opened.classes, opened.architecture) == (('a', 'b', 'c'), ARCHITECTURE)
    assert np.abs(found['best'] - found['last']).max() > 1e-3


def test_any_number_of_images_is_predicted_without_compiling_for_each(workdir):
    opened, images = trained.load_trained(workdir), some_images(16)
    whole = opened.predict(images)
    trained._predictor.cache_clear()
    for number in (9, 10, 13, 16):
        np.testing.assert_allclose(opened.predict(images[:number]), whole[:number], atol=1e-6)
    assert trained._predictor(PLAN)._cache_size() == 1
    assert opened.predict(images[:0]).shape == (0, 3)
    np.testing.assert_allclose(opened.predict(jnp.asarray(images[:1])), whole[:1], atol=1e-6)


@pytest.mark.parametrize(
    'images, named',
    [
        (some_images(2) / 255, 'are of the type float64; accepted: .B, 4, 4, 1. uint8'),
        (some_images(2).astype(np.int32), 'are of the type int32; accepted: .*values 0 to 255'),
        (some_images(2)[:, :3], r'have the shape \[2, 3, 4, 1\]; accepted: \[B, 4, 4, 1\]'),
        (some_images(2)[0], r'have the shape \[4, 4, 1\]'),
        (np.repeat(some_images(2), 3, axis=-1), r'have the shape \[2, 4, 4, 3\]'),
    ],
)
def test_images_that_the_network_does_not_take_are_refused(workdir, images, named):
    with pytest.raises(ValueError, match=named) as caught:
        trained.load_trained(workdir).predict(images)
    assert '\n' not in str(caught.value)


def flip(path):
    """Changes a byte in the largest file of a folder."""
    file = max(
        (file for file in path.rglob('*') if file.is_file()), key=lambda file: file.stat().st_size
    )
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(bytes(content))


def change(workdir, **values):
    """Other values in network.json."""
    path = workdir / 'network.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    'damage, named',
    [
        (lambda d: (d / 'network.json').unlink(), 'network.json does not exist'),
        (lambda d: (d / 'network.json').write_text('{'), 'network.json is damaged'),
        (lambda d: (d / 'network.json').write_text('[]'), 'network.json is damaged'),
        (lambda d: change(d, classes=['a']), 'network.json is damaged .* classes are 1, but the'),
        (lambda d: change(d, mean=None), 'network.json is damaged'),
        (lambda d: change(d, preparation={}), "network.json is damaged .*: 'share'"),
        (
            lambda d: (d / 'network.json').write_text(
                '{"name": "x", "cell": null, "skeleton": null, "network": 3}'
            ),
            'network.json is damaged',
        ),
        (lambda d: (d / 'best').rename(d / 'moved'), 'best holds no checkpoint'),
        (
            lambda d: [flip(file) for file in (d / 'best').glob('2/*') if file.is_dir()],
            'best are damaged',
        ),
    ],
)
def test_what_is_missing_or_damaged_is_named(workdir, damage, named):
    damage(workdir)
    with pytest.raises(ValueError, match=named) as caught:
        trained.load_trained(workdir)
    assert '\n' not in str(caught.value)


def test_which_is_best_or_last(workdir):
    with pytest.raises(ValueError, match="'first'; accepted: best, last"):
        trained.load_trained(workdir, which='first')


@pytest.mark.parametrize(
    'architecture',
    [
        ARCHITECTURE,
        Architecture('densenet', network='densenet-bc-100-12'),
        Architecture('panacea', zoo.CELLS['dpp-net-panacea'], imagenet, 'dpp-net-panacea-imagenet'),
    ],
)
def test_an_architecture_is_written_down_and_built_again(architecture):
    record = json.loads(json.dumps(architecture.as_dict()))
    again = Architecture.from_dict(record)
    assert again == architecture and again.plan == architecture.plan
    if architecture.network:
        assert again.plan == zoo.NETWORKS[architecture.network].plan()
        assert again.input == zoo.NETWORKS[architecture.network].input


def test_the_classes_follow_the_data_where_they_can():
    cell = Cell.parse('bn-conv3x3')
    architecture = Architecture('x', cell, cifar10, 'dpp-net-panacea')
    assert architecture.for_classes(10) is architecture
    changed = architecture.for_classes(7)
    assert changed.plan == build(cell, Skeleton(classes=7)) and changed.network is None
    with pytest.raises(
        ValueError, match='--network=densenet-121 is defined for 1000 classes.*has 10'
    ):
        Architecture('x', network='densenet-121').for_classes(10)


@pytest.mark.parametrize(
    'given, named',
    [({'network': 'vgg'}, 'vgg'), ({}, 'None is unknown'), ({'cell': CELL}, 'go together')],
)
def test_an_architecture_is_a_cell_or_a_network(given, named):
    with pytest.raises(ValueError, match=named):
        Architecture('x', **given)
