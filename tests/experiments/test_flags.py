"""Flags derived from dataclasses, flagfiles that repeat a run, and errors in one sentence."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from typing import Literal, Optional

import pytest
from absl import flags as absl_flags

from experiments import flags


@dataclasses.dataclass(frozen=True)
class Config:
    name: str = dataclasses.field(default='rooms', metadata={'help': 'what to call it'})
    steps: int = dataclasses.field(default=10, metadata={'help': 'how long', 'lower_bound': 1})
    rate: float = 1e-3
    mirror: bool = True
    mode: Literal['full', 'single_pose'] = 'full'
    group: Literal[1, 2, 4] = 4
    widths: tuple[int, ...] = (16, 32)
    size: tuple[int, int] = (64, 128)
    mask: Optional[str] = None
    cap: float | None = None
    layout: object = None


def parse(*arguments):
    values = absl_flags.FlagValues()
    flags.define(Config, skip=('layout',), help={'rate': 'how fast'}, flag_values=values)
    values(['program', *arguments])
    return values


def test_without_arguments_the_defaults_come_back():
    values = parse()
    assert flags.build(Config, flag_values=values) == Config()
    assert values['steps'].help == 'how long' and values['rate'].help == 'how fast'
    assert flags.build(Config, flag_values=values, layout='cube', steps=3) == Config(layout='cube', steps=3)


ARGUMENTS = ['--name=a b # c', '--steps=7', '--rate=2e-4', '--nomirror', '--mode=single_pose', '--group=2',
             '--widths=8,16, 24', '--size=32,64', '--mask=m.png', '--cap=10']
EXPECTED = Config(name='a b # c', steps=7, rate=2e-4, mirror=False, mode='single_pose', group=2,
                  widths=(8, 16, 24), size=(32, 64), mask='m.png', cap=10.0)


def test_arguments_are_read_back_by_type():
    config = flags.build(Config, flag_values=parse(*ARGUMENTS))
    assert config == EXPECTED
    assert [type(value) for value in (config.group, config.cap, config.widths)] == [int, float, tuple]


@pytest.mark.parametrize('arguments', [[], ARGUMENTS, ['--widths=', '--name=', '--mirror']])
def test_the_flagfile_repeats_the_run(tmp_path, arguments):
    first = parse(*arguments)
    path = tmp_path / 'flags.txt'
    path.write_text(flags.as_flagfile(flag_values=first))
    again = absl_flags.FlagValues()
    flags.define(Config, skip=('layout',), flag_values=again)
    absl_flags.DEFINE_string('flagfile', None, '', again)
    again(['program', *path.read_text().splitlines()])
    assert flags.build(Config, flag_values=again) == flags.build(Config, flag_values=first)
    assert len(path.read_text().splitlines()) >= 8


@pytest.mark.parametrize('argument, message', [
    ('--steps=0', 'steps=0'), ('--steps=x', 'steps=x'), ('--mode=ful', r'mode=ful.*<full\|single_pose>'),
    ('--group=3', r'group=3.*<1\|2\|4>'), ('--widths=1,b', 'widths=1,b'),
    ('--size=1', 'size=1.*2 items'), ('--step=1', "'step'"),
])
def test_bad_values_are_refused_by_name(argument, message):
    with pytest.raises(absl_flags.Error, match=message):
        parse(argument)


def test_fields_shared_by_two_dataclasses_have_one_flag():
    @dataclasses.dataclass(frozen=True)
    class Other:
        steps: int = 10
        seed: int = 0

    @dataclasses.dataclass(frozen=True)
    class Clash:
        steps: int = 11

    values = absl_flags.FlagValues()
    flags.define(Config, skip=('layout',), flag_values=values)
    flags.define(Other, flag_values=values)
    values(['program', '--steps=5'])
    assert flags.build(Other, flag_values=values) == Other(steps=5)
    with pytest.raises(ValueError, match='steps of Clash'):
        flags.define(Clash, flag_values=values)


def test_what_has_no_flag_is_said_at_definition():
    with pytest.raises(ValueError, match='layout of Config'):
        flags.define(Config, flag_values=absl_flags.FlagValues())
    with pytest.raises(ValueError, match='skip names'):
        flags.define(Config, skip=('colour',), flag_values=absl_flags.FlagValues())


def test_a_field_without_default_has_to_be_given():
    @dataclasses.dataclass(frozen=True)
    class Required:
        path: str

    values = absl_flags.FlagValues()
    flags.define(Required, flag_values=values)
    values(['program'])
    with pytest.raises(ValueError, match='--path has to be given'):
        flags.build(Required, flag_values=values)


MAIN = """
'''Trains.'''
import atexit, dataclasses, os, signal, sys, time
from absl import flags as absl_flags
from experiments import flags

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
        signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background start with it ignored
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    if config.fault.startswith('SIG'):
        atexit.register(os.kill, os.getpid(), getattr(signal, config.fault))
    sys.stdout.write(flags.as_flagfile())

flags.run(main)
"""


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    script = tmp_path_factory.mktemp('main') / 'train_main.py'
    script.write_text(MAIN)
    environment = {**os.environ, 'PYTHONPATH': str(pathlib.Path(flags.__file__).parents[1])}

    def start(*arguments):
        done = subprocess.run([sys.executable, str(script), *arguments], env=environment, text=True,
                              capture_output=True, timeout=60, cwd=script.parent)
        return done.returncode, done.stdout, done.stderr

    return start


@pytest.mark.parametrize('argument, code, sentence', [
    ('--steps=101', 1, 'error: steps is 101, it has to be at most 100'),
    ('--fault=missing', 1, 'error: No such file or directory: no/such/file'),
    ('--fault=interrupt', 128 + signal.SIGINT, 'interrupted'),
    ('--flagfile=absent.flags', 1, 'absent.flags'),
    ('--step=5', 1, "error: Unknown command line flag 'step'"),
    ('--steps=many', 1, 'error: flag --steps=many'),
    ('train', 1, "error: unexpected argument 'train'"),
])
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
    assert start(f'--flagfile={tmp_path / "again.flags"}', '--steps=8')[1] == flagfile.replace('7', '8')
    code, _, stderr = start('--fault=bug')
    assert code == 1 and 'Traceback' in stderr and 'a bug' in stderr
    assert 'Traceback' in start('--traceback', '--steps=101')[2]
    code, stdout, _ = start('--help')
    assert 'Trains.' in stdout and '--steps' in stdout and '--workdir' in stdout
