"""Faces of a cube show what the panorama shows in their directions, with its pixels at 0.5."""

import numpy as np
import pytest

from pano_depth.kernels import cube
from pano_depth.results.exports import names, views

# Where each face looks: its middle, in longitude and latitude of the panorama in degrees.
LOOKS = {
    'front': (0, 0),
    'right': (90, 0),
    'back': (180, 0),
    'left': (-90, 0),
    'up': (0, 90),
    'down': (0, -90),
}


def direction(longitude, latitude):
    lon, lat = np.radians([longitude, latitude])
    return np.array([[np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)]])


def test_a_face_keeps_the_resolution_and_looks_where_its_name_says():
    found = views.faces(64)
    assert [view.width for view in found] == [32] * 6 and found[0].focal == pytest.approx(16)
    for view in found:
        pixel, inside = view.project(direction(*LOOKS[view.name]))
        np.testing.assert_allclose(pixel, [[16, 16]], atol=1e-9)
        assert inside.all()
        assert sum(other.project(direction(*LOOKS[view.name]))[1][0] for other in found) == 1
    # 20 degrees to the right and 10 up of the front face's middle, by the textbook.
    pixel, _ = found[0].project(direction(20, 10))
    x, y = np.tan(np.radians(20)), -np.tan(np.radians(10)) / np.cos(np.radians(20))
    np.testing.assert_allclose(pixel, [[16 + 16 * x, 16 + 16 * y]])
    wide = views.faces(64, fov=120, size=40)[1]
    pixel, _ = wide.project(direction(90 + 60, 0))
    np.testing.assert_allclose(pixel, [[40, 20]], atol=1e-9)


def test_the_panorama_has_the_centre_of_its_first_pixel_at_one_half():
    pixel, inside = views.panorama(64).project(direction(-180 + 180 / 128, 90 - 90 / 64))
    np.testing.assert_allclose(pixel, [[0.5, 0.5]], atol=1e-9)
    assert inside.all()


def test_faces_of_90_degrees_are_those_of_the_cube():
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(0, 256, (4, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    expected = np.asarray(cube.equirect_to_cube(smooth, 64))
    for view, face in zip(views.faces(64, size=64), expected, strict=True):
        assert np.abs(view.image(smooth).astype(int) - face).max() <= 1
    nearest = np.asarray(cube.equirect_to_cube(smooth, 64, method='nearest'))
    for view, face in zip(views.faces(64, size=64), nearest, strict=True):
        assert (view.nearest(smooth) == face).mean() > 0.999


def test_coarse_faces_do_not_alias():
    """Stripes of single pixels become grey, not a pattern."""
    stripes = np.zeros((128, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    for view in views.faces(128, size=16)[:4]:
        inner = view.image(stripes)[4:12, 4:12].astype(int)
        assert np.abs(inner - 127.5).max() < 60 and abs(inner.mean() - 127.5) < 5


def test_z_depth_of_a_plane_is_the_same_everywhere():
    """A wall 2 ahead: range grows towards the corners, z-depth does not."""
    view = views.faces(64)[0]
    offset = (np.arange(32) + 0.5 - 16) / 16
    distance = 2 * np.sqrt(1 + offset**2 + offset[:, None] ** 2)
    np.testing.assert_allclose(distance * view.cosines(), 2, rtol=1e-6)


@pytest.mark.parametrize(
    'read, expected',
    [
        (['a b/IMG 1.jpg', 'a b/IMG\t2.PNG'], ['IMG_1.jpg', 'IMG_2.PNG']),
        (['a/1 1.jpg', 'a/1_1.jpg'], ['000004.jpg', '000008.jpg']),
        (['a/1.jpg', 'a/\udcff.jpg'], ['000004.jpg', '000008.jpg']),  # not text
        (['a/1.tif', 'a/2.webp'], ['1.jpg', '2.jpg']),
        (['my.jpg frame 4', 'my.jpg frame 8'], ['000004.jpg', '000008.jpg']),
        (['a/rgb.png', 'b/rgb.png'], ['000004.jpg', '000008.jpg']),
        (['a/1.png', 'a/1.jpg'], ['000004.jpg', '000008.jpg']),
    ],
)
def test_images_have_the_names_of_their_files_or_numbers(read, expected):
    assert names.image_names([4, 8], read) == expected
    assert names.view_name('up', expected[0]) == f'up_{expected[0]}'
    assert names.png_name(expected[0]) == f'{expected[0][:-4]}.png'
