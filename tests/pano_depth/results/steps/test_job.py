"""What footage shows is found: pieces, cameras that stand, unrelated images, what moves along."""

import dataclasses
import json

import numpy as np
import pytest

from common.stopping import Stop
from pano_depth import ReconstructConfig, reconstruct
from pano_depth.footage import clip_folder, geometry, media
from pano_depth.footage.clip import Clip
from pano_depth.footage.config import FootageConfig
from pano_depth.footage.footage import from_clip
from pano_depth.results import ply, steps
from pano_depth.results.pieces import in_order
from pano_depth.rooms import rooms

SIZE = {'height': 64, 'width': 128}
LEFT, STANDING, WALK = 4, 3, 6  # frames of the pieces
NADIR = np.zeros((64, 128), bool)
NADIR[54:] = True


@pytest.fixture(scope='module')
def walk():
    return rooms.sample_clip(frames=12, **SIZE)


@pytest.fixture(scope='module')
def cut(walk, tmp_path_factory):
    """A walk, a camera that stands, a longer walk: (result, workdir, frames)."""
    other = rooms.render_clip(501, 1, frames=LEFT, **SIZE).frames
    standing = rooms.render_clip(502, 3, frames=1, **SIZE).frames
    noise = np.random.default_rng(0).normal(0, 1, (STANDING, 64, 128, 3))
    standing = np.clip(np.rint(standing + noise), 0, 255).astype(np.uint8)
    frames = np.concatenate([other, standing, walk.frames[:WALK]])
    workdir = tmp_path_factory.mktemp('cut') / 'run'
    return reconstruct(frames, workdir), workdir, frames


def test_each_piece_has_a_world_of_its_own(cut):
    result, _, frames = cut
    stood, walked = LEFT, LEFT + STANDING
    bounds = [(piece.start, piece.stop, piece.has_path) for piece in result.pieces]
    assert bounds == [(walked, len(frames), True), (0, stood, True), (stood, walked, False)]
    for first in (0, walked):
        np.testing.assert_allclose(result.poses.translation[first], 0, atol=1e-9)
        assert (np.linalg.norm(result.poses.translation[first + 1 : first + 4], axis=1) > 0).all()
    assert not result.poses.translation[stood:walked].any()
    assert result.reason.startswith(f'the footage is cut before frame {stood}, {walked}')
    # What stands has the networks' depth, whose confidence is low, and no cloud.
    assert 0 < result.confidence(stood + 1).min() < result.confidence(stood + 1).max() < 0.5
    assert result.confidence(0).max() > 0.5 < result.confidence(walked + 2).max()
    assert all(result.depth(i).min() > 0 for i in range(len(result)))
    points = [result.cloud(number)[0] for number in (0, 1)]
    assert min(map(len, points)) > 500 and len(points[0]) != len(points[1])
    with pytest.raises(ValueError, match='has no cloud, which needs the path of the camera'):
        result.cloud(2)
    np.testing.assert_array_equal(result.image(walked), frames[walked])


def test_files_and_record_hold_all_pieces(cut):
    result, workdir, frames = cut
    assert len(list((workdir / 'depth').iterdir())) == len(frames)
    for name, piece in (('', result.pieces[0]), ('_2', result.pieces[1])):
        times, poses = geometry.read_tum(workdir / f'trajectory{name}.txt')
        span = slice(piece.start, piece.stop)
        np.testing.assert_allclose(times, result.times[span], atol=1e-6)
        np.testing.assert_allclose(poses.translation, result.poses.translation[span], atol=1e-6)
        assert len(ply.read_ply(workdir / f'cloud{name}.ply')[0]) > 500
    assert not list(workdir.glob('*_3*')) and not list(workdir.glob('refining*'))
    record = json.loads((workdir / 'run.json').read_text())
    assert record['survey']['kind'] == 'moving' and record['survey']['reason'] == result.reason
    pieces = record['prediction']['pieces']
    walked = LEFT + STANDING
    frames_of = [piece['frames'] for piece in pieces]
    assert frames_of == [[walked, len(frames) - 1], [0, LEFT - 1], [LEFT, walked - 1]]
    assert pieces[1]['cloud'] == 'cloud_2.ply' and 'cloud' not in pieces[2]
    assert pieces[0]['adjustment']['keyframes'] > 1
    page = (workdir / 'report.html').read_text()
    assert f'The footage is cut before frame {LEFT}' in page and 'Point cloud 2' in page


def test_pieces_are_listed_from_the_longest_path_on():
    pieces = [(0, 2), (2, 9), (9, 12), (12, 15), (15, 40)]
    assert in_order(pieces, [True, False, True, True, False]) == [2, 0, 3, 1, 4]
    assert in_order(pieces[:2], [False, False]) == [0, 1]


