"""pano_depth.improve: rounds of reconstructing and learning, resumed; it ends when it must."""

import dataclasses
import functools
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

import pano_depth
from common import run
from common.executors.config import ExecutorConfig
from common.stopping import Stop, Stopped
from pano_depth import ImproveConfig
from pano_depth.footage import clip_folder, media
from pano_depth.footage.config import FootageConfig
from pano_depth.learning import checkpoints
from pano_depth.results.evaluate_job import RoomsConfig
from pano_depth.results.self_training import clips, rounds
from tests.pano_depth.results import made_footage
from tests.pano_depth.results.test_train_on_footage import TINY as TRAINED

TINY = ImproveConfig(
    checkpoint='none',
    rounds=2,
    output_height=64,
    model=TRAINED.model,
    loss=TRAINED.loss,
    recipe=TRAINED.recipe,
    logs=TRAINED.logs,
)


@pytest.fixture(scope='module', autouse=True)
def quick():
    with made_footage.quick_training(), made_footage.quick_looks():
        yield


def fake(footage, workdir, config, *, stop, again):
    """Stands for `reconstruct`, which takes half a minute to compile: it finds the truth."""
    assert not again and config.exports.export_to == ('clip',) and config.checkpoint
    assert footage.poses is None and not footage.has_depth
    folder, number = pathlib.Path(workdir), int(footage.name[-1])
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / 'run.json').exists():
        return
    (folder / 'depth').mkdir()
    clip = dataclasses.replace(made_footage.walk(number), name=footage.name)
    scene = clip_folder.write_clip_folder(folder / 'clip', clip)
    (scene / 'confidence').mkdir()
    for i, depth in enumerate(clip.depth):
        sure = np.where(depth > 0, 204, 0).astype(np.uint8)
        sure[-len(sure) // 8 :] = 0
        media.write_image(scene / 'confidence' / f'{i:06d}.png', sure)
    run.write_json(folder / 'run.json', {'prediction': {'confirmed': 0.75}})


@pytest.fixture(scope='module', autouse=True)
def quick_reconstruction():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, 'reconstruct', fake)
        yield


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    for scene in range(3):
        made_footage.write_video(folder / f'walk{scene}.mp4', scene)
    (folder / 'empty.mp4').touch()
    return folder


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """With a mask, as test_train_on_results has one: the compiled steps are the same."""
    folder = tmp_path_factory.mktemp('data')
    footage = FootageConfig(mask=str(made_footage.write_mask(folder / 'mask.png')))
    return dataclasses.replace(TINY, data=RoomsConfig(data_dir=str(folder)), footage=footage)


def judged(monkeypatch, errors):
    """Lets the rounds see these photometric errors: before the first, after it, after the second.

    Returns:
        The numbers of the rounds that were really made.
    """
    made, once = [], rounds.Rounds._round

    def round_(self, number, networks):
        made.append(number)
        entry = once(self, number, networks)
        known = {'before': errors[number - 1], 'after': errors[number]}
        return entry | {'photometric_error': known}

    monkeypatch.setattr(rounds.Rounds, '_round', round_)
    return made


@pytest.fixture(scope='module')
def whole(videos, config, tmp_path_factory, quick, quick_reconstruction):
    """A run of two rounds that both help."""
    workdir = tmp_path_factory.mktemp('runs') / 'whole'
    with pytest.MonkeyPatch.context() as patch:
        judged(patch, [3.0, 2.0, 1.0])
        networks = pano_depth.improve(str(videos), workdir, config)
    return workdir, networks


def rounds_of(workdir):
    return json.loads((workdir / 'improve.json').read_text())['rounds']


def weights(path):
    return checkpoints.start_model(str(path), TINY.model)[0]


