"""Peers of the search on a small made table (extra [bench])."""

import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from experiments.benchmarks.search import peers
from nas.search.config import PlannerConfig
from nas.tables import nb201_encoding
from nas.tables.table_space import TableSpace

OBJECTIVES = ('error', 'latency_ms')
NEEDS = {'BoTorch qLogNEHVI': 'botorch', 'SMAC3 ParEGO': 'smac'}
QUALITY = pathlib.Path(__file__).parents[4] / 'experiments/benchmarks/search/quality.py'


@pytest.fixture
def space():
    """81 cells of four places; each operation costs more and errs less than the one before."""
    ops = np.array(list(itertools.product(range(3), repeat=4)))
    heavy, places = ops.sum(axis=1), np.array([4.0, 3.0, 2.0, 1.0])
    return TableSpace(
        [''.join(map(str, row)) for row in ops],
        ops,
        {'error': 25 * np.exp(-(ops @ places) / 8), 'latency_ms': 1.0 + heavy**2},
        choices=3,
        tokens=np.where(ops > 0, ops, 0),
        features=np.stack([heavy, ops[:, 0], np.ones(len(ops))], axis=1),
        vocabulary_size=3,
    )


@pytest.fixture(params=sorted(peers.PEERS))
def method(request):
    """A peer, if its package is installed."""
    pytest.importorskip(NEEDS[request.param], reason='needs the extra [bench]')
    return peers.PEERS[request.param]


def test_inputs_are_counts_and_features_without_constant_columns(space):
    inputs = peers.surrogate_inputs(space)
    # Tokens 1 and 2 occur 0 to 4 times, token 3 never; the third feature is always 1.
    assert inputs.shape == (81, 4) and inputs.min() == 0 and inputs.max() == 1
    np.testing.assert_allclose(inputs[space.cells.index('2110')], [2 / 4, 1 / 4, 4 / 8, 2 / 2])


def test_batches_have_the_sizes_of_our_search():
    config = PlannerConfig()
    assert peers.batch_size(20) == config.batch
    assert peers.batch_size(1000) == 1000 * config.batch_growth


def test_a_peer_finds_most_of_the_front_and_evaluates_no_cell_twice(space, method):
    cells = method(space, OBJECTIVES, 30, 0, initial=8)
    assert len(set(cells)) == len(cells) == 30 and set(cells) <= set(space.cells)
    found = space.relative_hypervolume(cells, OBJECTIVES)
    assert found[-1] > 0.9 and found[-1] > found[7]


def test_a_seed_gives_the_same_cells_again(space, method):
    first, again, other = (method(space, OBJECTIVES, 12, seed, initial=8) for seed in (3, 3, 4))
    assert first == again != other


def test_botorch_ends_with_the_table(space):
    pytest.importorskip('botorch', reason='needs the extra [bench]')
    cells = peers.botorch_qlognehvi(space, OBJECTIVES, 200, 0, initial=70)
    assert sorted(cells) == sorted(space.cells)


def test_a_missing_package_is_one_line_that_names_the_extra(tmp_path):
    archs = [
        f'|{first}~0|+|{second}~0|none~1|+|none~0|none~1|none~2|'
        for first, second in itertools.product(nb201_encoding.OPS, repeat=2)
    ]
    numbers = np.arange(1.0, 26.0)
    columns = {'c10_valid200_seeds': 70 + numbers, 'params': numbers, 'lat_board': numbers}
    np.savez(tmp_path / 'table.npz', arch=archs, **columns)
    flags = [f'--table={tmp_path / "table.npz"}', f'--output={tmp_path}', '--methods=SMAC3 ParEGO']
    program = (
        'import runpy, sys\n'
        'sys.modules["smac"] = None\n'
        f'sys.argv = {["quality.py", *flags, "--devices=board"]!r}\n'
        f'runpy.run_path({str(QUALITY)!r}, run_name="__main__")'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], text=True, capture_output=True, check=False
    )
    assert done.returncode != 0 and 'Traceback' not in done.stderr
    said = done.stdout + done.stderr
    # ConfigSpace comes with smac: where both are missing, the message names it.
    assert "pip install 'pano-dppnet[bench]'" in said and 'SMAC3 ParEGO needs the package' in said
