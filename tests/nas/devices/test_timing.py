"""nas.devices.timing: rounds of calls by a clock that the test moves."""

import pytest

from nas.devices import timing


class Clock:
    """Calls take the given seconds one after another, the last of them for ever."""

    def __init__(self, seconds):
        self.now, self.calls, self._seconds = 0.0, 0, list(seconds)

    def perf_counter(self):
        return self.now

    def __call__(self):
        self.calls += 1
        self.now += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]


@pytest.fixture
def clock(monkeypatch):
    def make(*seconds):
        made = Clock(seconds)
        monkeypatch.setattr(timing, 'time', made)
        return made

    return make


def test_the_round_with_the_lowest_median_counts_whole(clock):
    call = clock(9, 4, 4, 4, 1, 2, 8, 3, 3, 3)  # one call to warm up, rounds of medians 4, 2 and 3
    times = timing.quietest_round(call, warmup=1, repeats=3, min_seconds=25)
    assert times == pytest.approx([1000, 2000, 8000]) and call.calls == 10


def test_there_is_one_round_in_any_case(clock):
    call = clock(1)
    assert len(timing.quietest_round(call, warmup=2, repeats=7)) == 7 and call.calls == 9


@pytest.mark.parametrize('max_seconds, calls', [(0, 5), (4.5, 5), (6.5, 7), (100, 20)])
def test_a_slow_call_is_repeated_five_times_or_as_long_as_asked(clock, max_seconds, calls):
    call = clock(1)
    times = timing.quietest_round(
        call, warmup=0, repeats=20, max_seconds=max_seconds, min_seconds=2
    )
    assert len(times) == call.calls == calls


def test_rounds_end_with_the_time_and_a_cut_one_does_not_count(clock):
    call = clock(*[1] * 20, 0.5)  # a round of twenty calls, and one that is cut after six
    times = timing.quietest_round(call, warmup=0, repeats=20, max_seconds=23, min_seconds=60)
    assert times == pytest.approx([1000] * 20) and call.calls == 27
