"""Whole trainings, on a network that trains in seconds."""

import contextlib
import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from common import options
from nas.cells import plan
from nas.cells.cell import Cell
from nas.cells.cost import count
from nas.cells.skeleton import SKELETONS, Skeleton
from nas.search.earlier.found import found_cell
from nas.search.evaluations import Evaluation, append_record, to_record
from nas.training import session, train_job, trained
from nas.training.config import TrainConfig

SMALL = {'skeleton': 'digits', 'stages': (1,), 'growth': (4,), 'cell': 'bn_relu-lgconv1x1'}
RECIPE = {'epochs': 3, 'batch_size': 64, 'crop': 1, 'mirror': False}


def config_of(**values):
    """A training with options by name, in whichever part they are."""
    return options.make(TrainConfig, values)


def train(workdir, **values):
    """Trains in this process; returns what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train_job.train(config_of(**values), workdir)
    return printed.getvalue()


def architecture(**values):
    return train_job.choose_architecture(config_of(**values))


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A training on the digits: (folder, what was printed)."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    return folder, train(folder, **SMALL, **RECIPE, measure_input=True)


def test_a_training_leaves_everything_behind(whole):
    folder, printed = whole
    facts = json.loads((folder / 'train.json').read_text())
    assert {
        'network.json',
        'metrics.jsonl',
        'flags.txt',
        'run.json',
        'report.html',
        'checkpoints',
        'best',
    } <= {path.name for path in folder.iterdir()}
    assert any(path.name.startswith('events.out.tfevents') for path in folder.iterdir())
    skeleton = Skeleton(name='x', size=8, channels=1, stages=(1,), growth=(4,), stem=8)
    layers = plan.build(Cell.parse('bn_relu-lgconv1x1'), skeleton)
    assert trained.load_trained(folder).plan == layers
    assert (facts['params'], facts['flops'], facts['macs']) == tuple(count(layers))
    # 1438 training images, a tenth of each class held out.
    assert (facts['train_images'], facts['held_out_images'], facts['test_images']) == (
        1295,
        143,
        359,
    )
    assert (facts['epochs'], facts['steps'], facts['recipe']['epochs']) == (
        3,
        -(-3 * 1295 // 64),
        3,
    )
    assert facts['test']['top5_error'] < facts['test']['error'] < 90 and facts['seconds'] > 0
    assert facts['best']['held_out_error'] <= facts['held_out_error']
    assert set(facts['best']['test']) == set(facts['test']) == {'loss', 'error', 'top5_error'}
    assert 0 <= facts['input_wait'] <= 1 and facts['step_ms'] > 0
    assert 'digits are 1,797 images' in facts['note'] and facts['note'] in printed
    assert f'last (epoch 3): held-out error {facts["held_out_error"]:.2f} %, test error' in printed
    assert (
        f'best (epoch {facts["best"]["epoch"]})' in printed
        and str(folder) in printed.splitlines()[-1]
    )
    assert 'train 61/61' in printed and 'images/s' in printed
    assert len((folder / 'metrics.jsonl').read_text().splitlines()) == 3


def test_the_same_configuration_again_has_nothing_to_do(whole, capsys):
    before = (whole[0] / 'train.json').read_bytes()
    text = (whole[0] / 'flags.txt').read_text()
    assert '--mode=train\n' in text and f'--workdir={whole[0]}\n' in text
    config = options.from_flagfile(TrainConfig, text)
    given = config_of(**SMALL, **RECIPE, measure_input=True)
    assert config == train_job.with_dataset(given)
    found = train_job.train(config, whole[0])
    printed = capsys.readouterr().out
    assert printed.count('\n') == 1 and 'has ended' in printed
    assert (whole[0] / 'train.json').read_bytes() == before
    best = json.loads(before)['best']
    assert (found.step, found.architecture.cell) == (best['step'], Cell.parse(SMALL['cell']))


@pytest.mark.parametrize(
    'values, named',
    [
        ({'cell': 'bn_relu-conv1x1'}, '--cell=bn_relu-lgconv1x1, not --cell=bn_relu-conv1x1'),
        ({'epochs': 4}, '--epochs=3, not --epochs=4'),
        ({'growth': (8,)}, '--growth=4, not --growth=8'),
        ({'holdout': 0.0}, '--holdout'),
        ({'dtype': 'bfloat16'}, '--dtype=float32, not --dtype=bfloat16'),
    ],
)
def test_another_training_in_the_same_place_is_refused(whole, values, named):
    with pytest.raises(ValueError, match=f'holds a training with .*{named}') as caught:
        train(whole[0], **SMALL | RECIPE | values)
    assert '\n' not in str(caught.value)


def test_the_workdir_of_a_search_is_refused(search):
    with pytest.raises(ValueError, match='holds a run with --mode=search, not --mode=train'):
        train(search, **SMALL)


def test_other_data_under_the_same_name_is_refused(whole, tmp_path):
    folder = tmp_path / 'copy'
    shutil.copytree(whole[0], folder)
    (folder / 'train.json').unlink()
    meta = json.loads((folder / 'network.json').read_text())
    (folder / 'network.json').write_text(json.dumps(meta | {'mean': [0.5]}))
    with pytest.raises(ValueError, match='another mean in network.json'):
        train(folder, **SMALL, **RECIPE)


def test_classes_follow_the_images_and_no_test_folder_is_said(tmp_path):
    for name, level in (('dark', 10), ('grey', 120), ('light', 240)):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for number in range(10):
            pixels = np.random.default_rng(number).integers(0, 20, (12, 10, 3)) + level - 10
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                tmp_path / 'images' / name / f'{number}.png'
            )
    printed = train(
        tmp_path / 'run',
        **SMALL,
        epochs=1,
        batch_size=8,
        holdout=0.0,
        dataset=f'folder:{tmp_path}/images',
    )
    assert 'images has no test folder, so a fixed fifth of each class is the test split' in printed
    opened = trained.load_trained(tmp_path / 'run')
    assert opened.classes == ('dark', 'grey', 'light') and opened.plan[-1].out_channels == 3
    facts = json.loads((tmp_path / 'run' / 'train.json').read_text())
    assert facts['held_out_error'] is None and facts['best']['step'] == facts['steps'] == 3
    assert (facts['train_images'], facts['held_out_images'], facts['test_images']) == (24, 0, 6)


@pytest.fixture
def search(tmp_path):
    """The workdir of a search that has ended."""
    folder = tmp_path / 'search'
    folder.mkdir()
    (folder / 'flags.txt').write_text('--skeleton=tiny\n--growth=8,8\n--budget=3\n')
    cells = ['bn-conv3x3', 'bn-lgconv1x1', 'none-conv1x1']
    for index, (cell, status) in enumerate(zip(cells, ('ok', 'failed', 'ok'))):
        values = {'error': 1.0} if status == 'ok' else {}
        append_record(
            folder / 'evaluations.jsonl',
            to_record(index, Evaluation(Cell.parse(cell), 2, values, status, 'no luck')),
        )
    chosen = {'most accurate': {'cell': cells[2]}, 'balanced': {'cell': cells[0]}}
    (folder / 'search.json').write_text(json.dumps({'chosen': chosen}))
    return folder


@pytest.mark.parametrize(
    'which, cell',
    [
        ('0', 'bn-conv3x3'),
        ('2', 'none-conv1x1'),
        ('balanced', 'bn-conv3x3'),
        ('most_accurate', 'none-conv1x1'),
    ],
)
def test_a_found_cell_stands_on_the_skeleton_of_its_search(search, which, cell):
    found = architecture(from_search=f'{search}:{which}')
    expected = Skeleton(name='x', size=8, stages=(1, 1), growth=(8, 8), stem=16)
    assert str(found.cell) == found.name == cell and found.plan == plan.build(
        Cell.parse(cell), expected
    )


def test_a_training_takes_data_and_skeleton_of_its_search(search):
    config = options.make(TrainConfig, {'from_search': f'{search}:0'})
    assert train_job.with_dataset(config).dataset == 'digits'
    with open(search / 'flags.txt', 'a') as file:
        file.write('--dataset=folder:/my photos\n')
    assert train_job.with_dataset(config).dataset == 'folder:/my photos'
    given = dataclasses.replace(config, dataset='digits')
    assert train_job.with_dataset(given) is given
    assert train_job.with_dataset(TrainConfig(cell='bn-conv3x3')).dataset == 'digits'
    # What the data made of the skeleton stands in run.json.
    on = Skeleton(name='images', size=64, classes=3, stages=(1,), growth=(8,), stem_stride=2)
    (search / 'run.json').write_text(json.dumps({'skeleton': dataclasses.asdict(on)}))
    assert architecture(from_search=f'{search}:0').skeleton == on
    (search / 'run.json').write_text(json.dumps({'skeleton': {'size': 0}}))
    with pytest.raises(ValueError, match='skeleton in run.json of .*search is damaged'):
        architecture(from_search=f'{search}:0')


def test_a_cell_of_another_task_is_not_trained_as_a_classifier(search):
    with open(search / 'flags.txt', 'a') as file:
        file.write('--task=depth\n')
    with pytest.raises(ValueError, match='search with --task=depth, whose cells --mode=train does'):
        architecture(from_search=f'{search}:balanced')


def test_a_found_cell_goes_to_another_skeleton_if_told_so(search):
    text, cell = f'{search}:0', Cell.parse('bn-conv3x3')
    named = architecture(from_search=text, skeleton='cifar10')
    assert named.skeleton == SKELETONS['cifar10']
    found = architecture(from_search=text, stages=(2, 2))
    assert found.plan == plan.build(cell, Skeleton(size=8, stages=(2, 2), growth=(8, 8), stem=16))


@pytest.mark.parametrize(
    'which, named',
    [
        ('7', 'has the evaluations 0 to 2'),
        ('1', 'bn-lgconv1x1 failed: no luck'),
        ('fastest', "names no 'fastest'; accepted: an index, or most_accurate, balanced"),
        ('', 'names no cell'),
    ],
)
def test_what_a_search_has_not_is_named(search, which, named):
    with pytest.raises(ValueError, match=named) as caught:
        architecture(from_search=f'{search}:{which}')
    assert f'--from_search={search}:{which}' in str(caught.value)


def test_searches_that_give_nothing_are_named(search, tmp_path):
    with pytest.raises(ValueError, match='evaluations.jsonl holds no evaluations'):
        found_cell(f'{tmp_path}/nothing:0')
    (search / 'search.json').write_text('{"chosen": 3}')
    with pytest.raises(ValueError, match='search.json is damaged'):
        found_cell(f'{search}:balanced')
    (search / 'search.json').unlink()
    with pytest.raises(ValueError, match='has to end first'):
        found_cell(f'{search}:balanced')
    (search / 'flags.txt').write_text('--benchmark=nas_bench_201\n')
    with pytest.raises(ValueError, match='a search of the table nas_bench_201'):
        architecture(from_search=f'{search}:0')
    (search / 'flags.txt').write_text('--budget=many\n')
    with pytest.raises(ValueError, match='flags.txt is not of this version: --budget=many'):
        architecture(from_search=f'{search}:0')


CONV = {'cell': 'bn-conv3x3'}


@pytest.mark.parametrize(
    'values, named',
    [
        ({}, 'exactly one of --cell, --network and --from_search, not none'),
        (CONV | {'network': 'condensenet-86'}, 'not --cell and --network'),
        ({'network': 'vgg'}, '--network=vgg is unknown'),
        (CONV | {'skeleton': 'mars'}, '--skeleton=mars is unknown'),
        (CONV | {'stages': (2, 2)}, r'stages \(2, 2\) and growth \(8, 16, 32\)'),
        (
            {'network': 'densenet-bc-100-12', 'growth': (4, 4, 4)},
            '--network=densenet-bc-100-12 has none',
        ),
        (SMALL | {'batch_size': 30}, 'batch_size is 30.*multiple of the 4 devices'),
        (SMALL | {'holdout': 0.0001}, '--holdout=0.0001'),
        (SMALL | {'holdout': 1.0}, 'holdout is 1.0, it has to be at most 0.9'),
        (SMALL | {'checkpoint_epochs': 0}, 'checkpoint_epochs is 0'),
        (SMALL | {'dataset': 'folder:nowhere'}, 'nowhere does not exist'),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(values, named, tmp_path):
    workdir = tmp_path / 'run'
    with pytest.raises(ValueError, match=named) as caught:
        train(workdir, **values)
    assert '\n' not in str(caught.value) and not workdir.exists()


def test_a_workdir_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError) as caught:
        train(tmp_path / 'file' / 'run', **SMALL)
    assert (
        str(caught.value)
        == f'workdir {tmp_path}/file/run cannot be written: {tmp_path}/file is a file'
    )
    assert (tmp_path / 'file').read_text() == 'mine'


@pytest.mark.parametrize('workdir', [None, ''])
def test_no_workdir(workdir):
    with pytest.raises(ValueError, match='--workdir has to name'):
        train(workdir, **CONV)


def test_a_loss_that_explodes_ends_in_a_sentence(whole, tmp_path):
    def explode(*unused_given, **unused_options):
        raise FloatingPointError('loss is not finite at step 7')

    with pytest.MonkeyPatch.context() as patch, pytest.raises(ValueError) as caught:
        patch.setattr(session, 'train_in', explode)
        train(tmp_path / 'run', **SMALL, **RECIPE)
    assert str(caught.value).startswith(
        'loss is not finite at step 7; try a lower --learning_rate than 0.1'
    )
