"""Configurations made in Python obey the same bounds as their flags."""

import dataclasses
import math
from typing import Literal

import pytest

from common.options import check_options, option


@dataclasses.dataclass(frozen=True)
class Config:
    """One option of each kind that has something to check."""

    count: int = option(1, 'some', lower_bound=1)
    share: float | None = option(None, 'some', lower_bound=0, upper_bound=0.5)
    kind: Literal['a', 'b'] = option('a', 'some')
    name: str = option('x', 'some')

    def __post_init__(self):
        check_options(self)


@pytest.mark.parametrize(
    'values', [{}, {'count': 1, 'share': 0.5}, {'share': 0.0, 'kind': 'b', 'name': ''}]
)
def test_bounds_themselves_and_none_are_accepted(values):
    assert Config(**values) == dataclasses.replace(Config(), **values)


@pytest.mark.parametrize(
    'values, sentence',
    [
        ({'count': 0}, 'count is 0, it has to be at least 1'),
        ({'share': -0.1}, 'share is -0.1, it has to be at least 0'),
        ({'share': 0.6}, 'share is 0.6, it has to be at most 0.5'),
        ({'share': math.nan}, 'share is nan; accepted: a finite number'),
        ({'kind': 'c'}, "kind is 'c'; accepted: a, b"),
    ],
)
def test_what_a_flag_would_refuse_is_refused(values, sentence):
    with pytest.raises(ValueError) as caught:
        Config(**values)
    assert str(caught.value) == sentence
