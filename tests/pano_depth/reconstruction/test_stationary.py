"""What is pasted onto every frame of a rendered walk is found, and nothing else."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import stationary
from pano_depth.rooms import rooms

HEIGHT = 64
RAYS = sphere.pixel_rays(HEIGHT, 2 * HEIGHT)
LON = np.degrees(np.arctan2(RAYS[..., 0], RAYS[..., 2]))
LAT = -np.degrees(np.arcsin(RAYS[..., 1]))
AREA = np.asarray(sphere.solid_angles(HEIGHT, 2 * HEIGHT)) / (4 * np.pi)
PIXEL = 180 / HEIGHT
PLACES = {
    'nadir': LAT < -60,
    'hand': (LAT < -20) & (np.abs(LON - 30) < 18),
    'seam': (np.abs(LON) > 160) & (LAT < -25) & (LAT > -60),
}
LOGO = (np.abs(LON - 60) < 14) & (np.abs(LAT - 35) < 8)


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=12, height=HEIGHT, width=2 * HEIGHT)


@pytest.fixture(scope='module')
def turning():
    """A walk whose camera turns more."""
    return rooms.render_clip(9, 9, frames=12, height=HEIGHT, width=2 * HEIGHT)


def _pasted(frames, place, texture=True):
    rng = np.random.default_rng(0)
    if texture:
        image = rng.integers(20, 235, (HEIGHT // 2, HEIGHT, 3)).repeat(2, 0).repeat(2, 1)
    else:
        image = np.full((HEIGHT, 2 * HEIGHT, 3), 35)
    frames = frames.copy()
    noise = rng.normal(0, 1, (len(frames), place.sum(), 3))
    frames[:, place] = np.clip(image[place] + noise, 0, 255)
    return frames


def _check(found, place, *, margin=6):
    """Nearly all of the place is hidden, and hardly anything that is far from it."""
    assert found.mask is not None, found.reason
    hidden, rays = ~found.mask, RAYS[place]
    apart = np.degrees(np.arccos(np.clip((RAYS @ rays.T).max(axis=-1), -1, 1)))
    assert AREA[place & hidden].sum() > 0.95 * AREA[place].sum()
    assert AREA[hidden & (apart > margin * PIXEL)].sum() < 0.005
    assert found.share == pytest.approx(AREA[hidden].sum(), rel=1e-3)
    assert f'{found.share:.1%}' in found.reason


@pytest.mark.parametrize('name', PLACES)
def test_what_moves_along_is_found(clip, name):
    frames = _pasted(clip.frames, PLACES[name])
    _check(stationary.find(frames, clip.poses, clip.depth), PLACES[name])


def test_a_logo_above_the_horizon_is_found_where_the_camera_turns(turning):
    found = stationary.find(_pasted(turning.frames, LOGO), turning.poses, turning.depth)
    _check(found, LOGO)
    assert stationary.find(turning.frames, turning.poses, turning.depth).mask is None


def test_a_plain_cap_is_found_by_its_rim(clip):
    frames = _pasted(clip.frames, PLACES['nadir'], texture=False)
    _check(stationary.find(frames, clip.poses, clip.depth), PLACES['nadir'])


def test_a_rough_path_and_rough_depth_suffice(clip):
    rng = np.random.default_rng(0)
    turns = Rotation.from_rotvec(rng.normal(0, 0.02, (12, 3))).as_matrix()
    moves = rng.normal(0, 0.05, (12, 3))
    poses = Motion(turns @ clip.poses.rotation, clip.poses.translation + moves)
    depth = clip.depth[:, 2::4, 2::4] * np.exp(rng.normal(0, 0.3, (12, 16, 32))).astype(np.float32)
    # What moves along is often taken for far away; some pixels have no depth at all.
    depth[:, -2:] = 50
    depth[:, :2] = 0
    frames = _pasted(clip.frames, PLACES['hand'])
    _check(stationary.find(frames, poses, depth), PLACES['hand'])
    assert stationary.find(clip.frames, poses, depth).mask is None


def test_exposure_does_not_matter(clip):
    fade = np.geomspace(1, 0.25, 12)[:, None, None, None]
    frames = (_pasted(clip.frames, PLACES['hand']) * fade).astype(np.uint8)
    _check(stationary.find(frames, clip.poses, clip.depth), PLACES['hand'])
    faded = (clip.frames * fade).astype(np.uint8)
    assert stationary.find(faded, clip.poses, clip.depth).mask is None


def test_what_does_not_count_tells_nothing(clip):
    """A hole that stays in the image is not found again; another one that moves hides nothing."""
    place, counts = PLACES['hand'], np.ones(clip.frames.shape[:3], bool)
    pasted = _pasted(clip.frames, place)
    counts[:, place] = False
    assert stationary.find(pasted, clip.poses, clip.depth, mask=counts).mask is None
    assert stationary.find(pasted, clip.poses, clip.depth, mask=~place).mask is None
    noise = np.random.default_rng(1).integers(0, 256, pasted.shape, np.uint8)
    moving = np.ones_like(counts)
    for i, one in enumerate(moving):
        one[10:26, (10 * i + np.arange(20)) % (2 * HEIGHT)] = False
    spoilt = np.where(moving[..., None], pasted, noise)
    _check(stationary.find(spoilt, clip.poses, clip.depth, mask=moving), place)
    nothing = np.zeros_like(counts)
    assert stationary.find(pasted, clip.poses, clip.depth, mask=nothing).mask is None


@pytest.mark.parametrize('change', ['none', 'depth', 'still path'])
def test_nothing_is_found_where_nothing_moves_along(clip, change):
    poses, depth = clip.poses, clip.depth
    if change == 'depth':
        depth = depth * 3
    if change == 'still path':
        poses = Motion(poses.rotation[[0] * 12], 0 * poses.translation)
    found = stationary.find(clip.frames, poses, depth)
    assert found.mask is None and found.share == 0
    assert found.reason.startswith('nothing was found')


def test_a_camera_that_stands_hides_nothing_whatever_its_path_says(clip):
    rng = np.random.default_rng(0)
    frames = np.repeat(clip.frames[:1], 12, axis=0)
    frames = np.clip(frames + rng.normal(0, 2, frames.shape), 0, 255).astype(np.uint8)
    assert stationary.find(frames, clip.poses, clip.depth).mask is None


def test_far_things_are_not_masked():
    # A sphere of texture at 100 m stays, while the floor 1.5 m below moves past.
    rng = np.random.default_rng(0)
    far = rng.integers(0, 255, (16, 32, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    tiles = rng.integers(0, 255, (64, 64, 3))
    down = RAYS[..., 1]
    depth = np.where(down > 0.05, 1.5 / np.maximum(down, 0.05), 100.0).astype(np.float32)
    positions = np.arange(12)[:, None] * np.array([0.05, 0, 0.2])
    frames = []
    for position in positions:
        ground = RAYS * depth[..., None] + position
        cell = np.floor(ground / 0.5).astype(int) % 64
        frames.append(np.where(down[..., None] > 0.05, tiles[cell[..., 0], cell[..., 2]], far))
    poses = Motion(np.broadcast_to(np.eye(3), (12, 3, 3)), positions)
    # The networks take the far things for things at 5 m.
    guess = np.broadcast_to(np.minimum(depth, 5), (12, HEIGHT, 2 * HEIGHT)).astype(np.float32)
    frames = np.stack(frames).astype(np.uint8)
    assert stationary.find(frames, poses, guess).mask is None
    place = PLACES['nadir']
    _check(stationary.find(_pasted(frames, place), poses, guess), place)


def test_most_of_the_image_is_not_believed(turning):
    found = stationary.find(_pasted(turning.frames, LAT < 0), turning.poses, turning.depth)
    assert found.mask is None and found.share > 0.4
    assert 'not believed' in found.reason
