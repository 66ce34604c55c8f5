"""The camera of the wide style, and mirrors: each effect by itself on known images."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.rooms import materials
from pano_depth.rooms.render import render
from pano_depth.rooms.scene import PRIMITIVES, WALL_BOXES, make_scene
from pano_depth.rooms.wide import look as looks

HEIGHT = 32
take = jax.jit(looks.photograph)


def neutral(**changes):
    """A camera that changes nothing, but for what is named."""
    drawn = looks.draw_look(np.random.default_rng(0))
    quiet = {name: np.zeros_like(part) for name, part in drawn._asdict().items()}
    quiet |= {'white': np.ones(3, np.float32), 'saturation': np.float32(1)}
    quiet |= {name: np.asarray(value, np.float32) for name, value in changes.items()}
    return looks.Look(**{**quiet, 'seed': np.asarray(changes.get('seed', 5), np.int32)})


@pytest.fixture(scope='module')
def scenery():
    """Two smooth images [2, H, W, 3] and their depth."""
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT)
    image = 0.5 + 0.25 * np.sin(3 * rays + (0.0, 1.0, 2.0))
    depth = 2 + rays[..., 0]
    return np.float32([image, image]), np.float32([depth, depth])


def shown(scenery, **changes):
    return tuple(map(np.asarray, take(neutral(**changes), *scenery, np.arange(2))))


def test_a_neutral_camera_changes_nothing(scenery):
    images, depth = shown(scenery)
    np.testing.assert_allclose(images, scenery[0], atol=1e-4)
    np.testing.assert_array_equal(depth, scenery[1])


def test_exposure_evens_out_brightness_and_stops_add_to_it(scenery):
    dark = scenery[0] * 0.3, scenery[1]
    evened = [shown(each, automatic=1.0)[0].mean() for each in (scenery, dark)]
    assert abs(evened[0] - evened[1]) < 0.06 and dark[0].mean() < 0.5 * scenery[0].mean()
    assert shown(scenery, stops=1.0)[0].mean() > 1.15 * scenery[0].mean()
    assert (shown(scenery, stops=4.0, hard=1.0)[0] > 0.999).mean() > 0.5  # blown out


def test_noise_differs_from_frame_to_frame_and_is_repeated_with_its_seed(scenery):
    images, _ = shown(scenery, noise=0.05)
    error = images - scenery[0]
    assert abs(error.mean()) < 0.002 and 0.03 < error.std() < 0.07
    assert abs(np.corrcoef(error[0].ravel(), error[1].ravel())[0, 1]) < 0.05
    colours = np.corrcoef(error.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    beside = np.corrcoef(error[:, :, 1:].ravel(), error[:, :, :-1].ravel())[0, 1]
    assert np.abs(colours).max() < 0.06 and abs(beside) < 0.06
    np.testing.assert_array_equal(images, shown(scenery, noise=0.05)[0])
    assert not np.array_equal(images, shown(scenery, noise=0.05, seed=6)[0])


def test_the_tripod_hides_the_nadir_and_has_no_depth(scenery):
    images, depth = shown(scenery, cap=0.4, cap_colours=np.zeros((2, 3)), haze=0.0)
    angle = np.arccos(sphere.pixel_rays(HEIGHT, 2 * HEIGHT)[..., 1])
    np.testing.assert_array_equal(depth[0] == 0, angle < 0.4)
    assert images[0][angle < 0.35].max() < 1e-3
    np.testing.assert_allclose(images[0][angle > 0.5], scenery[0][0][angle > 0.5], atol=1e-4)
    _, depth = shown(scenery, legs=0.7, leg_width=0.04)
    hidden = depth[0] == 0
    assert not hidden[angle > 0.71].any() and hidden[-1].mean() > 0.5
    # Three legs: a ring crosses three dark parts.
    ring = hidden[np.argmin(np.abs(angle[:, 0] - 0.6))]
    assert np.sum(ring & ~np.roll(ring, 1)) == 3


def test_lenses_meet_at_seams(scenery):
    flat = np.full_like(scenery[0], 0.5), scenery[1]
    images, _ = shown(flat, unequal=0.1, axis=0.0)
    front, back = images[0][:, HEIGHT], images[0][:, 0]
    assert front.mean() > back.mean() + 0.01
    images, _ = shown(flat, vignette=0.3, axis=0.0)
    assert images[0][HEIGHT // 2, HEIGHT].mean() > images[0][HEIGHT // 2, HEIGHT // 2].mean()
    images, _ = shown(scenery, misfit=0.1, axis=0.0)
    moved = np.abs(images[0] - scenery[0][0]).max(axis=(0, 2))
    assert moved[[HEIGHT // 2, 3 * HEIGHT // 2]].min() > 10 * moved[[0, HEIGHT]].max()


def test_blocks_are_coarser_and_keep_their_mean(scenery):
    rng = np.random.default_rng(2)
    rough = 0.5 + 0.02 * rng.standard_normal(scenery[0].shape)
    rough = rough.astype(np.float32), scenery[1]
    images, _ = shown(rough, blocks=0.15)
    blocks = lambda x: x.reshape(2, HEIGHT // 8, 8, -1, 8, 3)
    detail = lambda x: np.abs(blocks(x) - blocks(x).mean(axis=(2, 4), keepdims=True)).mean()
    assert detail(images) < 0.3 * detail(rough[0])
    means = [blocks(x).mean(axis=(2, 4)) for x in (images, rough[0])]
    assert np.abs(means[0] - means[1]).max() < 0.03
    odd = tuple(part[:, :30, :60] for part in scenery)
    assert take(neutral(blocks=0.05), *odd, np.arange(2))[0].shape == (2, 30, 60, 3)


def empty_room(mirror):
    """A bare room whose wall at the far end is a mirror (or not), and the opposite wall is red."""
    scene = make_scene(1, 0)
    gone = lambda part: np.full_like(part, -1.0)
    table = scene.material.copy()
    rng = np.random.default_rng(0)
    table[PRIMITIVES:] = materials.material(rng, (0.4, 0.4, 0.4), emission=1.0)
    box_half = gone(scene.box_half)
    centre = scene.box_centre.copy()
    for slot, z, row in (
        (WALL_BOXES, 2.0, materials.material(rng, (0.3,) * 3, (0.3,) * 3, mirror=mirror)),
        (WALL_BOXES + 1, -2.0, materials.material(rng, (1.0, 0, 0), (1.0, 0, 0), emission=1.0)),
    ):
        centre[slot], box_half[slot] = (0.0, -1.25, z), (1.5, 1.2, 0.02)
        table[slot] = row
    shell = np.float32([[-2, -2.5, -2], [2, 0, 2]])
    room = np.full_like(scene.rooms, 1e4)
    room[0] = (-2, -2, 2, 2)
    return scene._replace(
        shell=shell,
        rooms=room,
        box_centre=centre,
        box_half=box_half,
        turned_half=gone(scene.turned_half),
        ellipsoid_radius=gone(scene.ellipsoid_radius),
        cylinder_radius=gone(scene.cylinder_radius),
        cylinder_half=gone(scene.cylinder_half),
        material=table,
    )


def test_a_mirror_shows_what_is_behind_the_camera():
    place = np.float32([0.3, -1.2, 0.4])
    views = {}
    view = jax.jit(functools.partial(render, height=16, width=32, mirrors=True))
    for mirror in (0.0, 0.9):
        views[mirror] = tuple(map(np.asarray, view(empty_room(mirror), jnp.eye(3), place)))
    (plain, depth), (mirrored, other) = views[0.0], views[0.9]
    np.testing.assert_array_equal(depth, other)
    ahead, behind = (8, 16), (8, 0)
    assert plain[ahead][1] > 0.3 and plain[behind][0] > 3 * plain[behind][1]
    assert mirrored[ahead][0] > 1.8 * mirrored[ahead][1]
    np.testing.assert_allclose(mirrored[behind], plain[behind], atol=1e-5)
    # The depth of a mirror is that of its surface.
    assert abs(other[ahead] - (2.0 - 0.02 - 0.4)) < 0.02
