"""Photographs whose metadata say which part of the sphere they show, and how they were held."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pano_depth.footage.open_footage import open_footage
from pano_depth.footage.photos import gpano, placement
from pano_depth.kernels import sphere

HEIGHT = 64


def _packet(**tags):
    listed = ' '.join(f'GPano:{name}="{value}"' for name, value in tags.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        f' xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {listed}/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _pose(heading=0, pitch=0, roll=0):
    return {
        'PoseHeadingDegrees': heading,
        'PosePitchDegrees': pitch,
        'PoseRollDegrees': roll,
        'ProjectionType': 'equirectangular',
    }


def _part(left, top, width, height, full=(2 * HEIGHT, HEIGHT)):
    return {
        'CroppedAreaLeftPixels': left,
        'CroppedAreaTopPixels': top,
        'CroppedAreaImageWidthPixels': width,
        'CroppedAreaImageHeightPixels': height,
        'FullPanoWidthPixels': full[0],
        'FullPanoHeightPixels': full[1],
    }


def _colours(rays):
    """The colour of the world in directions [..., 3]: x east, y down, z north."""
    x, y, z = np.moveaxis(rays, -1, 0)
    return np.stack([125 + 90 * x + 30 * y * z, 125 + 110 * y, 125 + 110 * z], -1)


def _world(height=HEIGHT):
    return np.rint(_colours(sphere.pixel_rays(height, 2 * height))).astype(np.uint8)


def _save(path, array, **tags):
    packet, options = _packet(**tags), {}
    if path.suffix == '.png':
        options['pnginfo'] = PngImagePlugin.PngInfo()
        options['pnginfo'].add_itxt('XML:com.adobe.xmp', packet.decode())
    elif path.suffix == '.tif':
        options['tiffinfo'] = {700: packet}
    else:
        options.update(xmp=packet, quality=98)
    Image.fromarray(array).save(path, **options)
    return path


def _frame(path, size=None, **options):
    (footage,) = open_footage(path, **options)
    (frame,) = footage.frames(size=size)
    return footage, frame


def _off(image, expected, counts=True):
    return np.where(counts, np.abs(image.astype(int) - expected).max(-1), 0).max()


def test_tags_are_found_in_packets_of_every_writer():
    elements = (
        b'<rdf:Description xmlns:g="http://ns.google.com/photos/1.0/panorama/">'
        b'<g:ProjectionType>Equirectangular</g:ProjectionType><g:PosePitchDegrees> -3.5\n'
        b'</g:PosePitchDegrees><g:FullPanoWidthPixels>4000</g:FullPanoWidthPixels>'
    )
    found = gpano.parse(elements)
    assert (found.projection, found.pitch, found.full_width) == ('equirectangular', -3.5, 4000)
    found = gpano.parse(
        _packet(PosePitchDegrees='nan', PoseRollDegrees='500', FullPanoWidthPixels='x')
    )
    assert (found.pitch, found.roll, found.full_width) == (0, 0, None)
    assert gpano.parse(b'') is None and gpano.parse(b'<x:xmpmeta tiff:Make="Canon"/>') is None


def _held(heading, pitch, roll):
    """What a camera sees that is turned as the documentation of GPano says.

    The heading is clockwise from north, the pitch upwards; with the roll the horizon turns
    counterclockwise in the image, so that the right side of the camera goes down.
    """
    heading, pitch, roll = np.deg2rad([heading, pitch, roll])
    forward = np.array(
        [np.sin(heading) * np.cos(pitch), -np.sin(pitch), np.cos(heading) * np.cos(pitch)]
    )
    level_right = np.array([np.cos(heading), 0, -np.sin(heading)])
    level_down = np.cross(forward, level_right)
    right = np.cos(roll) * level_right + np.sin(roll) * level_down
    axes = np.stack([right, np.cross(forward, right), forward])
    return np.rint(_colours(sphere.pixel_rays(HEIGHT, 2 * HEIGHT) @ axes)).astype(np.uint8)


@pytest.mark.parametrize('pose', [(0, 25, 0), (0, 0, 40), (135, 0, 0), (250, -30, 20)])
def test_a_tilted_photograph_comes_back_level(tmp_path, pose):
    seen = _held(*pose)
    assert _off(seen, _world()) > 40
    path = _save(tmp_path / 'held.png', seen, **_pose(*pose))
    footage, frame = _frame(path)
    assert _off(frame.image, _world()) <= 3 and frame.valid is None
    assert f'heading {pose[0]}, pitch {pose[1]}' in footage.notes[0]
    np.testing.assert_array_equal(_frame(path, projection='equirect')[1].image, seen)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.webp'])
def test_a_part_of_the_sphere_is_put_into_its_place(tmp_path, suffix):
    part = _part(40, 8, 64, 32)
    path = _save(tmp_path / f'part{suffix}', _world()[8:40, 40:104], **part)
    footage, frame = _frame(path)
    expected = np.zeros((HEIGHT, 2 * HEIGHT), bool)
    expected[8:40, 40:104] = True
    assert (footage.height, footage.width) == (HEIGHT, 2 * HEIGHT)
    np.testing.assert_array_equal(frame.valid, expected)
    assert _off(frame.image, _world(), expected) < 12 and not frame.image[~expected].any()
    assert '25 %' in footage.notes[0]
    small = _frame(path, size=(24, 48))[1]
    # Whole columns and rows of the smaller panorama that lie inside the part.
    assert small.valid.sum() == (15 - 3) * (39 - 15)
    assert _off(small.image, _world(24), small.valid) < 16


def test_a_part_across_the_seam_that_is_tilted(tmp_path):
    seen = np.roll(_held(0, 20, 10), 32, axis=1)[8:40, :64]
    tags = _part(96, 8, 64, 32) | _pose(0, 20, 10)
    _, frame = _frame(_save(tmp_path / 'part.png', seen, **tags))
    assert 0.1 < frame.valid.mean() < 0.3
    assert _off(frame.image, _world(), frame.valid) <= 3


def test_tags_of_the_size_before_scaling():
    tags = gpano.GPano(
        crop_width=4000, crop_height=1000, left=2000, top=1500, full_width=8000, full_height=4000
    )
    found, wrong = placement.place(tags, 250, 1000)
    assert wrong is None and found == placement.Placement(1000, 2000, 375, 500, 250, 1000)


@pytest.mark.parametrize(
    'tags',
    [
        _part(0, 0, 0, 0),
        _part(0, 0, 200, 100, (128, 64)),
        _part(0, 60, 128, 64),
        _part(0, 0, 128, 40),
        _part(0, 0, 128, 64, (300, 64)),
    ],
)
def test_tags_that_cannot_be_are_left_out_or_refused(tmp_path, tags):
    footage, frame = _frame(_save(tmp_path / 'full.png', _world(), **tags))
    np.testing.assert_array_equal(frame.image, _world())
    assert frame.valid is None and 'left out' in footage.notes[0]
    with pytest.raises(ValueError, match='GPano tags of .*part.png cannot be'):
        open_footage(_save(tmp_path / 'part.png', _world()[:, :90], **tags))


def test_other_projections_are_refused_by_name(tmp_path):
    path = _save(tmp_path / 'a.png', _world(), ProjectionType='cylindrical')
    with pytest.raises(ValueError, match='a.png is cylindrical .*--projection=equirect'):
        open_footage(path)
    assert _frame(path, projection='equirect')[1].image.shape == (HEIGHT, 2 * HEIGHT, 3)


def test_metadata_behind_the_pixels_of_a_png(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(_held(90, 0, 0)).save(path)
    body = b'iTXtXML:com.adobe.xmp\0\1\0\0\0' + zlib.compress(_packet(**_pose(90)))
    chunk = struct.pack('>I', len(body) - 4) + body + struct.pack('>I', zlib.crc32(body))
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk + data[-12:])
    assert _off(_frame(path)[1].image, _world()) <= 1
