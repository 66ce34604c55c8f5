"""Who is to blame for a lost candidate."""

import pytest

from common.patience import Lost, Unavailable
from nas.search.batches.lost import map_again
from nas.search.evaluations import Failure


class Cluster:
    """An executor: of each call of `map` a list says what is lost, by job."""

    def __init__(self, *lost):
        self.lost, self.calls = list(lost), []

    def map(self, function, jobs):
        self.calls.append(list(jobs))
        lost = self.lost.pop(0)
        for index in reversed(range(len(jobs))):
            gone = lost == 'all' or jobs[index] in lost
            yield index, Lost('its node died') if gone else function(jobs[index])


def square(job):
    return job * job


def test_without_losses_nothing_is_asked_twice():
    cluster = Cluster([])
    assert list(map_again(cluster, square, [3, 4])) == [(1, 16), (0, 9)]
    assert cluster.calls == [[3, 4]]


def test_a_job_of_a_node_that_died_by_itself_is_done_again():
    cluster = Cluster([4], [], [])
    assert dict(map_again(cluster, square, [3, 4, 5])) == {0: 9, 1: 16, 2: 25}
    assert cluster.calls == [[3, 4, 5], [0], [4]]


def test_a_job_that_takes_its_node_down_has_failed():
    results = dict(map_again(Cluster([4], [], [4], []), square, [3, 4]))
    assert results[0] == 9
    assert results[1] == Failure('lost twice, while other jobs came through: its node died')


@pytest.mark.parametrize('lost', [([4], 'all'), ('all', 'all'), ([4], [], [4], 'all')])
def test_a_cluster_on_which_nothing_runs_is_away(lost):
    cluster = Cluster(*lost)
    results = dict(map_again(cluster, square, [3, 4]))
    assert isinstance(results[1], Unavailable) and str(results[1]) == 'its node died'
    assert not cluster.lost


def test_what_is_not_lost_but_missing_is_no_question_of_blame():
    class Reader(Cluster):
        def map(self, function, jobs):
            self.calls.append(list(jobs))
            yield 0, Unavailable('the images are away')

    cluster = Reader()
    ((_, result),) = map_again(cluster, square, [3, 4])
    assert type(result) is Unavailable and cluster.calls == [[3, 4]]