def test_each_round_learns_from_what_the_networks_of_the_last_one_found(whole):
    workdir, networks = whole
    first, second = rounds_of(workdir)
    assert first['clips'] == first['reconstructed'] == 2 and not first['failed']
    assert first['confident'] == 0.75 and second['seconds']['training'] > 0
    same = lambda a, b: jax.tree.map(np.testing.assert_array_equal, a, b)
    same(weights(workdir / 'round_2/start.npz'), weights(workdir / 'round_1/networks.npz'))
    same(weights(workdir / 'improved.npz'), weights(workdir / 'round_2/networks.npz'))
    same(networks.params, weights(workdir / 'improved.npz'))
    for number in (1, 2):
        entries = json.loads((workdir / f'round_{number}/training/run.json').read_text())['clips']
        kinds = {clip['name']: clip['labels'] for clip in entries}
        # The clip that judges is no reconstruction, and the same in all rounds.
        assert sorted(map(str, kinds.values())) == ['None', 'reconstruction', 'reconstruction']
    page = (workdir / 'report.html').read_text()
    assert 'Photometric error on held-out clips' in page and '2 of 2' in page
    record = json.loads((workdir / 'run.json').read_text())
    assert [clip['held_out'] for clip in record['clips']] == [False, False, True]
    (out,) = record['left_out']
    assert out['name'].endswith('empty.mp4') and out['reason'] in page
    # Reconstructions are large: those of the last round stay.
    assert [path.parts[-3] for path in workdir.glob('round_*/clips/000_*')] == ['round_2']
    assert not list(workdir.glob('round_*/cache')) and not (workdir / 'round_1/clips').exists()


def test_a_stopped_run_goes_on_to_the_same_networks(whole, videos, config, tmp_path, monkeypatch):
    made = judged(monkeypatch, [3.0, 2.0, 1.0])
    stop, real = Stop(), clips.reconstruct_one

    def second_clip_of_the_second_round(job, stop_):
        if 'round_2' in job.workdir and '/001_' in job.workdir:
            stop.number = 15
        if stop.number:
            raise Stopped(15)
        return real(job, stop_)

    monkeypatch.setattr(clips, 'reconstruct_one', second_clip_of_the_second_round)
    with pytest.raises(Stopped):
        pano_depth.improve(str(videos), tmp_path / 'run', config, stop=stop)
    assert len(rounds_of(tmp_path / 'run')) == 1 and not (tmp_path / 'run/improved.npz').exists()
    monkeypatch.setattr(clips, 'reconstruct_one', real)
    resumed = pano_depth.improve(str(videos), tmp_path / 'run', config)
    assert made == [1, 2, 2]
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole[1].params)


def test_a_run_that_has_ended_goes_on_with_more_rounds(
    whole, videos, config, tmp_path, monkeypatch, capsys
):
    made = judged(monkeypatch, [3.0, 2.0, 1.0, 0.5])
    workdir = shutil.copytree(whole[0], tmp_path / 'run')
    again = lambda rounds: pano_depth.improve(
        str(videos), workdir, dataclasses.replace(config, rounds=rounds)
    )
    # With no more, all stays as it is, and with fewer, the best stays the best.
    for rounds_ in (2, 1):
        same = again(rounds_)
        jax.tree.map(np.testing.assert_array_equal, same.params, whole[1].params)
        assert 'nothing is left to do; --rounds=3, or more, goes on' in capsys.readouterr().out
        assert (workdir / 'round_1/networks.npz').exists() and not made
        assert 'The networks of round 2 explain' in (workdir / 'report.html').read_text()
    again(3)
    assert made == [3] and [entry['round'] for entry in rounds_of(workdir)] == [1, 2, 3]
    same = lambda a, b: jax.tree.map(np.testing.assert_array_equal, weights(a), weights(b))
    same(workdir / 'round_3/start.npz', workdir / 'round_2/networks.npz')
    same(workdir / 'improved.npz', workdir / 'round_3/networks.npz')
    kept = {path.parent.name for path in workdir.glob('round_*/clips')}
    assert kept == {'round_3'} and (workdir / 'round_1/training/eval.json').exists()


def test_rounds_end_when_the_error_no_longer_falls(
    whole, videos, config, tmp_path, monkeypatch, capsys
):
    made = judged(monkeypatch, [3.0, 3.0, 1.0])
    networks = pano_depth.improve(str(videos), tmp_path / 'run', config)
    assert made == [1]
    start, best = (
        weights(tmp_path / 'run' / name) for name in ('round_1/start.npz', 'improved.npz')
    )
    jax.tree.map(np.testing.assert_array_equal, start, best)
    # Files hold 16 bits.
    close = functools.partial(np.testing.assert_allclose, atol=1e-3)
    jax.tree.map(close, networks.params, best)
    # More rounds do not change that.
    pano_depth.improve(str(videos), tmp_path / 'run', dataclasses.replace(config, rounds=5))
    assert made == [1] and (tmp_path / 'run/round_1/training').exists()
    assert capsys.readouterr().out.count('it ends here') == 2


