"""Real faults in what both command lines write with: kill -9, limits on files, random damage.

`experiments/benchmarks/faults/faults.py` tries every fault on whole command lines.
"""

import contextlib
import errno
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import imageio_ffmpeg
import numpy as np
import pytest
from absl import logging

from common import checkpoint, logs
from common.checkpoint import Checkpoints
from common.run import open_run, write_json
from experiments.benchmarks.faults import fault_jobs, fault_trials
from experiments.benchmarks.faults.commands import Command
from nas.search.evaluations import append_record, read_records
from pano_depth.footage import media, video
from pano_depth.reconstruction import analysis
from pano_depth.results import ply

ROOT = str(pathlib.Path(checkpoint.__file__).parents[1])
KILLS, DAMAGES = 6, 40


@contextlib.contextmanager
def files_of_at_most(size):
    """A limit on what this process and those that it starts may write into a file, as a full disk
    has one.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def state(step):
    """What a training would save after a step, so large that writing takes a while."""
    params = np.random.default_rng(step).random(50_000)
    return {'params': params, 'empty': np.zeros((0, 2)), 'step': np.int64(step)}


# A training that does nothing but save, started again for each line of standard input.
SAVING = """
import os
import sys
from common.checkpoint import Checkpoints
from tests.experiments.benchmarks.faults.test_faults import state
for line in sys.stdin:
    child = os.fork()
    if not child:
        with Checkpoints(line.strip(), keep=2) as checkpoints:
            start = checkpoints.restore(state(0))
            for step in range(start[0] + 1 if start else 1, 10 ** 6):
                checkpoints.save(step, state(step), {'step': step})
    print(child, flush=True)
    os.waitpid(child, 0)
