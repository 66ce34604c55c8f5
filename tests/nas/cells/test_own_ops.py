"""Own ops: files and installed modules, what they may hold, and how a run tells them apart."""

import hashlib
import pathlib
import pickle
import re
import subprocess
import sys

import pytest

from nas.cells import CostConfig, cost_of, own_ops, plan
from nas.cells.cell import Cell
from nas.cells.fingerprint import digest_of_op, plan_hash
from nas.cells.skeleton import SKELETONS
from tests.nas.made_ops import one_op, write_ops


def test_the_op_of_the_readme_is_counted(tmp_path):
    path = write_ops(tmp_path)
    ops = own_ops.read(path).load()
    assert ops.convs == ('swish_conv',) and ops.norms == ()
    assert set(ops.inputs()) == {f'--ops={path}'}
    swish, plain = (
        cost_of(CostConfig(cell=f'bn-{conv}', skeleton='digits', ops=path))
        for conv in ('swish_conv', 'conv3x3')
    )
    assert swish['params'] == plain['params'] and swish['macs'] == plain['macs']
    assert swish['flops'] > plain['flops']


def test_another_process_gets_the_ops_with_the_cells(tmp_path):
    path = write_ops(tmp_path)
    job = pickle.dumps((own_ops.read(path), Cell(('bn', 'conv1x1'))))
    write_ops(tmp_path, 'raise SystemExit')  # whatever happens to the file meanwhile
    program = (
        'import pickle, sys\n'
        'ops, cell = pickle.load(sys.stdin.buffer)\n'
        'print(ops.load().convs, type(cell).parse("bn-swish_conv").complete)'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], input=job, capture_output=True, check=False
    )
    assert done.stdout.decode().strip() == "('swish_conv',) True", done.stderr.decode()


@pytest.mark.parametrize(
    'text, message',
    [
        ('x = 1\n', 'registers no op; it has to call nas.cells.plan.register_op'),
        ('x = 1\nimport no_such_thing\n', 'cannot be run, line 2: ModuleNotFoundError'),
        ('def f(:\n', 'cannot be run, line 1: SyntaxError'),
        ('x = 1\n\nraise SystemExit(3)\n', 'cannot be run, line 3: SystemExit: 3'),
        (one_op('conv1x1'), "line 2: ValueError: token 'conv1x1' is built in"),
        # The name of a record that cells are made of would take its count.
        (one_op('concat'), "line 2: ValueError: token 'concat' is built in"),
        (one_op('a.b'), "token 'a.b' cannot be used"),
        (one_op('opsrole', role='pool'), "role 'pool' of token 'opsrole' is unknown"),
    ],
)
def test_files_that_are_refused(tmp_path, text, message):
    path = write_ops(tmp_path, text)
    before = dict(plan.CUSTOM_OPS)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        own_ops.read(path).load()
    assert f'--ops={path}' in str(error.value) and '\n' not in str(error.value)
    assert before == plan.CUSTOM_OPS


def test_a_file_that_fails_in_the_middle_registers_nothing(tmp_path):
    path = write_ops(tmp_path, one_op('opshalf') + 'oh no\n')
    with pytest.raises(ValueError, match='line 3: SyntaxError'):
        own_ops.read(path).load()
    path = write_ops(tmp_path, one_op('opshalf') + '1 / 0\n')
    with pytest.raises(ValueError, match='line 3: ZeroDivisionError'):
        own_ops.read(path).load()
    with pytest.raises(ValueError, match="'opshalf' at position 1 is unknown"):
        Cell.parse('opshalf-conv1x1')


def test_a_token_means_one_thing_in_a_process(tmp_path):
    first = write_ops(tmp_path, one_op('opstaken'), 'first.py')
    second = write_ops(tmp_path, one_op('opstaken') + '# edited\n', 'second.py')
    own_ops.read(first).load()
    assert own_ops.read(first).load().norms == ('opstaken',)
    with pytest.raises(ValueError, match="second.py registers 'opstaken', which this process"):
        own_ops.read(second).load()
    with pytest.raises(ValueError, match="registers 'opstaken'"):
        own_ops.read(f'{first},{second}').load()


@pytest.mark.parametrize(
    'text, message',
    [
        ('FOLDER/missing.py', r'--ops=\S+missing.py does not exist'),
        ('FOLDER', r'--ops=\S+ is a folder; a Python file'),
        ('swish', 'neither a file nor an installed module of the entry-point group pano_dppnet.op'),
        ('FOLDER/a.py,FOLDER/b/a.py', 'names two files a.py'),
        ('FOLDER/binary.py', 'is no text in UTF-8'),
    ],
)
def test_names_of_nothing(tmp_path, text, message):
    (tmp_path / 'b').mkdir()
    for name in ('a.py', 'b/a.py'):
        write_ops(tmp_path, name=name)
    (tmp_path / 'binary.py').write_bytes(b'\xff\xfe')
    with pytest.raises(ValueError, match=message):
        own_ops.read(text.replace('FOLDER', str(tmp_path)))


