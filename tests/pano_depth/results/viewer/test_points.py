"""What the viewer draws, from files and from memory: points, balls, pictures."""

import numpy as np
import pytest

import pano_depth
from pano_depth.footage.footage import Footage, Frame
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer
from pano_depth.reconstruction.analysis import Frames
from pano_depth.reconstruction.trajectory import UnitStep
from pano_depth.results.pieces import Piece
from pano_depth.results.reconstruction import Reconstruction
from pano_depth.results.viewer import marks, points, sources
from tests.pano_depth.results import made_runs
from tests.pano_depth.results.made_runs import FRAMES, HEIGHT, make_run


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('view') / 'run', pieces=True, turn='z_up')


def test_points_lie_where_all_pixels_of_the_frame_do(folder):
    source = sources.open_source(folder)
    found = points.of_frame(source, 1, 1, count=2000, image=source.image(5))
    whole = made_runs.points(5)
    gaps = np.linalg.norm(found.points[:, None] - whole[None], axis=-1).min(axis=1)
    assert len(found.points) > 1000 and gaps.max() < 1e-3
    # By area of the sphere: as many above 30 degrees as below down to the horizon, by sin.
    up = -(found.points - made_runs.poses().translation[5])[:, 1] / 3.25
    assert abs((up > 0.5).mean() - (1 - 0.5) / (1 + np.sin(np.pi / 4))) < 0.05
    right = found.colours[:, 0] > found.colours[:, 1].astype(int) + 60
    assert 0.4 < right.mean() < 0.6 and (found.confidence[right] < 0.3).all()


def test_the_ball_wears_the_panorama_where_it_was_seen():
    image = np.zeros((HEIGHT, 2 * HEIGHT, 3), np.uint8)
    image[:, HEIGHT : HEIGHT + HEIGHT // 2] = (250, 0, 0)  # from straight ahead to the right
    ball = marks.ball(image, 0.5)
    np.testing.assert_allclose(np.linalg.norm(ball.vertices, axis=-1), 0.5)
    picture = np.asarray(ball.visual.material.emissiveTexture)
    rows = np.clip(((1 - ball.visual.uv[:, 1]) * HEIGHT).astype(int), 0, HEIGHT - 1)
    columns = np.clip((ball.visual.uv[:, 0] * 2 * HEIGHT).astype(int), 0, 2 * HEIGHT - 1)
    x, _, z = ball.vertices.T
    inside = np.minimum(x, z) > 0.1
    assert (picture[rows, columns][inside, 0] > 200).all()
    assert (picture[rows, columns][np.minimum(x, z) < -0.1, 0] < 50).all()
    front = marks.front(image, 16)
    assert (front[:, 9:, 0] > 200).all() and (front[:, :7, 0] < 50).all()


def _result():
    """A reconstruction whose depth is known: a sphere of radius 2 around each camera."""
    poses = made_runs.poses()

    def read(size, start, stride):
        for index in range(start, FRAMES, stride):
            yield Frame(index, f'{index}', made_runs.image(index))

    footage = Footage('walk', HEIGHT, 2 * HEIGHT, 10.0, FRAMES, read)
    disparity = np.ones((FRAMES, 1, HEIGHT, 2 * HEIGHT), np.float32)
    # The networks' grid has the size of the images, so that depth is its inverse.
    config = ModelConfig(
        face_size=HEIGHT // 2, padding='equirect', depth_channels=(4, 4), pose_channels=(4,)
    )
    steps = UnitStep(np.zeros(FRAMES - 1), np.full(FRAMES - 1, 0.01))
    analysis = infer.Analysis(disparity, np.full(FRAMES, 2.0), poses, steps)
    frames = Frames(None, np.arange(FRAMES), '')
    return Reconstruction(
        footage, frames, [Piece(0, FRAMES, analysis)], config, height=HEIGHT, unit='metre'
    )


def test_a_result_in_memory_looks_like_its_files(tmp_path):
    result = _result()
    result.save(tmp_path / 'saved')
    memory, files = sources.open_source(result), sources.open_source(tmp_path / 'saved')
    np.testing.assert_allclose(
        memory.pieces[0].poses.translation, files.pieces[0].poses.translation, atol=1e-6
    )
    np.testing.assert_allclose(memory.cloud(0)[0], files.cloud(0)[0], atol=1e-5)
    assert memory.numbers == files.numbers and memory.pieces[0].frames == files.pieces[0].frames
    shown = range(1, FRAMES, 2)
    ours, theirs = (sources.images_of(source, shown) for source in (memory, files))
    assert list(ours) == list(theirs) == [1, 3, 5]
    assert np.abs(ours[3].astype(int) - theirs[3]).mean() < 6
    ours, theirs = (points.of_piece(source, 0, count=600) for source in (memory, files))
    np.testing.assert_allclose(ours.points, theirs.points, atol=2e-3)
    np.testing.assert_allclose(ours.depth, 2, atol=2e-3)
    opened = pano_depth.view(result, port=18080, points=1000)
    try:
        opened.controls['frame'].value = 5
        ball = opened.server.scene.get_handle_by_name('/panorama')
        np.testing.assert_allclose(ball.position, made_runs.poses().translation[5], atol=1e-6)
    finally:
        opened.close()
