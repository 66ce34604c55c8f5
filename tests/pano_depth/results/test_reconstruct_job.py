"""pano_depth.reconstruct: arrays in; depth, path and cloud out, with and without a workdir.

What the command line refuses is refused here, too.
"""

import dataclasses
import gc
import json
import pathlib

import numpy as np
import pytest

import pano_depth
from common import options
from pano_depth import ReconstructConfig, reconstruct
from pano_depth.footage import clip_folder, geometry, media
from pano_depth.footage.config import FootageConfig
from pano_depth.learning import LogConfig, LossConfig, ModelChoice, RecipeConfig
from pano_depth.results import ply, reconstruct_job
from pano_depth.rooms import rooms
from tests.compiling import quickly

FRAMES = 8  # of the size of `steps/test_hidden.py`: the same programs, which are compiled once
# Fresh networks that learn for two steps: what they say is worth nothing, but it is all there.
TINY = ReconstructConfig(
    checkpoint='none',
    adapt=2,
    stride=1,
    ordered='yes',
    refine='off',
    footage=FootageConfig(mask='none'),
    model=ModelChoice(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8)),
    loss=LossConfig(pyramid=1),
    recipe=RecipeConfig(batch_size=4, rotation='none', mirror=False),
    logs=LogConfig(log_every=1),
)
# With networks that learn.
learn = quickly()(reconstruct)


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=FRAMES, height=64, width=128)


@pytest.fixture(scope='module')
def result(clip):
    """What the networks of the package say of frames in memory."""
    return reconstruct(clip.frames)


def test_frames_in_memory_become_depth_and_a_path(result, clip):
    assert len(result) == FRAMES and result.unit == 'relative' and result.scores is None
    assert result.poses.rotation.shape == (FRAMES, 3, 3) and result.poses.translation[0].any() == 0
    depth, confidence = result.depth(1), result.confidence(1)
    assert depth.shape == confidence.shape == (64, 128) and depth.dtype == np.float32
    assert depth.min() > 0 and 0 < confidence.min() <= confidence.max() <= 1
    np.testing.assert_array_equal(result.image(3), clip.frames[3])
    np.testing.assert_array_equal(result.depth(-1), result.depth(FRAMES - 1))
    with pytest.raises(IndexError, match=f'no frame {FRAMES}'):
        result.depth(FRAMES)
    # The path leads where the camera went.
    true = clip.poses.translation[-1] / np.linalg.norm(clip.poses.translation[-1])
    found = result.poses.translation[-1] / np.linalg.norm(result.poses.translation[-1])
    assert true @ found > 0.9


def test_the_cloud_holds_points_of_the_frames(result):
    points, colours = result.cloud()
    assert points.shape == colours.shape and points.shape[1] == 3 and len(points) > 1000
    assert points.dtype == np.float32 and colours.dtype == np.uint8
    distance = np.linalg.norm(points - result.poses.translation.mean(axis=0), axis=-1)
    assert 0.3 < np.median(distance) / np.median(result.depth(2)) < 3


def test_saved_files_are_those_of_a_workdir(result, tmp_path):
    facts = result.save(tmp_path / 'saved', npy=True)
    names = {path.name for path in (tmp_path / 'saved').iterdir()}
    assert {
        'depth',
        'confidence',
        'depth.mp4',
        'trajectory.txt',
        'cloud.ply',
        'panels.png',
    } <= names
    np.testing.assert_array_equal(
        np.load(tmp_path / 'saved' / 'depth' / '000002.npy'), result.depth(2)
    )
    sure = media.read_image(tmp_path / 'saved' / 'confidence' / '000002.png')[..., 0]
    np.testing.assert_allclose(sure / 255, result.confidence(2), atol=0.5 / 255 + 1e-6)
    _, poses = geometry.read_tum(tmp_path / 'saved' / 'trajectory.txt')
    np.testing.assert_allclose(poses.translation, result.poses.translation, atol=1e-6)
    points, _ = ply.read_ply(tmp_path / 'saved' / 'cloud.ply')
    assert len(points) == facts['cloud_points'] == len(result.cloud()[0])


