"""Numbers and names as people write them, and ticks that are true."""

import numpy as np
import pytest

from nas.search.report import words


@pytest.mark.parametrize(
    'value, name, text',
    [
        (16090.0, 'params', '16,090'),
        (1322.0, 'params', '1,322'),
        (15_647_360.0, 'flops', '15.65 M'),
        (0.08123, 'latency_ms', '0.0812 ms'),
        (12345.6, 'latency_ms', '12,346 ms'),
        (20.5, 'error', '20.5 %'),
        (5.8496, 'error', '5.85 %'),
        (0.0, 'error', '0 %'),
        (3.1, 'energy_mj', '3.1 mJ'),
        (-3.2, 'neg_acc', '-3.2'),
        (0.9123, '-accuracy', '0.912'),
        (1e-7, 'loss', '1e-07'),
        (None, 'error', '-'),
    ],
)
def test_quantities(value, name, text):
    assert words.quantity(value, name) == text


def test_headings_tell_the_unit():
    names = ('error', 'latency_ms', 'memory_mb', 'params', '-accuracy', 'energy_mj', 'neg_acc')
    assert [words.heading(name) for name in names] == [
        *('error, %', 'latency, ms', 'memory, MB', 'params', 'accuracy', 'energy, mJ', 'neg_acc')
    ]


@pytest.mark.parametrize(
    'values',
    [
        [0.0, 5.0, 10.0],
        [16090.1, 16090.2, 16090.3],
        [1e6, 1e6 + 1, 1e6 + 2],
        [2e3, 5e3, 1e4, 2e6],
        [1e-8, 2e-8],
        [-0.9001, -0.9, -0.8999],
        [100.0, 100.0002, 100.0004],
        [7.0],
        [0.0, 0.1, 0.2, 0.30000000000000004],
    ],
)
def test_ticks_are_where_they_say(values):
    texts = words.ticks(values)
    steps = {'k': 1e3, 'M': 1e6, 'G': 1e9}
    read = [float(t.rstrip('kMG')) * steps.get(t[-1], 1) for t in texts]
    np.testing.assert_allclose(read, values, rtol=0, atol=1e-6 * (np.ptp(values) or values[0]))
    assert len(set(texts)) == len(values)


def test_ticks_are_short_where_few_digits_do():
    assert words.ticks([20_000, 50_000, 100_000, 2_000_000]) == ['20k', '50k', '100k', '2M']
    assert words.ticks([]) == []


def test_a_column_lines_up_and_tells_its_values_apart():
    assert words.column([0.351, 0.0988, 0.06], 'latency_ms') == ['0.3510', '0.0988', '0.0600']
    assert words.column([21706.0, 1322.0], 'params') == ['21,706', '1,322']
    assert words.column([16.090102, 16.090113], 'error') == ['16.090102', '16.090113']
    assert words.column([16090.01, 16090.02], 'latency_ms') == ['16,090.010', '16,090.020']
    assert words.column([3.5, None, 'x'], 'error') == ['3.50', '-', 'x']
