"""Run directories: what is accepted, the lock, the record, atomic files."""

import errno
import json
import math
import os
import pathlib
import signal
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from common import run


def test_a_new_run_is_recorded(tmp_path):
    workdir = tmp_path / 'deep' / 'er'
    with run.open_run(workdir, '--steps=3', argv=['depth_main.py', '--name=a b']) as directory:
        assert not directory.resumed and directory.checkpoints == workdir / 'checkpoints'
        directory.update(data_hash='abc', frames=np.int64(7))
    assert (workdir / 'flags.txt').read_text() == '--steps=3\n'
    record = json.loads((workdir / 'run.json').read_text())
    assert record['command'] == "depth_main.py '--name=a b'" and record['resumed'] == []
    assert record['versions']['jax']
    assert record['versions']['python'].startswith('.'.join(map(str, sys.version_info[:3])))
    assert record['device']['platform'] == 'cpu' and record['device']['count'] == 4
    assert (record['data_hash'], record['frames']) == ('abc', 7)
    assert record['files'] == ['flags.txt', 'run.json'] and record['finished'] is None
    assert sorted(os.listdir(workdir)) == ['.lock', 'flags.txt', 'run.json']


def test_an_earlier_run_is_resumed_with_its_facts(tmp_path):
    with run.open_run(tmp_path, '--steps=3\n') as directory:
        directory.update(data_hash='abc')
        started = directory.record['started']
    with run.open_run(tmp_path, '--steps=4\n') as directory:
        assert directory.resumed and directory.previous_flags == '--steps=3\n'
        assert directory.record['data_hash'] == 'abc' and directory.record['started'] == started
        assert len(directory.record['resumed']) == 1
    assert (tmp_path / 'flags.txt').read_text() == '--steps=4\n'


def test_workdirs_that_are_refused(tmp_path):
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'a.png').write_text('mine')
    for workdir, message in [
        (tmp_path / 'file', 'it is a file'),
        (tmp_path / 'file' / 'below', 'cannot be written'),
        (tmp_path / 'photos', 'holds a.png but no earlier run'),
        ('', 'workdir is empty'),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            run.open_run(workdir, '')
        assert '\n' not in str(error.value)
    assert (tmp_path / 'file').read_text() == 'mine'
    assert os.listdir(tmp_path / 'photos') == ['a.png']
    broken = tmp_path / 'broken'
    broken.mkdir()
    (broken / 'run.json').write_text('{"started"')
    for _ in range(2):  # the refusal gives the lock back
        with pytest.raises(ValueError, match='is not the JSON of an earlier run'):
            run.open_run(broken, '')


def test_a_read_only_disk_is_one_sentence(tmp_path, monkeypatch):
    with run.open_run(tmp_path, '--steps=3'):
        pass

    def refuse(*unused_given, **unused_options):
        raise OSError(errno.EROFS, 'Read-only file system')

    for name, workdir in (('mkdir', tmp_path / 'new'), ('open', tmp_path), ('replace', tmp_path)):
        with monkeypatch.context() as patch, pytest.raises(ValueError) as caught:
            patch.setattr(os, name, refuse)
            run.open_run(workdir, '--steps=4')
        assert (
            str(caught.value).lower()
            == f'workdir {workdir} cannot be written: read-only file system'.lower()
        )
    assert (tmp_path / 'flags.txt').read_text() == '--steps=3\n' and run.open_run(
        tmp_path, ''
    ).resumed


HOLD = """
import sys
from common import run
run.open_run(sys.argv[1], '')
print('open', flush=True)
sys.stdin.read()
"""


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path):
    root = str(pathlib.Path(run.__file__).parents[2])
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': root, 'JAX_PLATFORMS': 'cpu'},
    )
    try:
        assert holder.stdout.readline() == 'open\n'
        with pytest.raises(ValueError, match=rf'in use by another run \(process {holder.pid}\)'):
            run.open_run(tmp_path, '--other')
        assert (tmp_path / 'flags.txt').read_text() == '\n'
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with run.open_run(tmp_path, '--other') as directory:
        assert directory.resumed


def test_atomic_path_leaves_the_old_file_when_the_writer_fails(tmp_path):
    path = tmp_path / 'image.png'
    path.write_text('old')
    with pytest.raises(RuntimeError), run.atomic_path(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == '.png'
        temporary.write_text('half')
        raise RuntimeError
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['image.png']
    with run.atomic_path(path) as temporary:
        temporary.write_text('new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new' and os.listdir(tmp_path) == ['image.png']


def test_atomic_path_of_a_folder(tmp_path):
    with run.atomic_path(tmp_path / 'clip') as temporary:
        temporary.mkdir()
        (temporary / 'a').write_text('x')
    assert (tmp_path / 'clip' / 'a').read_text() == 'x'
    with pytest.raises(RuntimeError), run.atomic_path(tmp_path / 'other') as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert os.listdir(tmp_path) == ['clip']


def test_write_json_is_strict(tmp_path):
    path = tmp_path / 'a.json'
    value = {
        'f': jnp.float32(0.5),
        'b': jnp.ones(2, jnp.bfloat16),
        'i': np.arange(3),
        'n': [math.nan, -math.inf],
        'p': pathlib.Path('x/y'),
        3: (True, None, np.bool_(False)),
    }
    run.write_json(path, value)
    read = json.loads(
        path.read_text(), parse_constant=lambda name: pytest.fail(f'{name} is not JSON')
    )
    assert read == {
        'f': 0.5,
        'b': [1.0, 1.0],
        'i': [0, 1, 2],
        'n': [None, None],
        'p': 'x/y',
        '3': [True, None, False],
    }
    with pytest.raises(ValueError, match='no JSON form'):
        run.write_json(path, {'x': object()})
    assert json.loads(path.read_text()) == read
