"""`pano-depth` as a user runs it: a short clip from end to end, a resumed run, bad input."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from common import logs
from pano_depth.footage import geometry, media, video
from pano_depth.footage.clip import Clip
from pano_depth.footage.clip_folder import write_clip_folder
from pano_depth.kernels.rigid import Motion
from pano_depth.learning import checkpoints
from pano_depth.results import ply

ROOT = pathlib.Path(__file__).parents[2]
FRAMES, HEIGHT = 6, 32
ENVIRONMENT = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}
TINY = (
    '--face_size=16',
    '--depth_channels=8,8',
    '--pose_channels=8,8',
    '--batch_size=2',
    '--stride=1',
    '--pyramid=1',
    '--checkpoint=none',
    '--compilation_cache=',
    # These images show no room: what geometry makes of them is worth nothing.
    '--ordered=yes',
    '--mask=none',
    '--refine=off',
)

# Importing takes seconds: one interpreter, forked for each command line, whose output goes into
# files.
FORKING = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import tensorflow_datasets
from experiments import depth_flags, depth_main
folder = sys.argv[2]
for name, arguments in json.load(open(folder + '/cases.json')).items():
    child = os.fork()
    if not child:
        for stream, descriptor in (('stdout', 1), ('stderr', 2)):
            os.dup2(os.open(f'{folder}/{name}.{stream}', os.O_WRONLY | os.O_CREAT), descriptor)
        sys.argv = ['pano-depth'] + arguments
        depth_main.run()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    open(f'{folder}/{name}.code', 'w').write(str(code))
"""


def _clip():
    """A ball of smooth colours, seen while walking and turning a little, with depth 2 m and
    poses.
    """
    lat, lon = np.meshgrid(
        (0.5 - (np.arange(HEIGHT) + 0.5) / HEIGHT) * np.pi,
        np.arange(2 * HEIGHT) * np.pi / HEIGHT,
        indexing='ij',
    )
    frames = [
        0.5
        + 0.4
        * np.sin(np.stack([3 * lon + 0.1 * i, 2 * lon - 4 * lat, 5 * lat + 0.2 * i], axis=-1))
        * np.cos(lat)[..., None]
        for i in range(FRAMES)
    ]
    poses = Motion(
        np.tile(np.eye(3), (FRAMES, 1, 1)), np.arange(FRAMES)[:, None] * np.array([0.1, 0, 0.2])
    )
    return Clip(
        'walk',
        (np.stack(frames) * 255).astype(np.uint8),
        depth=np.full((FRAMES, HEIGHT, 2 * HEIGHT), 2, np.float32),
        poses=poses,
    )


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """The workdir of a run and what it and the same command once more said."""
    folder = tmp_path_factory.mktemp('depth_main')
    scene = write_clip_folder(folder / 'footage', _clip())
    command = [
        sys.executable,
        str(ROOT / 'experiments' / 'depth_main.py'),
        '--mode=predict',
        f'--input={scene}',
        '--adapt=3',
        f'--workdir={folder / "run"}',
        f'--save_weights={folder / "weights.npz"}',
        '--log_every=1',
        '--npy',
        *TINY,
    ]
    done = []
    for _ in range(2):
        done.append(
            subprocess.run(
                command, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True, check=False
            )
        )
    return folder / 'run', done


def test_both_runs_end_well_and_the_second_one_says_that_all_is_done(runs):
    workdir, (first, second) = runs
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    assert 'AbsRel' in first.stdout and 'image-blind' in first.stdout
    record = json.loads((workdir / 'run.json').read_text())
    assert 'has ended: report.html shows its results' in second.stdout
    assert record['training']['resumed_from'] == 0 and record['finished']
    listed = set(record['files'])
    assert {'checkpoints/', 'depth/{000000..000005}.npy', 'cloud.ply', 'eval.json'} <= listed
    assert not any('refining' in name or 'weights' in name for name in listed)
    assert [row['step'] for row in logs.read_metrics(workdir)] == [1, 2, 3]


def test_every_file_of_the_contract_is_there(runs):
    workdir, _ = runs
    names = {path.name for path in workdir.iterdir()}
    assert {
        'flags.txt',
        'run.json',
        'metrics.jsonl',
        'eval.json',
        'checkpoints',
        'depth',
        'depth.mp4',
        'trajectory.txt',
        'cloud.ply',
        'panels.png',
        'report.html',
    } <= names
    assert any(name.startswith('events.out.tfevents') for name in names)
    assert not any('.tmp' in name for name in names)
    assert {f'{i:06d}.{suffix}' for i in range(FRAMES) for suffix in ('png', 'npy')} == {
        path.name for path in (workdir / 'depth').iterdir()
    }
    flags = (workdir / 'flags.txt').read_text().splitlines()
    assert {'--face_size=16', '--adapt=3', '--depth_channels=8,8'} <= set(flags)


