"""Both command lines under real signals, sent while they are known to work: what is kept, what is refused."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from common.checkpoint import Checkpoints
from common.run import open_run
from nas import trained
from nas.evaluations import read_records
from pano_depth import session
from pano_depth.datasets.clip import Clip
from pano_depth.datasets.clip_folder import write_clip_folder

ROOT = pathlib.Path(__file__).parents[2]
FRAMES, HEIGHT, STEPS = 12, 32, 12
# What one command compiles the next ones find. The depth networks compile long and run briefly.
ENVIRONMENT = {'JAX_PLATFORMS': 'cpu', 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
               'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1'}
FAST_COMPILER = {'depth_main': {'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}, 'nas_main': {}}
DEPTH = ('--mode=predict', f'--adapt={STEPS}', '--face_size=16', '--depth_channels=8,8',
         '--pose_channels=8,8', '--batch_size=1', '--stride=1', '--pyramid=1',
         '--checkpoint=none', '--log_every=1', '--compilation_cache=')
TRAIN = ('--mode=train', '--skeleton=digits', '--stages=1', '--growth=4', '--cell=bn_relu-lgconv1x1',
         '--epochs=10', '--batch_size=64', '--crop=1', '--nomirror',
         '--checkpoint_epochs=1000', '--compilation_cache=')
SEARCH = ('--skeleton=digits', '--stages=1', '--growth=4', '--epochs=200', '--objectives=error,params',
          '--keep=2', '--budget=4', '--executor=process',
          '--workers=2', '--compilation_cache=', '--measurement_cache=')

# Importing takes seconds: one interpreter for each command line, forked for each command.
FORKING = '''
import json, os, signal, sys, time
sys.path.insert(0, sys.argv[1])
import importlib
main = importlib.import_module('experiments.' + sys.argv[2])
if sys.argv[2] == 'nas_main':
    import sklearn.datasets
    from experiments import nas_flags, nas_search, nas_train
for line in sys.stdin:
    order = json.loads(line)
    if 'wait' in order:
        print(os.waitstatus_to_exitcode(os.waitpid(order['wait'], 0)[1]), flush=True)
        continue
    child = os.fork()
    if not child:
        for number in (signal.SIGINT, signal.SIGTERM):  # jobs in the background start with Ctrl-C ignored
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        for stream, descriptor in (('stdout', 1), ('stderr', 2)):
            os.dup2(os.open(f'{order["name"]}.{stream}', os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        if order['slow_save']:
            from common.checkpoint import Checkpoints
            save = Checkpoints.save
            Checkpoints.save = lambda *given: (time.sleep(60), save(*given))
        sys.argv = ['main', *order['arguments']]
        main.run()
    print(child, flush=True)
'''


class Commands:
    """Runs command lines in forks of one interpreter."""

    def __init__(self, main, folder):
        self._folder, self._count = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, '-c', FORKING, str(ROOT), main], cwd=folder, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | ENVIRONMENT | FAST_COMPILER[main])

    def _order(self, **order):
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def start(self, *arguments, slow_save=False):
        self._count += 1
        name = self._folder / f'command{self._count}'
        pid = self._order(name=str(name), arguments=arguments, slow_save=slow_save)
        return Command(pid, name, self._order)

    def close(self):
        self._process.communicate()


class Command:
    """A command that runs."""

    def __init__(self, pid, name, order):
        self.pid, self._name, self._order = pid, name, order

    def said(self, stream='stderr'):
        path = self._name.with_suffix(f'.{stream}')
        return path.read_text() if path.exists() else ''

    def send(self, number):
        os.kill(self.pid, number)

    def when(self, condition):
        """Waits until something is so while the command runs."""
        deadline = time.monotonic() + 200
        while not condition():
            state = pathlib.Path(f'/proc/{self.pid}/stat').read_text().rpartition(')')[2].split()[0]
            assert state != 'Z' and time.monotonic() < deadline, self.said()
            time.sleep(0.002)
        return self

    def wait(self):
        """The exit status."""
        return self._order(wait=self.pid)


def opened(main):
    @pytest.fixture(scope='module')
    def commands(tmp_path_factory):
        opened = Commands(main, tmp_path_factory.mktemp(main))
        yield opened
        opened.close()
    return commands


depth, nas = opened('depth_main'), opened('nas_main')


def lines(path):
    return path.read_bytes().count(b'\n') if path.exists() else 0


def rows(folder, *but):
    parsed = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in but} for row in parsed]


def last_line(command):
    return command.said().splitlines()[-1]


def saved_step(command, name, folder):
    """The step that a training which was stopped says it has saved."""
    pattern = (rf'stopped by {name}: the checkpoint of step (\d+) of \d+ is saved in {folder}; the same '
               'command goes on from there')
    return int(re.fullmatch(pattern, last_line(command))[1])


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def newest_step(folder):
    with Checkpoints(folder / 'checkpoints') as checkpoints:
        return checkpoints.latest_step()


def refuse_another(commands, first, command, folder):
    """Starts a command a second time while the first one rests."""
    first.send(signal.SIGSTOP)
    second = commands.start(*command)
    assert second.wait() == 1
    assert last_line(second) == f'error: workdir {folder} is in use by another run (process {first.pid})'
    first.send(signal.SIGCONT)


def whole_files(folder):
    return not any('tmp' in path.name for path in folder.rglob('*'))


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A clip folder of smooth colours that move."""
    lat, lon = np.meshgrid(np.linspace(1.5, -1.5, HEIGHT), np.arange(2 * HEIGHT) * np.pi / HEIGHT,
                           indexing='ij')
    waves = [np.stack([3 * lon + 0.1 * i, 2 * lon - 4 * lat, 5 * lat + 0.2 * i], axis=-1)
             for i in range(FRAMES)]
    frames = 0.5 + 0.4 * np.sin(np.stack(waves)) * np.cos(lat)[..., None]
    return write_clip_folder(tmp_path_factory.mktemp('clip'), Clip('walk', (frames * 255).astype(np.uint8)))


