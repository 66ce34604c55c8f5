"""One workdir, one result: what differs is named, and results of two runs never stand together.

The work itself is replaced by a job that reads frames and writes files in no time.
"""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

import pano_depth
from common.run import numbered, write_json
from pano_depth import EvaluateConfig, ReconstructConfig
from pano_depth.footage import clip_folder, geometry, media
from pano_depth.footage.config import FootageConfig
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction.analysis import read_frames
from pano_depth.results import evaluate_job, inputs, reconstruct_job
from pano_depth.results.exports.config import ExportConfig
from pano_depth.results.steps import disk
from pano_depth.rooms import rooms

FRAMES, ROWS = 4, 16


class FakeSteps:
    """Reads frames, and writes one file for each of them."""

    def __init__(self, config, footage, mask, scratch, stop, *, check):
        check(ROWS)
        self.config, self.footage, self.known = config, footage, None
        self.params, self.model = {'w': np.load(config.checkpoint)}, 'model'
        self.frames = read_frames(
            footage, ROWS, scratch / 'frames', limit=config.max_frames or None
        )

    def run(self, run, *, writes):
        names = numbered('depth/{}.png', self.frames.indices)
        if self.config.npy:
            names += numbered('depth/{}.npy', self.frames.indices)
        run.writes(*names, 'cloud.ply', 'report.html')
        (run.path / 'depth').mkdir(exist_ok=True)
        for index in self.frames.indices:
            (run.path / 'depth' / f'{index:06d}.png').write_text('new')
            if self.config.npy:
                (run.path / 'depth' / f'{index:06d}.npy').write_text('new')
        if self.config.save_weights == 'killed.npz':
            raise KeyboardInterrupt
        (run.path / 'cloud.ply').write_text('new')
        (run.path / 'report.html').write_text('new')
        run.finish()
        return self


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with a clip, a mask and networks, in which commands are started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reconstruct_job, 'Steps', FakeSteps)
    clip = rooms.sample_clip(frames=FRAMES, height=32, width=64)
    clip_folder.write_clip_folder(tmp_path, dataclasses.replace(clip, name='room'))
    media.write_image('mask.png', np.full((32, 64, 3), 255, np.uint8))
    np.save('weights.npy', np.ones(3))
    return tmp_path


def predict(workdir='run', *, clip='room', overwrite=False, again=True, **given):
    given = {'checkpoint': 'weights.npy', 'footage': FootageConfig(mask='mask.png'), **given}
    return pano_depth.reconstruct(
        clip, workdir, ReconstructConfig(**given), overwrite=overwrite, again=again
    )


def content(folder='run'):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in pathlib.Path(folder).rglob('*')
        if path.is_file()
    }


def other_image():
    media.write_image('room/rgb/000001.png', np.zeros((32, 64, 3), np.uint8))


def fewer_frames():
    for path in [*pathlib.Path('room').glob('*/000003.*')]:
        path.unlink()
    lines = pathlib.Path('room/poses.txt').read_text().splitlines()[:-1]
    pathlib.Path('room/poses.txt').write_text('\n'.join(lines) + '\n')


def other_depth():
    for path in pathlib.Path('room/depth').iterdir():
        depth = np.full((32, 64), 3, np.float32)
        if path.suffix == '.npy':
            np.save(path, depth)
        else:
            media.write_png16(path, media.to_millimetres(depth))


def other_poses():
    turn = np.broadcast_to(np.eye(3), (FRAMES, 3, 3))
    far = np.arange(FRAMES)[:, None] * np.ones(3)
    geometry.write_tum('room/poses.txt', np.arange(FRAMES) / 24, Motion(turn, far))


def other_mask():
    dark = np.full((32, 64, 3), 255, np.uint8)
    dark[24:] = 0
    media.write_image('mask.png', dark)


CHANGES = {
    other_image: r'content of --input \(images\) has changed',
    fewer_frames: r'content of --input \(depth\) has changed',
    other_depth: r'content of --input \(depth\) has changed',
    other_poses: r'content of --input \(poses\) has changed',
    other_mask: 'content of --mask has changed',
    lambda: np.save('weights.npy', np.zeros(3)): 'content of --checkpoint has changed',
}


@pytest.mark.parametrize('change', CHANGES)
def test_other_content_of_the_same_names_is_refused(place, change):
    predict()
    before = content()
    change()
    with pytest.raises(ValueError, match=f'{CHANGES[change]}.*--overwrite'):
        predict()
    assert content() == before
    predict(overwrite=True)
    assert content()['run.json'] != before['run.json']


