"""Tables as search spaces, on small ones in the formats of NAS-Bench-201 and NAS-Bench-Macro."""

import itertools

import numpy as np
import pytest

from nas.search import pareto
from nas.search.evaluations import Evaluation
from nas.tables import tabular
from tests.nas.made_tables import arch_of, write_table


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp('table') / 'table.npz'
    columns = write_table(path)
    return tabular.load_nas_bench_201(path, device='phone'), columns


def test_objectives_are_those_of_the_file(table):
    space, columns = table
    for row in (0, 5, 728):
        accuracies = columns['c10_valid200_seeds'][row]
        expected = {
            'error': 100 - np.nanmean(accuracies),
            'latency_ms': columns['lat_phone'][row],
            'params': columns['params'][row],
            'flops': columns['macs'][row],
        }
        values = space.evaluate(str(columns['arch'][row]))
        assert values == pytest.approx(expected, rel=1e-5)
        costs = space.costs(str(columns['arch'][row]))
        assert 'error' not in costs and costs['latency_ms'] == values['latency_ms']


def test_growth_reaches_every_cell_one_operation_at_a_time(table):
    space, columns = table
    assert space.root == arch_of([0] * 6) and space.level(space.root) == 0
    level, seen = [space.root], {space.root}
    for number in range(1, 8):
        level = sorted({child for cell in level for child in space.grow(cell)})
        seen.update(level)
        assert all(space.level(cell) == number for cell in level)
        assert len(level) == (12, 60, 160, 240, 192, 64, 0)[number - 1]  # C(6, n) * 2^n
    assert seen == set(map(str, columns['arch']))


def test_neighbours_differ_in_one_operation(table):
    space, _ = table
    cell = arch_of([3, 0, 1, 0, 0, 3])
    assert sorted(space.grow(cell)) == sorted(
        arch_of(ops)
        for ops in (
            [3, 1, 1, 0, 0, 3],
            [3, 3, 1, 0, 0, 3],
            [3, 0, 1, 1, 0, 3],
            [3, 0, 1, 3, 0, 3],
            [3, 0, 1, 0, 1, 3],
            [3, 0, 1, 0, 3, 3],
        )
    )
    assert sorted(space.mutate(cell)) == sorted(
        arch_of(ops)
        for ops in (
            [0, 0, 1, 0, 0, 3],
            [1, 0, 1, 0, 0, 3],
            [3, 0, 0, 0, 0, 3],
            [3, 0, 3, 0, 0, 3],
            [3, 0, 1, 0, 0, 0],
            [3, 0, 1, 0, 0, 1],
        )
    )
    assert space.at([3, 0, 1, 0, 0, 3]) == cell and space.at([4, 0, 0, 0, 0, 0]) is None


def test_dead_edges_differ_only_in_the_encoding(table):
    space, _ = table
    # Nothing leaves node 2 in either, so its inputs are dead.
    one, other = arch_of([3, 0, 0, 0, 1, 0]), arch_of([3, 3, 1, 0, 1, 0])
    assert space.encode(one) == space.encode(other) and len(space.encode(one)) == space.length
    assert space.key(one) != space.key(other) and space.costs(one) != space.costs(other)
    assert space.encode(one) != space.encode(arch_of([3, 0, 0, 0, 3, 0]))
    assert max(max(space.encode(cell)) for cell in space.cells) <= space.vocabulary_size


def test_relative_hypervolume_reaches_one_with_the_front(table):
    space, columns = table
    names = ('error', 'latency_ms', 'params')
    errors = 100 - np.nanmean(columns['c10_valid200_seeds'].astype(float), axis=1)
    costs = [columns[name] / columns[name].max() for name in ('lat_phone', 'params')]
    points = np.stack([errors / 20, *costs], axis=1)
    front = [cell for cell, keep in zip(space.cells, pareto.non_dominated(points)) if keep]
    curve = space.relative_hypervolume(front, names)
    assert curve[-1] == pytest.approx(1) and (np.diff(curve) >= 0).all()
    assert curve[0] == pytest.approx(space.relative_hypervolume(front[:1], names)[0])
    assert (
        space.relative_hypervolume(space.cells[-1:], names)[0] == 0
    )  # largest, so not inside the reference
    assert space.relative_hypervolume([], names).shape == (0,)


