"""The published tables beside our figures: no printed figure is taken for ours, none is lost."""

import csv
import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest

from experiments.benchmarks.search import latency, paper_tables
from experiments.benchmarks.search import trainings as trainings_lib
from nas.cells import choice, published, skeleton, zoo
from nas.cells.architecture import Architecture
from nas.devices.base import Measurement
from nas.training.recipe import RecipeConfig

ROOT = pathlib.Path(__file__).parents[4]


def _trained(
    folder, architecture, error, *, data='cifar10:x.tar', epochs=15, note='JPEG re-encoded'
):
    """A workdir with the train.json of a training that ended with an error."""
    folder.mkdir()
    facts = {
        **architecture.as_dict(),
        'data': data,
        'note': note,
        'epochs': epochs,
        'train_images': 45000,
        'held_out_images': 5000,
        'test': {'loss': 1.0, 'error': error, 'top5_error': error / 10},
        'recipe': dataclasses.asdict(RecipeConfig(epochs=epochs)),
    }
    (folder / 'train.json').write_text(json.dumps(facts))
    return folder


def _run(folder, *arguments):
    """The program as a user starts it, writing to `out` in a folder."""
    program = ROOT / 'experiments' / 'benchmarks' / 'search' / 'paper_tables.py'
    return subprocess.run(
        [
            sys.executable,
            str(program),
            '--compilation_cache=',
            '--measurement_cache=',
            '--output=out',
            *arguments,
        ],
        text=True,
        capture_output=True,
        check=False,
        cwd=folder,
    )


def _rows(table):
    """Rows as dicts by column."""
    header, *rows = table
    return [dict(zip(header, row, strict=True)) for row in rows]


def _figures(table, trainings, latencies=None):
    plans = paper_tables.networks_of(table, trainings)
    found = {
        'here': {
            name: (
                [Measurement((latencies or {})[name], memory_mb=7.25)]
                if name in (latencies or {})
                else []
            )
            for name in plans
        }
    }
    return latency.summarise(plans, found)


def test_printed_counts_agree_with_those_beside_the_networks():
    rows = [row for row in published.CIFAR10 + published.IMAGENET if row.network]
    assert len(rows) == 13 and len(published.CIFAR10) == 7
    for row in rows:
        known = zoo.NETWORKS[row.network].published
        assert [ours for printed, ours in zip((row.params, row.flops), known) if printed] == [
            printed for printed in (row.params, row.flops) if printed
        ], row.model
    panacea = published.CIFAR10[-1]
    assert (panacea.model, panacea.error, panacea.phone, panacea.phone_memory) == (
        'DPP-Net-Panacea',
        '4.58',
        '0.149',
        '104',
    )


def test_our_rows_hold_our_figures_alone_and_stand_below_the_published_ones():
    table = paper_tables.make_table(
        'cifar10', _figures('cifar10', [], {'condensenet-86': 12.345}), [], ['here']
    )
    rows = _rows(table)
    place = [row['network'] for row in rows].index('CondenseNet-86')
    theirs, ours = rows[place : place + 2]
    assert theirs['figures'] == 'published, DPP-Net (Dong et al. 2018)'
    assert (theirs['error %'], theirs['params'], theirs['phone s'], theirs['here ms']) == (
        '5.0',
        '0.52M',
        '0.149',
        '-',
    )
    assert ours == {
        'network': 'condensenet-86',
        'figures': 'ours',
        'error %': '-',
        'params': '520,202',
        'FLOPs': '65,816,394',
        'workstation s': '-',
        'embedded s': '-',
        'phone s': '-',
        'phone MB': '-',
        'here ms': '12.35',
        'here MB': '7.2',
        'training': '-',
    }
    mine = [row for row in rows if row['figures'] == 'ours']
    expected = {name for name, network in zoo.NETWORKS.items() if network.input == (32, 3, 10)}
    assert {row['network'] for row in mine} == expected and len(rows) == len(expected) + 7
    for row in mine:
        assert row['error %'] == row['training'] == row['phone s'] == '-'
        assert (row['here ms'] == '-') == (row['network'] != 'condensenet-86')


def test_imagenet_has_both_errors_and_a_row_for_what_is_not_ours():
    rows = _rows(paper_tables.make_table('imagenet', _figures('imagenet', []), [], []))
    by_name = {row['network']: row for row in rows}
    assert by_name['NASNet-A (mobile)']['top-5 error %'] == '8.4'
    assert by_name['DPP-Net-Panacea']['top-5 error %'] == '8.21'
    assert by_name['condensenet-74-imagenet']['FLOPs'] == '529,328,264'
    assert by_name['condensenet-74-imagenet']['top-5 error %'] == '-'
    assert by_name['densenet-121']['figures'] == 'ours' and by_name['DenseNet-121']['params'] == '-'


