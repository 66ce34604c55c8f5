"""The check of device-aware search: cells x devices, and the fastest of cells of equal error."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest

from experiments.benchmarks.search import device_aware
from experiments.benchmarks.search import searches as searches_lib
from experiments.benchmarks.search.searches import Found
from nas.cells import choice, skeleton
from nas.training.recipe import RecipeConfig

ROOT = pathlib.Path(__file__).parents[4]
SLIM, WIDE, PLAIN = 'bn_relu-dwconv3x3-none-conv1x1', 'bn-conv3x3-bn_relu-conv3x3', 'none-conv3x3'


def _row(cell, error, params, here, there):
    return {
        'network': cell,
        'params': params,
        'flops': 10 * params,
        'memory_mb': {'here': 1, 'there': None},
        'latency_ms': {'here': here, 'there': there},
        'error': error,
    }


def _found(device, errors, chosen):
    return Found(device, device, f'{device} 1.0', skeleton.digits, errors, chosen, {'epochs': 10})


@pytest.fixture
def searches():
    return [
        _found('here', {'a': 10.0, 'b': 11.0, 'e': 30.0}, {'most accurate': 'a', 'fastest': 'e'}),
        _found('there', {'c': 10.5, 'd': 12.0, 'b': 13.0}, {'most accurate': 'c', 'balanced': 'd'}),
    ]


def _rows(searches, changes=()):
    figures = {
        cell: _row(cell, 0, 100 + i, here, there)
        for i, (cell, here, there) in enumerate(
            [('a', 5.0, 9.0), ('b', 4.0, 7.0), ('c', 8.0, 3.0), ('d', 4.2, 6.0), ('e', 1.0, None)]
        )
    }
    for cell, device, value in changes:
        figures[cell]['latency_ms'][device] = value
    return device_aware.make_rows(searches, figures)


def _verdicts(searches, rows, **options):
    checks = device_aware.check_choices(rows, searches, **options)
    return {
        (check['device'], check['role']): (check['fastest'], check['verdict']) for check in checks
    }


def test_cells_by_devices_hold_every_cell_once(searches):
    rows = {row['cell']: row for row in _rows(searches)}
    assert list(rows) == ['a', 'c', 'b', 'd', 'e']
    # Found by both, with the errors 11 and 13.
    assert (rows['b']['error'], rows['b']['found_by'], rows['b']['roles']) == (
        12.0,
        ['here', 'there'],
        {},
    )
    assert rows['a']['roles'] == {'here': ['most accurate']}
    assert rows['e']['latency_ms'] == {'here': 1.0, 'there': None}


def test_a_chosen_cell_is_compared_with_cells_of_equal_error_on_its_device(searches):
    rows = _rows(searches)
    narrow = _verdicts(searches, rows, tolerance=0.5, latency_tolerance=0)
    alone = 'no other cell of equal error'
    assert narrow == {
        ('here', 'most accurate'): ('a', 'yes'),
        ('here', 'fastest'): ('e', alone),
        ('there', 'most accurate'): ('c', 'yes'),
        ('there', 'balanced'): ('d', 'yes'),
    }
    # Within 2 points b of the same search is faster here than a; there, c than d.
    wide = _verdicts(searches, rows, tolerance=2, latency_tolerance=0)
    assert wide['here', 'most accurate'] == ('b', 'no, another cell of its search')
    assert wide['there', 'balanced'] == ('c', 'no, another cell of its search')
    # 4 ms against 5: equal from 25 per cent on.
    loose = _verdicts(searches, rows, tolerance=2, latency_tolerance=25)
    assert loose['here', 'most accurate'] == ('b', 'yes')
    assert _verdicts(searches, rows, tolerance=2, latency_tolerance=24.9)[
        'here', 'most accurate'
    ] == ('b', 'no, another cell of its search')


def test_a_faster_cell_of_another_search_speaks_against_the_choice(searches):
    rows = _rows(searches, [('c', 'here', 2.0), ('d', 'there', None)])
    assert _verdicts(searches, rows, tolerance=1, latency_tolerance=3) == {
        ('here', 'most accurate'): ('c', 'no, a cell of another search'),
        ('here', 'fastest'): ('e', 'no other cell of equal error'),
        ('there', 'most accurate'): ('c', 'yes'),
    }


def test_the_balanced_cell_is_nearest_to_the_best_of_everything():
    cell = lambda name, error, params, here, there: (
        _row(name, error, params, here, there) | {'cell': name}
    )
    rows = [
        cell('accurate', 20, 110, 11, 30),
        cell('middle', 24, 50, 5, None),
        cell('small', 30, 10, 1, 10),
        cell('beaten', 25, 60, 6, 10),
    ]
    # Scaled to the front the first three are (0, 1, 1), (.4, .4, .4), (1, 0, 0).
    assert device_aware.balanced_on_all(rows, ['here']) == 'middle'
    # There the middle one was not measured, and (.5, .5, .5, 0) is beaten no more.
    assert device_aware.balanced_on_all(rows, ['here', 'there']) == 'beaten'
    assert device_aware.balanced_on_all(rows[1:2], ['there']) is None


def test_searches_that_differ_in_more_than_the_device_are_refused(searches):
    searches_lib.check_comparable(searches)
    longer = dataclasses.replace(searches[1], settings={'epochs': 20})
    with pytest.raises(ValueError, match='here has --epochs=10, but there has --epochs=20'):
        searches_lib.check_comparable([searches[0], longer])
    with pytest.raises(ValueError, match='two of the searches are for the device here'):
        searches_lib.check_comparable([searches[0], searches[1], searches[0]])


def _trained(folder, cell, error, seed):
    folder.mkdir()
    architecture = choice.choose(cell, None, 'digits')
    facts = {
        **architecture.as_dict(),
        'data': 'digits',
        'note': '',
        'epochs': 10,
        'train_images': 900,
        'held_out_images': 0,
        'test': {'error': error, 'top5_error': 0},
        'seed': seed,
        'recipe': dataclasses.asdict(RecipeConfig(epochs=10)),
    }
    (folder / 'train.json').write_text(json.dumps(facts))
    return str(folder)


def test_noise_is_pooled_over_networks_trained_with_several_seeds(tmp_path):
    errors = {SLIM: (5.0, 7.0, 9.0), WIDE: (1.0, 2.0), PLAIN: (40.0,)}
    folders = [
        _trained(tmp_path / f'{cell}{i}', cell, error, i)
        for cell, several in errors.items()
        for i, error in enumerate(several)
    ]
    # Squares about the means: 8 with two degrees of freedom, 0.5 with one.
    assert device_aware.seed_noise(folders) == pytest.approx((8.5 / 3) ** 0.5)
    with pytest.raises(
        ValueError, match='--trained has to name trainings of one network with several'
    ):
        device_aware.seed_noise(folders[-1:])


def _search(folder, device, errors, chosen, *flags):
    """A workdir as a finished search leaves it."""
    folder.mkdir()
    (folder / 'flags.txt').write_text(
        '\n'.join(['--mode=search', f'--device={device}', *flags]) + '\n'
    )
    (folder / 'search.json').write_text(
        json.dumps(
            {
                'device': f'{device} (2020)',
                'front': list(errors),
                'chosen': {
                    role: {'cell': cell, 'error': errors[cell]} for role, cell in chosen.items()
                },
            }
        )
    )
    (folder / 'evaluations.jsonl').write_text(
        ''.join(
            json.dumps({'index': i, 'cell': cell, 'status': 'ok', 'objectives': {'error': error}})
            + '\n'
            for i, (cell, error) in enumerate(errors.items())
        )
    )
    return folder


def test_searches_are_read_and_named_where_they_cannot_be(tmp_path):
    folder = _search(
        tmp_path / 'a', 'xla', {SLIM: 9.0, WIDE: 3.0}, {'fastest': SLIM}, '--growth=4,8'
    )
    found = searches_lib.read_search(folder)
    assert (found.device, found.device_name, found.errors) == (
        'xla',
        'xla (2020)',
        {SLIM: 9.0, WIDE: 3.0},
    )
    assert found.skeleton.growth == (4, 8) and found.chosen == {'fastest': SLIM}
    assert found.settings['growth'] == (4, 8) and 'budget' not in found.settings
    with pytest.raises(
        ValueError, match='none/search.json does not exist; the workdir of a finished search'
    ):
        searches_lib.read_search(tmp_path / 'none')
    counted = _search(tmp_path / 'b', 'xla', {SLIM: 9.0}, {})
    (counted / 'search.json').write_text('{"device": null}')
    with pytest.raises(ValueError, match='b/search.json: the search measured on no device'):
        searches_lib.read_search(counted)
    (counted / 'search.json').write_text('{"device": "x", "front": ["other"]}')
    with pytest.raises(ValueError, match='b/search.json is damaged or not of this version'):
        searches_lib.read_search(counted)
    (counted / 'flags.txt').write_text('--mode=search\n--benchmark=nas_bench_201\n')
    with pytest.raises(ValueError, match='b is a search of the table nas_bench_201'):
        searches_lib.read_search(counted)


def test_one_command_measures_and_writes_the_check(tmp_path):
    _search(
        tmp_path / 'a',
        'profile:workstation',
        {SLIM: 9.0, WIDE: 3.0},
        {'most accurate': WIDE, 'fastest': SLIM, 'balanced': SLIM},
    )
    _search(
        tmp_path / 'b',
        'profile:phone',
        {SLIM: 9.0, PLAIN: 8.5},
        {'most accurate': PLAIN, 'balanced': SLIM},
    )
    program = ROOT / 'experiments' / 'benchmarks' / 'search' / 'device_aware.py'
    done = subprocess.run(
        [
            sys.executable,
            str(program),
            '--search=a',
            '--search=b',
            '--device=profile:embedded',
            '--tolerance=1',
            '--compilation_cache=',
            '--measurement_cache=',
            '--output=out',
        ],
        text=True,
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'out' / 'table.md').read_text() == done.stdout
    assert (
        'a measured on profile:workstation (2020), which is now profile:workstation (est'
        in done.stderr
    )
    written = json.loads((tmp_path / 'out' / 'table.json').read_text())
    assert [row['cell'] for row in written['cells']] == [WIDE, PLAIN, SLIM]
    devices = ['profile:workstation', 'profile:phone', 'profile:embedded']
    assert all(
        list(row['latency_ms']) == devices and min(row['latency_ms'].values()) > 0
        for row in written['cells']
    )
    assert len(written['checks']) == 5 and written['balanced'] in (SLIM, PLAIN, WIDE)
    header = next(line for line in done.stdout.splitlines() if line.startswith('| cell'))
    assert all(f'{device} ms' in header for device in devices)
    assert f'balanced: {SLIM}.' in done.stdout