def test_bad_tables_are_named(tmp_path):
    path = tmp_path / 'bad.npz'
    write_table(path, used=(0, 3))
    with pytest.raises(ValueError, match="unknown device 'tablet'.*phone"):
        tabular.load_nas_bench_201(path, device='tablet')
    with pytest.raises(ValueError, match='unknown objective'):
        tabular.load_nas_bench_201(path).points(('error', 'latency_ms'))
    percent = np.full((64, 3), 90.0)
    for name, column, message in (
        ('params', None, 'no column params'),
        ('arch', np.full(64, '|none~0|'), 'again in row 1'),
        ('arch', np.array(['|none~0|']), "bad.npz: arch '|none~0|' is not a cell of four nodes"),
        (
            'c10_valid200_seeds',
            np.full((64, 3), np.nan),
            'c10_valid200_seeds has no number in row 0',
        ),
        ('c10_valid200_seeds', percent[:10], 'c10_valid200_seeds has 10 rows, but arch has 64'),
        ('c10_valid200_seeds', percent[..., None], r'has the shape \[64, 3, 1\]; accepted: \[64\]'),
        ('c10_valid200_seeds', percent[:, :0], r'has the shape \[64, 0\]; accepted: \[64\]'),
        ('c10_valid200_seeds', percent + 20, 'holds 110 in row 0; accuracies are percentages'),
        ('c10_valid200_seeds', percent / 100, 'not parts of 1'),
        ('lat_phone', np.full(64, np.nan), 'lat_phone holds nan in row 0; .*missing values'),
        ('lat_phone', -np.arange(64.0), 'lat_phone holds -1 in row 1'),
        ('params', np.arange(5), 'bad.npz: column params has 5 rows, but arch has 64'),
        ('params', np.ones((64, 2)), r'params has the shape \[64, 2\]; accepted: \[64\]'),
        ('params', np.full(64, 'many'), 'column params is of the type <U4; numbers'),
    ):
        write_table(path, used=(0, 3), **{name: column})
        with pytest.raises(ValueError, match=message):
            tabular.load_nas_bench_201(path, device='phone')
    with pytest.raises(ValueError, match='absent.npz cannot be read'):
        tabular.load_nas_bench_201(tmp_path / 'absent.npz')
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match='not an intact npz'):
        tabular.load_nas_bench_201(path)


def test_accuracies_of_one_seed_need_no_second_axis(tmp_path):
    write_table(tmp_path / 'one.npz', used=(0, 3), c10_valid200_seeds=np.linspace(60, 95, 64))
    write_table(
        tmp_path / 'two.npz', used=(0, 3), c10_valid200_seeds=np.linspace(60, 95, 64)[:, None]
    )
    one, two = (tabular.load_nas_bench_201(tmp_path / name) for name in ('one.npz', 'two.npz'))
    np.testing.assert_array_equal(one.values['error'], 100 - np.linspace(60, 95, 64))
    np.testing.assert_array_equal(one.values['error'], two.values['error'])


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('accuracy', [np.full(64, 60.0), np.linspace(30, 70, 64)])
def test_tables_of_bad_cells_have_a_hypervolume(tmp_path, accuracy):
    write_table(tmp_path / 'bad.npz', used=(0, 3), c10_valid200_seeds=accuracy)
    space = tabular.load_nas_bench_201(tmp_path / 'bad.npz', device='phone')
    curve = space.relative_hypervolume(space.cells, ('error', 'latency_ms', 'params'))
    assert curve[-1] == pytest.approx(1) and space.reference['error'] >= 100 - accuracy.min()


def test_a_given_worst_error_is_the_reference(tmp_path):
    path = tmp_path / 'table.npz'
    write_table(path, used=(0, 3), c10_valid200_seeds=np.linspace(60, 95, 64))
    space = tabular.load_nas_bench_201(path, worst_error=30.0)
    assert space.reference['error'] == 30.0
    names = ('error', 'params')
    points = np.stack([space.values['error'] / 30, space.values['params'] / 4000], axis=1)
    cells = [space.cells[row] for row in (20, 30, 40)]
    expected = pareto.hypervolume(points[[20, 30, 40]], 1.0) / pareto.hypervolume(points, 1.0)
    assert space.relative_hypervolume(cells, names)[-1] == pytest.approx(expected) and expected > 0
    with pytest.raises(ValueError, match='--worst_error=5 leaves no cell .* the lowest error is 5'):
        tabular.load_nas_bench_201(path, worst_error=5.0)


def test_the_noise_of_an_error_is_the_standard_error_of_its_mean(table):
    space, columns = table
    accuracies = columns['c10_valid200_seeds'].astype(float)
    for row in (0, 1):  # with two seeds, and with three
        known = accuracies[row][np.isfinite(accuracies[row])]
        evaluation = Evaluation(str(columns['arch'][row]), 0, space.evaluate(space.cells[row]))
        expected = np.std(known, ddof=1) / np.sqrt(len(known))
        assert space.noise(evaluation) == pytest.approx(expected)


def test_the_energy_of_a_device_is_an_objective(tmp_path):
    write_table(tmp_path / 'table.npz', used=(0, 3), energy_phone=np.arange(64.0))
    space = tabular.load_nas_bench_201(tmp_path / 'table.npz', device='phone')
    assert space.costs(space.cells[7])['energy_mj'] == 7.0
    assert 'energy_mj' not in tabular.load_nas_bench_201(tmp_path / 'table.npz').values


def test_macro_table(tmp_path):
    path = tmp_path / 'macro.npz'
    archs = [''.join(digits) for digits in itertools.product('012', repeat=8)]
    size = np.array([sum(map(int, arch)) for arch in archs])
    seeds = np.stack([85 + size / 4, 85.5 + size / 4], axis=1)
    np.savez(path, arch=np.array(archs), acc_seeds=seeds, params=1.0 + size, flops=10.0 + 3 * size)
    space = tabular.load_nas_bench_macro(path)
    assert space.root == '00000000' and len(space.grow(space.root)) == 16
    assert '00000020' in space.grow(space.root) and space.level('00210020') == 3
    assert space.evaluate('01200000') == pytest.approx(
        {'error': 14.0, 'params': 4.0, 'flops': 19.0}
    )
    assert len(set(map(space.encode, space.cells[:50]))) == 50
    with pytest.raises(ValueError, match='no latencies'):
        tabular.load_nas_bench_macro(path, device='phone')
