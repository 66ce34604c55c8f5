"""Procedural rooms: exact depth, consistent views, walks that hit nothing, determinism."""

import functools

import jax
import numpy as np
import pytest

from pano_depth.rooms import rooms
from pano_depth.rooms.camera_path import camera_path
from pano_depth.rooms.render import render
from pano_depth.rooms.scene import Scene, make_scene

HEIGHT, WIDTH = 32, 64

# One program for all tests: compiling it is what takes the time.
show = jax.jit(functools.partial(render, height=HEIGHT, width=WIDTH))


def view(scene, poses, frame):
    """Colour and depth of one frame as numpy arrays."""
    motion = [part[frame].astype(np.float32) for part in poses]
    return tuple(map(np.asarray, show(scene, *motion)))


def views(seed, index, frames):
    scene = make_scene(seed, index)
    return scene, camera_path(scene, seed, index, frames)


def pixel_rays(height, width):
    """The contract's directions of pixel centres, float64 [H, W, 3]."""
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    lon, lat = ((u + 0.5) / width - 0.5) * 2 * np.pi, (0.5 - (v + 0.5) / height) * np.pi
    return np.stack([np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)], axis=-1)


def planes_hit(origin, direction, low, high):
    """Distance to a box by intersecting its six faces one after the other; inf where missed."""
    best = np.inf
    for axis in range(3):
        for bound in (low[axis], high[axis]):
            if direction[axis] == 0:
                continue
            t = (bound - origin[axis]) / direction[axis]
            point = origin + t * direction
            others = [a for a in range(3) if a != axis]
            if t > 0 and all(low[a] <= point[a] <= high[a] for a in others):
                best = min(best, t)
    return best


def quadric_hit(origin, direction, a, centre, half):
    """Distance to (p - c)^T diag(a) (p - c) = 1 within |y - c_y| <= half, flat ends included."""
    best = np.inf
    offset = origin - centre
    roots = np.roots(
        [direction @ (a * direction), 2 * direction @ (a * offset), offset @ (a * offset) - 1]
    )
    for t in roots[np.abs(roots.imag) < 1e-12].real:
        if t > 0 and abs(offset[1] + t * direction[1]) <= half + 1e-9:
            best = min(best, t)
    for end in (-half, half) if direction[1] != 0 else ():
        t = (end - offset[1]) / direction[1]
        point = offset + t * direction
        if t > 0 and point @ (np.where(np.arange(3) == 1, 0.0, a) * point) <= 1:
            best = min(best, t)
    return best


def brute_force(scene, origin, direction):
    """The first hit of one ray, float64, primitive by primitive."""
    s = Scene(*(part.astype(np.float64) for part in scene))
    distance = planes_hit(origin, direction, s.shell[0], s.shell[1])
    for centre, half in zip(s.box_centre, s.box_half):
        if half[0] > 0:
            distance = min(distance, planes_hit(origin, direction, centre - half, centre + half))
    for yaw, centres, halves in zip(s.turned_yaw, s.turned_centre, s.turned_half):
        c, sn = np.cos(yaw), np.sin(yaw)
        frame = np.array([[c, 0, -sn], [0, 1, 0], [sn, 0, c]])
        for centre, half in zip(centres, halves):
            if half[0] > 0:
                distance = min(
                    distance,
                    planes_hit(frame @ origin, frame @ direction, centre - half, centre + half),
                )
    for centre, radius in zip(s.ellipsoid_centre, s.ellipsoid_radius):
        if radius[0] > 0:
            distance = min(
                distance, quadric_hit(origin, direction, 1 / radius**2, centre, radius[1])
            )
    for centre, radius, half in zip(s.cylinder_centre, s.cylinder_radius, s.cylinder_half):
        if radius > 0:
            a = np.array([1 / radius**2, 0.0, 1 / radius**2])
            distance = min(distance, quadric_hit(origin, direction, a, centre, half))
    return distance


