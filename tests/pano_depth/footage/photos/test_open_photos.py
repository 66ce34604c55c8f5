"""Images and folders of them: every suffix and name, transparency, sizes that differ."""

import numpy as np
import pytest
from PIL import Image

from pano_depth.footage import media
from pano_depth.footage.open_footage import open_footage
from pano_depth.kernels import cube, sphere


def _image(height=32, width=64, value=90):
    return np.full((height, width, 3), value, np.uint8)


def _one(path, **options):
    (footage,) = open_footage(path, **options)
    return footage


@pytest.mark.parametrize('suffix', media.IMAGE_SUFFIXES)
def test_every_kind_of_file_alone_and_in_a_folder(tmp_path, suffix):
    kind = 'JPEG' if suffix == '.insp' else None  # Insta360's name of a JPEG
    for number in range(3):
        path = tmp_path / f'{number}{suffix.upper()}'
        Image.fromarray(_image(value=60 + number)).save(path, format=kind)
    assert _one(tmp_path, fps=5).fps == 5
    values = [frame.image[3, 3, 0] for frame in _one(tmp_path).frames()]
    np.testing.assert_allclose(values, [60, 61, 62], atol=2)
    alone = _one(tmp_path / f'1{suffix.upper()}')
    assert (alone.length, alone.height) == (1, 32)


def test_names_that_programs_stumble_over(tmp_path):
    names = ['%04d.png', 'a:b.png', '-rf.png', '~.png', 'зал 1.png', 'café%20[x]*?.png']
    folder = tmp_path / '100%: –~зал'
    folder.mkdir()
    for name in names:
        media.write_image(folder / name, _image())
    read = {frame.name for frame in _one(folder).frames(size=(16, 32))}
    assert read == {str(folder / name) for name in names}
    assert _one(folder / names[0]).length == 1


@pytest.mark.parametrize('shape, height', [((107, 212), 106), ((127, 254), 128)])
def test_a_nearly_equirectangular_image_is_resampled_and_said(tmp_path, shape, height):
    media.write_image(tmp_path / 'a.png', _image(*shape))
    footage = _one(tmp_path / 'a.png')
    (frame,) = footage.frames()
    assert frame.image.shape[:2] == (footage.height, footage.width) == (height, 2 * height)
    assert f'{shape[1]}x{shape[0]}' in footage.notes[0] and f'x{height}' in footage.notes[0]
    media.write_image(tmp_path / 'b.png', _image(33, 64))
    with pytest.raises(ValueError, match='b.png is 64x33'):
        open_footage(tmp_path / 'b.png')


def test_transparent_pixels_do_not_count(tmp_path):
    image = np.dstack([_image(), np.full((32, 64), 255, np.uint8)])
    image[20:, :, :] = 255, 0, 0, 127
    image[:4, :, 3] = 128
    Image.fromarray(image).save(tmp_path / 'a.webp', lossless=True)
    (frame,) = _one(tmp_path / 'a.webp').frames()
    np.testing.assert_array_equal(frame.valid, np.arange(32)[:, None] < np.full(64, 20))
    (frame,) = _one(tmp_path / 'a.webp').frames(size=(24, 48))
    assert frame.valid.sum() == 15 * 48
    assert (np.abs(frame.image[:15].astype(int) - 90) <= 1).all()
    image[..., 3] = 0
    Image.fromarray(image).save(tmp_path / 'b.png')
    with pytest.raises(ValueError, match='b.png is transparent everywhere'):
        list(_one(tmp_path / 'b.png').frames())


def test_unrelated_images_may_have_different_sizes_and_sequences_may_not(tmp_path):
    for name, height in (('hall', 16), ('attic', 48), ('cellar', 32)):
        media.write_image(tmp_path / f'{name}.png', _image(height, 2 * height))
    footage = _one(tmp_path)
    assert (footage.height, footage.ordered) == (48, False)
    assert 'different sizes' in footage.notes[0]
    assert [frame.image.shape[0] for frame in footage.frames()] == [48, 32, 16]
    walk = tmp_path / 'walk'
    walk.mkdir()
    for number, height in enumerate((100, 101, 32)):
        media.write_image(walk / f'{number}.png', _image(height, 200 if height > 50 else 64))
    with pytest.raises(ValueError, match='2.png is 64x32 pixels, .*0.png is 200x100'):
        list(_one(walk).frames())
    frames = list(_one(walk, on_bad='skip').frames())
    assert [frame.image.shape[:2] for frame in frames] == [(100, 200)] * 2


def _waves(height):
    """A panorama that has borders everywhere, [H, 2H, 3] uint8."""
    rays = sphere.pixel_rays(height, 2 * height)
    waves = np.cos(rays @ [[5.0, 1, -3], [2, 6, 1], [-4, 2, 5]] + [0.3, 1, 2])
    return np.rint(128 + 100 * waves).astype(np.uint8)


def _cubemap(panorama, size):
    """Its six faces, [2 size, 3 size, C], in ffmpeg's order: right left up, down front back."""
    faces = np.asarray(cube.equirect_to_cube(panorama, size))
    order = [cube.FACES.index(name) for name in ('right', 'left', 'up', 'down', 'front', 'back')]
    rows = faces[order].reshape(2, 3, size, size, -1)
    return rows.swapaxes(1, 2).reshape(2 * size, 3 * size, -1)


@pytest.mark.parametrize('projection', ['auto', 'cubemap_3x2'])
def test_images_of_other_layouts_become_panoramas(tmp_path, projection):
    panorama, faces = _waves(256), _cubemap(_waves(256), 64)
    opaque = np.full((*faces.shape[:2], 1), 255, np.uint8)
    for number in range(2):
        opaque[:64, 128:] = 0 if number else 255
        Image.fromarray(np.dstack([faces, opaque])).save(tmp_path / f'{number}.png')
    footage = _one(tmp_path, projection=projection)
    assert 'cubemap' in footage.notes[0]
    whole, above = footage.frames(size=(64, 128))
    error = np.abs(whole.image.astype(float) - media.resize_equirect(panorama, 64, 128))
    assert error.mean() < 3 and whole.valid is None
    # The face that looks up is transparent in the second image.
    rays = sphere.pixel_rays(64, 128)
    up = -rays[..., 1] >= np.abs(rays).max(-1)
    assert not above.valid[up].any() and above.valid[~up].mean() > 0.9
    with pytest.raises(ValueError, match='projection'):
        open_footage(tmp_path, projection='mercator')


def test_circles_and_panoramas_of_one_size_in_one_folder(tmp_path):
    offset = (2 * np.arange(128) + 1) / 128 - 1
    circle = np.where((np.hypot(offset, offset[:, None]) < 1)[..., None], _waves(128)[:, :128], 0)
    circles = np.concatenate([circle, circle], axis=1).astype(np.uint8)
    Image.fromarray(circles).save(tmp_path / 'a1.insp', format='JPEG')
    media.write_image(tmp_path / 'b2.png', _waves(128))
    (fisheye, panorama) = _one(tmp_path).frames(size=(64, 128))
    np.testing.assert_array_equal(panorama.image, media.resize_equirect(_waves(128), 64, 128))
    assert (np.abs(fisheye.image.astype(int) - media.resize_equirect(circles, 64, 128)) > 20).any()
