"""The wide style: where cameras are, what has no depth, truth that agrees between frames."""

import jax
import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.rooms import pano_rooms, rooms, streams
from pano_depth.rooms.wide import shots, walks

HEIGHT, SEED, COUNT = 32, 3, 120


def small(shot, look=None):
    """A shot with float32 poses and another look."""
    return shot._replace(poses=Motion(*(part.astype(np.float32) for part in shot.poses)), look=look)


@pytest.fixture(scope='module')
def drawn():
    """(place, shot, heights [3] over what is beneath, tops [3] of that) of many shots."""
    found = []
    for index in range(COUNT):
        shot = shots.make_shot(SEED, index, 3, style='wide')
        tops = [walks.ground_below(shot.scene, x, z, -y) for x, y, z in shot.poses.translation]
        up = -shot.poses.translation[:, 1] - tops
        found.append((shots.place_of(SEED, index), shot, up, np.array(tops)))
    return found


@pytest.fixture(scope='module')
def rendered(drawn):
    """(place, depth [3, h, 2h]) of the first shots."""
    bare = shots.shooter(HEIGHT, 2 * HEIGHT)
    return [
        (place, np.asarray(bare(small(shot), np.arange(3))[1])) for place, shot, *_ in drawn[:40]
    ]


def test_every_kind_of_place_comes_as_often_as_it_should(drawn):
    assert abs(sum(shots.PLACES.values()) - 1) < 1e-9
    places = [shots.place_of(SEED, index) for index in range(2000)]
    for place, share in shots.PLACES.items():
        assert abs(places.count(place) / len(places) - share) < 0.03
    assert {place for place, *_ in drawn} == set(shots.PLACES)


def test_cameras_are_low_and_high_and_over_furniture(drawn):
    up = np.array([up for *_, up, _ in drawn])
    # A hand that is not steady adds to the range, see `camera_path`.
    assert up.min() > 0.15 and up.max() < walks.HIGHEST + 0.11
    middle = up[:, 1]
    assert (middle < 0.6).mean() > 0.12 and (middle > 1.7).mean() > 0.1
    assert ((middle > 1.2) & (middle < 1.7)).mean() > 0.15
    tops = {
        place: np.array([tops[0] for p, _, _, tops in drawn if p == place])
        for place in ('perch', 'usual', 'roomy')
    }
    assert (tops['perch'] > 0.25).mean() > 0.85
    assert tops['usual'].max() < 0.12 and tops['roomy'].max() < 0.12


def test_cameras_tilt_at_most_15_degrees_and_move(drawn):
    tilts = [np.degrees(np.arccos(shot.poses.rotation[:, 1, 1])).max() for _, shot, *_ in drawn]
    assert max(tilts) < 15.01 and np.mean(np.array(tilts) > 8) > 0.15
    assert np.mean(np.array(tilts) < 4) > 0.3
    steps = [np.linalg.norm(np.diff(s.poses.translation, axis=0), axis=-1) for _, s, *_ in drawn]
    assert np.max(steps) < 0.45 and np.mean(np.mean(steps, axis=1) > 0.02) > 0.9
    for _, shot, *_ in drawn[::20]:
        turned = shot.poses.rotation @ shot.poses.rotation.swapaxes(-1, -2)
        np.testing.assert_allclose(turned, np.broadcast_to(np.eye(3), turned.shape), atol=1e-12)


def test_no_camera_is_inside_of_anything(rendered):
    nearest = [depth[depth > 0].min() for _, depth in rendered]
    assert min(nearest) > 0.08 and np.median(nearest) < 1.0


def test_depth_is_missing_in_the_sky_alone(rendered):
    for place, depth in rendered:
        assert depth.max() <= 60 and np.isfinite(depth).all()
        if place == 'outdoors':
            # Above the camera there may be a tree; far from the horizon, the ground is known.
            assert 0.02 < (depth == 0).mean() < 0.7 and (depth[:, -HEIGHT // 4 :] > 0).all()
        else:
            assert (depth > 0).all()
    far = {place: max(d.max() for p, d in rendered if p == place) for place, _ in rendered}
    assert far['hall'] > 10 and far['outdoors'] > 20


def test_shots_are_functions_of_their_numbers():
    for index in range(12):
        one, again = (shots.make_shot(5, index, 2, style='wide') for _ in range(2))
        assert all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(again)))
    other = shots.make_shot(6, 0, 2, style='wide')
    assert not np.array_equal(one.scene.material, other.scene.material)
    shapes = [
        [leaf.shape for leaf in jax.tree.leaves(shots.make_shot(5, index, 2, style='wide'))]
        for index in range(12)
    ]
    assert all(each == shapes[0] for each in shapes)


def test_frames_agree_through_their_truth():
    """Points of one frame are found in another, in the same place and in the same colours."""
    bare = shots.shooter(HEIGHT, 2 * HEIGHT)
    rays, agreeing, errors = sphere.pixel_rays(HEIGHT, 2 * HEIGHT), [], []
    for index in range(12):
        shot = shots.make_shot(8, index, 3, style='wide')
        images, depth = map(np.asarray, bare(small(shot), np.arange(3)))
        rotation, translation = shot.poses
        points = rays * depth[0][..., None] @ rotation[0].T + translation[0] - translation[1]
        seen = points @ rotation[1]
        distance = np.linalg.norm(seen, axis=-1)
        other = np.asarray(sphere.sample_equirect(depth[1][..., None], seen, method='nearest'))
        colour = np.asarray(sphere.sample_equirect(images[1], seen))
        agree = (depth[0] > 0) & (np.abs(other[..., 0] - distance) < 0.07 * distance)
        agreeing.append(agree.sum() / (depth[0] > 0).sum())
        errors.append(np.abs(colour - images[0])[agree].mean())
    assert np.mean(agreeing) > 0.8 and np.mean(errors) < 0.035


def test_the_data_set_and_the_streams_give_the_wide_style(tmp_path):
    assert pano_rooms.style_of('64x128_wide') == pano_rooms.style_of('tiny_wide') == 'wide'
    assert pano_rooms.style_of('64x128') == pano_rooms.style_of('64x128_roomy') == 'usual'
    source = pano_rooms.load('val', 'tiny_wide', tmp_path)
    direct = rooms.render_clip(
        pano_rooms.FAMILIES['val'], 1, frames=3, height=32, width=64, style='wide'
    )
    stored = next(clip for clip in map(source.__getitem__, range(4)) if clip.name == 'val_00001')
    np.testing.assert_array_equal(stored.frames, direct.frames)
    np.testing.assert_array_equal(stored.depth, direct.depth)
    batch = next(streams.live_windows(7, batch_size=2, style='wide'))
    assert batch['look'].white.shape == (2, 3) and batch['rotation'].shape == (2, 3, 3, 3)
    assert 'look' not in next(streams.live_windows(7, batch_size=2))


@pytest.mark.parametrize(
    'options, words',
    [(dict(style='broad'), "style is 'broad'"), (dict(style='wide', margin=1.0), 'margin')],
)
def test_what_the_style_does_not_know_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        shots.make_shot(0, 0, 1, **options)