def test_a_camera_that_stands_has_depth_but_no_path(walk, tmp_path, capsys):
    frames = np.repeat(walk.frames[:1], 4, axis=0)
    config = ReconstructConfig(adapt=5)
    found = reconstruct(frames, tmp_path / 'run', config)
    assert found.poses is None and found.depth(2).min() > 0 and 'adjustment' not in found.facts
    assert 0 < found.confidence(1).min() < found.confidence(1).max() < 0.5
    names = {path.name for path in (tmp_path / 'run').iterdir()}
    assert 'depth.mp4' in names and not {'trajectory.txt', 'cloud.ply', 'checkpoints'} & names
    record = json.loads((tmp_path / 'run' / 'run.json').read_text())
    assert record['survey']['kind'] == 'still' and 'stands still' in record['survey']['reason']
    assert 'stands still' in record['prediction']['alignment']
    assert 'The camera stands still or only turns' in (tmp_path / 'run/report.html').read_text()
    # Nothing can be learned from it.
    assert 'no adaptation: the camera stands still' in capsys.readouterr().out
    with pytest.raises(ValueError, match='needs at least 3 frames of a moving camera.*stands'):
        reconstruct(frames, config=dataclasses.replace(config, checkpoint='none'))


def test_unrelated_images_have_no_path(walk):
    images = [rooms.render_clip(500 + i, i, frames=1, **SIZE).frames[0] for i in range(3)]
    found = reconstruct(np.stack(images))
    assert found.poses is None and 'unrelated images' in found.reason and len(found.pieces) == 1
    with pytest.raises(ValueError, match='no cloud.*unrelated images'):
        found.cloud()
    # Who knows better says so.
    told = reconstruct(walk.frames[:2], config=ReconstructConfig(ordered='no'))
    assert told.poses is None and '--ordered=no' in told.reason
    with pytest.raises(ValueError, match='2 unrelated images'):
        reconstruct(walk.frames[:2], config=ReconstructConfig(ordered='no', adapt=3))
    config = ReconstructConfig(ordered='yes', adjust=False)
    assert reconstruct(np.stack(images), config=config).poses is not None


@pytest.fixture(scope='module')
def patched(walk):
    """The walk with a textured patch on the nadir that moves along."""
    image = np.random.default_rng(0).integers(20, 235, (32, 64, 3)).repeat(2, 0).repeat(2, 1)
    frames = walk.frames.copy()
    frames[:, NADIR] = image[NADIR]
    return frames


def test_what_moves_along_is_left_out(patched, tmp_path):
    found = reconstruct(patched, tmp_path / 'run')
    mask = media.read_image(tmp_path / 'run' / 'mask.png')[..., 0] > 0
    assert not mask[NADIR].mean() > 0.05 and mask[:45].all()
    for index in (0, 7):
        np.testing.assert_array_equal(found.depth(index) > 0, mask)
        np.testing.assert_array_equal(found.confidence(index) > 0, mask)
    facts = json.loads((tmp_path / 'run' / 'run.json').read_text())['prediction']['mask']
    assert 0.05 < facts['share'] < 0.15 and 'move along with the camera' in facts['reason']
    page = (tmp_path / 'run' / 'report.html').read_text()
    assert facts['reason'] in page and f'hides {facts["share"]:.1%}' in page
    # Nothing is left below the camera, as seen from its path.
    points, _ = found.cloud()
    down = points - found.poses.translation[[0]]
    steep = down[:, 1] / np.linalg.norm(down, axis=1)
    assert len(points) > 500 and (steep > np.sin(np.radians(80))).mean() < 0.002


def test_nothing_is_left_out_if_that_is_wanted(patched):
    for mask in ('none', None):
        config = ReconstructConfig(
            refine='off', adjust=False, ordered='yes', footage=FootageConfig(mask=mask)
        )
        found = reconstruct(patched, config=config)
        assert found.depth(0).min() > 0 and 'mask' not in found.facts


def test_adaptation_learns_from_the_longest_piece(walk, tmp_path, capsys):
    other = rooms.render_clip(501, 1, frames=LEFT, **SIZE).frames[:2]
    footage = from_clip(Clip('two', np.concatenate([other, walk.frames[:WALK]])))
    job = steps.Steps(ReconstructConfig(adapt=3), footage, None, tmp_path, Stop())
    assert 'learning from frames 2 to 7' in capsys.readouterr().out
    np.testing.assert_array_equal(job.source.shared['frames'], walk.frames[:WALK])


def test_pieces_are_scored_one_by_one(walk, tmp_path):
    """Footage of two rooms with truth: poses are compared within each of them only."""
    other = rooms.render_clip(501, 1, frames=4, **SIZE)
    join = lambda name: np.concatenate([getattr(walk, name)[:4], getattr(other, name)])
    poses = [
        np.concatenate([getattr(walk.poses, name)[:4], getattr(other.poses, name)])
        for name in ('rotation', 'translation')
    ]
    clip = Clip('two', join('frames'), join('depth'), type(walk.poses)(*poses))
    scene = clip_folder.write_clip_folder(tmp_path, clip)
    found = reconstruct(scene, config=ReconstructConfig(refine='off'))
    assert len(found.pieces) == 2 and found.scores['frames'] == 8
    # The jump between the rooms would be an error of metres.
    length = [
        np.linalg.norm(np.diff(c.poses.translation[:4], axis=0), axis=1).sum()
        for c in (walk, other)
    ]
    assert found.scores['pose']['path_m'] == pytest.approx(np.mean(length), rel=1e-3)
    assert found.scores['pose']['direction_deg'] < 5
    assert found.scores['networks']['pose']['direction_deg'] > found.scores['pose']['direction_deg']
