"""What is read from mp4 files is what ffmpeg finds there, in both schemes."""

import numpy as np
import pytest

from pano_depth.footage import spherical, video
from pano_depth.footage.spherical import Spherical
from tests.pano_depth.footage.spherical import boxes


def _frames(path):
    return np.stack(list(video.iter_video(path)))


def test_v1_is_read_as_ffmpeg_reads_it(path, plain):
    assert spherical.read_spherical(path) is None and boxes.says(path) == {}
    boxes.insert(path, boxes.v1(), boxes.TRACK)
    says, found = boxes.says(path), spherical.read_spherical(path)
    assert says['stereo'].startswith('top and bottom') and says['spherical'].startswith(
        'equirectangular'
    )
    assert (found.projection, found.stereo, found.versions) == (
        'equirectangular',
        'top-bottom',
        (1,),
    )
    assert found.full
    assert found.xml == (boxes.V1_XML % b'').decode()
    np.testing.assert_array_equal(_frames(path), _frames(plain))


def test_v2_is_read_as_ffmpeg_reads_it(path):
    boxes.insert(path, boxes.v2(), boxes.ENTRY)
    assert boxes.says(path)['stereo'].startswith('side by side')
    assert boxes.says(path)['spherical'] == 'equirectangular (90.000000/-30.000000/15.000000)'
    expected = Spherical('equirectangular', 'left-right', (90, -30, 15), versions=(2,))
    assert spherical.read_spherical(path) == expected


def test_v2_goes_before_v1(path):
    boxes.insert(path, boxes.v1(), boxes.TRACK)
    boxes.insert(path, boxes.v2(mode=0), boxes.ENTRY)
    found = spherical.read_spherical(path)
    assert (found.stereo, found.versions, found.pose) == ('mono', (1, 2), (90, -30, 15))
    assert 'top-bottom' in found.xml


def test_half_a_sphere_is_not_called_full(path, plain, tmp_path):
    crop = {
        b'FullPanoWidthPixels': 4000,
        b'FullPanoHeightPixels': 2000,
        b'CroppedAreaImageWidthPixels': 2000,
        b'CroppedAreaImageHeightPixels': 1900,
        b'CroppedAreaLeftPixels': 1000,
        b'CroppedAreaTopPixels': 100,
    }
    tags = (
        b'<GSpherical:%s>%d</GSpherical:%s>' % (name, value, name) for name, value in crop.items()
    )
    boxes.insert(path, boxes.v1(b''.join(tags)), boxes.TRACK)
    found = spherical.read_spherical(path)
    assert found.bounds == pytest.approx((0.05, 0, 0.25, 0.25)) and not found.full
    other = tmp_path / 'other.mp4'
    other.write_bytes(plain.read_bytes())
    boxes.insert(other, boxes.v2(bounds=(0, 0, 1 << 30, 1 << 30)), boxes.ENTRY)
    assert spherical.read_spherical(other).bounds == (0, 0, 0.25, 0.25)


def test_a_crop_that_cannot_be_is_not_said(path):
    """The frame is taken whole, as where the tags are missing."""
    crop = {b'FullPanoWidthPixels': 4000, b'FullPanoHeightPixels': 2000}
    crop |= {b'CroppedAreaImageWidthPixels': 0, b'CroppedAreaImageHeightPixels': 2000}
    crop |= {b'CroppedAreaLeftPixels': -10, b'CroppedAreaTopPixels': 0}
    tags = (
        b'<GSpherical:%s>%d</GSpherical:%s>' % (name, value, name) for name, value in crop.items()
    )
    boxes.insert(path, boxes.v1(b''.join(tags)), boxes.TRACK)
    assert spherical.read_spherical(path).full


@pytest.mark.parametrize(
    'kind, projection', [(b'cbmp', 'cubemap'), (b'mshp', 'mesh'), (b'none', 'unknown')]
)
def test_other_projections_are_named_and_not_written(path, kind, projection):
    boxes.insert(path, boxes.v2(projection=boxes.box(kind, bytes(12))), boxes.ENTRY)
    found = spherical.read_spherical(path)
    assert found.projection == projection
    with pytest.raises(ValueError, match=f'{projection}.*accepted: equirectangular'):
        spherical.write_spherical(path, found)
