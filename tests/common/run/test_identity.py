"""Digests of what a run reads, and the refusal of a run that reads something else."""

import json

import numpy as np
import pytest

from common import run


def test_digests_tell_content_and_shape_apart(tmp_path):
    ones = np.ones((2, 3))
    assert run.digest_of(ones) == run.digest_of(ones.copy()) != run.digest_of(ones.T)
    assert run.digest_of(ones) != run.digest_of(ones.astype(np.float32))
    assert run.digest_of(None, None) is None and run.digest_of(None, 1) is not None
    tree = {'a': ones, 'b': {'c': ones}}
    assert run.digest_of_tree(tree) == run.digest_of_tree({'b': {'c': ones}, 'a': ones})
    assert run.digest_of_tree(tree) != run.digest_of_tree({'a': ones, 'b': {'d': ones}})
    assert run.digest_of_tree(None, 'config') is None
    (tmp_path / 'mask').mkdir()
    (tmp_path / 'mask' / '0.png').write_bytes(b'dark')
    before = run.digest_of_path(tmp_path / 'mask'), run.digest_of_path(tmp_path / 'mask' / '0.png')
    (tmp_path / 'mask' / '0.png').write_bytes(b'light')
    after = run.digest_of_path(tmp_path / 'mask'), run.digest_of_path(tmp_path / 'mask' / '0.png')
    assert before[0] != after[0] and before[1] != after[1]
    assert run.digest_of_path(None) is None and run.digest_of_path(tmp_path / 'none') is None


@pytest.mark.parametrize(
    'then, now, changed',
    [
        ({'--mask': 'a', '--poses': None}, {'--mask': 'a'}, None),
        ({'--mask': 'a'}, {'--mask': 'b'}, '--mask'),
        ({'--mask': 'a'}, {'--mask': None}, '--mask'),
        ({}, {'--poses': 'a'}, '--poses'),
        ({'--poses': 'a'}, {'--mask': None}, '--poses'),
    ],
)
def test_changed_content_is_refused_and_nothing_is_written(then, now, changed, tmp_path):
    with run.open_run(tmp_path, '--steps=3', inputs=then, what='search') as directory:
        # A run of before inputs were recorded goes on.
        directory.update(inputs=then or {'--mask': None})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    if changed is None:
        run.open_run(tmp_path, '--steps=3', inputs=now, what='search').close()
        return
    with pytest.raises(ValueError, match=f'holds a search .* content of {changed} has changed'):
        run.open_run(tmp_path, '--steps=4', inputs=now, what='search')
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_of_before_inputs_were_recorded_goes_on(tmp_path):
    run.open_run(tmp_path, '--steps=3').close()
    assert 'inputs' not in json.loads((tmp_path / 'run.json').read_text())
    run.open_run(tmp_path, '--steps=3', inputs={'--mask': 'a'}).close()
    assert json.loads((tmp_path / 'run.json').read_text())['inputs'] == {'--mask': 'a'}