@pytest.mark.parametrize(
    'given, words',
    [
        ({'npy': True}, '--nonpy, not --npy'),
        ({'max_frames': 3}, '--max_frames=0, not --max_frames=3'),
        ({'footage': FootageConfig(mask='none')}, '--mask=mask.png, not --mask=none'),
        ({'footage': FootageConfig(mask='mask.png', fps=5)}, 'no --fps, not --fps=5'),
        ({'checkpoint': 'default'}, '--checkpoint=weights.npy, not --checkpoint=default'),
    ],
)
def test_other_settings_are_refused(place, given, words):
    predict()
    with pytest.raises(ValueError, match=f'holds a prediction with {words}'):
        predict(**given)


def test_other_modes_are_refused_both_ways(place):
    predict()
    with pytest.raises(ValueError, match='a run with --mode=predict, not --mode=eval'):
        pano_depth.evaluate('room', 'run')
    with pytest.raises(ValueError, match='a run with --mode=predict, not --mode=train'):
        pano_depth.train(pano_depth.TrainConfig(), 'run')
    with pytest.raises(ValueError, match='a run with --mode=predict, not --mode=export'):
        pano_depth.export_depth('run')
    pathlib.Path('run/flags.txt').write_text('--mode=eval\n')
    with pytest.raises(ValueError, match='a run with --mode=eval, not --mode=predict'):
        predict()


def test_overwriting_leaves_no_file_of_the_run_before(place):
    predict(npy=True)
    predict(max_frames=2, overwrite=True)
    assert set(content()) == {
        '.lock',
        'flags.txt',
        'run.json',
        'cloud.ply',
        'report.html',
        'depth/000000.png',
        'depth/000001.png',
    }
    assert '--max_frames=2' in pathlib.Path('run/flags.txt').read_text().splitlines()
    assert json.loads(pathlib.Path('run/run.json').read_text())['files'] == [
        'cloud.ply',
        'depth/{000000..000001}.png',
        'flags.txt',
        'report.html',
        'run.json',
    ]


def test_a_killed_run_goes_on_or_is_refused_by_what_changed(place):
    with pytest.raises(KeyboardInterrupt):
        predict(npy=True, save_weights='killed.npz')
    with pytest.raises(ValueError, match='--npy, not --nonpy'):
        predict(save_weights='killed.npz')
    other_image()
    with pytest.raises(ValueError, match=r'content of --input \(images\) has changed'):
        predict(npy=True, save_weights='killed.npz')
    predict(overwrite=True)
    assert not [name for name in content() if name.endswith('.npy')]


def test_a_run_that_has_ended_says_so_unless_its_result_is_asked_for(place, capsys):
    assert isinstance(predict(again=False), FakeSteps)
    before = content()
    assert predict(again=False) is None and content() == before
    assert 'has ended: report.html shows its results' in capsys.readouterr().out
    assert isinstance(predict(), FakeSteps)
    pathlib.Path('run/depth/000002.png').unlink()
    assert isinstance(predict(again=False), FakeSteps)
    assert content()['depth/000002.png'] == b'new'


def test_exports_may_be_added_to_a_run_that_has_ended(place, capsys):
    predict()
    exports = ExportConfig(export_to=('colmap',), faces_fov=100.0)
    assert isinstance(predict(exports=exports, again=False), FakeSteps)
    assert 'its result is computed once more' in capsys.readouterr().out
    assert '--export_to=colmap' in pathlib.Path('run/flags.txt').read_text().splitlines()
    assert predict(exports=exports, again=False) is None
    assert isinstance(predict(again=False), FakeSteps)


def test_a_run_of_an_older_version_goes_on(place):
    predict()
    flags = pathlib.Path('run/flags.txt')
    new = ('--projection', '--mask', '--world', '--sweep_', '--bundle_', '--ordered')
    kept = [line for line in flags.read_text().splitlines() if not line.startswith(new)]
    flags.write_text('\n'.join([*kept, '--mask=mask.png']) + '\n')
    record = json.loads(pathlib.Path('run/run.json').read_text())
    old = {name: record[name] for name in ('started', 'command', 'versions')}
    write_json('run/run.json', old)
    # It wrote a cloud of a second piece, of which this version finds none.
    pathlib.Path('run/cloud_2.ply').write_text('old')
    predict()
    assert 'cloud_2.ply' not in content() and content()['cloud.ply'] == b'new'


