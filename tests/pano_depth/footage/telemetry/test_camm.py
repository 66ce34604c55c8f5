"""CAMM: packets, and down by orientations and accelerometers."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage.telemetry import camm
from tests.pano_depth.footage.telemetry.made_tracks import packet


def test_packets_of_the_two_types_are_found_among_all():
    others = packet(2, 1, 2, 3) + packet(5, 1, 2, 3, form='d') + packet(1, 5, 6, form='i')
    gps = packet(6, *range(14))
    data = packet(0, 0.1, 0.2, 0.3) + others + gps + packet(3, 4, 5, 6) + packet(7, 7, 8, 9)
    found = list(camm.packets(data))
    assert [row[0] for row in found] == [0, 3]
    np.testing.assert_allclose(found[0][1:], [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(found[1][1:], [4, 5, 6])


@pytest.mark.parametrize('data', [b'\0\0\3', packet(3, 1, 2), packet(9, 1, 2, 3)])
def test_packets_that_are_none_are_refused_after_those_before(data):
    found = []
    with pytest.raises(ValueError, match='packet'):
        found.extend(camm.packets(packet(3, 0, 9, 0) + data))
    with pytest.raises(ValueError):
        for one in camm.packets(packet(3, 0, 9, 0) + data):
            found.append(one)
    assert found == [(3, 0, 9, 0)] * len(found) and found


def test_orientations_tell_down_exactly():
    """M turns the camera into a world with y down; pitch up by 30 degrees puts down behind."""
    turns = Rotation.random(20, random_state=0)
    rows = [(i / 10, 0, *turn) for i, turn in enumerate(turns.as_rotvec())]
    kind, found = camm.down([*rows, (0.0, 3, 1.0, 1.0, 1.0)])
    assert kind == camm.ORIENTATION
    np.testing.assert_allclose(found.values, turns.inv().apply([0, 1, 0]), atol=1e-12)
    np.testing.assert_allclose(found.times, np.arange(20) / 10)
    _, found = camm.down([(0.0, 0, np.radians(30), 0, 0)])
    np.testing.assert_allclose(found.values, [[0, np.cos(np.pi / 6), -0.5]], atol=1e-12)


def test_accelerometers_feel_the_push_of_the_ground_and_zeros_say_nothing():
    kind, found = camm.down([(0.0, 0, 0, 0, 0), (0.0, 3, 0.0, -9.81, 0.0), (0.1, 3, np.nan, 0, 0)])
    assert kind == camm.ACCELERATION
    np.testing.assert_array_equal(found.values, [[0, 9.81, 0]])
    assert camm.down([(0.0, 0, 0, 0, 0)]) is None and camm.down([]) is None
