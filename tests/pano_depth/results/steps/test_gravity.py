"""Down by gravity and a path: noise cancels, axes are found, and what does not fit is left out."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage.telemetry import Gravity
from pano_depth.footage.telemetry import gravity as axes
from pano_depth.results.steps import gravity

TIMES = np.arange(120) / 24
# Down in the world of the path, whose first camera was tilted.
DOWN = np.array([0.2, 0.9, -0.3]) / np.linalg.norm([0.2, 0.9, -0.3])


def path(sway=0.15, turn=1.0):
    """Camera to world: it sways in pitch and roll, and turns to the side."""
    rows = np.stack(
        [sway * np.sin(1.7 * TIMES), turn * TIMES / 5, sway * np.sin(1.1 * TIMES + 1)], axis=-1
    )
    return Rotation.from_rotvec(rows).as_matrix()


def said(rotations, kind=axes.CERTAIN, *, turned=None, noise=0.0):
    """The gravity that sensors write whose axes are turned against the camera's."""
    down = np.swapaxes(rotations, 1, 2) @ DOWN
    if turned is not None:
        down = down @ turned.T
    down = down + noise * np.random.default_rng(0).normal(size=down.shape)
    return Gravity(TIMES, down, 'it', kind)


def degrees(found):
    assert found.direction is not None, found.words
    return np.degrees(np.arccos(np.clip(found.direction @ DOWN, -1, 1)))


def test_the_shaking_of_a_walk_cancels():
    rotations = path()
    shaken = said(rotations, noise=0.07)
    apart = np.einsum('fij,fj->fi', rotations, shaken.down) @ DOWN
    assert np.degrees(np.arccos(np.clip(apart, -1, 1))).mean() > 3
    found = gravity.find_down(shaken, TIMES, rotations)
    assert degrees(found) < 0.8 and found.words == 'it, in 120 frames'
    assert degrees(gravity.find_down(said(rotations), TIMES, rotations)) < 1e-3


def test_readings_that_are_far_off_do_not_count():
    rotations = path()
    damaged = said(rotations)
    damaged.down[::15] *= [-1, -1, 1]
    assert degrees(gravity.find_down(damaged, TIMES, rotations)) < 1e-3


@pytest.mark.parametrize('number', range(4))
def test_the_sides_of_gopro_are_told_by_the_path(number):
    rotations = path(sway=0.1)
    found = said(rotations, axes.SIGNS, turned=axes.SIGNS[number], noise=0.01)
    assert degrees(gravity.find_down(found, TIMES, rotations)) < 0.5


@pytest.mark.parametrize('number', [0, 5, 13, 20])
def test_the_axes_of_an_accelerometer_are_told_by_the_path(number):
    rotations = path(sway=0.3)
    found = said(rotations, axes.ANY, turned=axes.ANY[number], noise=0.1)
    assert degrees(gravity.find_down(found, TIMES, rotations)) < 2


@pytest.mark.parametrize('kind', [axes.SIGNS, axes.ANY])
def test_axes_that_a_still_camera_cannot_tell_are_not_guessed(kind):
    rotations = path(sway=0.0, turn=0.0)
    found = gravity.find_down(said(rotations, kind), TIMES, rotations)
    assert found.direction is None and 'cannot tell' in found.words
    assert degrees(gravity.find_down(said(rotations), TIMES, rotations)) < 1e-3


def test_axes_do_not_matter_where_all_say_the_same():
    """An upright camera on wheels: down is y whichever way its other axes point."""
    rotations = path(sway=0.0)
    down = np.tile([0.0, 1.0, 0.0], (len(TIMES), 1))
    found = gravity.find_down(Gravity(TIMES, down, 'it', axes.SIGNS), TIMES, rotations)
    np.testing.assert_allclose(found.direction, [0, 1, 0], atol=1e-6)
    # An accelerometer whose y is across: a camera that turns about down tells that, too.
    across = Gravity(TIMES, down[:, [1, 2, 0]], 'it', axes.ANY)
    found = gravity.find_down(across, TIMES, rotations)
    np.testing.assert_allclose(found.direction, [0, 1, 0], atol=1e-6)


@pytest.mark.parametrize('kind', [axes.CERTAIN, axes.SIGNS])
def test_frames_that_were_levelled_have_another_frame(kind):
    """The camera swayed by 9 degrees; a program held its pictures still."""
    found = gravity.find_down(said(path(), kind), TIMES, path(sway=0.0))
    assert found.direction is None and 'does not turn as the frames do' in found.words


def test_frames_without_gravity_do_not_count():
    rotations = path()
    half = said(rotations)
    half = Gravity(half.times[:40], half.down[:40], 'it', half.axes)
    found = gravity.find_down(half, TIMES, rotations)
    assert degrees(found) < 1e-3 and found.words == 'it, in 40 frames'
    found = gravity.find_down(half, TIMES + 60, rotations)
    assert found.direction is None and 'none at the times' in found.words
    assert degrees(gravity.find_down(half, TIMES[:1], rotations[:1])) < 1e-3
