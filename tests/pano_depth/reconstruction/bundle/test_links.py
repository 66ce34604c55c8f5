"""Which frames are followed and compared."""

import numpy as np
from scipy.spatial.transform import Rotation

from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction.bundle import links
from pano_depth.rooms import rooms


def _straight(count, step):
    return Motion(np.tile(np.eye(3), (count, 1, 1)), np.arange(count)[:, None] * [step, 0, 0])


def test_keyframes_are_as_far_apart_as_depth_asks():
    chosen = links.keyframes(_straight(100, 0.01), np.full(100, 2.0), 0.0299 / 2, 1.0)
    np.testing.assert_array_equal(chosen, [*range(0, 100, 3)])
    # Nearer things shift more.
    near = links.keyframes(_straight(100, 0.01), np.full(100, 0.5), 0.0299 / 2, 1.0)
    assert len(near) == 100
    still = links.keyframes(_straight(50, 0.0), np.full(50, 2.0), 0.01, 1.0)
    np.testing.assert_array_equal(still, [0, 49])


def test_turning_makes_keyframes_too():
    turned = Rotation.from_rotvec(np.arange(10)[:, None] * [0, 0.1, 0]).as_matrix()
    poses = Motion(turned, np.zeros((10, 3)))
    np.testing.assert_array_equal(
        links.keyframes(poses, np.full(10, 2.0), 0.01, 0.29), [0, 3, 6, 9]
    )


def test_sources_stand_on_both_sides_and_within_the_clip():
    table = links.by_distance(5, (1, 3))
    np.testing.assert_array_equal(table[0], [-1, 1, -1, 3])
    np.testing.assert_array_equal(table[3], [2, 4, 0, -1])
    found = links.link([table, np.array([[4], [-1], [-1], [2], [0]])])
    np.testing.assert_array_equal(found[3].sources[found[3].present], [2, 4, 0])  # 2 only once
    assert all(
        len(link.sources) == 5 and i not in link.sources[link.present]
        for i, link in enumerate(found)
    )


def test_a_place_seen_again_is_found_whatever_way_the_camera_looks():
    there = rooms.sample_clip(frames=12, height=64, width=128)
    back = np.roll(there.frames[::-1], 40, axis=2)  # the same way back, turned
    frames = np.concatenate([there.frames, back])
    poses = Motion(np.tile(np.eye(3), (24, 1, 1)), np.concatenate([there.poses.translation] * 2))
    descriptors = np.stack([links.describe(frame) for frame in frames])
    found = links.returns(descriptors, poses, np.full(24, 2.0), gap=6, most=2)
    hits = [i for i in range(6, 9) if abs(found[i][0] - (23 - i)) <= 1]
    assert len(hits) >= 2
    far = Motion(poses.rotation, poses.translation + 100 * np.arange(24)[:, None])
    assert (links.returns(descriptors, far, np.full(24, 2.0), gap=6, most=2) == -1).all()