def test_nothing_stays_of_a_result_without_workdir(clip, monkeypatch, tmp_path):
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    one = reconstruct(clip.frames[0])
    assert len(list(tmp_path.iterdir())) == 1
    # One image has no second view that could confirm it.
    assert 0 < one.confidence(0).max() < 0.5 and len(one.cloud()[0]) > 100
    ratio = one.depth(0) / pano_depth.load_networks().depth(clip.frames[0], averaged=True)
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-3)
    del one
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_metres_and_the_mask(clip, tmp_path):
    mask = np.full((64, 128, 3), 255, np.uint8)
    mask[56:] = 0
    media.write_image(tmp_path / 'mask.png', mask)
    config = ReconstructConfig(
        camera_height=1.6, footage=FootageConfig(mask=str(tmp_path / 'mask.png'))
    )
    found = reconstruct(clip.frames, config=config)
    assert 'mask' not in found.facts
    found.save(tmp_path / 'saved')
    written = media.read_image(tmp_path / 'saved' / 'mask.png')
    np.testing.assert_array_equal(written, mask)
    assert found.unit == 'metre' and found.facts['camera_height_m'] == 1.6
    np.testing.assert_array_equal(found.depth(0) > 0, mask[..., 0] > 0)
    np.testing.assert_array_equal(found.confidence(0) > 0, found.depth(0) > 0)
    assert 0.5 < np.median(found.depth(0)[:56]) < 6


def test_the_path_is_adjusted_beyond_what_networks_say(tmp_path):
    # Fewer frames of the same walk: the direction of a longer step can be told more exactly.
    clip = rooms.sample_clip(frames=5, height=64, width=128)
    scene = clip_folder.write_clip_folder(tmp_path, dataclasses.replace(clip, name='room'))
    found = reconstruct(scene, config=ReconstructConfig(refine='off'))
    pose, alone = found.scores['pose'], found.scores['networks']['pose']
    assert pose['direction_deg'] < 0.3 * alone['direction_deg'] and pose['direction_deg'] < 2
    assert pose['rotation_deg'] < 0.5 * alone['rotation_deg']
    facts = found.facts['adjustment']
    assert facts['height'] == 64 and facts['residual'] < facts['residual_before']
    plain = reconstruct(scene, config=ReconstructConfig(adjust=False, ordered='yes'))
    assert 'networks' not in plain.scores and 'adjustment' not in plain.facts
    assert plain.scores['pose'] == pytest.approx(alone)


def test_a_path_that_cannot_be_adjusted_is_what_the_networks_say(clip, capsys):
    found = reconstruct(np.full_like(clip.frames, 100), config=ReconstructConfig(ordered='yes'))
    assert (
        'plain' in found.facts['adjustment']['reason'] and 'networks say' in capsys.readouterr().out
    )
    assert np.isfinite(found.poses.translation).all()


@pytest.fixture(scope='module')
def adapted(clip, tmp_path_factory):
    """A result in a workdir, of footage with truth."""
    folder = tmp_path_factory.mktemp('job')
    scene = clip_folder.write_clip_folder(folder / 'clips', dataclasses.replace(clip, name='room'))
    return learn(scene, folder / 'run', TINY), scene, folder / 'run'


def test_a_workdir_holds_the_run_and_its_scores(adapted):
    result, scene, workdir = adapted
    assert result.scores == json.loads((workdir / 'eval.json').read_text())
    record = json.loads((workdir / 'run.json').read_text())
    assert record['prediction']['unit'] == 'relative' and record['training']['steps'] == 2
    text = (workdir / 'flags.txt').read_text()
    assert options.from_flagfile(ReconstructConfig, text) == TINY
    assert f'--input={scene}' in text.splitlines() and '--mode=predict' in text.splitlines()
    assert (workdir / 'report.html').stat().st_size > 10_000


