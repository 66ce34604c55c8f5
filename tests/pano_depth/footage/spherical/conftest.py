"""A small video without metadata."""

import numpy as np
import pytest

from pano_depth.footage import video


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'plain.mp4'
    rng = np.random.default_rng(0)
    with video.write_video(path, 12) as append:
        for _ in range(8):
            append(rng.integers(0, 256, (32, 64, 3), np.uint8))
    return path


@pytest.fixture
def path(plain, tmp_path):
    """A fresh copy of a video that has no metadata."""
    copy = tmp_path / 'a.mp4'
    copy.write_bytes(plain.read_bytes())
    return copy
