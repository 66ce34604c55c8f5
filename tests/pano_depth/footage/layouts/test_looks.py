"""What pictures look like: each layout is told, and a panorama is never taken for another."""

import numpy as np
import pytest

from pano_depth.footage.layouts import by_tracks, circles, looks, seams
from pano_depth.footage.layouts.faces import GOOGLE_TURNED
from pano_depth.rooms import rooms
from tests.pano_depth.footage.layouts import drawn

HEIGHT = 128
FACE = HEIGHT // 2


@pytest.fixture(scope='module')
def panoramas():
    """Views of six rooms and two of waves."""
    views = [
        rooms.render_clip(5, index, frames=1, height=HEIGHT, width=2 * HEIGHT, batch=1).frames[0]
        for index in range(6)
    ]
    return views + [drawn.panorama(HEIGHT, seed) for seed in (0, 1)]


def name_of(*frames):
    found = looks.guess(list(frames))
    return None if found is None else found.name


def camera(image, height, width, turn):
    """What an ordinary camera sees that looks to a side: 80 degrees across."""
    x, y = np.meshgrid(*(2 * np.arange(n) + 1 - n for n in (width, height)))
    rays = np.stack([x, y, np.full(x.shape, width / np.tan(np.radians(40)))], axis=-1) * 1.0
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    c, s = np.cos(turn), np.sin(turn)
    return drawn.look(image, rays @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]))


def test_cubemaps_are_told_by_their_edges(panoramas):
    for image in panoramas:
        assert name_of(drawn.eac(image, FACE)) == 'eac'
        assert name_of(drawn.eac(image, FACE, high=FACE * 27 // 32)) == 'eac'
        assert name_of(drawn.cubemap_3x2(image, FACE)) == 'cubemap_3x2'
        assert name_of(drawn.cubemap_6x1(image, FACE)) == 'cubemap_6x1'
        assert name_of(drawn.cubemap_cross(image, FACE)) == 'cubemap_cross'


def test_faces_turned_as_google_specifies_are_told(panoramas):
    frame = drawn.cubemap_3x2(panoramas[0], FACE).copy()
    for row, column in ((0, 2), (1, 0)):  # up and down
        part = frame[row * FACE : (row + 1) * FACE, column * FACE : (column + 1) * FACE]
        part[:] = part[::-1, ::-1].copy()
    assert looks.guess([frame]).options == GOOGLE_TURNED


def test_circles_are_told_and_measured(panoramas):
    for image in panoramas:
        frame = drawn.dual_fisheye(image, HEIGHT, 200)
        assert name_of(frame) == 'dual_fisheye'
        fov, turns, note = by_tracks.measure([frame])
        assert abs(fov - 200) <= 2 and turns == ('', '')
        assert '200 degrees' in note or '199' in note or '201' in note
        assert name_of(frame[:, HEIGHT:]) == 'fisheye180'


def test_a_circle_smaller_than_the_picture_has_a_larger_picture_around_it():
    frame = np.zeros((200, 400, 3), np.uint8)
    circle = drawn.dual_fisheye(drawn.panorama(HEIGHT), 180, 200)
    frame[10:190, 10:190], frame[10:190, 210:390] = circle[:, :180], circle[:, 180:]
    assert abs(circles.radius([frame[:, :200]]) - 0.9) < 0.02
    # Over the whole height of the picture there would be 200 / 0.9 degrees.
    assert abs(by_tracks.measure([frame])[0] - 200 / 0.9) < 3
    assert abs(by_tracks.measure([frame], 200)[0] - 200 / 0.9) < 6


@pytest.mark.parametrize('quarters', range(4))
def test_a_circle_that_stands_turned_is_set_upright(quarters):
    frame = drawn.dual_fisheye(drawn.panorama(HEIGHT), HEIGHT, 200)
    frame[:, :HEIGHT] = np.rot90(frame[:, :HEIGHT], quarters).copy()
    expected = ('', 'transpose=clock', 'hflip,vflip', 'transpose=cclock')[quarters]
    assert by_tracks.measure([frame], may_turn=False)[1] == (expected, '')


def test_panoramas_are_panoramas_by_day_and_by_night(panoramas):
    rows, columns = np.mgrid[:HEIGHT, : 2 * HEIGHT]
    for image in panoramas:
        bars = image.copy()
        bars[:30] = bars[-30:] = 0
        # Two lamps, in the middle of where circles would be.
        far = np.minimum(abs(columns - HEIGHT // 2), abs(columns - 3 * HEIGHT // 2))
        lamps = np.exp(-(far**2 + (rows - HEIGHT / 2) ** 2) / 1000)[..., None]
        for one in (image, image // 8, bars, (image * lamps).astype(np.uint8)):
            assert name_of(one) == 'equirect'
            assert name_of(one, image) == 'equirect'


def test_black_and_noise_are_panoramas_at_2_to_1_and_nothing_else():
    black = np.zeros((90, 180, 3), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, black.shape, np.uint8)
    for frame in (black, noise):
        assert name_of(frame) == 'equirect'
        assert name_of(frame[:, :90]) is None
        assert name_of(frame[:, :160]) is None
        assert name_of(frame[:, :135]) is None
    assert seams.difference([black[:, :160]], 'eac') is None


def test_pictures_of_an_ordinary_camera_are_no_cubemap(panoramas):
    for number, image in enumerate(panoramas):
        for height, width in ((90, 160), (100, 150), (90, 120), (100, 100)):
            assert name_of(camera(image, height, width, 1.1 * number)) is None


def test_two_half_spheres_are_no_panorama(panoramas):
    wide = np.concatenate([panoramas[0]] * 2, axis=1)
    left, right = wide[:, 64:192], wide[:, 66:194]  # the right eye sees all a bit shifted
    frame = np.concatenate([left, right], axis=1)
    assert looks.guess([frame])[::3] == ('half_equirect', 'left_right')
    assert looks.looks_like_eyes([frame], 'left_right')
    assert not looks.looks_like_eyes([panoramas[0]], 'left_right')