def test_no_ops():
    assert own_ops.read(None) == own_ops.read('') == own_ops.NONE
    assert own_ops.NONE.load().convs == () and own_ops.NONE.inputs() == {}


def test_installed_modules_by_their_entry_point(tmp_path, monkeypatch):
    write_ops(tmp_path, one_op('opspoint'), 'point_ops.py')
    facts = tmp_path / 'point_ops-1.dist-info'
    facts.mkdir()
    (facts / 'METADATA').write_text('Metadata-Version: 2.1\nName: point-ops\nVersion: 1\n')
    (facts / 'entry_points.txt').write_text('[pano_dppnet.ops]\npoint = point_ops\n')
    monkeypatch.syspath_prepend(tmp_path)
    ops = own_ops.read('point')
    # Another process finds the same module, or says that it differs.
    sent = pickle.loads(pickle.dumps(ops))
    assert sent.load().norms == ('opspoint',) and ops.files() == ()
    with pytest.raises(ValueError, match='installed: point'):
        own_ops.read('points')
    records = ops.as_list()
    assert own_ops.remembered(records, tmp_path) == ops
    write_ops(tmp_path, one_op('opspoint') + '# edited\n', 'point_ops.py')
    with pytest.raises(ValueError, match='module point_ops that is installed here differs'):
        sent.load()
    with pytest.raises(ValueError, match='point, which registers opspoint, has changed since'):
        own_ops.remembered(records, tmp_path)


def test_a_workdir_remembers_its_ops(tmp_path):
    path = write_ops(tmp_path)
    workdir = tmp_path / 'run'
    workdir.mkdir()
    ops = own_ops.read(path).load()
    ops.write(workdir)
    assert ops.files() == ('ops/my_ops.py',) and (workdir / 'ops/my_ops.py').is_file()
    records = ops.of(Cell.parse('bn-swish_conv')).as_list()
    assert ops.of(Cell.parse('bn-conv1x1')) == ops.of(None) == own_ops.NONE
    found = own_ops.remembered(records, workdir)
    assert [m.digest for m in found.modules] == [m.digest for m in ops.modules]
    assert own_ops.copies(workdir, path) == str(workdir / 'ops/my_ops.py')
    assert own_ops.copies(workdir, None) is None
    copy = workdir / 'ops/my_ops.py'
    copy.write_text(copy.read_text() + '# edited\n')
    with pytest.raises(ValueError, match=r'my_ops.py, which registers swish_conv, has changed'):
        own_ops.remembered(records, workdir)
    copy.unlink()
    with pytest.raises(ValueError, match=r'ops/my_ops.py, which registers swish_conv, is missing'):
        own_ops.remembered(records, workdir)
    assert own_ops.remembered(records, workdir, path) == ops


def test_a_changed_file_is_another_run(tmp_path):
    path, workdir = write_ops(tmp_path, one_op('opsthen')), tmp_path / 'run'
    workdir.mkdir()
    then = own_ops.read(path)
    then.write(workdir)
    record = {'inputs': {'--dataset': 'x', **then.inputs()}}
    then.check_same(record, workdir=workdir, what='search')
    then.check_same({}, workdir=workdir, what='search')
    write_ops(tmp_path, one_op('opsnow'))
    with pytest.raises(ValueError, match=r'my_ops.py \(line 2 was .*opsthen.*and is .*opsnow'):
        own_ops.read(path).check_same(record, workdir=workdir, what='search')


def test_measurements_of_an_op_belong_to_the_text_that_registers_it(tmp_path):
    skeleton, hashes = SKELETONS['digits'], []
    for number in range(2):
        token = f'opshash{number}'
        own_ops.read(write_ops(tmp_path, one_op(token), f'{token}.py')).load()
        layers = plan.build(Cell.parse(f'{token}-conv1x1'), skeleton)
        hashes.append(plan_hash(layers))
        # The same token with another text, as in another process.
        op = plan.CUSTOM_OPS[token]
        plan.CUSTOM_OPS[token] = plan.CustomOp(token, op.role, op.count, digest='another')
        assert plan_hash(layers) != hashes[-1]
    assert len(set(hashes)) == 2


def test_ops_that_a_program_registers_by_itself_count_with_its_file():
    plan.register_op('opsinline', role='norm', count=lambda layer: (0, 0, 0))
    content = pathlib.Path(__file__).read_bytes()
    assert digest_of_op(plan.CUSTOM_OPS['opsinline']) == hashlib.sha256(content).hexdigest()
