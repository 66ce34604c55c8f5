"""Files of a known analysis: footage is read frame by frame, and all results agree."""

import json

import numpy as np
import pytest

from pano_depth.footage import geometry, media, spherical, video
from pano_depth.footage.footage import Footage, Frame
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig, make_grid
from pano_depth.reconstruction import infer
from pano_depth.reconstruction.analysis import Frames, flicker, read_frames
from pano_depth.reconstruction.trajectory import UnitStep
from pano_depth.results import ply, predict
from pano_depth.results.pieces import Piece
from pano_depth.results.reconstruction import Reconstruction

# An equirectangular grid of 16 x 32 pixels: estimates are images themselves.
MODEL = ModelConfig(face_size=8, padding='equirect', depth_channels=(4, 4), pose_channels=(4,))
FRAMES, FAR = 7, 3.0


def _footage(frames=FRAMES, **facts):
    """Frames of one gray each, and how many of them were alive at once."""
    alive = {'now': 0, 'most': 0, 'passes': 0}

    def read(size, start, stride):
        alive['passes'] += 1
        height, width = size or (16, 32)
        for index in range(start, frames, stride):
            yield Frame(
                index, f'frame {index}', np.full((height, width, 3), 10 + 30 * index, np.uint8)
            )

    return Footage('grays', 16, 32, 10.0, frames, read, **facts), alive


def _analysis(frames=FRAMES):
    """A scene at `FAR`, its upper half half as far, in changing units; the camera walks along x."""
    disparity = np.ones((frames, 1, 16, 32), np.float32)
    disparity[:, :, :8] = 2
    poses = Motion(np.tile(np.eye(3), (frames, 1, 1)), np.arange(frames)[:, None] * [0.1, 0, 0])
    return infer.Analysis(
        disparity,
        np.full(frames, FAR),
        poses,
        UnitStep(np.zeros(frames - 1), np.full(frames - 1, 0.01)),
    )


def test_frames_are_read_into_a_file(tmp_path):
    footage, _ = _footage()
    frames = read_frames(footage, 16, tmp_path / 'frames', stride=2, limit=3)
    assert frames.images.shape == (3, 16, 32, 3) and isinstance(frames.images, np.memmap)
    np.testing.assert_array_equal(frames.indices, [0, 2, 4])
    np.testing.assert_array_equal(frames.images[:, 0, 0, 0], [10, 70, 130])
    other = read_frames(footage, 16, tmp_path / 'other', stride=1, limit=3)
    assert (
        other.sha256
        != frames.sha256
        == read_frames(footage, 16, tmp_path / 'again', stride=2, limit=3).sha256
    )


def _result(footage, analysis, mask=None):
    frames = Frames(None, np.arange(len(analysis.units)), '')
    pieces = [Piece(0, len(analysis.units), analysis, mask=mask)]
    return Reconstruction(footage, frames, pieces, MODEL, height=16)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('results')
    footage, alive = _footage(spherical=spherical.mono_equirect())
    mask = np.ones((16, 32), bool)
    mask[8:] = False
    facts = predict.write_all(folder, _result(footage, _analysis(), mask), npy=True)
    return folder, facts, alive


def test_depth_images_hold_range_in_thousandths(written):
    folder, facts, alive = written
    assert alive['passes'] == 1
    for index in range(FRAMES):
        stored = media.read_png16(folder / 'depth' / f'{index:06d}.png')
        exact = np.load(folder / 'depth' / f'{index:06d}.npy')
        np.testing.assert_allclose(
            exact, np.repeat([[FAR / 2], [0]], 8, axis=0) * np.ones((16, 32)), rtol=1e-6
        )
        np.testing.assert_array_equal(stored, np.rint(exact * 1000))
        sure = media.read_image(folder / 'confidence' / f'{index:06d}.png')[..., 0]
        np.testing.assert_array_equal(sure > 0, exact > 0)
    assert facts['saturated_pixels'] == 0 and facts['frames'] == FRAMES


