"""PLY files, byte by byte."""

import os
import struct

import numpy as np
import pytest

from pano_depth.results import ply


@pytest.mark.parametrize(
    'axes, up, forward',
    [
        ('y_up', (0, 1, 0), (0, 0, -1)),
        ('z_up', (0, 0, 1), (0, 1, 0)),
        ('y_down', (0, -1, 0), (0, 0, 1)),
    ],
)
def test_ply_axes(tmp_path, axes, up, forward):
    camera_axes = np.array([[0, -1, 0], [0, 0, 1], [1, 0, 0]])
    ply.write_ply(tmp_path / 'a.ply', camera_axes, np.zeros((3, 3), np.uint8), axes=axes)
    points, _ = ply.read_ply(tmp_path / 'a.ply')
    np.testing.assert_array_equal(points, [up, forward, (1, 0, 0)])
    # A mirrored cloud would read every sign backwards.
    np.testing.assert_allclose(np.cross(points[2], points[0]), -points[1])


def test_ply_bytes(tmp_path):
    path = tmp_path / 'a.ply'
    points = np.array([[1.5, 2.0, -3.0], [0.0, 0.25, 9.0]])
    colors = np.array([[1, 2, 255], [7, 8, 9]], np.uint8)
    ply.write_ply(path, points, colors)
    head, body = path.read_bytes().split(b'end_header\n')
    assert (
        head.startswith(b'ply\nformat binary_little_endian 1.0\n') and b'element vertex 2\n' in head
    )
    assert struct.unpack('<3f3B3f3B', body) == (1.5, -2, 3, 1, 2, 255, 0, -0.25, -9, 7, 8, 9)
    np.testing.assert_array_equal(ply.read_ply(path)[1], colors)


def test_ply_refuses_what_viewers_choke_on(tmp_path):
    path, colors = tmp_path / 'a.ply', np.zeros((1, 3), np.uint8)
    for points, word, options in (
        ([[np.nan, 0, 0]], 'finite', {}),
        ([[0, 0, 0]], 'axes', {'axes': 'x_up'}),
        ([[0, 0]], r'\[N, 3\]', {}),
    ):
        with pytest.raises(ValueError, match=word):
            ply.write_ply(path, np.array(points), colors, **options)
    assert os.listdir(tmp_path) == []
    ply.write_ply(path, np.ones((4, 3)), np.zeros((4, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r'a\.ply'):
        ply.read_ply(path)
