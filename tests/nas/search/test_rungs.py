"""Early stopping with several objectives."""

import pytest

from nas.search.rungs import Rungs

KNOWN = Rungs(fractions=(0.25, 0.5), margin=5.0).add(
    [
        ({'params': 100, 'flops': 10}, (40.0, 20.0)),
        ({'params': 50, 'flops': 50}, (60.0,)),
        ({'params': 1, 'flops': 1}, ()),
    ]
)


@pytest.mark.parametrize(
    'costs, rung, error, stopped',
    [
        ({'params': 100, 'flops': 10}, 0, 45.0, True),  # exactly the margin
        ({'params': 100, 'flops': 10}, 0, 44.9, False),  # within it
        ({'params': 200, 'flops': 20}, 1, 90.0, True),
        ({'params': 99, 'flops': 20}, 0, 90.0, False),  # cheaper in one cost than each better one
        ({'params': 60, 'flops': 60}, 0, 65.0, True),  # by the second record
        ({'params': 60, 'flops': 60}, 1, 99.0, False),  # which never reached the second rung
        ({'params': 200, 'latency_ms': 1}, 0, 99.0, False),
    ],
)  # nothing is known about latency
def test_only_the_clearly_dominated_are_stopped(costs, rung, error, stopped):
    reason = KNOWN.dominated(costs, rung, error)
    assert (reason is not None) == stopped
    if stopped:
        assert f'rung {rung + 1}' in reason and 'params' in reason


def test_records_are_added_to_a_copy():
    rungs = Rungs()
    more = rungs.add([({'params': 1}, (3.0,))])
    assert rungs.dominated({'params': 1}, 0, 50.0) is None and more.dominated(
        {'params': 1}, 0, 50.0
    )


def test_rungs_that_fall_together_or_on_the_end_are_left_out():
    assert Rungs(fractions=(0.25, 0.5)).epochs(12) == (3, 6)
    assert Rungs(fractions=(0.1, 0.2)).epochs(4) == (1,)
    assert Rungs(fractions=(0.5,)).epochs(1) == ()


@pytest.mark.parametrize(
    'options', [{'fractions': (0.5, 0.25)}, {'fractions': (0.5, 1.0)}, {'margin': -1.0}]
)
def test_bad_rungs_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Rungs(**options)
