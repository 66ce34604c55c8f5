"""nas.devices.profile: estimates are marked as estimates, with their error."""

import itertools
import logging

import numpy as np
import pytest

from nas.cells import zoo
from nas.devices import profile

# Published figures of DPP-Net, milliseconds and megabytes: (workstation, embedded, phone, phone's
# memory).
ROWS = {
    'densenet-bc-100-12': (None, None, 273, 79),
    'condensenet-86': (9, 90, 149, 113),
    'dpp-net-pnas': (13, 62, 912, 213),
    'dpp-net-ws-a': (6, 75, 210, 129),
    'dpp-net-es-a': (7, 44, 381, 100),
    'dpp-net-mobile-a': (8, 65, 145, 58),
    'dpp-net-panacea': (8, 83, 149, 104),
}


@pytest.mark.parametrize(
    'device, column', [('workstation', 0), ('embedded', 1), ('phone', 2), ('phone', 3)]
)
def test_fits_come_near_the_published_rows_they_are_made_of(device, column):
    opened = profile.ProfileDevice(device)
    fitted = opened.memory if column == 3 else opened.latency
    rows = {name: row[column] for name, row in ROWS.items() if row[column] is not None}
    assert fitted.rows == len(rows)
    assert len(fitted.weights) <= 3 and min(fitted.weights.values()) >= 0
    errors = [abs(fitted(zoo.NETWORKS[name].plan()) / figure - 1) for name, figure in rows.items()]
    # A fit sees its rows, so that it is nearer to them than the error for rows it has not seen.
    assert np.mean(errors) < fitted.error < 0.5


def test_leave_one_out_error_of_a_known_line():
    """Errors by hand, for the constant alone: fitted to a and b it is (1/a + 1/b) / (1/a^2 +
    1/b^2).
    """
    figures = np.array([1.0, 2.0, 4.0])
    expected = []
    for left, (a, b) in zip(figures, ((2, 4), (1, 4), (1, 2))):
        guess = (1 / a + 1 / b) / (1 / a**2 + 1 / b**2)
        expected.append(abs(guess - left) / left)
    errors = profile._left_out_errors(np.ones((3, 1)), figures, lambda rows, figures: [0])
    np.testing.assert_allclose(errors, expected, rtol=1e-6)


def test_the_terms_that_explain_are_chosen():
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.ones(7), rng.random((7, 4))])
    assert profile._choose(rows, 1 + 5 * rows[:, 3]) == [0, 3]
    assert profile._choose(rows, np.full(7, 2.0)) == [0]


@pytest.mark.parametrize('device', profile.DEVICES)
def test_every_network_gets_a_positive_estimate_marked_as_one(device, caplog):
    with caplog.at_level(logging.WARNING):
        opened = profile.ProfileDevice(device)
    error = f'{100 * opened.latency.error:.0f} %'
    assert 'estimate' in opened.name and error in opened.name and error in caplog.text
    for network in itertools.islice(zoo.NETWORKS.values(), 0, None, 4):
        measured = opened.measure(network.plan())
        assert measured.latency_ms > 0 and measured.estimated and measured.device == opened.name
        assert error in measured.note and (measured.memory_mb is not None) == (device == 'phone')


def test_more_work_takes_longer_on_the_phone():
    phone = profile.ProfileDevice('phone')
    small, large = (
        phone.measure(zoo.NETWORKS[f'condensenet-{depth}'].plan()) for depth in (50, 182)
    )
    assert small.latency_ms < large.latency_ms and small.memory_mb < large.memory_mb


def test_unknown_device_is_named_with_those_there_are():
    with pytest.raises(ValueError, match='toaster.*workstation, embedded, phone'):
        profile.ProfileDevice('toaster')
