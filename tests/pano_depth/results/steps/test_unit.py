"""The unit of a result: relative, or metres by the height of the camera."""

import numpy as np
import pytest

from pano_depth.kernels import cube, sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer
from pano_depth.results.steps import unit

# An equirectangular grid of 16 x 32 pixels: estimates are images themselves.
MODEL = ModelConfig(face_size=8, padding='equirect', depth_channels=(4, 4), pose_channels=(4,))
FRAMES, FAR, HEIGHT = 3, 3.0, 0.5


@pytest.fixture
def analysis():
    """A floor at `HEIGHT` in the unit of the disparity, which is `FAR` in that of the path."""
    disparity = np.ones((FRAMES, 1, 16, 32), np.float32)
    down = np.sin((np.arange(16) + 0.5) / 16 * np.pi - np.pi / 2)[8:]
    disparity[:, :, 8:] = down[:, None] / HEIGHT
    poses = Motion(np.tile(np.eye(3), (FRAMES, 1, 1)), np.arange(FRAMES)[:, None] * [0.1, 0, 0])
    return infer.Analysis(disparity, np.full(FRAMES, FAR), poses, None)


class _Refined:
    """Refined depth: the same in all pixels, none in the first frame."""

    height, unit = 16, 1.0

    def depth(self, index):
        return np.full((16, 32), 5.0 if index else 0.0, np.float32)


def test_without_a_height_the_median_depth_becomes_two_units(analysis):
    relative, facts = unit.fix_scale(analysis, MODEL)
    assert infer.median_depth(relative) == pytest.approx(unit.MEDIAN_UNITS)
    assert facts['unit'] == 'relative' and facts['scale'].startswith('relative')


def test_the_height_of_the_camera_gives_metres(analysis):
    metric, facts = unit.fix_scale(analysis, MODEL, camera_height=1.6)
    assert metric.units[0] * HEIGHT == pytest.approx(1.6, rel=0.01)
    assert facts['unit'] == 'metre' and facts['scale'].startswith('metres')
    factor = metric.units[0] / FAR
    moved = analysis.poses.translation * factor
    np.testing.assert_allclose(metric.poses.translation, moved, rtol=1e-6)


def test_what_is_hidden_is_not_measured(analysis):
    mask = np.ones((32, 64), bool)
    mask[:16] = False
    floor = np.median(FAR / analysis.disparity[0, 0, 8:])
    for one in (mask, np.stack([mask, mask & False, mask])):
        found, _ = unit.fix_scale(analysis, MODEL, mask=one)
        assert found.units[0] == pytest.approx(FAR * unit.MEDIAN_UNITS / floor)
    assert unit.fix_scale(analysis, MODEL)[0].units[0] < 0.8 * found.units[0]
    # Frames 0 and 2 are measured, each by its own mask.
    own = np.stack([mask & False, mask & False, mask])
    found, _ = unit.fix_scale(analysis, MODEL, camera_height=1.6, mask=own, samples=2)
    assert found.units[0] * HEIGHT == pytest.approx(1.6, rel=0.01)


def test_the_median_of_faces_knows_where_they_look():
    down = np.asarray(cube.face_directions(8))[..., 1]
    disparity = np.where(down < 0.3, 10.0, 1.0)[None].astype(np.float32)
    analysis = infer.Analysis(disparity, np.ones(1), None, None)
    mask = np.asarray(sphere.ray_directions(64, 128))[..., 1] > 0.35
    assert infer.median_depth(analysis) == pytest.approx(0.1)
    assert infer.median_depth(analysis, mask=mask) == pytest.approx(1)
    assert infer.median_depth(analysis, mask=mask & False) == pytest.approx(0.1)


def test_refined_depth_is_what_is_measured(analysis):
    refined = _Refined()
    found, _ = unit.fix_scale(analysis, MODEL, refined=refined)
    assert refined.unit == pytest.approx(unit.MEDIAN_UNITS / 5)
    np.testing.assert_allclose(found.units, FAR * refined.unit)
