"""Public files of table benchmarks become the tables that a search reads."""

import bz2
import csv
import json
import os
import pickle

import numpy as np
import pytest

from nas.tables import tabular
from nas.tables.public.convert import convert
from nas.tables.public.pickles import read_pickle
from tests.nas.tables.public import made_benchmarks as made


def check(space, *, seeds=2):
    """The space holds the numbers of `made_benchmarks`."""
    for number in (0, 7, 63):
        arch, convs = made.ARCHS[number], made.CONVS[number]
        values = space.evaluate(arch)
        mean = np.mean([made.accuracy(number, seed) for seed in made.SEEDS[:seeds]])
        assert values['error'] == pytest.approx(100 - mean)
        assert values['params'] == 70_000 + 10_000 * convs
        assert values['flops'] == 1e6 * (7 + convs)
    assert len(space.cells) == 64


def files(tmp_path):
    """By name: a path in each layout."""
    made.write_nats(tmp_path / 'NATS-tss-simple')
    whole = made.nas_bench_201()
    (tmp_path / 'old.pth').write_bytes(made.torch_bytes(whole, zipped=False))
    (tmp_path / 'new.pth').write_bytes(made.torch_bytes(whole, zipped=True))
    nats = {**whole, 'arch2infos': {n: {'200': made.info(n, 3)} for n in range(64)}}
    (tmp_path / 'NATS-tss.pickle.pbz2').write_bytes(bz2.compress(pickle.dumps(nats)))
    (tmp_path / 'naslib.pickle').write_bytes(pickle.dumps(made.naslib()))
    return {
        name: tmp_path / name
        for name in ('NATS-tss-simple', 'old.pth', 'new.pth', 'NATS-tss.pickle.pbz2')
    } | {'naslib': tmp_path / 'naslib.pickle'}


def test_every_public_layout_gives_the_same_table(tmp_path):
    for name, path in files(tmp_path).items():
        found = convert(path, tmp_path / 'table.npz')
        assert (found.benchmark, found.cells) == ('nas_bench_201', 64)
        check(tabular.load_nas_bench_201(found.path), seeds=1 if name == 'naslib' else 2)


def test_another_number_of_epochs(tmp_path):
    path = tmp_path / 'file.pth'
    path.write_bytes(made.torch_bytes(made.nas_bench_201(), zipped=False))
    convert(path, tmp_path / 'table.npz', epochs='12')
    check(tabular.load_nas_bench_201(tmp_path / 'table.npz'))  # the last of 2 epochs, not of 3
    made_up = {**made.nas_bench_201(), 'arch2infos': {0: {'less': made.info(0, 2)}}}
    path.write_bytes(pickle.dumps(made_up))
    with pytest.raises(ValueError, match='file.pth: cell 0 has no x-valid .* recipes: less'):
        convert(path, tmp_path / 'table.npz')


def test_latencies_and_energies_are_joined_by_cell(tmp_path):
    (tmp_path / 'nb.pth').write_bytes(made.torch_bytes(made.nas_bench_201(), zipped=True))
    hardware = made.hw_nas_bench()
    # Another order of the cells makes no difference.
    part = hardware['nasbench201']['cifar10']
    for name, values in part.items():
        part[name] = list(values)[::-1]
    (tmp_path / 'hw.pickle').write_bytes(pickle.dumps(hardware, protocol=2))
    np.savetxt(tmp_path / 'mine.txt', 1.0 + made.CONVS)
    (tmp_path / 'yours.json').write_text(json.dumps(dict(zip(made.ARCHS[:60], range(1, 61)))))
    found = convert(
        tmp_path / 'nb.pth',
        tmp_path / 'table.npz',
        latencies=(
            *(str(tmp_path / 'hw.pickle'), f'mine={tmp_path}/mine.txt'),
            f'yours={tmp_path}/yours.json',
        ),
    )
    assert found.without == {'lat_yours': 4} and found.cells == 60
    space = tabular.load_nas_bench_201(found.path, device='edgegpu')
    arch, convs = made.ARCHS[9], made.CONVS[9]
    assert space.costs(arch)['latency_ms'] == 3 + convs
    assert space.costs(arch)['energy_mj'] == 20 + convs
    assert tabular.load_nas_bench_201(found.path, device='raspi4').costs(arch)[
        'latency_ms'
    ] == pytest.approx(10 + 2 * convs)
    for device, value in (('mine', 1 + convs), ('yours', 10)):
        space = tabular.load_nas_bench_201(found.path, device=device)
        assert space.costs(arch)['latency_ms'] == value