def test_the_results_agree_with_each_other(runs):
    workdir, _ = runs
    depth = np.stack([np.load(workdir / 'depth' / f'{i:06d}.npy') for i in range(FRAMES)])
    assert depth.shape == (FRAMES, HEIGHT, 2 * HEIGHT) and depth.min() > 0
    stored = np.stack([media.read_png16(workdir / 'depth' / f'{i:06d}.png') for i in range(FRAMES)])
    assert stored.dtype == np.uint16 and np.abs(stored / 1000 - depth).max() <= 0.00051
    times, poses = geometry.read_tum(workdir / 'trajectory.txt')
    np.testing.assert_allclose(times, np.arange(FRAMES) / 24, atol=1e-5)
    np.testing.assert_allclose(poses.translation[0], 0, atol=1e-9)
    assert video.video_info(workdir / 'depth.mp4').height >= HEIGHT
    points, colors = ply.read_ply(workdir / 'cloud.ply')
    assert (
        len(points)
        == len(colors)
        == json.loads((workdir / 'run.json').read_text())['prediction']['cloud_points']
        > 0
    )


def test_saved_weights_are_the_trained_networks(runs):
    workdir, _ = runs
    trained, config = checkpoints.load_model(workdir)
    saved, same = checkpoints.load_model(workdir.parent / 'weights.npz')
    assert same == config
    pairs = list(zip(jax.tree.leaves(trained), jax.tree.leaves(saved), strict=True))
    assert all(np.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in pairs) and any(
        np.abs(a).max() > 0.1 for a, _ in pairs
    )


def test_scores_stand_beside_the_trivial_predictors(runs):
    scores = json.loads((runs[0] / 'eval.json').read_text())
    assert (
        set(scores) == {'depth', 'pose', 'networks', 'baselines', 'protocol', 'frames'}
        and scores['frames'] == FRAMES
    )
    assert set(scores['baselines']) == {'constant', 'blind', 'identity'}
    # Everything is 2 m away: the constant is right, and so is the median of each pixel.
    assert scores['baselines']['constant']['plain']['abs_rel'] == pytest.approx(0, abs=1e-3)
    assert scores['baselines']['identity']['path_m'] == pytest.approx(
        5 * np.hypot(0.1, 0.2), rel=1e-3
    )
    assert scores['depth']['solid_angle']['abs_rel'] > 0


BAD = {
    'missing': (('--input=nowhere', '--adapt=3'), 'nowhere'),
    'missing_video': (('--input=nowhere.mp4', '--adapt=3'), 'nowhere.mp4'),
    'aspect': (('--input=square', '--adapt=3'), '--stereo=top_bottom'),
    'wrong_stereo': (('--input=footage/walk', '--adapt=3', '--stereo=top_bottom'), 'aspect of 1:1'),
    'empty_video': (('--input=empty.mp4', '--adapt=3'), 'empty.mp4 is an empty file'),
    'no_video': (('--input=text.mp4', '--adapt=3'), 'text.mp4'),
    'damaged': (('--input=damaged', '--adapt=3'), 'damaged/000002.png'),
    'unrelated': (('--input=image.png', '--adapt=3'), 'at least 3 frames'),
    'no_truth': (
        ('--mode=eval', '--input=image.png', '--checkpoint=default'),
        'neither depth nor poses',
    ),
    'too_few': (('--input=footage/walk', '--adapt=3', '--max_frames=2'), 'at least 3 frames'),
    'stride': (('--input=footage/walk', '--adapt=3', '--stride=3'), '3 frames apart'),
    'face_size': (('--input=footage/walk', '--adapt=3', '--face_size=18'), 'face_size=18'),
    'channels': (('--input=footage/walk', '--adapt=3', '--depth_channels=8,7'), 'depth_channels'),
    'value': (('--input=footage/walk', '--adapt=3', '--padding=wrap'), 'padding'),
    'mode': (('--mode=dream',), 'mode'),
    'flag': (('--adapted=3',), 'adapted'),
    'in_the_way': (
        ('--input=footage/walk', '--adapt=3', '--workdir=file'),
        'workdir file cannot be written: it is a file',
    ),
    'not_a_run': (('--input=footage/walk', '--adapt=3', '--workdir=footage'), 'no earlier run'),
    'untrained': (('--input=footage/walk',), '--checkpoint'),
    'no_checkpoint': (('--input=footage/walk', '--checkpoint=footage'), 'no checkpoint'),
    'no_weights': (
        ('--input=footage/walk', '--checkpoint=weights.npz'),
        'weights.npz is not a .npz of --save_weights',
    ),
    'other_networks': (
        ('--input=footage/walk', '--checkpoint=default'),
        '--depth_channels is 8,8,',
    ),
    'mask': (('--input=footage/walk', '--adapt=3', '--mask=square/000000.png'), 'mask'),
    'save_weights': (
        ('--input=footage/walk', '--adapt=3', '--save_weights=nowhere/weights.npz'),
        'a directory that exists',
    ),
    'rooms': (('--mode=train', '--rooms=7x9'), '7x9'),
    'masks': (('--mode=train', '--mask=square'), 'accepted in training: one image'),
}


