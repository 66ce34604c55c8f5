"""pano_depth.train on footage: clips found, cached, left out, held out; resumed; judged."""

import dataclasses
import errno
import json
import os
import pathlib
import signal
import subprocess
import sys

import cv2
import jax
import numpy as np
import pytest

import pano_depth
from common.export_config import ExportConfig
from common.export_workdir import destination
from common.stopping import Stop, Stopped
from pano_depth import TrainConfig
from pano_depth.footage import footage as footages
from pano_depth.footage.config import ReadingConfig
from pano_depth.learning import LogConfig, LossConfig, ModelChoice, RecipeConfig
from pano_depth.learning.footage_source import TrainingClip
from pano_depth.results import inputs
from pano_depth.results.evaluate_job import RoomsConfig
from pano_depth.results.training import cache, collection, found, judge, split
from tests.pano_depth.results import made_footage

TINY = TrainConfig(
    model=ModelChoice(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8)),
    loss=LossConfig(pyramid=1, ssim_weight=0.0),
    recipe=RecipeConfig(steps=3, batch_size=4),
    logs=LogConfig(log_every=1, checkpoint_every=1),
)


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    return made_footage.write_panosuncg(tmp_path_factory.mktemp('tree') / 'panosuncg')


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp('data')


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with made_footage.quick_training(), made_footage.nothing_along():
        yield


def on(paths, data_dir, **changes):
    text = ','.join(map(str, paths))
    data = RoomsConfig(data_dir=str(data_dir))
    return dataclasses.replace(TINY, train_data=text, data=data, **changes)


def record_of(run):
    return json.loads((run / 'run.json').read_text())


@pytest.fixture(scope='module')
def first_run(quick_compilation, tree, data_dir, tmp_path_factory):
    """A whole training on the tree, whose second trajectory is damaged."""
    workdir = tmp_path_factory.mktemp('runs') / 'whole'
    broken = tree / 'scene1' / '0.txt' / '2_color.png'
    broken.write_bytes(broken.read_bytes()[:100])
    networks = pano_depth.train(on([tree], data_dir), workdir)
    return workdir, networks


def test_a_panosuncg_tree_is_learned_from_and_judged_with_its_truth(first_run):
    workdir, networks = first_run
    scores = json.loads((workdir / 'eval.json').read_text())
    assert scores['depth']['plain']['abs_rel'] > 0 and scores['frames'] == made_footage.FRAMES
    assert scores['pose']['rotation_deg'] is None and scores['pose']['direction_deg'] > 0
    errors = scores['photometric_error']
    assert 0 < errors['after'] < 1 and errors['before'] != errors['after']
    assert scores['clips'] == 1 and (workdir / 'report.html').is_file()
    assert networks.depth(np.zeros((32, 64, 3), np.uint8)).shape == (32, 64)


def test_an_export_into_the_workdir_survives_the_training_that_is_started_again(
    first_run, tree, data_dir
):
    workdir, _ = first_run
    with destination(str(workdir), str(workdir), ExportConfig()):
        (workdir / 'model.onnx').write_text('the network')
    pano_depth.train(on([tree], data_dir), workdir)
    assert (workdir / 'model.onnx').read_text() == 'the network'
    assert 'model.onnx' in record_of(workdir)['files']
    assert 'model.stablehlo' not in record_of(workdir)['files']


def test_the_record_lists_clips_held_out_and_left_out(first_run):
    record = record_of(first_run[0])
    clips = {clip['name']: clip for clip in record['clips']}
    assert len(clips) == 2 and {clip['held_out'] for clip in clips.values()} == {True, False}
    assert all(clip['frames'] == made_footage.FRAMES for clip in clips.values())
    (left,) = record['left_out']
    assert left['name'] == 'panosuncg/scene1/0' and '2_color.png' in left['reason']


def test_a_stopped_training_goes_on_to_the_same_networks(first_run, tree, data_dir, tmp_path):
    workdir, networks = first_run

    class AfterOne(Stop):
        def carried(self, vote):
            self.number = 15
            return True

    stop = AfterOne()
    with pytest.raises(Stopped):
        pano_depth.train(on([tree], data_dir), tmp_path / 'run', stop=stop)
    assert not (tmp_path / 'run' / 'eval.json').exists()
    resumed = pano_depth.train(on([tree], data_dir), tmp_path / 'run')
    assert record_of(tmp_path / 'run')['training']['resumed_from'] in (1, 2)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, networks.params)
    scores = [json.loads((run / 'eval.json').read_text()) for run in (workdir, tmp_path / 'run')]
    assert scores[0] == scores[1]


def opened(monkeypatch):
    """The names of the footage whose frames are read from now on."""
    names, read = [], footages.Footage.frames

    def frames(self, **options):
        names.append(self.name)
        return read(self, **options)

    monkeypatch.setattr(footages.Footage, 'frames', frames)
    return names


def gathered(paths, data_dir, *, reading=TINY.reading, **options):
    return collection.collect(
        found.items_of(list(map(str, paths)), reading, flag='train_data'),
        reading,
        flag='train_data',
        rows=32,
        data_dir=data_dir,
        **options,
    )


