"""Level worlds: from metadata, from the surfaces of the scene; metres of a tilted camera."""

import dataclasses
import types

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage.telemetry import Gravity
from pano_depth.footage.telemetry import gravity as telemetry
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer
from pano_depth.results.pieces import Piece
from pano_depth.results.steps import Steps, unit, world

# An equirectangular grid of 64 x 128 pixels: estimates are images themselves.
MODEL = ModelConfig(face_size=32, padding='equirect', depth_channels=(4, 4), pose_channels=(4,))
HEIGHT, FRAMES = 0.7, 3
# Camera to a world with y down: turned to different sides, leaning by 14 degrees.
LEAN = np.stack(
    [
        (Rotation.from_rotvec([0.2, 0, 0.14]) * Rotation.from_euler('y', 0.6 + 0.3 * i)).as_matrix()
        for i in range(FRAMES)
    ]
)
PLACES = np.arange(FRAMES)[:, None] * [0.2, 0, 0.1]
DOWN = LEAN[0].T @ [0, 1, 0]
NOTHING = types.SimpleNamespace(down=None, gravity=None)


def depth_of(rotation, place):
    """Range in a room of 4 x 3 m whose floor is `HEIGHT` below the camera."""
    rays = np.asarray(sphere.ray_directions(64, 128), np.float64) @ rotation.T
    x, y, z = np.moveaxis(np.where(np.abs(rays) < 1e-9, 1e-9, rays), -1, 0)
    x = (np.where(x > 0, 2, -2) - place[0]) / x
    z = (np.where(z > 0, 1.5, -1.5) - place[2]) / z
    return np.minimum.reduce([x, np.where(y > 0, HEIGHT, -0.9) / y, z])


@pytest.fixture(scope='module')
def piece():
    """The path in the world of the first camera."""
    disparity = np.stack([1 / depth_of(*pose) for pose in zip(LEAN, PLACES, strict=True)])
    poses = Motion(LEAN[0].T @ LEAN, PLACES @ LEAN[0])
    analysis = infer.Analysis(disparity[:, None].astype(np.float32), np.ones(FRAMES), poses, None)
    return Piece(0, FRAMES, analysis)


def test_surfaces_tell_down_and_the_level_world_has_it(piece):
    found = world.find_down(piece, NOTHING, 0, MODEL)
    assert np.degrees(np.arccos(found.direction @ DOWN)) < 0.3
    level, facts = world.in_world(piece, 'level', found)
    facts = facts['world']
    assert facts['world'] == 'level' and 'floor' in facts['down_from']
    assert facts['tilt_deg'] == pytest.approx(np.degrees(np.arccos(DOWN[1])), abs=0.3)
    # The camera did not climb. In the world of the tilted camera it did.
    assert np.abs(level.analysis.poses.translation[:, 1]).max() < 0.005
    assert np.abs(piece.analysis.poses.translation[:, 1]).max() > 0.01
    # Frame 0 looks along z of the world, as it did, up or down.
    ahead = level.analysis.poses.rotation[0][:, 2]
    assert abs(ahead[0]) < 1e-9 < ahead[2]
    # All poses were turned alike.
    one, other = (some.analysis.poses.rotation for some in (level, piece))
    np.testing.assert_allclose(one[0].T @ one, other[0].T @ other, atol=1e-12)
    kept, facts = world.in_world(piece, 'first_camera', found)
    assert kept is piece and facts['world']['world'] == 'first_camera'


def test_metadata_is_believed_for_the_frame_it_is_about(piece):
    said = types.SimpleNamespace(down=np.array([0.6, 0.8, 0]), gravity=None)
    found = world.find_down(piece, said, 0, MODEL)
    np.testing.assert_allclose(found.direction, [0.6, 0.8, 0], atol=1e-12)
    _, facts = world.in_world(piece, 'level', found)
    assert facts['world']['down_from'] == 'the metadata of the footage'
    assert facts['world']['tilt_deg'] == pytest.approx(36.87, abs=0.01)
    # A piece behind a cut has another first camera.
    assert world.find_down(piece, said, 7, MODEL).direction @ DOWN > 0.999