def test_scenes_are_deterministic_varied_and_stackable():
    again, other = make_scene(3, 5), make_scene(3, 6)
    scene = make_scene(3, 5)
    for a, b, c in zip(scene, again, other):
        np.testing.assert_array_equal(a, b)
        assert a.shape == c.shape and a.dtype == c.dtype == np.float32 and np.isfinite(a).all()
    assert not np.array_equal(scene.material, other.material) and not np.array_equal(
        scene.shell, other.shell
    )
    sizes = np.array([make_scene(3, index).shell for index in range(40)])
    ceilings = -sizes[:, 0, 1]
    assert ceilings.min() >= 2.3 and ceilings.max() <= 3.4 and ceilings.std() > 0.2
    counts = [(make_scene(3, index).rooms[:, 0] < 1000).sum() for index in range(40)]
    assert set(counts) == {1, 2, 3, 4}


# Scenes with everything: turned furniture, plants or hanging lamps, pillars, several rooms.
@pytest.mark.parametrize('index', range(3))
def test_depth_is_the_first_hit_of_the_centre_ray(index):
    scene, poses = views(11, index, 1)
    _, depth = view(scene, poses, 0)
    rays = (pixel_rays(HEIGHT, WIDTH) @ poses.rotation[0].T)[::2, ::2].reshape(-1, 3)
    expected = np.array([brute_force(scene, poses.translation[0], ray) for ray in rays])
    error = np.abs(depth[::2, ::2].ravel() - expected) / expected
    # A ray that grazes an edge may fall on either side of it in float32.
    assert (error > 1e-5).sum() <= 1, np.sort(error)[-5:]


def test_every_kind_of_primitive_is_seen():
    scenes = [make_scene(11, index) for index in range(3)]
    assert any((s.turned_half[:, 0, 0] > 0).any() for s in scenes)
    assert any((s.ellipsoid_radius[:, 0] > 0).any() for s in scenes)
    assert any((s.cylinder_radius > 0).any() for s in scenes)


def test_blocks_and_stacked_scenes_do_not_change_the_image():
    pairs = [views(2, index, 1) for index in range(2)]
    stacked = Scene(*map(np.stack, zip(*(scene for scene, _ in pairs))))
    motion = [
        np.stack([part.astype(np.float32) for part in parts])
        for parts in zip(*(poses for _, poses in pairs))
    ]
    blocks = functools.partial(render, height=HEIGHT, width=WIDTH, chunk=8 * WIDTH)
    rgb, depth = jax.jit(jax.vmap(blocks))(stacked, *motion)
    assert rgb.shape == (2, 1, HEIGHT, WIDTH, 3) and depth.shape == (2, 1, HEIGHT, WIDTH)
    for index, (scene, poses) in enumerate(pairs):
        colour, distance = view(scene, poses, 0)
        assert colour.min() >= 0 and colour.max() <= 1 and colour.std() > 0.05
        np.testing.assert_allclose(depth[index, 0], distance, rtol=1e-5)
        assert np.quantile(np.abs(rgb[index, 0] - colour), 0.999) < 2e-3


def test_second_view_shows_the_same_surfaces_in_the_same_colours():
    scene, poses = views(2, 4, 3)
    (colour, depth), (other_colour, other_depth) = view(scene, poses, 0), view(scene, poses, 2)
    points = (
        pixel_rays(HEIGHT, WIDTH) * depth[..., None] @ poses.rotation[0].T + poses.translation[0]
    )
    seen = (points - poses.translation[2]) @ poses.rotation[2]
    distance = np.linalg.norm(seen, axis=-1)
    u = (np.arctan2(seen[..., 0], seen[..., 2]) / (2 * np.pi) + 0.5) * WIDTH - 0.5
    v = (
        0.5 + np.arctan2(seen[..., 1], np.hypot(seen[..., 0], seen[..., 2])) / np.pi
    ) * HEIGHT - 0.5
    row, column = np.clip(np.rint(v).astype(int), 0, HEIGHT - 1), np.rint(u).astype(int) % WIDTH
    assert np.linalg.norm(poses.translation[2] - poses.translation[0]) > 0.1
    agree = np.abs(other_depth[row, column] - distance) < 0.07 * distance
    assert agree.mean() > 0.8
    difference = np.abs(other_colour[row, column] - colour)[agree].mean(axis=-1)
    assert np.median(difference) < 0.02 and difference.mean() < 0.05


