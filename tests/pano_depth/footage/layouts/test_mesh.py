"""Meshes: the layout that their corners show; damaged ones end in a sentence."""

import numpy as np
import pytest

from pano_depth.footage.layouts import mesh
from tests.pano_depth.footage.layouts import made_files


@pytest.mark.parametrize('packed', [True, False])
@pytest.mark.parametrize('half', [None, 'left_right', 'top_bottom'])
def test_a_mesh_is_the_layout_that_its_corners_show(packed, half):
    box = made_files.mshp(made_files.youtube_mesh(half=half), packed)
    assert mesh.layout_of(box[8:]) == ('eac', '', half)


def test_the_mesh_of_a_panorama_is_told():
    v, u = np.meshgrid(np.linspace(0, 1, 19), np.linspace(0, 1, 37), indexing='ij')
    lon, lat = (u - 0.5) * 2 * np.pi, (v - 0.5) * np.pi
    rays = (np.cos(lat) * np.sin(lon), np.sin(lat), -np.cos(lat) * np.cos(lon))
    corners = np.stack([*rays, u, v], axis=-1).reshape(-1, 5)
    assert mesh.layout_of(made_files.mshp(corners)[8:]) == ('equirect', '', None)
    corners[:, 3:] = corners[:, [4, 3]]
    assert mesh.layout_of(made_files.mshp(corners)[8:]) is None


def test_a_damaged_mesh_is_refused_with_a_reason():
    payload = made_files.mshp(made_files.youtube_mesh(2), packed=False)[8:]
    for bad, reason in (
        (payload[:8] + b'lzma' + payload[12:], 'encoding'),
        (payload[:16] + b'nope' + payload[20:], 'holds no mesh'),
        (payload[:20] + b'\x7f' + payload[21:], 'claims .* coordinates'),
    ):
        with pytest.raises(ValueError, match=reason):
            mesh.layout_of(bad)
    packed = made_files.mshp(made_files.youtube_mesh(2))[8:]
    with pytest.raises(ValueError, match='unpacked|holds no mesh'):
        mesh.layout_of(packed[:12] + b'\xff' * 20)
