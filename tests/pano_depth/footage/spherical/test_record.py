"""What metadata mean: which way is down, and what still holds for converted frames."""

import dataclasses

import numpy as np

from pano_depth.footage import spherical
from pano_depth.footage.spherical import Spherical


def test_down_follows_the_specification():
    """Checked by turning vectors step by step, as the text of `prhd` says it."""

    def turned(vector, axis, degrees):
        """Counterclockwise around the axis for who looks from its tip (Rodrigues)."""
        angle, axis = np.radians(degrees), np.asarray(axis, float)
        along = axis * (axis @ vector)
        return along + np.cos(angle) * (vector - along) + np.sin(angle) * np.cross(axis, vector)

    rng = np.random.default_rng(0)
    for yaw, pitch, roll in rng.uniform(-1, 1, (20, 3)) * (180, 80, 170):
        # In a right-handed frame: right x, up y, behind z.
        right, up, forward = np.eye(3)[0], np.eye(3)[1], -np.eye(3)[2]
        right, forward = turned(right, up, yaw), turned(forward, up, yaw)
        up, forward = turned(up, right, pitch), turned(forward, right, pitch)
        # With the clock for who looks along forward, which is counterclockwise around backward.
        right, up = turned(right, forward, roll), turned(up, forward, roll)
        world_down = np.array([0.0, -1.0, 0.0])
        expected = [world_down @ right, -(world_down @ up), world_down @ forward]
        np.testing.assert_allclose(Spherical(pose=(yaw, pitch, roll)).down, expected, atol=1e-9)
    # The front of the picture shows the sky: what is down lies behind.
    np.testing.assert_allclose(Spherical(pose=(0, 90, 0)).down, [0, 0, -1], atol=1e-9)
    # The right side of the camera hangs down.
    np.testing.assert_allclose(Spherical(pose=(0, 0, 90)).down, [1, 0, 0], atol=1e-9)
    assert Spherical(pose=(120, 0, 0)).down is None


def test_metadata_of_converted_frames_can_be_written(path):
    old = Spherical('cubemap', 'right-left', (10, 20, 30), versions=(1, 2), view=(90, 0, 0))
    new = spherical.as_equirect(old)
    spherical.write_spherical(path, dataclasses.replace(new, stereo='top-bottom'))
    found = spherical.read_spherical(path)
    assert (found.projection, found.stereo) == ('equirectangular', 'top-bottom')
    assert found.pose == (10, 20, 30) and found.full
    assert 'InitialViewHeadingDegrees>90<' in found.xml
    assert spherical.as_equirect(None) is None
