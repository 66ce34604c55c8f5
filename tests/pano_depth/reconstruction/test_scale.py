"""The camera's height is found from the floor, also with furniture on it."""

import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.reconstruction import scale

HEIGHT = 1.4


def _room(*, boxes=(), height=HEIGHT, rows=64):
    """[rows, 2 rows] range in a room of 5 x 4 m with boxes on the floor.

    The floor is `height` below the camera; boxes are (x0, x1, z0, z1, top below the camera).
    """
    rays = np.asarray(sphere.ray_directions(rows, 2 * rows), np.float64)
    x, y, z = np.moveaxis(np.where(np.abs(rays) < 1e-9, 1e-9, rays), -1, 0)
    depth = np.minimum.reduce(
        [
            np.where(x > 0, 2.5, -2.5) / x,
            np.where(z > 0, 2.0, -2.0) / z,
            np.where(y > 0, height, -1.2) / y,
        ]
    )
    for x0, x1, z0, z1, top in boxes:
        hit = np.where(y > 0, top / y, np.inf)
        inside = (x0 < hit * x) & (hit * x < x1) & (z0 < hit * z) & (hit * z < z1)
        depth = np.where(inside, np.minimum(depth, hit), depth)
    return depth.astype(np.float32)


@pytest.mark.parametrize('unit', [1.0, 0.07, 300.0])
def test_the_height_of_an_empty_room_is_exact(unit):
    assert scale.floor_height(_room() * unit) == pytest.approx(HEIGHT * unit, rel=0.01)


def test_furniture_and_noise_do_not_move_the_floor():
    depth = _room(boxes=[(0.4, 2.4, -1.9, 0.3, 0.7), (-2.4, -1.5, 0.2, 1.9, 0.9)])
    noise = np.random.default_rng(0).normal(scale=0.03, size=depth.shape)
    assert scale.floor_height(depth) == pytest.approx(HEIGHT, rel=0.02)
    assert scale.floor_height(depth * np.exp(noise)) == pytest.approx(HEIGHT, rel=0.04)


def test_what_the_mask_leaves_out_does_not_count():
    depth, mask = _room(), np.ones((64, 128), bool)
    depth[:, :80] = 0.5
    mask[:, :80] = False
    assert scale.floor_height(depth, mask=mask) == pytest.approx(HEIGHT, rel=0.01)
    assert np.isnan(scale.floor_height(depth, mask=np.zeros_like(mask)))


def test_a_clip_takes_the_median_of_its_frames():
    depths = [_room(height=h) for h in (1.40, 1.42, 1.38, 1.41, 3.0)] + [
        np.zeros((64, 128), np.float32)
    ]
    height, spread = scale.clip_floor_height(depths)
    assert height == pytest.approx(1.41, rel=0.01) and 0 < spread < 0.03
    with pytest.raises(ValueError, match='camera_height.*nothing below'):
        scale.clip_floor_height([np.zeros((64, 128), np.float32)])