def test_small_exports(tmp_path):
    rows = [
        {'arch_str': arch, 'val_acc': made.accuracy(n, 888), 'params': 0.07 + 0.01 * made.CONVS[n]}
        for n, arch in enumerate(made.ARCHS)
    ]
    with open(tmp_path / 'table.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / 'rows.json').write_text(json.dumps(rows))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns['mine'] = columns.pop('val_acc')
    (tmp_path / 'columns.json').write_text(json.dumps(columns))
    seeds = {row['arch_str']: {'acc0': 60.0, 'acc1': 70.0, 'params': 5e4} for row in rows}
    (tmp_path / 'seeds.json').write_text(json.dumps(seeds))
    for name, names in (
        ('table.csv', {}),
        ('rows.json', {}),
        ('columns.json', {'accuracy': 'mine'}),
    ):
        space = tabular.load_nas_bench_201(
            convert(tmp_path / name, tmp_path / 'out.npz', names=names).path
        )
        assert space.evaluate(made.ARCHS[5])['error'] == pytest.approx(100 - made.accuracy(5, 888))
        assert space.evaluate(made.ARCHS[5])['params'] == 70_000 + 10_000 * made.CONVS[5]
    space = tabular.load_nas_bench_201(convert(tmp_path / 'seeds.json', tmp_path / 'out.npz').path)
    assert space.evaluate(made.ARCHS[5]) == {'error': 35.0, 'params': 50_000}
    with pytest.raises(ValueError, match='columns.json: entry 0: .* no accuracy; name its column'):
        convert(tmp_path / 'columns.json', tmp_path / 'out.npz')


def test_nas_bench_macro(tmp_path):
    cells = {
        f'{number:b}'.zfill(8): {
            'test_acc': [80.0, 82.0],
            'mean_acc': 81.0,
            'params': 10**5,
            'flops': 5e6,
        }
        for number in range(256)
    }
    (tmp_path / 'macro.json').write_text(json.dumps(cells))
    found = convert(tmp_path / 'macro.json', tmp_path / 'macro.npz')
    assert found.benchmark == 'nas_bench_macro'
    space = tabular.load_nas_bench_macro(found.path)
    assert space.evaluate('00000001') == {'error': 19.0, 'flops': 5e6, 'params': 100_000}


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.mark.parametrize('pack', [bytes, bz2.compress])
def test_nothing_of_a_pickle_runs(tmp_path, pack):
    proof = tmp_path / 'it ran'
    path = tmp_path / 'hostile.pth'
    path.write_bytes(pack(pickle.dumps({'meta_archs': [Hostile(proof)]})))
    with pytest.raises(ValueError, match='hostile.pth is no pickle .* it names (posix|os).system'):
        read_pickle(path)
    for program in (b'cbuiltins\neval\n(Vprint\ntR.', b'cbuiltins\ngetattr\n.', b'cnumpy\nload\n.'):
        path.write_bytes(program)
        with pytest.raises(ValueError, match='it names'):
            read_pickle(path)
    assert not proof.exists()


@pytest.mark.parametrize(
    'content, sentence',
    [
        (b'', 'is no pickle'),
        (b'PK\x03\x04broken', 'is no pickle'),
        (b'BZhbroken', 'cannot be read|is no pickle'),
        (pickle.dumps([1, 2]), 'holds neither NAS-Bench-201 nor'),
        (pickle.dumps({'meta_archs': ['64:64:64:64:64'], 'arch2infos': {}}), 'size space'),
        (pickle.dumps({'meta_archs': [], 'arch2infos': {}}), 'no meta_archs'),
        (pickle.dumps({'meta_archs': made.ARCHS, 'arch2infos': {}}), 'no trained cell'),
        (pickle.dumps({made.ARCHS[0]: {'cifar10': {}}}), 'no accuracies or costs of cifar10-valid'),
        (pickle.dumps({'meta_archs': made.ARCHS, 'arch2infos': [1]}), 'arch2infos is a list'),
        (pickle.dumps({'meta_archs': ['cell'], 'arch2infos': {}}), "arch 'cell' is not a cell"),
        (pickle.dumps({'cell': {}}), "arch 'cell' is not a cell"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path, content, sentence):
    (tmp_path / 'odd.pth').write_bytes(content)
    with pytest.raises(ValueError, match=f'odd.pth.*({sentence})'):
        convert(tmp_path / 'odd.pth', tmp_path / 'out.npz')
    assert not (tmp_path / 'out.npz').exists()


@pytest.mark.parametrize(
    'name, content, sentence',
    [
        ('short.csv', 'arch,acc,params\n{0},90\n', 'entry 0: params is None; a number is accepted'),
        ('gap.csv', 'arch,acc,params\n{0},90,\n', "entry 0: params is ''; a number is accepted"),
        ('long.csv', 'arch,acc,params\n{0},90,1,2\n', 'row 0 has more columns than the header'),
        ('\u00fc.csv', b'\xff\xfe', 'is no CSV that can be read'),
        ('text.json', '{{"{0}": {{"acc": "high", "params": 1}}}}', "entry 0: acc is 'high'"),
        ('other.json', '{{"cell": {{"acc": 90, "params": 1}}}}', "arch 'cell' is not a cell"),
        ('words.json', '{{"{0}": "accuracy"}}', 'neither a dict by cell'),
    ],
)
def test_a_wrong_export_names_file_and_column(tmp_path, name, content, sentence):
    data = content if isinstance(content, bytes) else content.format(made.ARCHS[0]).encode()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=f'{name}.*{sentence}'):
        convert(tmp_path / name, tmp_path / 'out.npz')


@pytest.mark.parametrize(
    'name, content, sentence',
    [
        ('empty.npy', '', 'No data'),
        ('words.txt', 'slow\nfast\n', "could not convert string to float: 'slow'"),
        ('words.json', json.dumps(['slow'] * 64), "the list of cell 0 is 'slow'; a number is"),
        ('deep.json', '[' * 100_000, 'recursion'),
        ('number.json', '5', 'neither a dict by cell'),
        ('words.csv', f'arch,latency_ms\n{made.ARCHS[0]},slow\n', "latency_ms is 'slow'"),
        ('less.json', json.dumps([-1.0] * 64), 'column lat_x holds -1 in row 0; negative'),
    ],
)
def test_wrong_latencies_are_refused_before_anything_is_written(tmp_path, name, content, sentence):
    (tmp_path / 'nb.pth').write_bytes(made.torch_bytes(made.nas_bench_201(), zipped=False))
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=sentence) as caught:
        convert(tmp_path / 'nb.pth', tmp_path / 'out.npz', latencies=(f'x={tmp_path / name}',))
    assert str(caught.value).count(name) == (0 if name == 'less.json' else 1)
    assert not (tmp_path / 'out.npz').exists()


def test_cells_that_were_not_measured_are_left_out_and_counted(tmp_path):
    (tmp_path / 'nb.pth').write_bytes(made.torch_bytes(made.nas_bench_201(), zipped=False))
    root = max(made.ARCHS, key=lambda arch: arch.count('none'))
    unknown = set([arch for arch in made.ARCHS if arch != root][::9])
    lines = [f'{arch},{"" if arch in unknown else 2.5}' for arch in made.ARCHS]
    # As spreadsheets write it, with a mark of the encoding.
    text = '\n'.join(['arch,latency_ms', *lines])
    (tmp_path / 'mine.csv').write_text(text, encoding='utf-8-sig')
    mine = f'mine={tmp_path}/mine.csv'
    found = convert(tmp_path / 'nb.pth', tmp_path / 'out.npz', latencies=(mine,))
    assert found.without == {'lat_mine': len(unknown)} and found.cells == 64 - len(unknown)


def test_metrics_of_hw_nas_bench_that_are_no_lists_are_named(tmp_path):
    (tmp_path / 'nb.pth').write_bytes(made.torch_bytes(made.nas_bench_201(), zipped=False))
    for value in (3, ['slow'] * 64):
        hardware = made.hw_nas_bench()
        hardware['nasbench201']['cifar10']['raspi4_latency'] = value
        (tmp_path / 'hw.pickle').write_bytes(pickle.dumps(hardware))
        with pytest.raises(ValueError, match='hw.pickle: raspi4_latency .*(not a list|is .slow.)'):
            convert(tmp_path / 'nb.pth', tmp_path / 'out.npz', latencies=(f'{tmp_path}/hw.pickle',))


def test_what_does_not_fit_is_named(tmp_path):
    out = tmp_path / 'out.npz'
    (tmp_path / 'a.json').write_text(json.dumps({a: {'acc': 90, 'params': 1} for a in made.ARCHS}))
    with pytest.raises(ValueError, match='has to end in .npz'):
        convert(tmp_path / 'a.json', tmp_path / 'out.txt')
    with pytest.raises(ValueError, match='absent.pth cannot be read'):
        convert(tmp_path / 'absent.pth', out)
    with pytest.raises(ValueError, match='no folder of NATS-Bench'):
        convert(tmp_path, out)
    (tmp_path / 'short.json').write_text('[1, 2]')
    with pytest.raises(ValueError, match='a list without the names of cells'):
        convert(tmp_path / 'a.json', out, latencies=(f'x={tmp_path}/short.json',))
    (tmp_path / 'x.pt').write_bytes(b'')
    with pytest.raises(ValueError, match='tensors, which need the package torch'):
        convert(tmp_path / 'a.json', out, latencies=(f'x={tmp_path}/x.pt',))
    (tmp_path / 'part.json').write_text(
        json.dumps({a: {'acc': 0.9, 'params': 1} for a in made.ARCHS})
    )
    with pytest.raises(ValueError, match='part.json: .*not parts of 1'):
        convert(tmp_path / 'part.json', out)
    (tmp_path / 'bare.json').write_text(json.dumps({a: {'acc': 90} for a in made.ARCHS}))
    with pytest.raises(ValueError, match='bare.json has no numbers of parameters'):
        convert(tmp_path / 'bare.json', out)
    assert not out.exists()
