"""Down is found from floor, ceiling and walls, however the camera is held."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.reconstruction import level

ROWS = 128
DOWN = np.array([0.0, 1, 0])


def room(rotation, *, place=(0.0, 0.0), floor=1.4, ceiling=-1.1, slope=0.0):
    """[H, 2H] range in a room of 6 x 5 m, of a camera that is turned by `rotation` to the world.

    With a slope the ceiling is a roof that rises by so much a metre to the right.
    """
    rays = np.asarray(sphere.ray_directions(ROWS, 2 * ROWS), np.float64) @ rotation.T
    x, y, z = np.moveaxis(np.where(np.abs(rays) < 1e-9, 1e-9, rays), -1, 0)
    a, b = place
    roof = y + slope * x
    return np.minimum.reduce(
        [
            np.where(x > 0, 3 - a, -3 - a) / x,
            np.where(z > 0, 2.5 - b, -2.5 - b) / z,
            np.where(y > 0, floor / y, np.inf),
            np.where(roof < 0, (ceiling - slope * a) / roof, np.inf),
        ]
    ).astype(np.float32)


def tilted(degrees, toward, heading=0.0):
    """A rotation, camera to world, of a camera that turned first and then leaned."""
    about = np.radians(degrees) * np.array([np.cos(toward), 0, np.sin(toward)])
    turn = Rotation.from_euler('y', heading)
    return (Rotation.from_rotvec(about) * turn).as_matrix()


def off(found, rotation):
    """Degrees between what was found in the camera frame and what is true."""
    return np.degrees(np.arccos(min(1.0, float(found.direction @ (rotation.T @ DOWN)))))


@pytest.mark.parametrize(
    'degrees, toward, heading', [(0, 0, 0), (8, 1, 2), (15, 4, 0.5), (35, 3, 1)]
)
def test_down_is_found_of_a_tilted_camera(degrees, toward, heading):
    rotation = tilted(degrees, toward, heading)
    found = level.find_down([level.patches(room(rotation))], np.eye(3)[None])
    assert off(found, rotation) < 0.1
    assert level.tilt(found.direction) == pytest.approx(degrees, abs=0.1)


def test_a_slanted_roof_and_noise_do_not_move_it():
    rotation = tilted(12, 2.2, 0.7)
    rng = np.random.default_rng(0)
    frames = [
        room(rotation, place=(0.3 * i, 0.1 * i), slope=0.3)
        * np.exp(rng.normal(0, 0.01, (ROWS, 2 * ROWS))).astype(np.float32)
        for i in range(3)
    ]
    found = level.find_down(map(level.patches, frames), np.tile(np.eye(3), (3, 1, 1)))
    assert off(found, rotation) < 0.3


def test_cameras_that_turn_agree_in_the_world():
    """The world is the first camera; the others are turned by up to 100 degrees."""
    rotations = np.stack([tilted(10, 1, heading) for heading in (0.2, 1, 1.9)])
    relative = rotations[0].T @ rotations
    found = level.find_down([level.patches(room(r)) for r in rotations], relative)
    assert off(found, rotations[0]) < 0.1


def test_what_does_not_count_and_what_tells_nothing():
    rotation = tilted(10, 1)
    depth, mask = room(rotation), np.ones((ROWS, 2 * ROWS), bool)
    odd = depth.copy()
    odd[ROWS // 2 :] = room(tilted(30, 1))[ROWS // 2 :]
    mask[ROWS // 2 :] = False
    found = level.find_down([level.patches(odd, mask=mask)], np.eye(3)[None])
    assert off(found, rotation) < 0.1
    ball = np.full((ROWS, 2 * ROWS), 2.0, np.float32)
    assert level.find_down([level.patches(ball)], np.eye(3)[None]) is None
    assert level.find_down([level.patches(0 * ball)], np.eye(3)[None]) is None


@pytest.mark.parametrize('down', [[0, 1, 0], [0.2, 0.9, -0.3], [0, 0, 1], [0, 0, -1], [1, 0, 0]])
def test_a_level_world_has_y_down_and_keeps_the_heading(down):
    down = np.array(down, float) / np.linalg.norm(down)
    turn = level.level_rotation(down)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(turn @ down, DOWN, atol=1e-12)
    ahead = turn @ [0, 0, 1]
    assert abs(ahead[0]) < 1e-12 and (ahead[2] > 0 or abs(down[2]) == 1)
