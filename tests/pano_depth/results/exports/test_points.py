"""Points lie where the room is, and are seen only where nothing hides them."""

import dataclasses

import numpy as np

from pano_depth.results.exports import points


def test_pixels_are_spread_evenly_over_the_sphere():
    counts = np.ones((64, 128), bool)
    rows, columns = points.spread_pixels(counts, 500, 0)
    assert 450 < len(rows) <= 500
    # Half of the sphere lies within 30 degrees of the equator, a quarter in each quarter turn.
    assert abs(np.mean(np.abs(rows + 0.5 - 32) < 64 / 6) - 0.5) < 0.05
    assert abs(np.mean(columns < 32) - 0.25) < 0.03
    counts[:32] = False
    rows, columns = points.spread_pixels(counts, 500, 3)
    assert 400 < len(rows) <= 500 and rows.min() >= 32
    assert len(points.spread_pixels(counts & False, 500, 0)[0]) == 0


def test_tracks_are_true(room, clip):
    tracks = points.find_tracks(room, room.pieces[0])
    assert len(tracks.points) > 1500
    seen = np.bincount(tracks.point)
    assert seen.min() >= 2 and seen.mean() > 3
    # The true surface lies there, and what is seen has the colour of the point.
    local = np.einsum(
        'kji,kj->ki',
        clip.poses.rotation[tracks.frame],
        tracks.points[tracks.point] - clip.poses.translation[tracks.frame],
    )
    distance = np.linalg.norm(local, axis=-1)
    np.testing.assert_allclose(local / distance[:, None], tracks.rays, atol=1e-9)
    x, y, z = tracks.rays.T
    rows = ((np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5) * 64).astype(int)
    columns = ((np.arctan2(x, z) / (2 * np.pi) + 0.5) * 128).astype(int)
    true = clip.depth[tracks.frame, rows, columns]
    assert np.abs(distance / true - 1).max() < 0.03
    off = clip.frames[tracks.frame, rows, columns].astype(int) - tracks.colours[tracks.point]
    assert np.median(np.abs(off)) < 6


def test_a_point_behind_something_is_not_seen(room, clip, make_result, tmp_path):
    """A screen around the last camera hides the room from it, and nothing else changes."""
    depth = clip.depth.copy()
    depth[-1] = 0.3
    hidden = make_result(dataclasses.replace(clip, depth=depth), tmp_path)
    tracks = points.find_tracks(hidden, hidden.pieces[0])
    assert not (tracks.frame == 4).any() and (tracks.frame == 3).sum() > 500


def test_what_is_not_confirmed_gives_no_point(clip, make_result, tmp_path):
    found = make_result(clip, tmp_path)
    for i in range(len(clip)):
        sure = np.full_like(clip.depth[i], 0.2)
        sure[:20] = 1
        found.pieces[0].refined.put(i, clip.depth[i], sure)
    tracks = points.find_tracks(found, found.pieces[0])
    assert len(tracks.points) > 100
    # Rows up to 20 of 64 look up: y is down.
    assert (tracks.rays[:, 1] < 0).all()
