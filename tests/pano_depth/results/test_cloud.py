"""Fusion of depth into clouds, against rooms whose walls are known."""

import tracemalloc

import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.results import cloud


def _box_depth(height, centre, half):
    """Range from a camera at `centre` to the walls of the box [-half, half]^3 along its axes."""
    rays = np.asarray(sphere.ray_directions(height, 2 * height), np.float64)
    with np.errstate(divide='ignore'):
        return np.min(
            (np.sign(rays) * half - centre) / rays, axis=-1, where=rays != 0, initial=np.inf
        )


def test_frames_fuse_onto_the_walls_of_one_room():
    half, centres = 2.0, np.array([[0, 0, 0], [0.5, -0.3, 0.8], [-0.7, 0.2, 0.1]])
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0.0]])
    rotations = np.stack([np.eye(3), turn, turn.T])
    # A quarter turn maps the box to itself, so only the centre changes in the camera's axes.
    depth = np.stack(
        [_box_depth(32, r.T @ c, half) for r, c in zip(rotations, centres, strict=True)]
    )
    frames = np.full((3, 32, 64, 3), 77, np.uint8)
    points, colors = cloud.point_cloud(frames, depth, Motion(rotations, centres), voxel=0.05)
    assert len(points) > 1000 and (colors == 77).all() and points.dtype == np.float32
    # A voxel on an edge of the room holds the mean of two walls.
    off = np.abs(np.abs(points).max(axis=-1) - half)
    assert off.max() < 0.05 and np.mean(off < 1e-4) > 0.99


def test_voxels_hold_means_and_the_cloud_keeps_to_its_limit():
    frames = np.zeros((2, 16, 32, 3), np.uint8)
    frames[0], frames[1] = 10, 20
    depth = np.ones((2, 16, 32))
    depth[:, :2] = np.nan
    poses = Motion(np.tile(np.eye(3), (2, 1, 1)), np.zeros((2, 3)))
    points, colors = cloud.point_cloud(frames, depth, poses, voxel=1e-3)
    assert len(points) == 14 * 32 and (colors == 15).all()
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1, atol=1e-6)
    limited, _ = cloud.point_cloud(frames, depth, poses, voxel=1e-3, max_points=60)
    assert 10 < len(limited) <= 60
    none, _ = cloud.point_cloud(frames, 0 * depth, poses)
    assert none.shape == (0, 3)
    with pytest.raises(ValueError, match='2 poses'):
        cloud.point_cloud(frames, depth[:, :8], poses)


def test_poles_are_no_denser_than_the_equator():
    frames, depth = np.zeros((1, 128, 256, 3), np.uint8), np.ones((1, 128, 256))
    poses = Motion(np.eye(3)[None], np.zeros((1, 3)))
    points, _ = cloud.point_cloud(frames, depth, poses, voxel=0.1)
    # Caps and a belt of equal area on the unit sphere (Archimedes).
    caps, belt = np.sum(np.abs(points[:, 1]) > 0.75), np.sum(np.abs(points[:, 1]) < 0.25)
    assert 0.6 < caps / belt < 1.6