def test_depth_stopped_in_training_and_in_writing_ends_as_an_unbroken_run(depth, clip, tmp_path):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    unbroken = depth.start(*DEPTH, f'--input={clip}', f'--workdir={whole}')
    assert unbroken.wait() == 0, unbroken.said()
    command = *DEPTH, f'--input={clip}', f'--workdir={broken}'

    training = depth.start(*command).when(lambda: lines(broken / 'metrics.jsonl') >= 3)
    refuse_another(depth, training, command, broken)
    training.send(signal.SIGTERM)
    assert training.wait() == 143
    step = saved_step(training, 'SIGTERM', broken)
    assert 3 <= step < STEPS and newest_step(broken) == step == rows(broken)[-1]['step']
    assert whole_files(broken) and not (broken / 'depth').exists()

    writing = depth.start(*command).when(lambda: (broken / 'depth' / '000001.png').exists())
    writing.send(signal.SIGINT)
    assert writing.wait() == 130 and f'going on from the checkpoint of step {step}' in writing.said('stdout')
    said = re.match(rf'stopped by SIGINT: (\d+) of {FRAMES} depth images are in ', last_line(writing))
    assert int(said[1]) == len(list((broken / 'depth').iterdir())) and whole_files(broken)
    assert not (broken / 'report.html').exists()

    assert depth.start(*command).wait() == 0
    same(session.load_model(whole)[0], session.load_model(broken)[0])
    assert rows(whole, 'steps_per_second') == rows(broken, 'steps_per_second')
    for name in ('trajectory.txt', 'cloud.ply', *(f'depth/{index:06d}.png' for index in range(FRAMES))):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name


def test_a_network_stopped_in_training_goes_on_within_the_epoch(nas, tmp_path):
    command = *TRAIN, f'--workdir={tmp_path}'
    training = nas.start(*command).when(lambda: lines(tmp_path / 'metrics.jsonl') >= 2)
    refuse_another(nas, training, command, tmp_path)
    training.send(signal.SIGUSR1)
    assert training.wait() == 128 + signal.SIGUSR1
    step = saved_step(training, 'SIGUSR1', tmp_path)
    assert newest_step(tmp_path) == step and whole_files(tmp_path) and not (tmp_path / 'train.json').exists()
    assert trained.open_trained(tmp_path, which='last').step == step
    # To what end is what tests/nas/test_session.py sees.
    after = nas.start(*command)
    assert after.wait() == 0 and f'going on from the checkpoint of step {step}\n' in after.said('stdout')
    assert [row['epoch'] for row in rows(tmp_path)] == list(range(1, 11))


def test_a_second_ctrl_c_exits_without_saving(nas, tmp_path):
    training = nas.start(*TRAIN, f'--workdir={tmp_path}', slow_save=True)
    training.when(lambda: lines(tmp_path / 'metrics.jsonl'))
    training.send(signal.SIGINT)
    training.when(lambda: 'SIGINT: stopping after this step; Ctrl-C again stops at once\n' in training.said())
    training.send(signal.SIGINT)
    assert training.wait() == 130
    assert whole_files(tmp_path) and newest_step(tmp_path) is None


def workers(pid):
    """Processes that evaluate candidates for a command."""
    found = []
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            parent = int((folder / 'stat').read_text().rpartition(')')[2].split()[1])
            if parent == pid and 'nas.executors.worker' in (folder / 'cmdline').read_text():
                found.append(folder)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_candidates_in_other_processes_are_ended_and_have_not_failed(nas, tmp_path):
    search = nas.start(*SEARCH, f'--workdir={tmp_path}')
    search.when(lambda: len(workers(search.pid)) == 2)
    running = workers(search.pid)
    assert len(running) == 2
    refuse_another(nas, search, [*SEARCH, f'--workdir={tmp_path}'], tmp_path)
    search.send(signal.SIGTERM)
    assert search.wait() == 143
    assert last_line(search).startswith(f'stopped by SIGTERM: 0 of 4 evaluations are in {tmp_path}')
    assert not any(folder.exists() for folder in running)
    assert read_records(tmp_path / 'evaluations.jsonl')[0] == []


MODES = {
    'predict': (('depth', *DEPTH), '--input={clip}'), 'depth_train': (('depth', '--mode=train'), ''),
    'train': (('nas', *TRAIN), ''), 'search': (('nas', *SEARCH), ''),
}


def test_a_second_training_of_depth_is_refused(depth, tmp_path):
    with open_run(tmp_path, ''):
        command = depth.start('--mode=train', f'--workdir={tmp_path}')
        assert command.wait() == 1
    assert last_line(command) == f'error: workdir {tmp_path} is in use by another run (process {os.getpid()})'


@pytest.mark.parametrize('mode', MODES)
def test_a_workdir_that_cannot_be_written_is_one_sentence(mode, request, clip, tmp_path):
    (which, *arguments), more = MODES[mode]
    (tmp_path / 'file').write_text('mine')
    arguments += [f'--workdir={tmp_path}/file/run', *filter(None, [more.format(clip=clip)])]
    command = request.getfixturevalue(which).start(*arguments)
    assert command.wait() == 1
    assert last_line(command) == f'error: workdir {tmp_path}/file/run cannot be written: not a directory'
    assert 'Traceback' not in command.said() and (tmp_path / 'file').read_text() == 'mine'