"""


def test_kill_9_at_random_moments_of_saving_loses_one_checkpoint_at_most(tmp_path, caplog):
    rng, newest = random.Random(0), 0
    server = subprocess.Popen(
        [sys.executable, '-c', SAVING],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {'PYTHONPATH': ROOT, 'JAX_PLATFORMS': 'cpu'},
    )
    with Checkpoints(tmp_path / 'checkpoints') as checkpoints:
        for _ in range(KILLS):
            print(checkpoints.directory, file=server.stdin, flush=True)
            child = int(server.stdout.readline())
            deadline = time.monotonic() + 60
            while (checkpoints.latest_step() or 0) <= newest:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.2))
            os.kill(child, signal.SIGKILL)
            with caplog.at_level('WARNING'):
                step, saved, metadata = checkpoints.restore(state(0))
            assert step == checkpoints.latest_step() > newest and not caplog.records
            assert metadata == {'step': step}
            for name, leaf in state(step).items():
                np.testing.assert_array_equal(saved[name], leaf)
            newest = step
    server.communicate()


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize('damage', [fault_trials.truncate, fault_trials.flip_bit])
def test_damage_at_any_byte_costs_one_checkpoint_and_is_said(tmp_path, damage, caplog):
    rng, passed_over, whole = random.Random(0), 0, tmp_path / 'whole'
    states = {step: {'w': np.arange(300.0) + step, 'n': np.int32(step)} for step in (1, 2)}
    with Checkpoints(whole) as checkpoints:
        for step, saved in states.items():
            checkpoints.save(step, saved, {'step': step})
    files = sorted(
        path.relative_to(whole)
        for path in (whole / '2').rglob('*')
        if path.is_file() and path.stat().st_size
    )
    for index in range(DAMAGES):
        folder = tmp_path / str(index)
        shutil.copytree(whole, folder)
        damage(rng, folder / rng.choice(files))
        caplog.clear()
        with caplog.at_level('WARNING'), Checkpoints(folder) as checkpoints:
            step, found, metadata = checkpoints.restore(states[1])
        # What Orbax keeps for itself may be damaged without harm.
        assert metadata == {'step': step}
        for name, leaf in states[step].items():
            np.testing.assert_array_equal(found[name], leaf)
        assert sum('damaged and passed over' in text for text in caplog.messages) == (step == 1)
        passed_over += step == 1
    assert passed_over > DAMAGES / 8


# TensorStore reports writes that were still going on when the first one failed to a closed event
# loop.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_a_checkpoint_that_finds_no_room_is_one_sentence_and_the_one_before_stays(tmp_path, caplog):
    logger = logging.get_absl_logger()
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state(1))
        logger.addHandler(caplog.handler)
        try:
            with pytest.raises(ValueError) as caught, files_of_at_most(20_000):
                checkpoints.save(2, state(2))
        finally:
            logger.removeHandler(caplog.handler)
        assert (
            str(caught.value)
            == f'the checkpoint of step 2 cannot be written to {tmp_path}: File too '
            'large; earlier checkpoints are intact'
        )
        assert not caplog.records and checkpoints.restore(state(0))[0] == 1
        checkpoints.save(2, state(2))
        assert checkpoints.restore(state(0))[0] == 2 and sorted(os.listdir(tmp_path)) == ['1', '2']


def fill_log(folder, rows):
    with logs.MetricLog(folder, resume_step=len(logs.read_metrics(folder))) as log:
        for step in range(len(logs.read_metrics(folder)) + 1, rows + 1):
            log.write(step, {f'metric{index}': step / 8 for index in range(12)})


@pytest.mark.parametrize('limit', [300, 5000, 9000])
def test_a_log_that_finds_no_room_stops_the_run_and_goes_on_later(tmp_path, limit):
    # With a thread of its own for the events, this waited for ever.
    with pytest.raises(OSError, match='File too large'), files_of_at_most(limit):
        fill_log(tmp_path, 100)
    assert len(logs.read_metrics(tmp_path)) < 100
    fill_log(tmp_path, 100)
    assert [row['step'] for row in logs.read_metrics(tmp_path)] == list(range(1, 101))
    assert {row['metric3'] * 8 - row['step'] for row in logs.read_metrics(tmp_path)} == {0}


@pytest.mark.parametrize('limit', [30, 500, 777])
def test_an_evaluation_that_finds_no_room_leaves_no_half_line(tmp_path, limit):
    path = tmp_path / 'evaluations.jsonl'
    record = lambda index: {'cell': f'cell {index}', 'status': 'ok', 'objectives': {'error': index}}
    write = lambda index: append_record(path, record(index))
    with pytest.raises(OSError, match='File too large'), files_of_at_most(limit):
        for index in range(20):
            write(index)
    records, notice = read_records(path)
    # A log may not end in half a line that the next one would be glued to.
    assert notice == '' and len(records) < 20
    for index in range(len(records), 20):
        write(index)
    assert [record['cell'] for record in read_records(path)[0]] == [
        f'cell {index}' for index in range(20)
    ]


def write_a_video(path, frames=30, killed_at=None):
    with video.write_video(path, 5) as append:
        for index in range(frames):
            append(noise(64, 128, 3, seed=index))
            if index == killed_at:
                kill_ffmpeg()


WRITERS = {
    'image.png': lambda path: media.write_image(path, noise(64, 128, 3)),
    'depth.png': lambda path: media.write_png16(path, noise(64, 128).astype(np.uint16)),
    'record.json': lambda path: write_json(path, {'values': list(range(2000))}),
    'cloud.ply': lambda path: ply.write_ply(path, np.ones((500, 3)), noise(500, 3)),
    'video.mp4': write_a_video,
}


@pytest.mark.parametrize('name', WRITERS)
def test_a_file_that_finds_no_room_is_not_there(tmp_path, name):
    sentence = 'File too large|cannot be written'
    with pytest.raises((OSError, ValueError), match=sentence), files_of_at_most(3000):
        WRITERS[name](tmp_path / name)
    assert os.listdir(tmp_path) == []
    WRITERS[name](tmp_path / name)
    assert os.listdir(tmp_path) == [name] and not fault_jobs.damaged_files(tmp_path)


def test_a_run_that_finds_no_room_says_where_in_one_sentence(tmp_path):
    for code in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(ValueError) as caught, open_run(tmp_path / 'run', ''):
            raise OSError(code, os.strerror(code))
        assert os.strerror(code) in str(caught.value) and str(tmp_path / 'run') in str(caught.value)
    # What is no fault of the disk stays what it is.
    with pytest.raises(FileNotFoundError), open_run(tmp_path / 'run', ''):
        (tmp_path / 'nothing').read_bytes()


def test_what_killed_writers_leave_is_cleared_up_by_the_next_run(tmp_path):
    with open_run(tmp_path, ''):
        pass
    (tmp_path / 'depth').mkdir()
    (tmp_path / '.clip.tmp31').mkdir()
    for name in ('.depth.tmp4711.mp4', 'depth/.000003.tmp4711.png', '.clip.tmp31/a.png'):
        (tmp_path / name).write_bytes(b'half')
    for name in ('.mine.tmp', '.tmp12', 'notes.tmp12.txt', 'depth/000002.png'):
        (tmp_path / name).write_bytes(b'mine')
    with open_run(tmp_path, ''):
        found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob('*') if path.is_file()}
    assert found == {
        '.lock',
        'flags.txt',
        'run.json',
        '.mine.tmp',
        '.tmp12',
        'notes.tmp12.txt',
        'depth/000002.png',
    }


def test_room_for_the_disparity_is_taken_before_it_is_needed(tmp_path):
    array = analysis.mapped(tmp_path / 'disparity', (3, 6, 16, 16))
    assert array.shape == (3, 6, 16, 16) and array.dtype == np.float32 and not array.any()
    # A file with holes would be ended by SIGBUS where the disk is full.
    assert (tmp_path / 'disparity').stat().st_blocks * 512 >= array.nbytes
    with pytest.raises(OSError), files_of_at_most(10_000):
        analysis.mapped(tmp_path / 'other', (3, 6, 16, 16))


@pytest.fixture
def folder_of_another_user():
    """An earlier run in a folder that this process may read only."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        with open_run(folder / 'run', '--steps=3'):
            pass
        for path in (folder / 'run', folder):
            os.chmod(path, 0o555)
        root = os.geteuid() == 0
        # Root may write anywhere.
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        for path in (folder, folder / 'run'):
            os.chmod(path, 0o755)


