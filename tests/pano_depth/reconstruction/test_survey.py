"""Footage with and without parallax, with cuts, and of unrelated places."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.footage import media
from pano_depth.kernels import rigid, sphere
from pano_depth.reconstruction import survey as surveys
from pano_depth.reconstruction.survey import survey
from pano_depth.rooms import rooms

HEIGHT = 64
SIZE = {'height': HEIGHT, 'width': 2 * HEIGHT}


@pytest.fixture(scope='module')
def walk():
    return rooms.sample_clip(frames=6, **SIZE).frames


@pytest.fixture(scope='module')
def large():
    """A panorama at a higher resolution, from which a turning camera is made."""
    return rooms.render_clip(77, 3, frames=1, height=256, width=512).frames[0]


def _noisy(frames, size=2.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, size, frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def _standing(large, count=6):
    return _noisy(np.stack([media.resize_equirect(large, **SIZE)] * count))


def _turning(large, degrees=6, count=6):
    rays = sphere.ray_directions(*large.shape[:2])
    turns = Rotation.from_rotvec(
        np.radians(degrees) * np.arange(count)[:, None] * np.array([0.2, 1, 0.1])
    )
    frames = [
        np.asarray(sphere.sample_equirect(large, rigid.rotate(jnp.asarray(turn), rays)))
        for turn in turns.as_matrix().astype(np.float32)
    ]
    return _noisy(np.stack([media.resize_equirect(frame, **SIZE) for frame in frames]))


def _with_people(frames):
    """Two textured boxes, 9 x 28 pixels or 25 x 79 degrees, that walk in opposite directions."""
    frames = frames.copy()
    for seed, (start, step) in enumerate([(20, 3), (90, -2)]):
        texture = np.random.default_rng(seed).integers(0, 255, (7, 3, 3)).repeat(4, 0).repeat(3, 1)
        for i, frame in enumerate(frames):
            frame[22:50, (start + step * i + np.arange(9)) % (2 * HEIGHT)] = texture
    return frames


def test_a_walk_is_one_moving_piece(walk):
    seen = []
    found = survey(walk, on_frames=seen.append)
    assert (found.kind, found.pieces, found.moving) == ('moving', [(0, 6)], [True])
    assert found.reason == '' and sum(seen) == 6
    assert found.facts['cuts'] == 0 and found.facts['likeness_least'] > 0.8
    assert found.facts['parallax_deg'][0] > 2 * surveys.PARALLAX


def test_a_walk_that_fades_is_one_moving_piece(walk):
    faded = (walk * np.linspace(1, 0.3, len(walk))[:, None, None, None]).astype(np.uint8)
    assert survey(faded)[:3] == survey(walk)[:3]


@pytest.mark.parametrize('people', [False, True], ids=['alone', 'people'])
@pytest.mark.parametrize('make', [_standing, _turning])
def test_a_camera_that_stands_or_turns_is_still(large, make, people):
    frames = make(large)
    found = survey(_with_people(frames) if people else frames)
    assert (found.kind, found.pieces, found.moving) == ('still', [(0, 6)], [False])
    assert found.reason.startswith('the camera stands still or only turns: beyond a rotation')
    assert found.facts['parallax_deg'][0] < 0.75 * surveys.PARALLAX


def test_a_slow_camera_shows_its_motion_over_many_frames(walk):
    # Each frame 20 times: neighbours are mostly equal.
    slow = np.repeat(walk[:2], 20, axis=0)
    assert survey(slow).kind == 'moving'


def test_a_camera_that_comes_back_moves(walk):
    there_and_back = np.concatenate([walk[:3], walk[1::-1]])
    assert survey(there_and_back).moving == [True]


def test_cuts_make_pieces_of_their_own(walk, large):
    other = rooms.render_clip(501, 1, frames=4, **SIZE).frames
    found = survey(np.concatenate([walk[:4], other, _standing(large, 3)]))
    assert found.kind == 'moving'
    assert found.pieces == [(0, 4), (4, 8), (8, 11)]
    assert found.moving == [True, True, False]
    assert 'cut before frame 4, 8: of its 3 pieces, 2 show a moving camera' in found.reason
    assert found.facts['cuts'] == 2


def test_unrelated_images_are_no_footage():
    images = np.stack([rooms.render_clip(500 + i, i, frames=1, **SIZE).frames[0] for i in range(4)])
    found = survey(images)
    assert (found.kind, found.pieces, found.moving) == ('unrelated', [(0, 4)], [False])
    assert '3 of 3 pairs' in found.reason
    assert survey(images[:2]).kind == 'unrelated'


def test_a_single_frame_and_two(walk):
    found = survey(walk[:1])
    assert (found.kind, found.pieces, found.moving) == ('still', [(0, 1)], [False])
    assert 'single frame' in found.reason
    assert survey(walk[:2])[:3] == ('moving', [(0, 2)], [True])


def test_frames_without_texture_have_no_path():
    found = survey(_noisy(np.full((4, HEIGHT, 2 * HEIGHT, 3), 120, np.uint8), 0.4))
    assert (found.kind, found.moving) == ('still', [False])
    assert 'texture' in found.reason and found.facts['parallax_deg'] == [None]
