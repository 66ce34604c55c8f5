"""`nas-search --mode=cost` as a user runs it."""

import json
import pathlib
import subprocess
import sys

import pytest

from experiments import nas_main

ROOT = pathlib.Path(__file__).parents[2]
PANACEA = 'bn-lgconv1x1-bn_relu-gconv3x3'


def nas_search(*arguments, cwd=ROOT):
    command = (
        'import sys; sys.path.insert(0, sys.argv.pop(1)); from experiments import nas_main; '
        'nas_main.run()'
    )
    return subprocess.run(
        [sys.executable, '-c', command, str(ROOT), *arguments],
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (
            ('--mode=cost', '--network=condensenet-86'),
            ('condensenet-86', 520202, 65816394, 62381888),
        ),
        ((f'--cell={PANACEA}', '--skeleton=imagenet'), (PANACEA, 4773944, 522730120, 516640576)),
    ],
)
def test_one_json_line(arguments, expected, tmp_path):
    done = nas_search(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.count('\n') == 1
    assert json.loads(done.stdout) == dict(zip(('name', 'params', 'flops', 'macs'), expected))
    assert not list(tmp_path.iterdir())


def test_counting_needs_no_jax():
    command = (
        'import sys; sys.path.insert(0, sys.argv[1]); from experiments import nas_main; '
        'nas_main.cost_of(None, "mobilenetv2", None); sys.exit("jax" in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', command, str(ROOT)], check=False).returncode == 0


@pytest.mark.parametrize(
    'arguments, named',
    [
        (('--cell=bn-foo',), 'foo'),
        (('--cell=bn-conv1x1', '--network=condensenet-86'), 'both'),
        (('--mode=train',), 'train'),
    ],
)
def test_bad_input_is_one_sentence(arguments, named):
    done = nas_search(*arguments)
    assert done.returncode != 0 and done.stdout == ''
    assert named in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    'cell, network, skeleton, named',
    [
        (None, None, None, 'neither'),
        ('', None, None, 'empty'),
        ('none-dwconv3x3', None, None, 'dwconv3x3'),
        (None, 'vgg', None, 'vgg'),
        ('bn-conv1x1', None, 'mars', 'mars'),
        (None, 'mobilenetv2', 'cifar10', 'mobilenetv2'),
    ],
)
def test_what_cannot_be_counted_is_named(cell, network, skeleton, named):
    with pytest.raises(ValueError, match=named) as caught:
        nas_main.cost_of(cell, network, skeleton)
    assert '\n' not in str(caught.value)


def test_cells_go_by_their_published_names_too():
    assert nas_main.cost_of('dpp-net-panacea', None, None) == nas_main.cost_of(
        PANACEA, None, 'cifar10'
    )


def test_table_shows_counts_beside_published_figures():
    rows = [line.split() for line in nas_main.cost_table().splitlines()]
    table = {row[0]: row[1:] for row in rows}
    assert table['condensenet-86'] == ['520,202', '65,816,394', '62,381,888', '0.52M', '65.8M']
    assert len(table) == len(rows) >= 24