def test_walks_keep_clear_and_move_like_a_walker():
    steps, turns, heights, nearest = [], [], [], []
    directions = pixel_rays(3, 24)[1]
    for index in range(10):
        scene, poses = views(21, index, 12)
        steps.append(np.linalg.norm(np.diff(poses.translation, axis=0), axis=-1))
        relative = poses.rotation[1:] @ poses.rotation[:-1].swapaxes(-1, -2)
        turns.append(
            np.degrees(np.arccos(np.clip((np.trace(relative, axis1=1, axis2=2) - 1) / 2, -1, 1)))
        )
        heights.append(-poses.translation[:, 1])
        nearest += [
            brute_force(scene, position, ray)
            for position in poses.translation[::6]
            for ray in directions
        ]
        np.testing.assert_allclose(
            poses.rotation @ poses.rotation.swapaxes(-1, -2),
            np.broadcast_to(np.eye(3), (12, 3, 3)),
            atol=1e-12,
        )
        np.testing.assert_allclose(np.linalg.det(poses.rotation), 1)
    assert min(nearest) > 0.2
    assert 0.1 < np.median(steps) < 0.35 and np.max(steps) < 0.45
    assert np.max(turns) < 20 and np.median(turns) < 6
    assert (
        np.min(heights) > 0.45
        and np.max(heights) < 2.15
        and np.std([h.mean() for h in heights]) > 0.15
    )


def test_render_clip_is_a_clip_in_the_first_cameras_world():
    clip = rooms.render_clip(2, 4, frames=3, height=32, width=64)
    assert (
        clip.frames.shape == (3, 32, 64, 3)
        and clip.frames.dtype == np.uint8
        and clip.name == 'room_00004'
    )
    assert (
        clip.depth.shape == (3, 32, 64)
        and clip.depth.dtype == np.float32
        and clip.depth.min() > 0.1
    )
    assert clip.poses.rotation.dtype == clip.poses.translation.dtype == np.float64
    np.testing.assert_allclose(clip.poses.rotation[0], np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(clip.poses.translation[0], 0)
    _, poses = views(2, 4, 3)
    # Points of camera 2 taken to camera 0 by either set of poses.
    point = np.array([0.3, -0.2, 1.5])
    through_scene = poses.rotation[0].T @ (
        poses.rotation[2] @ point + poses.translation[2] - poses.translation[0]
    )
    np.testing.assert_allclose(
        clip.poses.rotation[2] @ point + clip.poses.translation[2], through_scene, atol=1e-12
    )
    again = rooms.render_clip(2, 4, frames=3, height=32, width=64)
    np.testing.assert_array_equal(clip.frames, again.frames)


def test_the_sample_clip_walks_through_a_textured_place():
    clip = rooms.sample_clip(frames=16, height=32, width=64)
    assert clip.name == 'sample' and len(clip) == 16
    assert np.linalg.norm(np.diff(clip.poses.translation, axis=0), axis=-1).sum() > 1
    assert (
        clip.frames.astype(float).std() > 25
        and np.quantile(clip.depth, 0.05) > 0.4
        and clip.depth.max() < 12
    )


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(frames=1, height=16, width=16), 'twice as wide'),
        (dict(frames=0, height=16, width=32), 'frames is 0'),
    ],
)
def test_bad_sizes_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        rooms.render_clip(0, 0, **options)