@pytest.fixture(scope='module')
def complaints(tmp_path_factory):
    """Runs every bad command line; the folder of what they said."""
    folder = tmp_path_factory.mktemp('bad')
    write_clip_folder(folder / 'footage', _clip())
    (folder / 'file').write_text('in the way')
    (folder / 'square').mkdir()
    for index in range(4):
        media.write_image(
            folder / 'square' / f'{index:06d}.png', np.full((HEIGHT, HEIGHT, 3), 90, np.uint8)
        )
    media.write_image(folder / 'image.png', np.full((HEIGHT, 2 * HEIGHT, 3), 90, np.uint8))
    shutil.copytree(folder / 'footage' / 'walk' / 'rgb', folder / 'damaged')
    (folder / 'damaged' / '000002.png').write_bytes(
        (folder / 'damaged' / '000002.png').read_bytes()[:100]
    )
    (folder / 'empty.mp4').write_bytes(b'')
    (folder / 'text.mp4').write_text('no video')
    (folder / 'weights.npz').write_text('no weights')
    cases = {
        name: ['--mode=predict', f'--workdir=new_{name}', *TINY, *arguments]
        for name, (arguments, _) in BAD.items()
    }
    (folder / 'cases.json').write_text(json.dumps(cases))
    subprocess.run(
        [sys.executable, '-c', FORKING, str(ROOT), str(folder)],
        cwd=folder,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize('name', BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(complaints, name):
    said = (complaints / f'{name}.stderr').read_text()
    assert (complaints / f'{name}.code').read_text() == '1'
    assert 'Traceback' not in said
    sentences = [line for line in said.splitlines() if line.startswith('error: ')]
    assert said.splitlines()[-1:] == sentences and BAD[name][1] in sentences[0]
    assert not (complaints / f'new_{name}').exists()
    assert (complaints / 'file').read_text() == 'in the way'
    assert {path.name for path in (complaints / 'footage').iterdir()} == {'walk'}


@pytest.fixture(scope='module')
def predicted(tmp_path_factory):
    """Prediction with the networks that come with the package: a video of walls with a floor, its
    own scale, a damaged frame left out.
    """
    folder = tmp_path_factory.mktemp('default')
    images = folder / 'images'
    images.mkdir()
    for index, frame in enumerate(_clip().frames):
        media.write_image(images / f'{index:06d}.png', frame)
    (images / '000002.png').write_bytes(b'damaged')
    command = [
        sys.executable,
        str(ROOT / 'experiments' / 'depth_main.py'),
        f'--input={images}',
        f'--workdir={folder / "run"}',
        '--on_bad_frame=skip',
        '--camera_height=1.5',
        '--compilation_cache=',
    ]
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / 'run', done


def test_the_shipped_networks_predict_at_once_and_in_metres(predicted):
    workdir, done = predicted
    record = json.loads((workdir / 'run.json').read_text())
    assert (
        record['prediction']['unit'] == 'metre' and record['prediction']['camera_height_m'] == 1.5
    )
    assert {'before', 'after', 'overlap'} == set(record['prediction']['flicker'])
    # The frame that was left out is named, on the terminal and in the record, and the others keep
    # their numbers.
    assert '000002.png' in done.stderr and '000002.png' in record['data']['skipped'][0][0]
    assert {path.name for path in (workdir / 'depth').iterdir()} == {
        f'{i:06d}.png' for i in (0, 1, 3, 4, 5)
    }
    times, _ = geometry.read_tum(workdir / 'trajectory.txt')
    np.testing.assert_allclose(times * 24, [0, 1, 3, 4, 5], atol=1e-4)
    assert not (workdir / 'eval.json').exists()
