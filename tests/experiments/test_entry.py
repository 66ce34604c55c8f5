"""Whole programs: errors in one sentence, exit codes, flagfiles that repeat a run."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from experiments import entry

MAIN = """
'''Trains.'''
import atexit, dataclasses, os, signal, sys, time
from absl import flags as absl_flags
from common import options
from experiments import entry, flags, usage

@dataclasses.dataclass(frozen=True)
class Config:
    steps: int = 10
    fault: str = ''
    def __post_init__(self):
        if self.steps > 100:
            raise ValueError(f'steps is {self.steps},\\n it has to be at most 100')

flags.define(Config)
absl_flags.DEFINE_string('workdir', None, 'where to write')

def main():
    config = flags.build(Config)
    if config.fault == 'missing':
        open('no/such/file')
    if config.fault == 'bug':
        raise TypeError('a bug')
    if config.fault == 'interrupt':
        # Jobs in the background start with it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    if config.fault.startswith('SIG'):
        atexit.register(os.kill, os.getpid(), getattr(signal, config.fault))
    sys.stdout.write(options.flagfile(config, workdir=absl_flags.FLAGS.workdir))

EXAMPLES = [('train --steps=3', 'three steps')]
USAGE = usage.Usage('train', 'trains something.', EXAMPLES, {'How': ('steps', 'workdir')})
entry.run(main, USAGE)
"""


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    script = tmp_path_factory.mktemp('main') / 'train_main.py'
    script.write_text(MAIN)
    script.with_suffix('.pyc').write_bytes(b'\xf0\x00')
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(entry.__file__).parents[1])}

    def start(*arguments):
        done = subprocess.run(
            [sys.executable, str(script), *arguments],
            env=environment,
            text=True,
            capture_output=True,
            timeout=60,
            cwd=script.parent,
        )
        return done.returncode, done.stdout, done.stderr

    return start


@pytest.mark.parametrize(
    'argument, code, sentence',
    [
        ('--steps=101', 1, 'error: --steps is 101, it has to be at most 100'),
        ('--fault=missing', 1, 'error: No such file or directory: no/such/file'),
        ('--fault=interrupt', 128 + signal.SIGINT, 'interrupted'),
        ('--flagfile=absent.flags', 1, 'error: --flagfile=absent.flags cannot be read: No such'),
        ('--flagfile=train_main.pyc', 1, 'error: --flagfile names a file that is no text'),
        ('--stderrthreshold=loud', 1, "not 'loud'"),
        ('--step=5', 1, "error: Unknown command line flag 'step'"),
        ('--steps=many', 1, 'error: --steps=many cannot be used; accepted: a whole number'),
        ('train', 1, "error: unexpected argument 'train'"),
    ],
)
def test_errors_are_one_sentence(start, argument, code, sentence):
    actual, stdout, stderr = start(argument)
    assert actual == code and stdout == ''
    assert sentence in stderr and len(stderr.splitlines()) == 1


@pytest.mark.parametrize('signal_at_exit', ['SIGTERM', 'SIGUSR1'])
def test_a_finished_job_is_not_failed_by_a_request_to_stop(start, signal_at_exit):
    code, flagfile, stderr = start(f'--fault={signal_at_exit}')
    assert (code, stderr) == (0, '') and signal_at_exit in flagfile


def test_a_whole_main(start, tmp_path):
    code, flagfile, _ = start('--workdir=out', '--steps=7', '--fault=')
    assert (code, flagfile) == (0, '--fault=\n--steps=7\n--workdir=out\n')
    (tmp_path / 'again.flags').write_text(flagfile)
    assert start(f'--flagfile={tmp_path / "again.flags"}', '--steps=8')[1] == flagfile.replace(
        '7', '8'
    )
    code, _, stderr = start('--fault=bug')
    assert code == 1 and 'Traceback' in stderr and 'a bug' in stderr
    assert 'Traceback' in start('--traceback', '--steps=101')[2]


@pytest.mark.parametrize('argument', ['--help', '-h', '--helpshort', '--help=true'])
def test_help_shows_the_flags_that_users_need(start, argument):
    code, stdout, stderr = start(argument)
    assert (code, stderr) == (0, '') and 'Trains' not in stdout
    assert 'train: trains something.' in stdout and 'train --steps=3' in stdout
    assert 'How:' in stdout and '--steps' in stdout and '--workdir' in stdout
    assert '--fault' not in stdout and '--helpfull lists all 4 flags' in stdout
    assert '(default: 10)' in stdout


def test_helpfull_shows_all(start):
    code, stdout, stderr = start('--helpfull')
    assert (code, stderr) == (0, '') and '--fault' in stdout and '--[no]traceback' in stdout


EARLY = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from experiments import depth_main
sys.argv[0] = 'pano-depth'
try:
    depth_main.run()
except SystemExit as ended:
    print(ended.code, sorted({'jax', 'tensorflow_datasets', 'pano_depth'} & set(sys.modules)))
"""


def test_a_missing_workdir_is_told_before_anything_is_imported(tmp_path):
    root = str(pathlib.Path(entry.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, '-c', EARLY, root, '--input=video.mp4', '--npy', '--max_frames', '3'],
        cwd=tmp_path,
        text=True,
        capture_output=True,
    )
    assert done.stdout == '1 []\n'
    assert done.stderr == "error: --workdir has to name a directory, new or an earlier run's\n"


@pytest.mark.parametrize(
    'arguments, ends',
    [
        (['--workdir=runs/x'], False),
        (['--workdir', '-odd'], False),
        (['--npy', '--workdir=a', '--unknown=3'], False),
        (['--flagfile=run.flags'], False),
        (['--help'], False),
        (['--helpfull'], False),
        # `run` says what is wrong with it.
        (['--flagfile=nowhere.flags'], False),
        (['--workdir='], True),
        (['--flagfile=other.flags', '--input=workdir'], True),
        ([], True),
    ],
)
def test_workdirs_are_looked_for_where_flags_are(arguments, ends, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'run.flags').write_text('--adapt=3\n--workdir=runs/x\n')
    (tmp_path / 'other.flags').write_text('--adapt=3\n')
    if not ends:
        entry.require_workdir(['pano-depth', *arguments])
        return
    with pytest.raises(SystemExit) as caught:
        entry.require_workdir(['pano-depth', *arguments])
    assert caught.value.code == 1 and '--workdir has to name' in capsys.readouterr().err
