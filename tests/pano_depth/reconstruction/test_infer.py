"""Which frames are compared when footage is analysed, batch by batch."""

import jax
import numpy as np

from pano_depth.kernels.rigid import Motion
from pano_depth.learning import model as models
from pano_depth.reconstruction import infer, trajectory

COUNT = 11  # more than a batch
CONFIG = models.ModelConfig(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8))


def test_every_pair_is_compared_once_there_and_once_back(monkeypatch):
    # Frames are their numbers, and motions say between which of them they are.
    numbered = lambda frames, grid: frames[:, 0, 0, 0].astype(np.float32)
    ones = lambda n: np.ones(n, np.float32)
    monkeypatch.setattr(infer, '_images', numbered)
    monkeypatch.setattr(
        infer,
        '_disparity',
        lambda params, images, grid, config: np.broadcast_to(
            images[:, None, None, None], (len(images), 6, 16, 16)
        ),
    )
    monkeypatch.setattr(
        infer,
        '_motion',
        lambda params, target, source, grid, config: Motion(
            np.tile(np.eye(3), (len(target), 1, 1)), np.stack([target, source, target], axis=1)
        ),
    )
    monkeypatch.setattr(infer, 'depth_maps', lambda config, height: lambda found, units: found)
    fields = trajectory.UnitStep._fields
    monkeypatch.setattr(
        trajectory,
        'unit_steps',
        lambda depth, there, back: trajectory.UnitStep(
            *(ones(len(there.rotation)) for _ in fields)
        ),
    )
    seen = {}
    monkeypatch.setattr(trajectory, 'frame_units', lambda ratio: np.ones(len(ratio) + 1))
    monkeypatch.setattr(trajectory, 'chain', lambda there, back, units: seen.update(units=units))
    monkeypatch.setattr(trajectory, 'refine', lambda poses, links, units: seen.update(links=links))
    frames = np.broadcast_to(
        np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 32, 64, 3)
    )
    found = infer.analyse({}, frames, models.make_grid(CONFIG), CONFIG, distances=(1, 3, 99))
    np.testing.assert_array_equal(found.disparity[:, 0, 0, 0], np.arange(COUNT))
    assert len(seen['units']) == COUNT and sorted(seen['links']) == [1, 3]
    for distance, (there, back) in seen['links'].items():
        first = np.arange(COUNT - distance)
        np.testing.assert_array_equal(there.translation[:, 0], first)
        np.testing.assert_array_equal(there.translation[:, 1], first + distance)
        np.testing.assert_array_equal(back.translation[:, 0], first + distance)
        np.testing.assert_array_equal(back.translation[:, 1], first)
    assert len(jax.tree.leaves(found.steps)[0]) == COUNT - 1