def _views(n=6, height=16, seed=0):
    """Noisy views of a box from random places: frames, depth, poses."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-0.6, 0.6, (n, 3))
    depth = np.stack([_box_depth(height, centre, 1.7) for centre in centres])
    depth *= rng.uniform(0.9, 1.1, depth.shape)
    depth[rng.random(depth.shape) < 0.1] = 0
    poses = Motion(np.tile(np.eye(3), (n, 1, 1)), centres)
    return rng.integers(0, 256, (*depth.shape, 3), np.uint8), depth, poses


def _by_dictionary(frames, depth, poses, voxel):
    """Voxel means with a dictionary, pixel by pixel."""
    rays = np.asarray(sphere.ray_directions(*depth.shape[1:]), np.float64)
    voxels = {}
    for frame, ranges, rotation, translation in zip(frames, depth, *poses, strict=True):
        for v, u in np.argwhere(ranges > 0):
            point = rotation @ rays[v, u] * ranges[v, u] + translation
            voxels.setdefault(tuple(np.floor(point / voxel).astype(int)), []).append(
                [*point, *frame[v, u]]
            )
    return {cell: np.mean(values, axis=0) for cell, values in voxels.items()}


@pytest.mark.parametrize('limit, side', [(100_000, 0.07), (600, 0.56)])
def test_frames_added_one_by_one_give_the_means_of_all_their_points(limit, side):
    views = _views()
    fusion = cloud.Fusion(16, 32, voxel=0.07, max_points=limit)
    for view in zip(*views[:2], *views[2], strict=True):
        fusion.add(*view)
        # Looking at the cloud on the way changes nothing.
        assert 0 < len(fusion.result()[0]) <= limit
    points, colors = fusion.result()
    expected = _by_dictionary(*views, side)
    assert fusion.voxel == pytest.approx(side) and len(points) == len(expected)
    cells = np.floor(points / side).astype(int)
    wanted = np.stack([expected[tuple(cell)] for cell in cells])
    np.testing.assert_allclose(points, wanted[:, :3], atol=1e-5)
    np.testing.assert_allclose(colors, wanted[:, 3:], atol=0.5001)
    at_once, _ = cloud.point_cloud(*views, voxel=0.07, max_points=limit)
    np.testing.assert_allclose(at_once, points, atol=1e-6)


def test_memory_of_a_fusion_does_not_grow_with_the_clip(monkeypatch):
    monkeypatch.setattr(cloud, '_PENDING_POINTS', 1000)
    rng = np.random.default_rng(0)
    fusion = cloud.Fusion(16, 32, voxel=1e-3, max_points=2000)
    tracemalloc.start()
    used = []
    for _ in range(200):
        depth, place = rng.uniform(1, 5, (16, 32)), rng.normal(size=3)
        fusion.add(np.zeros((16, 32, 3), np.uint8), depth, np.eye(3), place)
        used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(used[100:]) < 1.5 * max(used[:20])
    assert len(fusion.result()[0]) <= 2000


def test_a_fusion_leaves_out_what_is_invalid_or_too_far():
    frame, depth = np.zeros((16, 32, 3), np.uint8), np.full((16, 32), 3.0)
    depth[0], depth[1], depth[2], depth[3], depth[4] = 0, np.nan, np.inf, -1, 1e38
    fusion = cloud.Fusion(16, 32, voxel=1e-4, max_depth=1e30)
    fusion.add(frame, 1e20 * np.ones((16, 32)), np.eye(3), np.zeros(3))
    assert fusion.result()[0].shape == (0, 3)
    fusion.add(frame, depth, np.eye(3), np.zeros(3))
    points, _ = fusion.result()
    assert len(points) == 11 * 32
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 3, rtol=1e-5)


@pytest.mark.parametrize(
    'change, word',
    [
        ({'frame': np.zeros((16, 32, 4), np.uint8)}, 'frame is'),
        ({'depth': np.ones((8, 16))}, 'depth'),
        ({'rotation': np.eye(4)}, 'rotation'),
        ({'translation': np.full(3, np.nan)}, 'finite'),
    ],
)
def test_a_fusion_refuses_frames_that_do_not_fit(change, word):
    view = {
        'frame': np.zeros((16, 32, 3), np.uint8),
        'depth': np.ones((16, 32)),
        'rotation': np.eye(3),
        'translation': np.zeros(3),
    }
    with pytest.raises(ValueError, match=word):
        cloud.Fusion(16, 32, voxel=0.1).add(**{**view, **change})
    for options, name in (
        ({'voxel': 0}, 'voxel'),
        ({'voxel': 1, 'max_points': 0}, 'max_points'),
        ({'voxel': 1, 'directions': np.zeros((2, 4, 3))}, 'directions'),
    ):
        with pytest.raises(ValueError, match=name):
            cloud.Fusion(16, 32, **options)
