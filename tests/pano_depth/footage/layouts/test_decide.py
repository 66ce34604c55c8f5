"""How a file is read: by the user, its metadata, its tracks, its pictures; and what is refused."""

import numpy as np
import pytest

from pano_depth.footage.layouts import decide, decide_image
from pano_depth.footage.video.probe import VideoInfo, VideoStream
from tests.pano_depth.footage.layouts import drawn, made_files

HEIGHT = 128
FACE = HEIGHT // 2
V1 = (
    '<rdf:SphericalVideo><GSpherical:Spherical>true</GSpherical:Spherical>'
    '<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>'
    '<GSpherical:StereoMode>{}</GSpherical:StereoMode>'
    '<GSpherical:InitialViewPitchDegrees>30</GSpherical:InitialViewPitchDegrees>'
    '</rdf:SphericalVideo>'
)


@pytest.fixture(scope='module')
def panorama():
    return drawn.panorama(HEIGHT)


@pytest.fixture
def plain(tmp_path):
    """A file that says nothing about a sphere."""
    return made_files.mp4(tmp_path / 'a.mp4', None)


def asked(
    path, frame=None, projection='auto', stereo=None, size=None, tracks=1, text=None, **options
):
    """The decision about a file of such frames; without one, nobody may look."""
    height, width = size or frame.shape[:2]
    streams = (VideoStream(height, width, spherical_text=text),) * tracks
    info = VideoInfo(height, width, 24.0, 1.0, 24, streams)

    def look():
        assert frame is not None, 'the pictures are looked at, though the file says what it is'
        return [frame]

    return decide(path, info, projection, stereo, look, **options)


def test_metadata_of_a_panorama_need_no_look(tmp_path):
    path = made_files.mp4(tmp_path / 'a.mp4', made_files.equi(), stereo=0)
    found = asked(path, size=(1024, 2048))
    assert (found.projection, found.conversion, found.stereo, found.notes) == (
        'equirect',
        None,
        None,
        (),
    )
    assert found.spherical.stereo == 'mono' and found.down is None


@pytest.mark.parametrize('stereo, name, size', [
    (1, 'top_bottom', (2048, 2048)), (2, 'left_right', (1024, 4096)),
])  # fmt: skip
def test_metadata_say_that_there_are_two_eyes(tmp_path, stereo, name, size):
    path = made_files.mp4(tmp_path / 'a.mp4', made_files.equi(), stereo=stereo)
    found = asked(path, size=size)
    assert found.conversion is None and found.stereo == name
    assert 'two eyes by its metadata' in found.notes[0]
    squeezed = asked(path, size=(1024, 2048))
    assert squeezed.stereo is None
    assert (squeezed.conversion.height, squeezed.conversion.width) == (1024, 2048)
    assert ('crop=iw:ih/2' in squeezed.conversion.graph) == (name == 'top_bottom')


def test_the_pose_says_which_way_is_down(tmp_path):
    path = made_files.mp4(tmp_path / 'a.mp4', made_files.equi(), pose=(40, 0, 90))
    np.testing.assert_allclose(asked(path, size=(64, 128)).down, [1, 0, 0], atol=1e-9)


def test_the_first_view_is_no_pose(tmp_path):
    path = made_files.mp4(tmp_path / 'a.mp4', None, xml=V1.format('top-bottom'))
    found = asked(path, size=(128, 128))
    assert found.down is None and found.stereo == 'top_bottom'
    assert found.spherical.view == (0, 30, 0)


def test_a_part_of_the_sphere_is_placed_and_the_rest_does_not_count(tmp_path):
    # VR180: two half spheres side by side.
    box = made_files.equi(left=0.25, right=0.25)
    path = made_files.mp4(tmp_path / 'a.mp4', box, stereo=2)
    found = asked(path, size=(1024, 2048))
    assert (found.conversion.height, found.conversion.width) == (1024, 2048)
    assert found.valid.mean() == 0.5 and not found.valid[:, :512].any()
    assert found.spherical.full and found.spherical.projection == 'equirectangular'


