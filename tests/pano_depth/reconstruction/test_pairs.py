"""Two panoramas of one place are told from those of two places, whatever turn lies between them."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import rigid, sphere
from pano_depth.reconstruction import pairs
from pano_depth.reconstruction.survey import ALIKE
from pano_depth.rooms import rooms

HEIGHT = 64


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=4, height=HEIGHT, width=2 * HEIGHT)


def _compared(one, other):
    return pairs.compare(pairs.look(one), pairs.look(other))


def _turned(frame, rotation):
    """What a camera sees whose motion to that of `frame` is `rotation`."""
    rays = sphere.ray_directions(*frame.shape[:2])
    return np.asarray(sphere.sample_equirect(frame, rigid.rotate(jnp.asarray(rotation), rays)))


@pytest.mark.parametrize(
    'turn', [(0, 0, 0), (3, -8, 5), (0, 100, 0), (4, -165, -3)], ids=['none', 'small', 'yaw', 'any']
)
def test_a_turn_is_found_and_does_not_make_a_difference(clip, turn):
    rotation = Rotation.from_euler('xyz', turn, degrees=True).as_matrix().astype(np.float32)
    found = _compared(_turned(clip.frames[0], rotation), clip.frames[0])
    apart = Rotation.from_matrix(np.asarray(found.rotation) @ rotation.T).magnitude()
    assert np.degrees(apart) < 0.5
    assert found.likeness > 0.9


def test_neighbours_are_alike_and_other_rooms_are_not(clip):
    found = [float(_compared(a, b).likeness) for a, b in zip(clip.frames, clip.frames[1:])]
    assert min(found) > ALIKE + 0.2
    others = [
        rooms.render_clip(500 + i, i, frames=1, height=HEIGHT, width=2 * HEIGHT).frames[0]
        for i in range(3)
    ]
    assert max(float(_compared(clip.frames[0], other).likeness) for other in others) < ALIKE - 0.08


def test_exposure_and_missing_colour_make_no_difference(clip):
    one, other = clip.frames[:2]
    usual = _compared(one, other)
    darker = _compared(one, (other * 0.5).astype(np.uint8))
    assert abs(darker.likeness - usual.likeness) < 0.03
    np.testing.assert_allclose(darker.rotation, usual.rotation, atol=0.02)
    grey = [
        np.repeat(x.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8) for x in (one, other)
    ]
    assert _compared(*grey).likeness > ALIKE + 0.2


def test_blank_frames_are_alike_each_other_and_nothing_else(clip):
    black, grey = np.zeros_like(clip.frames[0]), np.full_like(clip.frames[0], 99)
    assert _compared(black, black).likeness == 1
    assert _compared(grey, grey).likeness == 1
    assert _compared(black, clip.frames[0]).likeness < ALIKE
    assert _compared(clip.frames[0], black).likeness < ALIKE