@pytest.mark.parametrize('name', ['run', 'new'])
def test_a_workdir_that_may_only_be_read_is_one_sentence(folder_of_another_user, name):
    with pytest.raises(ValueError) as caught:
        open_run(folder_of_another_user / name, '--steps=4')
    sentence = f'workdir {folder_of_another_user / name} cannot be written: permission denied'
    assert str(caught.value).lower() == sentence.lower()
    assert os.listdir(folder_of_another_user) == ['run']
    assert (folder_of_another_user / 'run' / 'flags.txt').read_text() == '--steps=3\n'


def kill_ffmpeg():
    """Kill -9 of the decoder or encoder that this process has started."""
    started = Command(os.getpid(), tempfile.gettempdir(), None).descendants()
    found = [pid for pid, line in started.items() if 'ffmpeg' in line]
    assert len(found) == 1
    os.kill(found[0], signal.SIGKILL)


def test_a_reader_of_video_that_dies_is_said_with_the_frames_that_came(tmp_path):
    path, frames = tmp_path / 'long.mp4', []
    write_a_video(path, 200)
    with pytest.raises(
        ValueError, match=r'long\.mp4 is damaged or cut short: \d+ frames'
    ) as caught:
        for frame in video.iter_video(path):
            frames.append(frame)
            if len(frames) == 3:
                kill_ffmpeg()
    assert 3 <= len(frames) < 200 and f' {len(frames)} frames' in str(caught.value)


def test_a_machine_without_ffmpeg_says_so(tmp_path, monkeypatch):
    def missing():
        raise RuntimeError('No ffmpeg exe could be found.')

    monkeypatch.setattr(imageio_ffmpeg, 'get_ffmpeg_exe', missing)
    with pytest.raises(ValueError, match='video needs ffmpeg: No ffmpeg exe'):
        write_a_video(tmp_path / 'a.mp4')
    assert os.listdir(tmp_path) == []


def test_a_writer_of_video_that_dies_leaves_none(tmp_path):
    with pytest.raises(
        ValueError, match=r'video .*a\.mp4 cannot be written; ffmpeg says: exit status -9'
    ):
        write_a_video(tmp_path / 'a.mp4', killed_at=10)
    assert os.listdir(tmp_path) == []