def test_clips_are_decoded_once_and_damaged_caches_made_anew(tmp_path, monkeypatch):
    folder = made_footage.write_panosuncg(tmp_path / 'tree')
    names = opened(monkeypatch)
    first = gathered([folder], tmp_path)
    assert len(names) == len(first.pieces) == 3
    again = gathered([folder], tmp_path)
    assert len(names) == 3 and again.digest == first.digest
    for one, other in zip(first.pieces, again.pieces, strict=True):
        assert isinstance(other.clip.frames, np.memmap)
        np.testing.assert_array_equal(one.clip.frames, other.clip.frames)
    before = np.array(first.pieces[0].clip.frames)
    damaged = sorted(tmp_path.rglob('*.frames'))[0]
    data = bytearray(damaged.read_bytes())
    data[1000] ^= 255
    damaged.write_bytes(data)
    np.testing.assert_array_equal(gathered([folder], tmp_path).pieces[0].clip.frames, before)
    assert len(names) == 4
    # Another picture in a clip is another clip.
    other = (folder / 'scene2/0.txt/3_color.png').read_bytes()
    (folder / 'scene0/0.txt/3_color.png').write_bytes(other)
    changed = gathered([folder], tmp_path)
    assert len(names) == 5 and changed.digest != first.digest


def test_what_a_stopped_reading_has_read_is_kept(tmp_path, monkeypatch):
    folder = made_footage.write_panosuncg(tmp_path / 'tree')
    names = opened(monkeypatch)

    class AfterTwo(Stop):
        def check(self):
            if len(names) == 2:
                raise Stopped(15)

    with pytest.raises(Stopped):
        gathered([folder], tmp_path, stop=AfterTwo())
    stale = next(tmp_path.rglob('*.json')).with_name('.clip.tmp1.large')
    stale.write_bytes(b'left by a killed process')
    assert len(gathered([folder], tmp_path).pieces) == 3
    assert len(names) == 3 and not stale.exists()


KILLED = """
import os, signal, sys
from pano_depth.footage.config import ReadingConfig
from pano_depth.results.training import cache, found
path, data_dir = sys.argv[1:]
(item,) = found.items_of([path], ReadingConfig(), flag='train_data')
folder = cache.place(data_dir, 32)
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
with cache.writing(folder):
    cache.cached(item, ReadingConfig(), folder, on_frame=kill)
"""


def test_a_process_that_is_killed_while_it_reads_does_no_harm(tmp_path, monkeypatch):
    path = made_footage.write_video(tmp_path / 'a.mp4', 0)
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[3])}
    command = [sys.executable, '-c', KILLED, str(path), str(tmp_path)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert list(tmp_path.rglob('.*.images-read')) and not list(tmp_path.rglob('*.json'))
    names = opened(monkeypatch)
    (piece,) = gathered([path], tmp_path).pieces
    assert len(names) == 1 and len(piece.clip.frames) == made_footage.FRAMES
    assert not list(tmp_path.rglob('.*.images-read'))


def test_truth_belongs_to_its_frames_where_others_are_left_out(tmp_path):
    folder = made_footage.write_panosuncg(tmp_path / 'tree', scenes=1)
    (folder / 'scene0' / '0.txt' / '1_color.png').write_bytes(b'damaged')
    reading = ReadingConfig(on_bad_frame='skip')
    (piece,) = gathered([folder], tmp_path, reading=reading).pieces
    assert list(piece.numbers) == [0, 2, 3, 4, 5, 6, 7]
    last = judge.footage_of(collection.part(piece, 4, 7))
    assert last.name == 'tree/scene0/0 [5:8]' and last.length == 3
    clip = made_footage.walk(0)
    way = clip.poses.translation[5:] - clip.poses.translation[5]
    np.testing.assert_allclose(last.poses.translation, way, atol=1e-6)
    frames = list(last.frames())
    assert [frame.index for frame in frames] == [0, 1, 2]
    np.testing.assert_array_equal([frame.image for frame in frames], clip.frames[5:])


def test_guesses_about_footage_are_said_each_time(tmp_path, capsys, monkeypatch):
    path = made_footage.write_video(tmp_path / 'a.mp4', 0)
    read = inputs.open_path
    monkeypatch.setattr(
        inputs,
        'open_path',
        lambda *given: [dataclasses.replace(one, notes=('a guess',)) for one in read(*given)],
    )
    for _ in range(2):
        gathered([path], tmp_path)
        assert 'a guess' in capsys.readouterr().out.splitlines()


def test_a_full_disk_is_said_and_no_reason_to_leave_a_clip_out(tmp_path, monkeypatch):
    def full(self, **options):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(footages.Footage, 'frames', full)
    path = made_footage.write_video(tmp_path / 'a.mp4', 0)
    with pytest.raises(ValueError, match='No space left on device, in .*--data_dir names'):
        gathered([path], tmp_path)


def test_another_set_of_footage_is_refused_in_the_same_workdir(tmp_path):
    path = made_footage.write_video(tmp_path / 'a.mp4', 0, frames=14)
    config = on([path], tmp_path, stride=1)
    pano_depth.train(config, tmp_path / 'run')
    scores = json.loads((tmp_path / 'run' / 'eval.json').read_text())
    assert set(scores) == {'frames', 'photometric_error', 'clips'} and scores['frames'] == 3
    assert record_of(tmp_path / 'run')['clips'][0]['frames'] == 11
    made_footage.write_video(path, 1, frames=14)
    with pytest.raises(ValueError, match='the content of --train_data has changed'):
        pano_depth.train(config, tmp_path / 'run')


def test_still_unrelated_and_cut_clips(tmp_path):
    walks = [made_footage.walk(scene) for scene in (0, 1)]
    clips = {
        'cut': np.concatenate([walks[0].frames, walks[1].frames]),
        'still': np.repeat(walks[0].frames[:1], 6, axis=0),
    }
    for name, frames in clips.items():
        folder = tmp_path / 'clips' / name
        folder.mkdir(parents=True)
        for i, frame in enumerate(frames):
            footages.media.write_image(folder / f'{i:03d}.png', frame)
    out = gathered([tmp_path / 'clips'], tmp_path)
    assert [piece.clip.name for piece in out.pieces] == ['clips/cut [0:8]', 'clips/cut [8:16]']
    reasons = dict(out.left_out)
    assert (
        'stands still' in reasons['clips/still'] and 'cut before' in reasons['parts of clips/cut']
    )
    with pytest.raises(ValueError, match='--train_data has no clip that can be used.*stands still'):
        gathered([tmp_path / 'clips' / 'still'], tmp_path)


def test_masks_of_the_frames_reach_the_training_clips(tmp_path):
    for i, frame in enumerate(made_footage.walk(0).frames):
        alpha = np.full(frame.shape[:2], 255, np.uint8)
        alpha[48:, : 64 + i] = 0
        image = np.dstack([frame[..., ::-1], alpha])
        (tmp_path / 'clip').mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / 'clip' / f'{i:03d}.png'), image)
    (piece,) = gathered([tmp_path / 'clip'], tmp_path).pieces
    valid = collection.valid_of(piece.clip)
    assert valid.shape == (8, 32, 64)
    assert not valid[:, 25:, :30].any() and valid[:, :20].all() and valid[0, 25:, 36:].all()