@pytest.mark.parametrize('write', [
    lambda path, box: made_files.mp4(path.with_suffix('.mp4'), box),
    lambda path, box: made_files.webm(path.with_suffix('.webm'), 3, box[8:]),
])  # fmt: skip
def test_youtubes_mesh_is_an_equi_angular_cubemap(tmp_path, write):
    path = write(tmp_path / 'a', made_files.mshp(made_files.youtube_mesh()))
    found = asked(path, size=(2160, 3840))
    assert found.projection == 'eac' and 'mesh in its metadata' in found.notes[0]
    assert (found.conversion.height, found.conversion.width) == (2560, 5120)
    assert found.spherical.projection == 'equirectangular' and found.spherical.stereo == 'mono'


def test_another_mesh_is_refused_unless_the_picture_tells(tmp_path, panorama):
    corners = made_files.youtube_mesh()
    corners[:, 3] = corners[:, 3] ** 2
    path = made_files.mp4(tmp_path / 'a.mp4', made_files.mshp(corners))
    assert asked(path, drawn.cubemap_3x2(panorama, FACE)).projection == 'cubemap_3x2'
    with pytest.raises(ValueError, match='a.mp4 is a mesh.*corners fit no layout.*--projection'):
        asked(path, panorama)


def test_googles_cubemap_is_turned_as_the_picture_shows(tmp_path, panorama):
    path = made_files.mp4(tmp_path / 'a.mp4', made_files.cbmp())
    frame = drawn.cubemap_3x2(panorama, FACE)
    assert 'in_frot' not in asked(path, frame).conversion.graph
    # Where the picture does not tell, the specification does.
    assert 'in_frot=002200' in asked(path, np.zeros_like(frame)).conversion.graph
    padded = made_files.mp4(tmp_path / 'b.mp4', made_files.cbmp(padding=8))
    assert 'fin_pad=8' in asked(padded, frame).conversion.graph


def test_guesses_are_said_with_the_flag_that_overrides_them(plain, panorama):
    found = asked(plain, drawn.eac(panorama, FACE))
    assert found.projection == 'eac' and len(found.notes) == 1
    assert 'a.mp4 is read as an equi-angular cubemap' in found.notes[0]
    assert '--projection=equirect' in found.notes[0]
    frame = drawn.eac(panorama, FACE)
    forced = asked(plain, frame, projection='equirect')
    assert forced.conversion is None and not forced.notes


def test_a_panorama_stays_as_it_is(plain, panorama):
    found = asked(plain, panorama)
    assert (found.projection, found.conversion, found.notes) == ('equirect', None, ())
    assert asked(plain, np.concatenate([panorama] * 2), stereo='top_bottom').conversion is None


def test_circles_of_one_lens_leave_the_rest_out(plain, panorama):
    frame = drawn.dual_fisheye(panorama, HEIGHT, 180)[:, HEIGHT:]
    found = asked(plain, frame)
    assert found.projection == 'fisheye180'
    assert found.valid.shape == (found.conversion.height, found.conversion.width)
    assert abs(found.valid.mean() - 0.5) < 0.01 and found.valid[64, 128]
    narrow = asked(plain, frame, projection='fisheye180', fov=120.0)
    assert narrow.valid.mean() < 0.4


def test_a_circle_takes_the_users_angle(plain, panorama):
    frame = drawn.dual_fisheye(panorama, HEIGHT, 200)
    assert '200 degrees' in asked(plain, frame).notes[0]
    graph = asked(plain, frame, projection='dual_fisheye', fov=190.0).conversion.graph
    assert float(graph.partition('ih_fov=')[2].partition(':')[0]) == pytest.approx(190, abs=2)


@pytest.mark.parametrize('size', [(1344, 4096), (1344, 4032), (1920, 5952)])
def test_two_tracks_of_faces_are_one_cubemap(plain, size):
    found = asked(plain, size=size, tracks=2)
    assert found.projection == 'eac' and found.conversion.streams == (0, 1)
    assert found.conversion.width == 4 * size[0]


