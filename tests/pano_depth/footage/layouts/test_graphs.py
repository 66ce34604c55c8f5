"""Every layout, drawn without ffmpeg, comes back as the panorama that it was drawn from."""

import numpy as np
import pytest

from pano_depth.footage.layouts import convert_image, graphs
from pano_depth.footage.layouts.decision import Conversion
from pano_depth.footage.layouts.table import LAYOUTS, check_fits, check_projection, equirect_size
from tests.pano_depth.footage.layouts import drawn

HEIGHT = 128
FACE = HEIGHT // 2


@pytest.fixture(scope='module')
def panorama():
    return drawn.panorama(HEIGHT)


def joined(conversion, tracks):
    """The conversion of several tracks, fed from one picture that holds them side by side."""
    width = tracks[0].shape[1]
    names = [f'[v{i}]' for i in range(len(tracks))]
    lines = [f'[v0]split={len(tracks)}' + ''.join(f'[s{i}]' for i in range(len(tracks)))]
    for i in range(len(tracks)):
        lines.append(f'[s{i}]crop={width}:ih:{i * width}:0:exact=1[t{i}]')
    graph = conversion.graph
    for i, name in enumerate(names):
        graph = graph.replace(name, f'[t{i}]')
    whole = Conversion(';'.join([*lines, graph]), conversion.height, conversion.width)
    return convert_image(np.concatenate(tracks, axis=1), whole)