def piece_of(name, group, frames, stride=1):
    item = found.Item(name, group, None, None)
    clip = TrainingClip(name, np.zeros((frames, 4, 8, 3), np.uint8), stride)
    return collection.Piece(item, clip, range(frames), True)


def test_whole_scenes_are_held_out():
    pieces = [piece_of(f'{scene}/{k}', str(scene), 5) for scene in range(20) for k in range(3)]
    learned, held_out = split.split(pieces)
    groups = [{piece.item.group for piece in part} for part in (learned, held_out)]
    assert not groups[0] & groups[1] and len(groups[1]) == 2 and len(held_out) == 6
    assert len(learned) + len(held_out) == 60


def test_of_a_single_clip_the_last_tenth_is_held_out(capsys):
    learned, held_out = split.split([piece_of('walk', 'walk', 100, stride=2)])
    assert (len(learned[0].clip.frames), len(held_out[0].clip.frames)) == (90, 10)
    assert held_out[0].numbers == range(90, 100)
    assert 'the last 10 of the 100 frames' in capsys.readouterr().out
    with pytest.raises(ValueError, match='too few to hold some out'):
        split.split([piece_of('walk', 'walk', 5)])


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'train_data': 'a.mp4,,b.mp4'}, "--train_data is 'a.mp4,,b.mp4', an empty part"),
        ({'train_data': 'a.mp4', 'eval_data': 'rooms,b.mp4'}, '--eval_data is rooms,b.mp4'),
        ({'train_data': 'live,a.mp4'}, '--train_data is live,a.mp4; live and stored stand alone'),
        ({'train_data': 'a.mp4', 'label_weight': -1.0}, 'label_weight is -1.0'),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError) as refused:
        dataclasses.replace(TINY, **changes)
    assert message in str(refused.value).replace(' has', ',')


def test_paths_that_hold_nothing_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='--train_data names .*nowhere, which does not exist'):
        pano_depth.train(on([tmp_path / 'nowhere'], tmp_path), tmp_path / 'run')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='--train_data names .*empty, which holds no footage'):
        pano_depth.train(on([tmp_path / 'empty'], tmp_path), tmp_path / 'run')
    # Both lists are looked at before anything is read.
    path = made_footage.write_video(tmp_path / 'a.mp4', 0)
    monkeypatch.setattr(cache, 'cached', lambda *_, **__: pytest.fail('a clip was read'))
    with pytest.raises(ValueError, match='--eval_data names .*nowhere, which does not exist'):
        pano_depth.train(on([path], tmp_path, eval_data=f'{tmp_path}/nowhere'), tmp_path / 'run')
    with pytest.raises(ValueError, match='--eval_data holds .*a.mp4, which --train_data holds'):
        pano_depth.train(on([path], tmp_path, eval_data=str(path)), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