def test_a_clip_that_cannot_be_reconstructed_teaches_by_its_images(
    videos, config, tmp_path, monkeypatch, capsys
):
    real, train_on = clips.reconstruct_one, rounds.train_on
    fails = lambda job, stop: 'it is too dark' if '/001_' in job.workdir else real(job, stop)
    monkeypatch.setattr(clips, 'reconstruct_one', fails)
    once = dataclasses.replace(config, rounds=1)

    def stopped(*_, **__):
        raise Stopped(15)

    monkeypatch.setattr(rounds, 'train_on', stopped)
    # Its depth is known, which must not help.
    known = clip_folder.write_clip_folder(tmp_path / 'known', made_footage.walk(1))
    paths = f'{videos / "walk0.mp4"},{known.parent}'
    once = dataclasses.replace(once, eval_data=str(videos / 'walk2.mp4'))
    with pytest.raises(Stopped):
        pano_depth.improve(paths, tmp_path / 'run', once)
    # The training goes on with what it has begun with: nothing is tried again.
    monkeypatch.setattr(rounds, 'train_on', train_on)
    monkeypatch.setattr(clips, 'reconstruct_one', lambda *_: pytest.fail('it is tried again'))
    pano_depth.improve(paths, tmp_path / 'run', once)
    (entry,) = rounds_of(tmp_path / 'run')
    assert entry['reconstructed'] == 1 and entry['failed'][0]['reason'] == 'it is too dark'
    assert 'teaches by its images alone: it is too dark' in capsys.readouterr().out
    entries = json.loads((tmp_path / 'run/round_1/training/run.json').read_text())['clips']
    assert sorted(str(clip['labels']) for clip in entries if not clip['held_out']) == [
        'None',
        'reconstruction',
    ]
    monkeypatch.setattr(clips, 'reconstruct_one', lambda job, stop: 'it is too dark')
    with pytest.raises(ValueError, match='not one of 2 clips could be reconstructed; the first, '):
        pano_depth.improve(paths, tmp_path / 'none', once)


def test_input_that_does_not_fit_is_refused(videos, config, tmp_path):
    refused = lambda text, **changes: pytest.raises(ValueError, match=text)
    with refused('--input names .*nowhere, which does not exist'):
        pano_depth.improve(str(tmp_path / 'nowhere'), tmp_path / 'run', config)
    with refused('--input names rooms'):
        pano_depth.improve(f'{videos},rooms', tmp_path / 'run', config)
    with refused('--eval_data holds .*walk0.mp4, which --input holds, too'):
        changed = dataclasses.replace(config, eval_data=str(videos / 'walk0.mp4'))
        pano_depth.improve(str(videos), tmp_path / 'run', changed)
    with refused('--input names live; accepted: footage'):
        pano_depth.improve('live', tmp_path / 'run', config)
    with refused('--input names sample; accepted: footage'):
        pano_depth.improve('sample', tmp_path / 'run', config)
    with refused('--eval_data is rooms; accepted: footage'):
        changed = dataclasses.replace(config, eval_data='rooms')
        pano_depth.improve(str(videos), tmp_path / 'run', changed)
    with refused('--truth_weight is 1.0, but networks improve without truth'):
        dataclasses.replace(config, loss=dataclasses.replace(config.loss, truth_weight=1.0))
    with refused('--output_height is 33'):
        dataclasses.replace(config, output_height=33)
    assert not (tmp_path / 'run').exists()


@pytest.mark.slow
def test_real_reconstructions_in_processes_of_their_own(videos, config, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, 'reconstruct', pano_depth.reconstruct)
    executors = ExecutorConfig(executor='process', workers=2, candidate_timeout=600)
    config = dataclasses.replace(config, rounds=1, output_height=32, executors=executors)
    pano_depth.improve(str(videos), tmp_path / 'run', config)
    (entry,) = rounds_of(tmp_path / 'run')
    assert entry['reconstructed'] == 2 and 0 < entry['confident'] <= 1
    # A clip that takes too long fails alone, and says so.
    executors = dataclasses.replace(executors, candidate_timeout=1)
    late = dataclasses.replace(config, executors=executors)
    with pytest.raises(ValueError, match='not one of 2 clips could be reconstructed.*1 s'):
        pano_depth.improve(str(videos), tmp_path / 'late', late)