def test_trainings_join_the_row_of_their_network_and_reduced_ones_have_their_own(tmp_path):
    whole = choice.choose(None, 'dpp-net-panacea', None)
    # The same network under the name of its cell, as --from_search has it.
    as_cell = Architecture(
        'found', zoo.CELLS['dpp-net-panacea'], dataclasses.replace(skeleton.cifar10, name='other')
    )
    reduced = choice.choose(None, 'dpp-net-panacea', None, choice.Sizes((4, 4, 4), (4, 8, 16)))
    folders = [
        _trained(tmp_path / 'a', whole, 4.0),
        _trained(tmp_path / 'b', as_cell, 6.0),
        _trained(tmp_path / 'c', whole, 9.0, epochs=3),
        _trained(tmp_path / 'd', reduced, 30.0),
    ]
    trainings = [trainings_lib.read_training(folder) for folder in folders]
    rows = _rows(paper_tables.make_table('cifar10', _figures('cifar10', trainings), trainings, []))
    several, short = [row for row in rows if row['network'] == 'dpp-net-panacea']
    # Sample standard deviation of 4 and 6: sqrt(2).
    assert several['error %'] == '5.00 ± 1.41' and several['params'] == '520,202'
    assert (
        several['training']
        == '15 epochs of 45,000 images, batch 64, rate 0.1, float32, 5,000 images '
        'held out, 2 seeds (JPEG re-encoded)'
    )
    assert short['error %'] == '9.00' and short['training'].startswith('3 epochs')
    (own,) = [row for row in rows if 'stages 4-4-4' in row['network']]
    assert own['network'] == 'dpp-net-panacea on cifar10 stages 4-4-4 growth 4-8-16'
    assert own['error %'] == '30.00' and own['params'] != '520,202' and rows[-1] == own
    imagenet = paper_tables.make_table('imagenet', _figures('imagenet', trainings), trainings, [])
    assert not any('±' in cell for row in imagenet for cell in row)


def test_unusable_workdirs_are_named(tmp_path):
    whole = choice.choose(None, 'condensenet-86', None)
    with pytest.raises(
        ValueError, match=r'none/train.json does not exist; the workdir of a finished'
    ):
        trainings_lib.read_training(tmp_path / 'none')
    digits = _trained(tmp_path / 'digits', whole, 1.0, data='digits')
    assert trainings_lib.read_training(digits).table is None
    imagenet = _trained(
        tmp_path / 'folder',
        choice.choose(None, 'dpp-net-panacea', 'imagenet'),
        26.0,
        data='folder:x',
    )
    assert trainings_lib.read_training(imagenet).table == 'imagenet'
    assert trainings_lib.read_training(imagenet).label == 'dpp-net-panacea-imagenet'
    for text in ('{"name": "x"', '{"name": "x"}', '[]'):
        (digits / 'train.json').write_text(text)
        with pytest.raises(ValueError, match='digits/train.json is damaged or not of this version'):
            trainings_lib.read_training(digits)


def test_one_command_writes_both_tables(tmp_path):
    workdir = _trained(tmp_path / 'run', choice.choose(None, 'condensenet-86', None), 5.25)
    done = _run(
        tmp_path, '--device=profile:workstation', '--device=profile:phone', f'--trained={workdir}'
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / 'out'
    assert {path.name for path in folder.iterdir()} == {
        'cifar10.md',
        'cifar10.csv',
        'imagenet.md',
        'imagenet.csv',
    }
    pages = [(folder / name).read_text() for name in ('cifar10.md', 'imagenet.md')]
    assert done.stdout == ''.join(page + '\n' for page in pages)
    assert '- profile:phone: estimated, ' in pages[0] and 'profile:phone' not in pages[1]
    header, *rows = csv.reader((folder / 'cifar10.csv').open())
    ours = {row[0]: dict(zip(header, row)) for row in rows if row[1] == 'ours'}
    assert (
        ours['condensenet-86']['params'] == '520202' and ours['condensenet-86']['error %'] == '5.25'
    )
    assert all(float(row['profile:phone MB']) > 0 for row in ours.values())


@pytest.mark.parametrize(
    'flag, message',
    [
        ('--measure=cifar', "--measure has 'cifar'; accepted: cifar10, imagenet"),
        ('--trained=digits', "--trained=digits was trained on 'digits'; accepted: CIFAR-10"),
    ],
)
def test_nothing_is_written_for_unusable_flags(tmp_path, flag, message):
    _trained(tmp_path / 'digits', choice.choose(None, 'condensenet-86', None), 1.0, data='digits')
    done = _run(tmp_path, '--device=profile:phone', flag)
    assert done.returncode == 1 and message in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'out').exists()
