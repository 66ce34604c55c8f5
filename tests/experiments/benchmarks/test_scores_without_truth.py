"""Figures of footage without truth: small for the truth, known values for known errors."""

import types

import numpy as np
import pytest

from experiments.benchmarks.depth.support.scores_without_truth import figures
from pano_depth.kernels.rigid import Motion
from pano_depth.rooms import rooms

FRAMES = 5


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=FRAMES, height=64, width=128)


class Result:
    """The truth, or what is made of it; half of the pixels are confirmed."""

    def __init__(self, clip, poses=None, factors=(1.0,) * FRAMES):
        factors = np.asarray(factors)
        self._depth = factors[:, None, None].astype(np.float32) * clip.depth
        self.poses = clip.poses if poses is None else poses
        self.pieces = [types.SimpleNamespace(refined=object())]

    def __len__(self):
        return FRAMES

    def depth(self, index):
        return self._depth[index]

    def confidence(self, index):
        return np.repeat([[0.2, 0.8]], 64, axis=0).repeat(64, axis=1)


def test_the_truth_explains_the_frames(clip):
    row = figures(Result(clip), clip.frames)
    assert row['registered'] == FRAMES and row['confirmed'] == 0.5
    assert row['photometric'] < 0.03
    backwards = Motion(clip.poses.rotation, -clip.poses.translation)
    assert figures(Result(clip, backwards), clip.frames)['photometric'] > 2 * row['photometric']
    # Depth that is missing does not count.
    holes = Result(clip)
    holes._depth[:, :20] = 0
    found = figures(holes, clip.frames)
    assert found['photometric'] < 0.03 and np.isfinite(found['flicker'])


def test_flicker_and_closure_have_their_known_values(clip):
    steady = figures(Result(clip), clip.frames)['flicker']
    factors = np.exp(0.1 * (-1.0) ** np.arange(FRAMES))
    shaken = figures(Result(clip, factors=factors), clip.frames)['flicker']
    assert shaken == pytest.approx(0.4, abs=2 * steady) and steady < 0.05
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1], [0, 0, 0.5]], float)
    row = figures(Result(clip, Motion(clip.poses.rotation, square)), clip.frames)
    assert row['closure_percent'] == pytest.approx(100 * 0.5 / 3.5)
