"""Refined depth in files: what is read is what was stored, and an earlier run's frames are kept."""

import errno
import os

import numpy as np
import pytest

from common.stopping import Stop, Stopped
from pano_depth.reconstruction.sweep.confirm import CONFIRMED
from pano_depth.results import refined
from pano_depth.results.refined import Refined

COUNT, HEIGHT, MIDDLE = 5, 16, 2.5
KEY = {'sha256': 'abc'}


def _frame(seed=0):
    rng = np.random.default_rng(seed)
    depth = (MIDDLE * np.exp(rng.normal(0, 1.5, (HEIGHT, 2 * HEIGHT)))).astype(np.float32)
    confidence = rng.uniform(0, 1, depth.shape).astype(np.float32)
    depth[3:5] = confidence[3:5] = 0
    return depth, confidence


def _open(folder, key=KEY):
    return Refined(folder, key, COUNT, HEIGHT, MIDDLE)


def test_what_was_stored_comes_back(tmp_path):
    files = _open(tmp_path / 'refining')
    depth, confidence = _frame()
    assert not files.has(2)
    files.put(2, depth, confidence)
    assert files.has(2) and not files.has(1)
    found = files.depth(2)
    assert found.dtype == np.float32 and files.confidence(2).dtype == np.float32
    np.testing.assert_allclose(found, depth, rtol=2e-4)
    np.testing.assert_array_equal(found == 0, depth == 0)
    shown = depth > 0
    np.testing.assert_allclose(files.confidence(2)[shown], confidence[shown], atol=0.5 / 255 + 4e-3)
    assert not files.depth(1).any() and not files.confidence(1).any()


def test_confidence_is_zero_exactly_where_depth_is(tmp_path):
    files = _open(tmp_path)
    depth, confidence = _frame(1)
    confidence[6:8] = 0
    confidence[3:5] = 1
    files.put(0, depth, confidence)
    np.testing.assert_array_equal(files.depth(0) == 0, files.confidence(0) == 0)
    np.testing.assert_array_equal(files.depth(0) == 0, depth == 0)


def test_what_is_no_depth_is_zero_and_what_is_extreme_stays_in_range(tmp_path):
    files = _open(tmp_path)
    depth = np.full((HEIGHT, 2 * HEIGHT), 1.0, np.float32)
    depth[0, :5] = [np.nan, -1, 0, 1e9, 1e-9]
    files.put(0, depth, np.ones_like(depth))
    found = files.depth(0)
    np.testing.assert_array_equal(found[0, :3], 0)
    np.testing.assert_allclose(found[0, 3:5], [1000 * MIDDLE, MIDDLE / 1000], rtol=1e-3)


def test_the_unit_scales_depth(tmp_path):
    files = _open(tmp_path)
    depth, confidence = _frame()
    files.put(0, depth, confidence)
    files.unit = 1.7
    np.testing.assert_allclose(files.depth(0), 1.7 * depth, rtol=2e-4)


def test_confirmed_is_the_part_of_the_depth_that_is(tmp_path):
    files = _open(tmp_path)
    assert files.confirmed() == 0
    known, sure = 0, 0
    for i in range(COUNT):
        depth, confidence = _frame(i)
        files.put(i, depth, confidence)
        known += (depth > 0).sum()
        sure += ((depth > 0) & (np.rint(confidence * 255) >= CONFIRMED * 255)).sum()
    assert files.confirmed() == pytest.approx(sure / known)
    assert 0.4 < files.confirmed() < 0.6


def test_the_same_key_goes_on_and_another_starts_over(tmp_path):
    depth, confidence = _frame()
    _open(tmp_path).put(3, depth, confidence)
    again = _open(tmp_path)
    assert again.has(3) and not again.has(0)
    np.testing.assert_allclose(again.depth(3), depth, rtol=2e-4)
    other = _open(tmp_path, {'sha256': 'def'})
    assert not any(other.has(i) for i in range(COUNT)) and not other.depth(3).any()
    assert not _open(tmp_path).has(3)


def test_an_interrupted_start_starts_over(tmp_path):
    depth, confidence = _frame()
    _open(tmp_path).put(3, depth, confidence)
    (tmp_path / 'key.json').unlink()
    assert not _open(tmp_path).has(3)


def test_what_is_forgotten_can_still_be_read(tmp_path):
    folder = tmp_path / 'refining'
    files = _open(folder)
    depth, confidence = _frame()
    files.put(1, depth, confidence)
    files.forget()
    assert not folder.exists()
    np.testing.assert_allclose(files.depth(1), depth, rtol=2e-4)
    assert files.has(1) and files.confidence(1).any()


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*unused):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'posix_fallocate', full, raising=False)
    with pytest.raises(OSError, match='No space left on device') as error:
        _open(tmp_path)
    assert error.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert not _open(tmp_path).has(0)


def test_the_space_is_taken_at_the_start(tmp_path):
    _open(tmp_path)
    pixels = COUNT * HEIGHT * 2 * HEIGHT
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert (sizes['depth'], sizes['confidence'], sizes['done']) == (2 * pixels, pixels, COUNT)


class _Found:
    """A sweep of known answers that counts its work."""

    height = HEIGHT

    def __init__(self):
        self.asked = []

    def refined(self, index):
        self.asked.append(index)
        return _frame(index)


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path):
    found, stop = _Found(), Stop()
    real = found.refined

    def refined_then_stop(index):
        if index == 2:
            stop.number = 15
        return real(index)

    found.refined = refined_then_stop
    with pytest.raises(Stopped, match='3 of 5 frames are refined'):
        refined.refine_all(found, tmp_path, KEY, COUNT, MIDDLE, stop)
    again = _Found()
    files = refined.refine_all(again, tmp_path, KEY, COUNT, MIDDLE, Stop())
    assert found.asked == [0, 1, 2] and again.asked == [3, 4]
    for i in range(COUNT):
        np.testing.assert_allclose(files.depth(i), _frame(i)[0], rtol=2e-4)


def test_the_key_follows_path_depth_and_settings():
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(3, 3, 3)), rng.normal(size=(3, 3))
    depth = rng.normal(size=(3, 4, 8)).astype(np.float32)
    key = refined.key_of(poses, depth, 'settings')
    assert key == refined.key_of([part.copy() for part in poses], depth.copy(), 'settings')
    turned, moved, deeper = poses[0].copy(), poses[1].copy(), depth.copy()
    turned[1, 0, 0] += 1e-9
    moved[2, 1] += 1e-9
    deeper[0, 0, 0] += 1e-3
    others = [
        refined.key_of((turned, poses[1]), depth, 'settings'),
        refined.key_of((poses[0], moved), depth, 'settings'),
        refined.key_of(poses, deeper, 'settings'),
        refined.key_of(poses, depth, 'other settings'),
    ]
    assert len({str(other) for other in (key, *others)}) == 5
