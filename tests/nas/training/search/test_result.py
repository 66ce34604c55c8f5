"""The course of a training: what its points give, and where it is stopped."""

import dataclasses

from nas.search.rungs import Rungs
from nas.training.search.result import Course, Point, Result

RUNGS = Rungs(fractions=(0.25, 0.5), margin=5.0).add([({'params': 1.0}, (20.0, 20.0))])


@dataclasses.dataclass(frozen=True)
class _Shown(Result):
    shown: str = ''


def test_a_candidate_is_compared_by_its_lowest_error_so_far():
    course = Course(8, rungs=RUNGS, costs={'params': 2.0})
    assert course.stops == (2, 4)
    # The error of the epoch of a rung alone would stop it.
    assert not any(course.add(Point(n + 1, 0.1, e)) for n, e in enumerate([22.0, 90.0, 80.0, 70.0]))
    assert not any(course.add(Point(epoch, 0.1, 30.0 - epoch)) for epoch in range(5, 9))
    found = course.result(_Shown, shown='what it sees')
    assert (found.error, found.epochs, found.planned_epochs) == (22.0, 8, 8)
    assert found.rung_errors == (22.0, 22.0) and len(found.curve) == 8
    assert (found.status, found.reason, found.shown) == ('ok', '', 'what it sees')


def test_a_dominated_candidate_is_stopped_at_the_rung():
    course = Course(8, rungs=RUNGS, costs={'params': 2.0})
    assert not course.add(Point(1, 0.1, 30.0)) and course.add(Point(2, 0.1, 25.0))
    found = course.result()
    assert (found.status, found.epochs, found.rung_errors) == ('stopped', 2, (25.0,))
    assert 'stopped at rung 1 with an error of 25.00 %' in found.reason and found.seconds >= 0
    assert not any(Course(8).add(Point(epoch, 0.1, 99.0)) for epoch in range(1, 9))
