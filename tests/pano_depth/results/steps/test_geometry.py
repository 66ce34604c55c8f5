"""The size of the images that an adjustment compares; parts of footage for its scores."""

from types import SimpleNamespace

import numpy as np

from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import from_clip
from pano_depth.kernels.rigid import Motion
from pano_depth.results import steps
from pano_depth.results.steps import scores


def test_long_footage_is_adjusted_at_a_size_that_fits_the_disk(tmp_path, monkeypatch):
    rows = lambda *given: steps.rows_that_fit(*given, tmp_path)
    assert rows(512, 100) == 512 and rows(500, 100) == 448 and rows(32, 100) == 32
    assert rows(512, 20_000) == 256
    monkeypatch.setattr('shutil.disk_usage', lambda folder: SimpleNamespace(free=6 * 200 * 140**2))
    assert rows(512, 100) == 128 and rows(512, 10**9) == 64


def test_a_part_of_footage_is_footage():
    grey = np.arange(9, dtype=np.uint8)[:, None, None, None]
    frames = np.broadcast_to(grey, (9, 16, 32, 3))
    places = np.arange(9)[:, None] * [1.0, 0, 0]
    poses = Motion(np.tile(np.eye(3), (9, 1, 1)), places)
    footage = from_clip(Clip('greys', frames, np.ones((9, 16, 32), np.float32), poses))
    assert scores.part_of(footage, np.arange(9)) is footage
    # Frame 5 was left out.
    part = scores.part_of(footage, np.array([3, 4, 6]))
    assert [frame.index for frame in part.frames()] == [0, 1, 2, 3]
    assert [int(frame.image[0, 0, 0]) for frame in part.frames(start=1, stride=2)] == [4, 6]
    np.testing.assert_allclose(part.poses.translation[:, 0], [0, 1, 2, 3])
