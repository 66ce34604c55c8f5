"""Figures: readable colours, files of a sensible size, no global matplotlib state."""

import os

import matplotlib
import numpy as np
import pytest

from pano_depth.footage import media
from pano_depth.kernels.rigid import Motion
from pano_depth.results import panels


def _turbo(fraction):
    return (np.array(matplotlib.colormaps['turbo'](fraction)[:3]) * 255).round()


def test_depth_colours_are_turbo_over_log_depth_near_red_invalid_black():
    depth = np.array([[1.0, 10.0, np.sqrt(10.0), 0.1, 99.0, 0.0, np.nan, np.inf]])
    colors = panels.depth_colors(depth, low=1.0, high=10.0)
    assert colors.dtype == np.uint8 and colors.shape == (1, 8, 3)
    for i, fraction in enumerate([1.0, 0.0, 0.5, 1.0, 0.0]):
        np.testing.assert_allclose(colors[0, i], _turbo(fraction), atol=4)
    assert (colors[0, 5:] == 0).all()
    assert (colors[0, :5].sum(-1) > 0).all()


def test_depth_range_leaves_out_invalid_pixels_and_outliers():
    depth = np.r_[np.linspace(1, 5, 1000), np.zeros(500), np.nan, 1e6]
    low, high = panels.depth_range(depth)
    assert low == pytest.approx(1.04, abs=0.02) and high == pytest.approx(4.96, abs=0.02)
    for odd in (np.zeros(4), np.full(4, 3.0)):
        low, high = panels.depth_range(odd)
        assert 0 < low < high
    with pytest.raises(ValueError, match='low'):
        panels.depth_colors(depth, low=2.0, high=1.0)


def _clip(n=5):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 16, 32, 3), np.uint8), rng.uniform(1, 5, (n, 16, 32)).astype(
        np.float32
    )


def test_clip_panels_grow_with_what_is_shown(tmp_path):
    frames, depth = _clip()
    panels.clip_panels(tmp_path / 'two.png', frames, depth, count=3)
    panels.clip_panels(
        tmp_path / 'five.png', frames, depth, truth=2 * depth, warped=frames, count=3, title='clip'
    )
    two, five = media.read_image(tmp_path / 'two.png'), media.read_image(tmp_path / 'five.png')
    assert two.shape[1] == five.shape[1] > 600 and five.shape[0] > 2 * two.shape[0]
    assert two.std() > 20 and sorted(os.listdir(tmp_path)) == ['five.png', 'two.png']


def test_a_scaled_copy_of_the_truth_has_a_black_error_row(tmp_path):
    frames, depth = _clip(1)
    blank = np.full_like(frames, 255)
    images = []
    for name, predicted in (('right', 3 * depth), ('wrong', depth[:, ::-1])):
        panels.clip_panels(tmp_path / f'{name}.png', blank, predicted, truth=depth, count=1)
        images.append(media.read_image(tmp_path / f'{name}.png').astype(int))
    black = [(image.sum(-1) == 0).sum() for image in images]
    assert black[0] > 10 * black[1] + 10_000


def test_trajectory_plot_draws_the_truth_too(tmp_path):
    n = 20
    eye, turn = np.tile(np.eye(3), (n, 1, 1)), np.linspace(0, 3, n)
    truth = Motion(eye, np.stack([np.sin(turn), 0 * turn, turn], axis=-1))
    panels.trajectory_plot(tmp_path / 'one.png', truth)
    panels.trajectory_plot(
        tmp_path / 'two.png', Motion(eye, 0.1 * truth.translation + [0, 0, 5.0]), truth
    )
    one, two = (media.read_image(tmp_path / name).astype(int) for name in ('one.png', 'two.png'))
    orange = [((image[..., 0] - image[..., 2]) > 150).sum() for image in (one, two)]
    assert orange[0] == 0 and orange[1] > 100
    with pytest.raises(ValueError, match='predicted has 20 frames, truth 3'):
        panels.trajectory_plot(tmp_path / 'bad.png', truth, Motion(eye[:3], truth.translation[:3]))


def test_panels_refuse_shapes_that_do_not_match(tmp_path):
    frames, depth = _clip()
    for options, word in (
        ({'truth': depth[:2]}, 'truth'),
        ({'warped': depth}, 'warped'),
        ({'count': 0}, 'count'),
    ):
        with pytest.raises(ValueError, match=word):
            panels.clip_panels(tmp_path / 'a.png', frames, depth, **options)
    with pytest.raises(ValueError, match='depth'):
        panels.clip_panels(tmp_path / 'a.png', frames, depth[..., :8])
    assert os.listdir(tmp_path) == []
