"""A known path through a box room, seen with a unit of depth that changes from frame to frame."""

import functools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import trajectory

ROOM = np.array([[-2.5, -1.6, -3.0], [3.0, 1.2, 2.5]])
FRAMES = 6


def _depth(rotation, position, rays):
    """Range to the walls of the room, for a camera inside."""
    with np.errstate(divide='ignore'):
        walls = (ROOM[:, None] - position) / (rays.reshape(1, -1, 3) @ rotation.T)
    return walls.max(axis=0).min(axis=-1).reshape(rays.shape[:-1])


@functools.cache
def _walk():
    """Depth [N, H, W] and the path of a walk, camera to world, frame 0 at the origin."""
    rng = np.random.default_rng(0)
    turns = Rotation.from_rotvec(
        np.cumsum(rng.normal(scale=0.12, size=(FRAMES, 3)), axis=0)
    ).as_matrix()
    turns[0] = np.eye(3)
    positions = np.cumsum(
        np.array([0.15, 0.01, 0.2]) + rng.normal(scale=0.04, size=(FRAMES, 3)), axis=0
    )
    positions -= positions[0]
    rays = np.asarray(sphere.ray_directions(32, 64), np.float64)
    return np.stack([_depth(r, p, rays) for r, p in zip(turns, positions)]), Motion(
        turns, positions
    )


def _pairwise(path, units, distance=1):
    """Motions to the frame `distance` ahead and back, each in the unit of its own frame.

    Lengths are divided by the units.
    """

    def between(i, j):
        return (
            path.rotation[j].T @ path.rotation[i],
            path.rotation[j].T @ (path.translation[i] - path.translation[j]) / units[i],
        )

    def stacked(pairs):
        rotations, translations = zip(*(between(i, j) for i, j in pairs))
        return Motion(
            np.stack(rotations).astype(np.float32), np.stack(translations).astype(np.float32)
        )

    pairs = [(i, i + distance) for i in range(FRAMES - distance)]
    return stacked(pairs), stacked([pair[::-1] for pair in pairs])


@pytest.mark.parametrize('units', [np.ones(FRAMES), np.array([2.0, 1.3, 0.7, 1.9, 3.1, 0.5])])
def test_units_and_path_are_recovered(units):
    depth, path = _walk()
    forward, backward = _pairwise(path, units)
    steps = trajectory.unit_steps(
        (depth / units[:, None, None]).astype(np.float32), forward, backward
    )
    assert np.max(steps.spread) < 0.02
    found = trajectory.frame_units(steps.ratio)
    np.testing.assert_allclose(found, units / units[0], rtol=0.01)
    chained = trajectory.chain(forward, backward, found)
    length = np.linalg.norm(np.diff(path.translation, axis=0), axis=-1).sum()
    assert np.abs(chained.translation * units[0] - path.translation).max() < 0.01 * length
    angles = Rotation.from_matrix(np.swapaxes(chained.rotation, 1, 2) @ path.rotation).magnitude()
    assert angles.max() < 1e-5
    np.testing.assert_array_equal(chained.rotation[0], np.eye(3))
    np.testing.assert_array_equal(chained.translation[0], 0)


def test_the_chain_is_exact_with_exact_units():
    units = np.array([2.0, 1.3, 0.7, 1.9, 3.1, 0.5])
    _, path = _walk()
    chained = trajectory.chain(*_pairwise(path, units), units / units[0])
    np.testing.assert_allclose(chained.translation * units[0], path.translation, atol=1e-5)


def test_the_chain_averages_what_forward_and_backward_disagree_about():
    # A rotation that one direction finds too large and the other too small by the same angle
    # cancels.
    _, path = _walk()
    forward, backward = _pairwise(path, np.ones(FRAMES))
    extra = Rotation.from_rotvec([0, 0.02, 0]).as_matrix()
    biased = [Motion(m.rotation @ extra, m.translation) for m in (forward, backward)]
    chained = trajectory.chain(*biased, np.ones(FRAMES))
    steps = np.swapaxes(path.rotation[:-1], 1, 2) @ path.rotation[1:]
    found = np.swapaxes(chained.rotation[:-1], 1, 2) @ chained.rotation[1:]
    # What is left of 0.02 is of second order: the bias stands before one rotation and behind the
    # other.
    assert Rotation.from_matrix(np.swapaxes(steps, 1, 2) @ found).magnitude().max() < 0.005
    np.testing.assert_allclose(np.linalg.det(chained.rotation), 1, atol=1e-9)


def test_the_ratio_stands_a_third_of_wrong_pixels():
    depth, path = _walk()
    wrong = depth[1].copy()
    wrong[:, :20] *= 3
    forward, _ = _pairwise(path, np.ones(FRAMES))
    rays = sphere.ray_directions(32, 64)
    motion = Motion(forward.rotation[0], forward.translation[0])
    clean, spoilt = (
        float(
            trajectory.unit_step(
                depth[0].astype(np.float32), d.astype(np.float32), motion, rays
            ).ratio
        )
        for d in (depth[1], wrong)
    )
    assert abs(clean) < 0.005 and abs(spoilt) < 0.05
    doubled = float(
        trajectory.unit_step(
            depth[0].astype(np.float32), 2 * depth[1].astype(np.float32), motion, rays
        ).ratio
    )
    assert doubled == pytest.approx(np.log(2), abs=0.005)


def test_longer_links_keep_an_exact_path_and_mend_a_noisy_one():
    units = np.array([2.0, 1.3, 0.7, 1.9, 3.1, 0.5])
    _, path = _walk()
    links = {distance: _pairwise(path, units, distance) for distance in (1, 2, 3)}
    exact = trajectory.refine(
        trajectory.chain(*links[1], units / units[0]), links, units / units[0]
    )
    np.testing.assert_allclose(exact.translation * units[0], path.translation, atol=1e-5)

    rng, before, after = np.random.default_rng(1), 0, 0
    for _ in range(40):
        noisy = {
            distance: tuple(
                Motion(m.rotation, m.translation + rng.normal(scale=0.01, size=m.translation.shape))
                for m in pair
            )
            for distance, pair in links.items()
        }
        chained = trajectory.chain(*noisy[1], units / units[0])
        error = lambda found: np.square(
            np.diff(found.translation * units[0] - path.translation, axis=0)
        ).sum()
        before = before + error(chained)
        after = after + error(trajectory.refine(chained, noisy, units / units[0]))
    assert after < 0.7 * before
