"""Bars that are pasted onto rendered walks are found, also in video; dark rooms have none."""

import numpy as np
import pytest

from pano_depth.footage import media, video
from pano_depth.kernels import sphere
from pano_depth.reconstruction import bars
from pano_depth.rooms import rooms

HEIGHT = 128
AREA = np.asarray(sphere.solid_angles(HEIGHT, 2 * HEIGHT)) / (4 * np.pi)
ROWS, COLUMNS = np.indices((HEIGHT, 2 * HEIGHT))
PLACES = {
    'top and bottom': (ROWS < 20) | (ROWS >= 108),
    'bottom': ROWS >= 118,
    'left and right': (COLUMNS < 64) | (COLUMNS >= 192),
    'top, bottom, left and right': (ROWS < 9) | (ROWS > 110) | (COLUMNS < 30) | (COLUMNS >= 222),
}


@pytest.fixture(scope='module')
def frames():
    return rooms.sample_clip(frames=5, height=HEIGHT, width=2 * HEIGHT).frames


def _check(found, place):
    """All of the place is hidden, and at most three lines beside it."""
    assert found.mask is not None
    assert not found.mask[place].any()
    grown = place.copy()
    for axis in (0, 1):
        for step in (-3, -2, -1, 1, 2, 3):
            grown |= np.roll(place, step, axis)
    assert found.mask[~grown].all()
    assert found.share == pytest.approx(AREA[~found.mask].sum(), rel=1e-3)
    assert f'{found.share:.1%} of the sphere' in found.reason


@pytest.mark.parametrize('level', [0, 16])
@pytest.mark.parametrize('name', PLACES)
def test_bars_are_found(frames, name, level):
    place = PLACES[name]
    found = bars.find(np.where(place[..., None], level, frames).astype(np.uint8))
    _check(found, place)
    assert f'({name})' in found.reason


@pytest.mark.parametrize('name', PLACES)
def test_bars_are_found_in_encoded_video(frames, name, tmp_path):
    place = PLACES[name]
    with video.write_video(tmp_path / 'bars.mp4', 10) as append:
        for frame in np.where(place[..., None], 0, frames).astype(np.uint8):
            append(frame)
    read = np.stack([np.asarray(frame) for frame in video.iter_video(tmp_path / 'bars.mp4')])
    assert read[:, place].max() > 0  # compression did something
    _check(bars.find(read), place)
    small = np.stack([media.resize_equirect(frame, 64, 128) for frame in read])
    found = bars.find(small).mask.repeat(2, 0).repeat(2, 1)
    assert not found[place].any() and (found | place)[40:90, 80:180].all()


def test_a_single_frame_and_one_that_is_black_altogether(frames):
    place = PLACES['top and bottom']
    black = np.where(place[..., None], 3, frames).astype(np.uint8)
    _check(bars.find(black[:1]), place)
    # Footage fades in from black.
    black[0] = 0
    _check(bars.find(black), place)
    assert bars.find(np.zeros((2, HEIGHT, 2 * HEIGHT, 3), np.uint8)).mask is None


@pytest.mark.parametrize('light', [1.0, 0.2, 0.05, 0.01])
def test_dark_rooms_have_no_bars(frames, light):
    rng = np.random.default_rng(0)
    for walk in (frames, rooms.render_clip(9, 9, frames=3, height=HEIGHT, width=2 * HEIGHT).frames):
        dark = light * walk + rng.normal(0, 1, walk.shape)
        dark = np.clip(np.rint(dark), 0, 255).astype(np.uint8)
        assert bars.find(dark) == bars.Bars(None, 0.0, '')
        assert bars.find(dark[:1]).mask is None


def test_night_skies_and_dark_places_are_no_bars(frames):
    hills = ROWS - 9 * np.sin(COLUMNS * np.pi / HEIGHT) < 40
    sea = ROWS < 64
    # A dark thing straight above, whose border is a line only where it is seen from below.
    lamp = ROWS - 4 * np.cos(COLUMNS * np.pi / HEIGHT) < 12
    for place in (hills, sea, lamp):
        assert bars.find(np.where(place[..., None], 2, frames).astype(np.uint8)).mask is None
    # A sky that is not this even: stars, and noise.
    sky = ROWS < 30
    noise = np.random.default_rng(0).normal(8, 6, (*frames.shape[:3], 1))
    starry = np.where(sky[..., None], np.clip(noise, 0, 255), frames).astype(np.uint8)
    assert bars.find(starry).mask is None


def test_bars_that_come_and_go_are_not_masked(frames):
    some = frames.copy()
    some[:2, PLACES['bottom']] = 0
    assert bars.find(some).mask is None
