"""The Ray executor on two nodes of this machine."""

import pathlib
import sys
import time

import pytest

from common.executors.ray import RayExecutor
from common.patience import Lost, Unavailable
from nas.search import loop
from nas.search.batches import map_again
from nas.search.evaluations import Failure
from tests.common.executors import jobs
from tests.nas.search import test_loop


@pytest.fixture(scope='module')
def cluster():
    ray = pytest.importorskip('ray', reason="needs Ray: pip install 'pano-dppnet[ray]'")
    from ray import cluster_utils

    # By default it takes Ray half a minute to notice that a node is dead.
    health = {
        'health_check_initial_delay_ms': 1000,
        'health_check_period_ms': 500,
        'health_check_failure_threshold': 4,
    }
    head = {'num_cpus': 1, 'include_dashboard': False, '_system_config': health}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=1)
    yield cluster, node
    ray.shutdown()
    cluster.shutdown()


def test_two_nodes_share_the_candidates_and_one_may_die(cluster, tmp_path):
    cluster, node = cluster
    executor = RayExecutor(address=cluster.address, timeout=60, platform='cpu')
    assert len(executor.nodes()) == 2
    results = dict(executor.map(jobs.misbehave, ['raise', 'kill', 'fine']))
    assert results[0] == Failure('the cell is no good') and results[2] == 'fine'
    assert 'SIGKILL' in results[1].reason

    # Two candidates wait for each other, so they run at once, one on each node; then one node dies.
    paths = [str(tmp_path / name) for name in 'ab']
    loop = executor.map(jobs.meet, [(paths[0], paths[1]), (paths[1], paths[0])])
    assert jobs.wait_until_written(paths)
    cluster.remove_node(node, allow_graceful=False)
    # Nobody may end before the one on that node is gone; its second attempt waits for the other's
    # place.
    pids = [(tmp_path / name).read_text().split()[0] for name in 'ab']
    deadline = time.monotonic() + 20
    while (
        all(pathlib.Path(f'/proc/{pid}').exists() for pid in pids) and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    (tmp_path / 'go').touch()
    results = dict(loop)
    assert sorted(results.values()) == paths
    attempts = [len((tmp_path / name).read_text().split()) for name in 'ab']
    assert sorted(attempts) == [1, 2]


def test_a_search_that_loses_a_node_ends_with_the_cells_of_an_unbroken_one(cluster):
    cluster, _ = cluster
    node = cluster.add_node(num_cpus=1)
    executor = RayExecutor(address=cluster.address, timeout=60, platform='cpu')
    assert jobs.wait_until(lambda: len(executor.nodes()) == 2)
    seen = []

    def kill_in_the_middle(evaluation):
        seen.append(evaluation)
        # The other two cells of this batch are on their way, one on each node.
        if len(seen) == 3:
            cluster.remove_node(node, allow_graceful=False)

    done = loop.run(
        test_loop.make(),
        jobs.error_of_digits,
        budget=9,
        executor=executor,
        on_evaluation=kill_in_the_middle,
    )
    assert len(executor.nodes()) == 1
    unbroken = loop.run(
        test_loop.make(), lambda cell: {'error': test_loop.error_of(cell)}, budget=9
    )
    assert {(e.cell, e.status) for e in done} == {(e.cell, 'ok') for e in unbroken}


def test_what_a_node_cannot_read_is_not_the_candidate_s_fault(cluster):
    executor = RayExecutor(address=cluster[0].address, timeout=60, platform='cpu')
    ((_, result),) = executor.map(jobs.lose_the_ground, ['away'])
    assert type(result) is Unavailable and str(result) == 'the images are away'


def test_a_candidate_that_takes_its_workers_down_has_failed_by_itself(cluster, tmp_path):
    executor = RayExecutor(address=cluster[0].address, timeout=60, platform='cpu', max_retries=0)
    job = str(tmp_path / 'always'), 9
    ((_, result),) = executor.map(jobs.lose, [job])
    assert isinstance(result, Lost) and 'Ray lost the candidate' in str(result)
    results = dict(map_again(executor, jobs.lose, [job, (str(tmp_path / 'never'), 0)]))
    assert results[1] == 1 and isinstance(results[0], Failure)
    assert 'lost twice, while other jobs came through' in results[0].reason
    assert len((tmp_path / 'always').read_text()) == 3


def test_a_missing_ray_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ValueError, match=r"pip install 'pano-dppnet\[ray\]'"):
        RayExecutor()