def test_gravity_of_all_frames_counts_before_the_floor(piece):
    times, wrong = np.arange(FRAMES) / 5, np.array([0.6, 0.8, 0])
    down = np.swapaxes(piece.analysis.poses.rotation, 1, 2) @ wrong
    said = types.SimpleNamespace(down=None, gravity=Gravity(times, down, 'it', telemetry.CERTAIN))
    # Of any piece, whatever its first camera is.
    for first in (0, 7):
        found = world.find_down(piece, said, first, MODEL, times=times)
        np.testing.assert_allclose(found.direction, wrong, atol=1e-9)
        assert world.in_world(piece, 'level', found)[1]['world']['down_from'] == 'it, in 3 frames'
    # What the file says of frame 0 counts first.
    said.down = np.array([0, 1, 0])
    found = world.find_down(piece, said, 0, MODEL, times=times)
    assert found.direction @ piece.analysis.poses.rotation[0][:, 1] > 1 - 1e-9


def test_a_later_piece_has_the_gravity_of_its_own_times(piece):
    times, wrong = np.arange(3 * FRAMES) / 5, np.array([0.6, 0.8, 0])
    down = np.tile([0.0, 0.0, 1.0], (3 * FRAMES, 1))
    own = slice(FRAMES, 2 * FRAMES)
    down[own] = np.swapaxes(piece.analysis.poses.rotation, 1, 2) @ wrong
    said = Gravity(times, down, 'it', telemetry.CERTAIN)
    job = types.SimpleNamespace(
        frames=types.SimpleNamespace(indices=np.arange(3 * FRAMES), times=times),
        footage=types.SimpleNamespace(down=None, gravity=said),
        model=MODEL,
    )
    found = Steps._down(job, piece._replace(start=own.start, stop=own.stop))
    assert found.source == 'it, in 3 frames'
    np.testing.assert_allclose(found.direction, wrong, atol=1e-9)


def test_gravity_that_does_not_fit_leaves_it_to_the_floor(piece):
    times = np.arange(FRAMES) / 5
    said = Gravity(times, np.tile([0.6, 0.8, 0], (FRAMES, 1)), 'it', telemetry.CERTAIN)
    said = types.SimpleNamespace(down=None, gravity=said)
    found = world.find_down(piece, said, 0, MODEL, times=times)
    assert np.degrees(np.arccos(found.direction @ DOWN)) < 0.3
    facts = world.in_world(piece, 'level', found)[1]['world']
    assert 'floor' in facts['down_from']
    assert facts['gravity_left_out'] == 'it does not turn as the frames do'


def test_a_world_that_cannot_be_level_is_said(piece):
    flat = piece.analysis._replace(disparity=np.ones_like(piece.analysis.disparity))
    ball = piece._replace(analysis=flat)
    found = world.find_down(ball, NOTHING, 0, MODEL)
    kept, facts = world.in_world(ball, 'level', found)
    assert kept is ball and facts['world']['world'] == 'first_camera'
    assert 'could not be level' in facts['world']['down_from']


@dataclasses.dataclass
class Refined:
    """Refined depth: that of the room, but unsure in half of the sphere, where it is wrong."""

    height: int = 64
    unit: float = 1.0

    def depth(self, index):
        depth = depth_of(LEAN[index], PLACES[index]).astype(np.float32)
        depth[:, :64] *= 1 + 0.5 * np.linspace(0, 1, 64)
        return self.unit * depth

    def confidence(self, index):
        return np.repeat([[0.1, 0.9]], 64, axis=0).repeat(64, axis=1).astype(np.float32)


def test_depth_that_is_not_confirmed_does_not_count(piece):
    found = world.find_down(piece._replace(refined=Refined()), NOTHING, 0, MODEL)
    assert np.degrees(np.arccos(found.direction @ DOWN)) < 0.3
    assert found.source == 'floor, ceiling and walls of the reconstruction'


@pytest.mark.parametrize('path', [True, False])
def test_the_height_of_a_tilted_camera_gives_metres(piece, path):
    """Each frame tells its own down where there is no path."""
    if not path:
        piece = piece._replace(analysis=piece.analysis._replace(poses=None))
    found = world.find_down(piece, NOTHING, 0, MODEL) if path else None
    down_of = world.down_of(piece, found, MODEL)
    right, facts = unit.fix_scale(piece.analysis, MODEL, camera_height=1.4, down_of=down_of)
    np.testing.assert_allclose(right.units, 1.4 / HEIGHT, rtol=0.01)
    assert facts['floor_spread'] < 0.01
    upright, _ = unit.fix_scale(piece.analysis, MODEL, camera_height=1.4)
    assert abs(upright.units[0] / (1.4 / HEIGHT) - 1) > 0.05