def test_what_an_ordinary_camera_films_is_refused(plain, panorama):
    frame = panorama[20:92, 30:158]  # 16:9
    with pytest.raises(ValueError) as error:
        asked(plain, frame)
    assert 'a.mp4 is 128x72 pixels' in str(error.value) and '--stereo' not in str(error.value)
    assert 'borders do not fit' in str(error.value) and 'ordinary camera' in str(error.value)
    with pytest.raises(ValueError, match='too plain to tell'):
        asked(plain, np.zeros_like(frame))


def test_a_strip_is_no_pair_of_eyes(plain, panorama):
    strip = panorama[32:96]
    with pytest.raises(ValueError, match='halves differ too much'):
        asked(plain, strip)
    with pytest.raises(ValueError, match='look like two eyes: --stereo=left_right takes one'):
        asked(plain, np.concatenate([panorama, panorama], axis=1))
    with pytest.raises(ValueError, match='look like two eyes: --stereo=top_bottom takes one'):
        asked(plain, np.concatenate([panorama, panorama]))
    with pytest.raises(ValueError, match='no layout of the sphere that can be told.*barrel'):
        asked(plain, panorama[:, :40])


def test_a_named_layout_has_to_fit(plain, panorama):
    with pytest.raises(ValueError, match='a.mp4 is 256x128 .*--projection=eac .*3:2 or 16:9'):
        asked(plain, panorama, projection='eac')
    with pytest.raises(ValueError, match="projection is 'fish'; accepted: auto, equirect"):
        asked(plain, panorama, projection='fish')
    assert asked(plain, panorama, projection='barrel').projection == 'barrel'


def test_a_film_that_begins_in_black_is_told_by_the_rest(plain, panorama):
    frame = drawn.dual_fisheye(panorama, HEIGHT, 200)
    info = VideoInfo(HEIGHT, 2 * HEIGHT, 24.0, 1.0, 24, (VideoStream(HEIGHT, 2 * HEIGHT),))
    look = lambda: [np.full_like(frame, 16), frame, frame]
    assert decide(plain, info, look=look).projection == 'dual_fisheye'
    assert decide(plain, info, look=lambda: [0 * frame]).projection == 'equirect'


def test_a_part_that_cannot_be_is_left_out_and_a_tiny_one_does_not_grow_without_end(tmp_path):
    for bounds in ({'left': 0.5, 'right': 0.5}, {'top': 0.7, 'bottom': 0.6}):
        path = made_files.mp4(tmp_path / 'a.mp4', made_files.equi(**bounds))
        assert asked(path, np.zeros((64, 128, 3), np.uint8)).conversion is None
    path = made_files.mp4(tmp_path / 'a.mp4', made_files.equi(left=0.49, right=0.49))
    found = asked(path, size=(1024, 1024))
    assert found.conversion.width == 16384 and found.valid.any(axis=0).sum() == round(0.02 * 16384)


def test_what_ffmpeg_says_counts_where_nothing_else_is_read(plain):
    said = 'equirectangular (0.000000/0.000000/0.000000)'
    assert asked(plain, size=(1024, 2048), text=said).spherical.projection == 'equirectangular'
    found = asked(plain, size=(1024, 1024), text='half equirectangular')
    assert found.projection == 'half_equirect' and found.valid.mean() == 0.5


def test_damaged_metadata_are_left_out(tmp_path, panorama):
    path = made_files.mp4(tmp_path / 'a.mp4', made_files.box(b'equi', bytes(4)))
    assert asked(path, panorama).conversion is None
    assert asked(path, drawn.eac(panorama, FACE)).projection == 'eac'


def test_still_images_are_decided_in_the_same_way(panorama):
    found = decide_image('a.png', drawn.cubemap_6x1(panorama, FACE))
    assert found.projection == 'cubemap_6x1' and found.conversion.width == 2 * HEIGHT
    assert decide_image('a.png', panorama).conversion is None
    with pytest.raises(ValueError, match='a.png is 128x72'):
        decide_image('a.png', panorama[:72, :128])
