"""Both command lines under real signals during their work: what is kept, and what is refused.

`experiments/benchmarks/faults/faults.py` sends every signal to every job at random moments.
"""

import json
import re
import signal

import numpy as np
import pytest

from common.checkpoint import Checkpoints
from experiments.benchmarks.faults.commands import Commands, alive
from experiments.benchmarks.faults.fault_jobs import ENVIRONMENTS
from nas.search.evaluations import read_records
from pano_depth.footage.clip import Clip
from pano_depth.footage.clip_folder import write_clip_folder

pytestmark = pytest.mark.slow
FRAMES, HEIGHT, STEPS = 12, 32, 12
DEPTH = (
    '--mode=predict',
    f'--adapt={STEPS}',
    '--face_size=16',
    '--depth_channels=8,8',
    '--pose_channels=8,8',
    '--batch_size=1',
    '--stride=1',
    '--pyramid=1',
    '--checkpoint=none',
    '--log_every=1',
    '--compilation_cache=',
)
SEARCH = (
    '--skeleton=digits',
    '--stages=1',
    '--growth=4',
    '--epochs=200',
    '--objectives=error,params',
    '--keep=2',
    '--budget=4',
    '--executor=process',
    '--workers=2',
    '--compilation_cache=',
    '--measurement_cache=',
)


def opened(main):
    @pytest.fixture(scope='module')
    def commands(tmp_path_factory):
        with Commands(
            main, tmp_path_factory.mktemp(main), environment=ENVIRONMENTS[main]
        ) as commands:
            yield commands

    return commands


depth, nas = opened('depth_main'), opened('nas_main')


def lines(path):
    return path.read_bytes().count(b'\n') if path.exists() else 0


def rows(folder):
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


def saved_step(command, name, folder):
    """The step that a training which was stopped says it has saved."""
    pattern = (
        rf'stopped by {name}: the checkpoint of step (\d+) of \d+ is saved in {folder}; the same '
        'command goes on from there'
    )
    return int(re.fullmatch(pattern, command.last_line())[1])


def newest_step(folder):
    with Checkpoints(folder / 'checkpoints') as checkpoints:
        return checkpoints.latest_step()


def refuse_another(commands, first, command, folder):
    """Starts a command a second time while the first one rests."""
    first.send(signal.SIGSTOP)
    second = commands.start(*command)
    assert second.wait() == 1
    assert (
        second.last_line()
        == f'error: workdir {folder} is in use by another run (process {first.pid})'
    )
    first.send(signal.SIGCONT)


def whole_files(folder):
    return not any('tmp' in path.name for path in folder.rglob('*'))


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A clip folder of smooth colours that move."""
    lat, lon = np.meshgrid(
        np.linspace(1.5, -1.5, HEIGHT), np.arange(2 * HEIGHT) * np.pi / HEIGHT, indexing='ij'
    )
    waves = [
        np.stack([3 * lon + 0.1 * i, 2 * lon - 4 * lat, 5 * lat + 0.2 * i], axis=-1)
        for i in range(FRAMES)
    ]
    frames = 0.5 + 0.4 * np.sin(np.stack(waves)) * np.cos(lat)[..., None]
    return write_clip_folder(
        tmp_path_factory.mktemp('clip'), Clip('walk', (frames * 255).astype(np.uint8))
    )


def test_depth_stopped_in_training_goes_on(depth, clip, tmp_path):
    command = *DEPTH, f'--input={clip}', f'--workdir={tmp_path}'
    training = depth.start(*command).when(lambda: lines(tmp_path / 'metrics.jsonl') >= 3)
    refuse_another(depth, training, command, tmp_path)
    training.send(signal.SIGTERM)
    assert training.wait() == 143
    step, before = saved_step(training, 'SIGTERM', tmp_path), rows(tmp_path)
    assert 3 <= step < STEPS and newest_step(tmp_path) == step == before[-1]['step']
    assert whole_files(tmp_path) and not (tmp_path / 'depth').exists()

    # That it ends as an unbroken run is what tests/pano_depth/test_train.py sees.
    after = depth.start(*command)
    assert after.wait() == 0 and f'going on from the checkpoint of step {step}\n' in after.said(
        'stdout'
    )
    assert rows(tmp_path)[:step] == before
    assert [row['step'] for row in rows(tmp_path)] == list(range(1, STEPS + 1))
    assert newest_step(tmp_path) == STEPS and len(list((tmp_path / 'depth').iterdir())) == FRAMES


def test_a_second_ctrl_c_exits_without_saving(depth, clip, tmp_path):
    training = depth.start(*DEPTH, f'--input={clip}', f'--workdir={tmp_path}', slow_save=60)
    training.when(lambda: lines(tmp_path / 'metrics.jsonl'))
    training.send(signal.SIGINT)
    training.when(
        lambda: 'SIGINT: stopping after this step; Ctrl-C again stops at once\n' in training.said()
    )
    training.send(signal.SIGINT)
    assert training.wait() == 130
    assert whole_files(tmp_path) and newest_step(tmp_path) is None


def test_candidates_in_other_processes_are_ended_and_have_not_failed(nas, tmp_path):
    search = nas.start(*SEARCH, f'--workdir={tmp_path}')
    search.when(lambda: len(search.descendants()) == 2)
    running = search.descendants()
    search.send(signal.SIGTERM)
    assert search.wait() == 143
    assert search.last_line().startswith(
        f'stopped by SIGTERM: 0 of 4 evaluations are in {tmp_path}'
    )
    assert len(running) == 2 and not any(map(alive, running))
    assert read_records(tmp_path / 'evaluations.jsonl')[0] == []
