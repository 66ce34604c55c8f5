"""Networks learn from what reconstructions found: workdirs and the clips that these export."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import pano_depth
from pano_depth.footage import clip_folder, media
from pano_depth.learning import LossConfig
from pano_depth.results.files.stored import StoredRun
from pano_depth.results.files.stored_footage import footage_of
from pano_depth.results.training import collection, data, decode
from tests.pano_depth.results import made_footage
from tests.pano_depth.results.test_train_on_footage import TINY, gathered, on, record_of

FRAMES, HEIGHT = made_footage.FRAMES, made_footage.HEIGHT
ROWS = 32


@pytest.fixture(scope='module', autouse=True)
def quick():
    with made_footage.quick_training(), made_footage.quick_looks():
        yield


@pytest.fixture(scope='module')
def workdirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('runs')
    return [made_footage.write_reconstruction(folder / f'run{i}', i) for i in range(2)]


@pytest.fixture(scope='module')
def exported(tmp_path_factory, workdirs):
    """A run that has exported its clip, whose files are those of another size."""
    folder = tmp_path_factory.mktemp('exported') / 'run'
    made_footage.write_reconstruction(folder, 2)
    clip = dataclasses.replace(made_footage.walk(2), name='walk 2')
    scene = clip_folder.write_clip_folder(folder / 'clip', clip)
    (scene / 'confidence').mkdir()
    for i in range(FRAMES):
        sure = np.where(clip.depth[i] > 0, 102, 0).astype(np.uint8)
        sure[: HEIGHT // 4] = 0
        media.write_image(scene / 'confidence' / f'{i:06d}.png', sure)
    return folder


def test_a_workdir_is_footage_with_depth_confidence_and_poses(workdirs):
    (footage,) = footage_of(StoredRun(workdirs[0]))
    clip = made_footage.walk(0)
    assert footage.has_depth and footage.has_confidence and footage.length == FRAMES
    frames = list(footage.frames(start=1, stride=3))
    assert [frame.index for frame in frames] == [1, 4, 7]
    for frame in frames:
        known = frame.depth > 0
        np.testing.assert_allclose(
            frame.depth[known], 0.5 * clip.depth[frame.index][known], atol=1e-3
        )
        assert (known == (frame.confidence > 0)).all() and known.mean() == 7 / 8
        difference = frame.image.astype(float) - clip.frames[frame.index]
        assert np.abs(difference).mean() < 8  # compressed
    np.testing.assert_allclose(footage.poses.translation, 0.5 * clip.poses.translation, atol=1e-6)
    np.testing.assert_allclose(footage.poses.rotation, clip.poses.rotation, atol=1e-6)


def test_what_reconstructions_found_reaches_the_training_clips(workdirs, exported, tmp_path):
    video = made_footage.write_video(tmp_path / 'walk.mp4', 3)
    clips = [piece.clip for piece in gathered([*workdirs, exported, video], tmp_path).pieces]
    assert [clip.name for clip in clips] == ['run0', 'run1', 'run/walk 2', 'walk.mp4']
    stored, clip = clips[0].labels, made_footage.walk(0)
    known = stored.depth > 0
    middle = clip.depth[:, 1::2, 1::2]
    np.testing.assert_allclose(stored.depth[known], 0.5 * middle[known], atol=2e-3)
    assert set(np.unique(stored.confidence)) == {0, 51, 255}
    np.testing.assert_allclose(stored.translation, 0.5 * clip.poses.translation, atol=1e-6)
    # What is not valid counts neither as an image nor as a label.
    valid = np.unpackbits(clips[0].valid, axis=1).reshape(FRAMES, ROWS, 2 * ROWS)
    assert not valid[:, -ROWS // 8 :].any() and valid[:, : -ROWS // 8].all()
    assert set(np.unique(clips[2].labels.confidence)) == {0, 102}
    small = [media.resize_equirect(frame, ROWS, 2 * ROWS) for frame in made_footage.walk(2).frames]
    np.testing.assert_array_equal(clips[2].frames[:, ROWS // 4 :], np.stack(small)[:, ROWS // 4 :])
    assert clips[3].labels is None
    # Read again from the cache, and made anew where it is damaged.
    before = np.array(stored.depth)
    (file,) = (tmp_path / 'pano_footage').rglob('run0-*.depth')
    file.write_bytes(bytes(file.stat().st_size))
    again = gathered([workdirs[0]], tmp_path).pieces[0].clip.labels
    np.testing.assert_array_equal(again.depth, before)


@pytest.mark.filterwarnings('error')
def test_a_sky_that_is_farther_than_files_hold_has_no_depth(tmp_path):
    walk = made_footage.walk(0)
    depth = np.array(walk.depth)
    depth[:, : HEIGHT // 4] = 1e10
    clip = dataclasses.replace(walk, depth=depth)
    scene = clip_folder.write_clip_folder(tmp_path / 'far', clip, depth_format='npy')
    labels = gathered([scene], tmp_path).pieces[0].clip.labels
    assert not labels.depth[:, : ROWS // 4].any()
    below = walk.depth[:, 1::2, 1::2][:, ROWS // 4 :]
    np.testing.assert_allclose(labels.depth[:, ROWS // 4 :], below, rtol=1e-3)


def test_each_take_of_a_clip_has_its_own_labels(tmp_path, monkeypatch):
    takes = [{'start': start, 'stop': start + 4, 'stride': 1} for start in (0, 4)]
    monkeypatch.setattr(decode, 'pieces_of', lambda *_: {'pieces': takes, 'reason': 'a cut'})
    walk = made_footage.walk(0)
    scene = clip_folder.write_clip_folder(tmp_path / 'true', walk)
    second = gathered([scene], tmp_path).pieces[1]
    assert second.clip.name == f'{walk.name} [4:8]' and list(second.numbers) == [4, 5, 6, 7]
    labels, last = second.clip.labels, collection.part(second, 2, 4).clip.labels
    np.testing.assert_allclose(labels.translation, walk.poses.translation[4:], atol=1e-6)
    np.testing.assert_allclose(last.translation, walk.poses.translation[6:], atol=1e-6)
    small = walk.depth[:, 1::2, 1::2]
    np.testing.assert_allclose(labels.depth, small[4:], atol=5e-3)
    np.testing.assert_allclose(last.depth, small[6:], atol=5e-3)


def test_the_digest_knows_what_is_learned_from(tmp_path):
    one = gathered([made_footage.write_reconstruction(tmp_path / 'a' / 'run', 0)], tmp_path)
    same = gathered([made_footage.write_reconstruction(tmp_path / 'b' / 'run', 0)], tmp_path)
    other = made_footage.write_reconstruction(tmp_path / 'c' / 'run', 0, scale=0.6)
    assert one.digest == same.digest != gathered([other], tmp_path).digest


class Recorded(Exception):
    """Ends a training before its first step."""


def taught(config, workdirs, tmp_path, monkeypatch):
    """(batch, losses) with which a training would begin."""
    found = []

    def stop(run, source, recipe, model, loss, grid, **_):
        found.append((source, loss))
        raise Recorded

    monkeypatch.setattr('pano_depth.learning.session.train_in', stop)
    monkeypatch.setattr(data.Judgement, 'before', lambda *_: None)
    config = dataclasses.replace(config, eval_data=str(workdirs[1]))
    with pytest.raises(Recorded):
        pano_depth.train(config, tmp_path / 'run', overwrite=True)
    (source, loss) = found[0]
    return source.sample(source.batch(0, range(16)), source.shared)[1], loss


def test_weights_of_labels_of_truth_and_of_rooms(workdirs, tmp_path, monkeypatch):
    clips = clip_folder.write_clip_folder(tmp_path / 'true', made_footage.walk(4))
    mixed = [workdirs[0], clips]
    truth, loss = taught(on(mixed, tmp_path), workdirs, tmp_path, monkeypatch)
    # By default reconstructions teach, and the truth does not.
    assert loss.truth_weight == 0.3 and set(np.unique(truth.share)) <= {0, 1}
    config = on(mixed, tmp_path, loss=dataclasses.replace(TINY.loss, truth_weight=0.6))
    truth, loss = taught(config, workdirs, tmp_path, monkeypatch)
    assert loss.truth_weight == 0.6 and set(np.unique(truth.share)) <= {0.5, 1}
    truth, loss = taught(
        on(workdirs[:1], tmp_path, label_weight=0.0), workdirs, tmp_path, monkeypatch
    )
    assert loss.truth_weight == 0 and truth.depth is None
    config = dataclasses.replace(config, train_data=f'{workdirs[0]},rooms', rooms_share=1.0)
    # Rendering takes seconds to compile.
    shape = (3, ROWS, 2 * ROWS)
    render = lambda *_: (jnp.zeros((*shape, 3)), jnp.full(shape, 2.0))
    monkeypatch.setattr('pano_depth.rooms.wide.shots.shoot', render)
    truth, loss = taught(config, workdirs, tmp_path, monkeypatch)
    assert loss.truth_weight == 0.6 and (truth.share == 1).all() and (truth.depth > 0).all()


def test_a_training_learns_from_labels_alone(workdirs, tmp_path, monkeypatch):
    mask = made_footage.write_mask(tmp_path / 'mask.png')
    pano_depth.train(on(workdirs, tmp_path, mask=str(mask)), tmp_path / 'run')
    lines = [
        json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()
    ]
    terms = [line for line in lines if 'truth_depth' in line or 'train/truth_depth' in line]
    assert terms and all(np.isfinite(list(line.values())).all() for line in terms)
    clips = record_of(tmp_path / 'run')['clips']
    assert {clip['labels'] for clip in clips} == {'reconstruction'}
    scores = json.loads((tmp_path / 'run' / 'eval.json').read_text())
    assert scores['photometric_error']['after'] > 0


def test_what_cannot_teach_is_refused(tmp_path):
    unfinished = made_footage.write_reconstruction(tmp_path / 'run', 0, finished=False)
    with pytest.raises(ValueError, match='has not ended'):
        gathered([unfinished], tmp_path)
    made_footage.write_video(tmp_path / 'a.mp4', 0)
    made_footage.write_video(tmp_path / 'b.mp4', 1)
    config = on(
        [tmp_path / 'a.mp4', tmp_path / 'b.mp4'], tmp_path, loss=LossConfig(truth_weight=1.0)
    )
    with pytest.raises(ValueError, match='--truth_weight is 1.0, but no clip of --train_data'):
        pano_depth.train(config, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
