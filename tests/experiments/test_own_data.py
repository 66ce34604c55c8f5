"""People's own photographs from a folder to a file that runs elsewhere, as the README says."""

import json

import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

import nas
from experiments import nas_flags, nas_main

# What makes the commands of the README short enough for a test.
SHORT = ('--compilation_cache=', '--epochs=2', '--batch_size=16', '--crop=2')
SEARCH = (
    '--objectives=error,params',
    '--budget=2',
    *('--keep=1', '--batch=1', '--fewest=1', '--levels=2', '--stages=1,1', '--growth=4,8'),
)
COLOURS = {'apples': (200, 60, 50), 'pears': (60, 190, 60), 'plums': (60, 70, 190)}


def photographs(root, per_class=9):
    """JPEGs of odd sizes in folders of folders; their colour is their class."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(per_class):
            height, width = rng.integers(40, 130, 2)
            pixels = np.array(colour) + rng.normal(0, 25, (height, width, 3))
            path = root / name / f'visit {number % 2}' / f'{number}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return root


def command(*arguments):
    """Runs `nas-search` in this process."""
    values = absl_flags.FlagValues()
    nas_flags.define(values)
    values(['nas-search', *arguments])
    assert nas_main.main(values) == 0


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """The folder in which the documented commands ran."""
    root = tmp_path_factory.mktemp('own')
    photos = photographs(root / 'my photos: 2026')
    command(f'--dataset=folder:{photos}', f'--workdir={root}/search', *SEARCH, *SHORT)
    found = f'--from_search={root}/search:0'
    command('--mode=train', found, f'--workdir={root}/trained', '--holdout=0.2', *SHORT)
    command(
        *('--mode=export', f'--checkpoint={root}/trained', '--format=onnx', '--pixels=uint8'),
        f'--workdir={root}/exported',
    )
    return root


@pytest.mark.slow
def test_the_search_fits_the_photographs(done):
    record = json.loads((done / 'search/run.json').read_text())
    on = record['skeleton']
    assert (on['size'], on['channels'], on['classes'], on['stem_stride']) == (64, 3, 3, 2)
    lines = (done / 'search/evaluations.jsonl').read_text().splitlines()
    assert [json.loads(line)['status'] for line in lines] == ['ok', 'ok']


@pytest.mark.slow
def test_the_training_goes_on_with_data_and_skeleton_of_the_search(done):
    trained = nas.load_trained(done / 'trained')
    assert trained.classes == tuple(COLOURS)
    assert trained.architecture.input == (64, 3, 3)
    assert 'my photos: 2026' in trained.meta['data']


@pytest.mark.slow
def test_the_file_runs_in_onnx_runtime_on_a_photograph(done):
    runtime = pytest.importorskip('onnxruntime')
    trained = nas.load_trained(done / 'trained')
    photos = sorted((done / 'my photos: 2026').glob('*/*/*.jpg'))[::9]
    images = trained.read(*photos)
    assert images.shape == (3, 64, 64, 3) and images.dtype == np.uint8
    session = runtime.InferenceSession(str(done / 'exported/model.onnx'))
    (logits,) = session.run(None, {session.get_inputs()[0].name: images})
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = trained.predict(images)
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), expected, atol=1e-3)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts['classes']) == list(COLOURS)
    assert 'middle square resized to 64 x 64' in facts['preprocessing']


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda root: [p.unlink() for p in root.rglob('*.jpg')], 'holds no images'),
        (lambda root: (root / 'apples/bad.jpg').write_bytes(b'x'), 'bad.jpg cannot be read'),
        (lambda root: (root / 'figs').mkdir(), 'class folder figs holds no images'),
    ],
)
def test_what_is_wrong_with_photographs_is_said_before_the_work(tmp_path, change, message):
    change(photographs(tmp_path / 'photos', per_class=3))
    with pytest.raises(ValueError, match=message):
        command(f'--dataset=folder:{tmp_path}/photos', f'--workdir={tmp_path}/run', *SEARCH)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'flags, message',
    [
        (('--image_size=8', '--stages=1,1,1'), 'stages would have 8, 4, 2 pixels'),
        (('--growth=6,6',), "skeleton 'images stages 1-1 growth 6-6'.* multiples of 4"),
        (('--classes=5',), '--classes=5, but --dataset=.* has 3 classes'),
        (('--skeleton=imagenet', '--image_size=28'), '28 pixels cannot be halved'),
    ],
)
def test_sizes_that_do_not_fit_are_said_before_the_work(tmp_path, flags, message):
    photographs(tmp_path / 'photos', per_class=3)
    given = [flag for flag in SEARCH if flag.split('=')[0] not in str(flags)]
    given = given if 'imagenet' not in str(flags) else given[:-2]
    with pytest.raises(ValueError, match=message):
        command(f'--dataset=folder:{tmp_path}/photos', f'--workdir={tmp_path}/run', *given, *flags)
    assert not (tmp_path / 'run').exists()


def test_two_images_a_class_leave_none_to_hold_out(tmp_path):
    photographs(tmp_path / 'photos', per_class=2)
    with pytest.raises(ValueError, match='--validation_share=0.1: photos train: .* leaves nothing'):
        command(f'--dataset=folder:{tmp_path}/photos', f'--workdir={tmp_path}/run', *SEARCH)
    assert not (tmp_path / 'run').exists()