def test_a_file_of_ones_own_is_not_removed(place):
    predict()
    pathlib.Path('run/depth/notes.txt').write_text('mine')
    with pytest.raises(ValueError, match='holds depth/notes.txt, which no run wrote'):
        predict(npy=True, overwrite=True)
    assert predict() and pathlib.Path('run/depth/notes.txt').read_text() == 'mine'


def test_what_is_read_from_the_workdir_is_not_removed(place):
    predict()
    shutil.copy('mask.png', 'run/cloud.ply')
    with pytest.raises(ValueError, match='--overwrite would remove --mask=run/cloud.ply'):
        predict(footage=FootageConfig(mask='run/cloud.ply'), overwrite=True)


@pytest.mark.parametrize(
    'given, words',
    [
        ({'poses': 'nowhere.txt'}, '--poses=nowhere.txt does not exist'),
        ({'poses': 'mask.png'}, 'mask.png'),
        ({'footage': FootageConfig(mask='room/poses.txt')}, 'poses.txt'),
    ],
)
def test_bad_files_are_found_before_the_footage_is_read(place, given, words, monkeypatch):
    monkeypatch.setattr(reconstruct_job, 'Steps', lambda *_, **__: pytest.fail('frames were read'))
    with pytest.raises(ValueError, match=words):
        predict(**given)
    assert not pathlib.Path('run').exists()


def test_a_disk_that_is_too_small_is_found_before_the_work(place, monkeypatch):
    free = shutil.disk_usage('.')._replace(free=1000)
    monkeypatch.setattr(disk.shutil, 'disk_usage', lambda path: free)
    with pytest.raises(ValueError, match='of room take at least .* has room for .*--output_height'):
        predict()
    assert not pathlib.Path('run').exists()


def test_paths_of_the_home_directory(place, monkeypatch):
    monkeypatch.setenv('HOME', str(place))
    predict('~/my runs/ä%d:1', clip='~/room', checkpoint='~/weights.npy')
    assert (place / 'my runs' / 'ä%d:1' / 'cloud.ply').exists()
    text = (place / 'my runs' / 'ä%d:1' / 'flags.txt').read_text()
    assert f'--checkpoint={place}/weights.npy' in text.splitlines()


def test_an_evaluation_refuses_other_truth_before_it_computes(place, monkeypatch):
    scores = {'depth': None, 'pose': None}

    def score(params, footages, grid, model, **_):
        for footage in footages:
            for _ in footage.frames(size=(2 * model.face_size, 4 * model.face_size)):
                pass
        return scores

    monkeypatch.setattr(evaluate_job.protocol, 'evaluate', score)
    monkeypatch.setattr(evaluate_job.protocol, 'summary', lambda scores: '')
    pano_depth.evaluate('room', 'run')
    record = json.loads(pathlib.Path('run/run.json').read_text())
    assert record['files'] == ['eval.json', 'flags.txt', 'report.html', 'run.json']
    assert {'--checkpoint', '--input (images)', '--input (depth)'} <= set(record['inputs'])
    assert pano_depth.evaluate('room', 'run') == scores
    other_depth()
    monkeypatch.setattr(evaluate_job.protocol, 'evaluate', lambda *_, **__: pytest.fail('computed'))
    with pytest.raises(ValueError, match=r'an evaluation .* --input \(depth\) has changed'):
        pano_depth.evaluate('room', 'run')
    with pytest.raises(ValueError, match='with --mask=auto, not --mask=mask.png'):
        pano_depth.evaluate('room', 'run', EvaluateConfig(footage=FootageConfig(mask='mask.png')))


def test_content_is_noted_once_and_is_that_of_the_frames(place):
    (footage,) = inputs.open_input('room', FootageConfig())
    first, second = inputs.Content(footage), inputs.Content(footage)
    first.read((16, 32))
    first.read((32, 64))  # it has been read
    for _ in second.footage.frames(size=(16, 32)):
        pass
    list(second.footage.frames())
    assert first.digests() == second.digests()
    assert None not in (first.digests()['--input (depth)'], first.digests()['--input (poses)'])
    other_image()
    third = inputs.Content(footage)
    third.read((16, 32))
    changed = {name for name, text in third.digests().items() if text != first.digests()[name]}
    assert changed == {'--input (images)'}