def test_the_video_shows_each_frame_above_its_depth(written):
    frames = list(video.iter_video(written[0] / 'depth.mp4'))
    assert len(frames) == FRAMES and frames[0].shape == (32, 32, 3)
    assert [abs(int(frame[:16].mean()) - 10 - 30 * i) <= 3 for i, frame in enumerate(frames)] == [
        True
    ] * FRAMES
    near = frames[3][18:22].reshape(-1, 3).mean(axis=0)
    masked = frames[3][26:30].reshape(-1, 3).mean(axis=0)
    assert near[0] > near[2] + 50 and masked.max() < 20
    found = spherical.read_spherical(written[0] / 'depth.mp4')
    assert found.projection == 'equirectangular' and found.stereo == 'top-bottom'


def test_cloud_and_trajectory_are_in_the_same_unit_and_the_mask_holds(written):
    folder, facts, _ = written
    times, poses = geometry.read_tum(folder / 'trajectory.txt')
    np.testing.assert_allclose(times, np.arange(FRAMES) / 10, atol=1e-6)
    np.testing.assert_allclose(poses.translation[:, 0], 0.1 * np.arange(FRAMES), atol=1e-6)
    points, _ = ply.read_ply(folder / 'cloud.ply')
    assert len(points) == facts['cloud_points'] > 100
    # y up: only the upper half is left, a half sphere around each camera.
    assert points[:, 1].min() > -0.05
    distance = np.linalg.norm(points - [0.3, 0, 0], axis=-1)
    assert distance.min() > 1.1 and distance.max() < 1.9


def test_flicker_is_the_unrest_of_the_scale():
    steady = _analysis()
    assert flicker(steady)['after'] == pytest.approx(0, abs=1e-6)
    own = np.array([1, 1.1, 0.9, 1.2, 1, 0.8, 1.1])
    restless = steady._replace(
        disparity=(steady.disparity / own[:, None, None, None]).astype(np.float32)
    )
    expected = np.abs(np.diff(np.log(own), 2)).mean()
    assert flicker(restless)['before'] == pytest.approx(expected, rel=1e-4)
    assert flicker(restless._replace(units=FAR / own))['after'] == pytest.approx(0, abs=1e-6)


def test_unrelated_images_get_depth_but_no_path(tmp_path):
    footage, _ = _footage(3, ordered=False)
    analysis = _analysis(3)._replace(poses=None, steps=None)
    facts = predict.write_all(tmp_path, _result(footage, analysis))
    names = {path.name for path in tmp_path.iterdir()}
    assert {'depth', 'depth.mp4', 'panels.png'} <= names and not {
        'trajectory.txt',
        'cloud.ply',
    } & names
    assert 'unrelated' in facts['alignment'] and json.dumps(facts)


def test_analysis_in_batches_does_not_depend_on_their_ends():
    """Eleven frames are two batches: the first frames get the same results as shorter footage."""
    from pano_depth.learning.model import init_params

    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (11, 16, 32, 3), np.uint8)
    params, grid = init_params(0, MODEL), make_grid(MODEL)
    whole, part = (infer.analyse(params, frames[:count], grid, MODEL) for count in (11, 6))
    assert (
        whole.disparity.shape == (11, 1, 16, 32)
        and len(whole.units) == 11
        and len(whole.steps.ratio) == 10
    )
    np.testing.assert_allclose(whole.disparity[:6], part.disparity, rtol=1e-4)
    np.testing.assert_allclose(whole.units[:6], part.units, rtol=1e-4)
    np.testing.assert_allclose(whole.poses.translation[:6], part.poses.translation, atol=1e-5)
    # Longer links reach across the ends of batches; they change the path, not the depth.
    linked = infer.analyse(params, frames, grid, MODEL, distances=(1, 3, 20))
    np.testing.assert_allclose(linked.disparity, whole.disparity, rtol=1e-4)
    assert linked.poses.translation.shape == (11, 3) and not np.allclose(
        linked.poses.translation, whole.poses.translation, atol=1e-5
    )
    shifted = infer.analyse(params, frames[2:], grid, MODEL)
    np.testing.assert_allclose(shifted.disparity, whole.disparity[2:], rtol=1e-4)
    np.testing.assert_allclose(shifted.steps.ratio, whole.steps.ratio[2:], atol=1e-4)