@pytest.mark.parametrize(
    'name, draw',
    [
        ('eac', lambda image: drawn.eac(image, FACE)),
        ('eac', lambda image: drawn.eac(image, FACE, high=FACE * 27 // 32)),
        ('cubemap_3x2', lambda image: drawn.cubemap_3x2(image, FACE)),
        ('cubemap_6x1', lambda image: drawn.cubemap_6x1(image, FACE)),
        ('cubemap_cross', lambda image: drawn.cubemap_cross(image, FACE)),
    ],
)
def test_cubemaps_come_back_as_the_panorama(panorama, name, draw):
    frame = draw(panorama)
    conversion = graphs.one_picture(name, *frame.shape[:2])
    assert (conversion.height, conversion.width) == (HEIGHT, 2 * HEIGHT)
    assert drawn.psnr(convert_image(frame, conversion), panorama) > 42


def test_a_column_of_faces_is_a_row_of_faces(panorama):
    row = drawn.cubemap_6x1(panorama, FACE)
    column = np.concatenate(np.split(row, 6, axis=1))
    made = convert_image(column, graphs.one_picture('cubemap_1x6', *column.shape[:2]))
    assert drawn.psnr(made, panorama) > 42


@pytest.mark.parametrize('fov', [190, 204])
def test_two_circles_come_back_as_the_panorama(panorama, fov):
    frame = drawn.dual_fisheye(panorama, HEIGHT, fov)
    conversion = graphs.one_picture('dual_fisheye', *frame.shape[:2], fov=fov)
    assert conversion.width == 16 * round(HEIGHT * 360 / fov / 16)
    wanted = drawn.panorama(conversion.height)
    assert drawn.psnr(convert_image(frame, conversion), wanted) > 34


def test_two_tracks_of_circles_are_turned_upright(panorama):
    frame = drawn.dual_fisheye(panorama, HEIGHT, 200)
    # Insta360: the tops of both circles are in the middle.
    rear, front = np.rot90(frame[:, :HEIGHT], -1), np.rot90(frame[:, HEIGHT:], 1)
    turns = ('transpose=cclock', 'transpose=clock')
    conversion = graphs.two_circles(HEIGHT, HEIGHT, 200, turns)
    assert conversion.streams == (0, 1)
    made, wanted = joined(conversion, [rear, front]), drawn.panorama(conversion.height)
    assert drawn.psnr(made, wanted) > 34
    one = graphs.turned_circles(HEIGHT, 2 * HEIGHT, 200, turns)
    np.testing.assert_array_equal(convert_image(np.concatenate([rear, front], axis=1), one), made)


@pytest.mark.parametrize('strip', [4, 16])
def test_gopro_tracks_lose_their_strips(panorama, strip):
    tracks = drawn.gopro_tracks(panorama, FACE, strip)
    assert tracks[0].shape == (FACE, 3 * FACE + 2 * strip, 3)
    conversion = graphs.eac_halves(*tracks[0].shape[:2])
    assert conversion.streams == (0, 1) and conversion.width == 4 * FACE
    assert drawn.psnr(joined(conversion, tracks), panorama) > 42


def test_two_plain_halves_are_one_equi_angular_cubemap(panorama):
    frame = drawn.eac(panorama, FACE)
    made = joined(graphs.eac_halves(FACE, 3 * FACE), [frame[:FACE], frame[FACE:]])
    assert drawn.psnr(made, panorama) > 42


@pytest.mark.parametrize('size, width', [((1344, 4096), 5376), ((736, 2272), 2944)])
def test_gopro_sizes_give_the_sizes_that_gopro_gives(size, width):
    assert graphs.eac_halves(*size).width == width


@pytest.mark.parametrize(
    'stereo, stack',
    [
        ('top_bottom', lambda eye: np.concatenate([eye, 255 - eye])),
        ('left_right', lambda eye: np.concatenate([eye, 255 - eye], axis=1)),
        ('right_left', lambda eye: np.concatenate([255 - eye, eye], axis=1)),
    ],
)
def test_the_left_eye_is_taken(panorama, stereo, stack):
    eye = drawn.cubemap_3x2(panorama, FACE)
    frame = stack(eye)
    conversion = graphs.one_picture('cubemap_3x2', *frame.shape[:2], stereo=stereo)
    assert drawn.psnr(convert_image(frame, conversion), panorama) > 42


def test_a_part_of_a_panorama_is_put_where_it_belongs(panorama):
    part = panorama[16:112, 32:224]
    bounds = (16 / 128, 16 / 128, 32 / 256, 32 / 256)
    conversion, (first, last, start, end) = graphs.placed(*part.shape[:2], bounds)
    assert (conversion.height, first, last, start, end) == (HEIGHT, 16, 112, 32, 224)
    made = convert_image(part, conversion)
    assert np.abs(made[16:112, 32:224].astype(int) - part).mean() < 2
    assert made[:16].max() <= 1 and made[:, 224:].max() <= 1


def test_reduced_pictures_are_rendered_at_twice_their_size(panorama):
    frame = drawn.eac(panorama, 2 * FACE)
    full = graphs.one_picture('eac', *frame.shape[:2])
    small = full.at(32)
    assert (full.height, small.height, small.width) == (256, 128, 256)
    assert full.at(100).height == 200 and full.at(256) == full
    assert drawn.psnr(convert_image(frame, small), panorama) > 40


def test_alpha_goes_along(panorama):
    frame = drawn.cubemap_3x2(panorama, FACE)
    alpha = np.full((*frame.shape[:2], 1), 255, np.uint8)
    alpha[:FACE, 2 * FACE :] = 0  # the upper face
    conversion = graphs.one_picture('cubemap_3x2', *frame.shape[:2])
    made = convert_image(np.concatenate([frame, alpha], axis=2), conversion)
    assert made.shape == (HEIGHT, 2 * HEIGHT, 4)
    assert made[0, :, 3].max() == 0 and made[-1, :, 3].min() >= 254


def test_names_and_shapes_are_checked():
    with pytest.raises(ValueError, match="projection is 'cube'; accepted: auto, equirect, eac"):
        check_projection('cube')
    with pytest.raises(ValueError, match='a.mp4 is 640x480 .*takes frames of 3:2 or 16:9'):
        check_fits(LAYOUTS['eac'], 480, 640, 'a.mp4')
    check_fits(LAYOUTS['eac'], 2160, 3840, 'a.mp4')
    assert equirect_size(LAYOUTS['eac'], 2160, 3840) == (2560, 5120)
    assert equirect_size(LAYOUTS['half_equirect'], 1000, 1000) == (1000, 2000)
