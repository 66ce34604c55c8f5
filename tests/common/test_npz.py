"""Archives of arrays: intact ones are read; none is unpickled or fills the memory."""

import zipfile

import numpy as np
import pytest

from common import npz
from nas.tables.tabular import load_nas_bench_201
from pano_depth.learning.checkpoints import load_model


def test_arrays_come_back(tmp_path):
    np.savez_compressed(tmp_path / 'a.npz', x=np.arange(5), y=np.ones((2, 3)))
    with npz.open_npz(tmp_path / 'a.npz') as stored:
        assert sorted(stored.files) == ['x', 'y'] and stored['x'].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('read', [load_nas_bench_201, load_model])
def test_what_unpacks_to_more_than_memory_is_refused_before_it_is(tmp_path, read, monkeypatch):
    path = tmp_path / 'bomb.npz'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f'{number}.npy', bytes(1 << 20))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(npz, 'MAX_BYTES', 3 << 19)
    with pytest.raises(
        ValueError, match='bomb.npz .*unpacks to 3,145,728 bytes; accepted: at most'
    ):
        read(path)


class Trap:
    """Leaves a file where unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return open, (self._path, 'w')


@pytest.mark.parametrize('read', [load_nas_bench_201, load_model])
def test_nothing_is_unpickled(tmp_path, read):
    trap = np.array([Trap(str(tmp_path / 'sprung'))], object)
    np.savez(tmp_path / 'a.npz', arch=trap, config=trap)
    with pytest.raises(ValueError, match='a.npz'):
        read(tmp_path / 'a.npz')
    assert not (tmp_path / 'sprung').exists()