def test_the_same_call_goes_on_and_gives_the_same(adapted, capsys):
    result, scene, workdir = adapted
    again = learn(scene, workdir, TINY)
    np.testing.assert_array_equal(again.depth(0), result.depth(0))
    assert json.loads((workdir / 'run.json').read_text())['training']['resumed_from'] == 2


def test_a_mask_of_none_is_written_into_the_flagfile():
    text = options.flagfile(ReconstructConfig(footage=FootageConfig(mask=None)))
    assert '--mask=none' in text.splitlines()
    assert options.from_flagfile(ReconstructConfig, text).footage.mask == 'none'
    # A run of before there was a mask to be found goes on.
    earlier = text.replace('--mask=none\n', '')
    assert not list(options.differences(earlier, ReconstructConfig()))


def test_another_run_is_refused_by_what_differs(adapted, clip):
    _, scene, workdir = adapted
    with pytest.raises(ValueError, match='holds a prediction with --adapt=2, not --adapt=3'):
        learn(scene, workdir, dataclasses.replace(TINY, adapt=3))
    with pytest.raises(ValueError, match='--input='):
        reconstruct(clip.frames, workdir, TINY)


def test_changed_images_under_the_same_name_are_refused(clip, tmp_path):
    scene = clip_folder.write_clip_folder(tmp_path, dataclasses.replace(clip, name='room'))
    learn(scene, tmp_path / 'run', TINY)
    image = pathlib.Path(scene) / 'rgb' / '000001.png'
    media.write_image(image, 255 - media.read_image(image))
    with pytest.raises(ValueError, match=r'content of --input \(images\) has changed'):
        learn(scene, tmp_path / 'run', TINY)
    # A run of before all inputs were recorded knows its images.
    record = json.loads((tmp_path / 'run' / 'run.json').read_text())
    del record['inputs']
    (tmp_path / 'run' / 'run.json').write_text(json.dumps(record))
    with pytest.raises(ValueError, match='images of the input have changed'):
        learn(scene, tmp_path / 'run', TINY)


@pytest.mark.parametrize(
    'footage, words',
    [
        (np.zeros((2, 8, 8, 3), np.uint8), '8 x 8 pixels'),
        (np.zeros((2, 8, 16, 3), np.float32), 'float32'),
        (np.zeros((0, 8, 16, 3), np.uint8), r'\(0, 8, 16, 3\)'),
        ('nowhere.mp4', 'nowhere.mp4'),
    ],
)
def test_unusable_footage_is_one_sentence(footage, words):
    with pytest.raises(ValueError, match=words):
        reconstruct(footage)


@pytest.mark.parametrize(
    'options_, words',
    [
        ({'output_height': 33}, '--output_height is 33'),
        ({'checkpoint': 'none'}, 'needs --adapt'),
        ({'save_weights': 'nowhere/w.npz'}, 'a directory that exists'),
        ({'save_weights': 'w.txt'}, 'ends in .npz'),
        ({'refine_poses': True}, '--refine_poses needs --poses=PATH'),
        ({'poses': 'p.txt', 'ordered': 'no'}, '--poses has the path .* --ordered=no'),
        (
            {'poses': 'p.txt', 'refine_poses': True, 'adjust': False},
            '--refine_poses adjusts .* --noadjust does not',
        ),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_work(options_, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        config = ReconstructConfig(**options_)
        reconstruct('sample', tmp_path / 'run', config)
    assert not (tmp_path / 'run').exists()


def test_the_sample_clip_is_as_large_as_asked(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        reconstruct_job,
        'Steps',
        lambda config, footage, *rest, **more: seen.update(footage=footage) or 1 / 0,
    )
    with pytest.raises(ZeroDivisionError):
        reconstruct('sample', config=ReconstructConfig(output_height=64))
    assert seen['footage'].height == 64


def test_the_package_hands_on_its_names():
    assert set(pano_depth.__all__) >= {'load_networks', 'reconstruct', 'Reconstruction', 'losses'}
    assert all(getattr(pano_depth, name) is not None for name in pano_depth.__all__)
