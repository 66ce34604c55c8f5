"""common.options: configurations become flagfiles and are read back; differences are named."""

import dataclasses
import subprocess
import sys
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import options
from common.options import option


@dataclasses.dataclass(frozen=True)
class Inner:
    steps: int = option(10, 'how long', lower_bound=1)
    mirror: bool = option(True, 'mirror images')

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f'steps is {self.steps}')


@dataclasses.dataclass(frozen=True)
class Config:
    name: str = option('rooms', 'what to call it')
    mask: str | None = option(None, 'what to leave out')
    mode: Literal['full', 'single_pose'] = option('full', 'how faces move')
    widths: tuple[int, ...] = option((16, 32), 'channels')
    device: tuple[str, ...] = option((), 'where to measure', repeated=True)
    rate: float | None = option(None, 'how fast')
    inner: Inner = Inner(steps=7)


TEXT = st.text(st.characters(codec='utf-8', exclude_characters='\0'), max_size=8).filter(
    lambda text: len(text.splitlines()) < 2 and text == text.strip()
)
CONFIGS = st.builds(
    Config,
    name=TEXT,
    mask=st.none() | TEXT,
    mode=st.sampled_from(['full', 'single_pose']),
    widths=st.lists(st.integers(-5, 99), max_size=3).map(tuple),
    device=st.lists(TEXT, max_size=3).map(tuple),
    rate=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    inner=st.builds(Inner, steps=st.integers(1, 99), mirror=st.booleans()),
)


@given(CONFIGS)
def test_a_configuration_comes_back_from_its_flagfile(config):
    text = options.flagfile(config, input='x')
    assert options.from_flagfile(Config, text) == config
    assert list(options.differences(text, config, input='x')) == []


def test_the_lines_are_those_of_a_command():
    config = Config(device=('xla:gpu,batch=8', 'onnx'), inner=Inner(mirror=False))
    assert options.flagfile(config, input='a.mp4').splitlines() == [
        '--device=xla:gpu,batch=8',
        '--device=onnx',
        '--input=a.mp4',
        '--nomirror',
        '--mode=full',
        '--name=rooms',
        '--steps=10',
        '--widths=16,32',
    ]


@given(CONFIGS, CONFIGS)
def test_differences_are_exactly_the_options_that_differ(one, other):
    found = list(options.differences(options.flagfile(one), other, free={'name'}))
    values = options.values_of(one), options.values_of(other)
    differ = [key for key in values[0] if key != 'name' and values[0][key] != values[1][key]]
    assert len(found) == len(differ)


def test_a_number_may_be_written_otherwise():
    config = Config(rate=0.001, widths=(8, 16))
    assert list(options.differences('--rate=1e-3\n--widths=8, 16\n', config)) == []
    assert ('--rate=x', '--rate=0.001') in options.differences('--rate=x\n--widths=8,16', config)


def test_an_option_of_a_later_version_is_compared_with_its_default():
    assert list(options.differences('--name=rooms\n--unknown=3\n', Config())) == []
    assert ('no --mask', '--mask=m.png') in options.differences('', Config(mask='m.png'))


def test_the_message_names_both_values_and_the_directory():
    with pytest.raises(
        ValueError, match='workdir runs/a holds a search with --mirror, not --nomirror'
    ):
        options.check_same(
            options.flagfile(Config()),
            Config(inner=Inner(steps=7, mirror=False)),
            workdir='runs/a',
            what='search',
        )
    options.check_same(None, Config(), workdir='runs/a', what='search')


@pytest.mark.parametrize('names', [('a,b',), ('a', 'b,c'), ('',)])
def test_items_that_commas_would_tear_are_refused(names):
    with pytest.raises(ValueError, match='--names is .* commas separate'):
        options.flag_lines('names', names)


@pytest.mark.parametrize('text', ['two\nlines', 'end ', 'null\0', 'broken\udc80'])
def test_what_no_line_can_hold_is_refused_by_name(text):
    with pytest.raises(ValueError, match='--name is'):
        options.flagfile(Config(name=text))


@pytest.mark.parametrize(
    'line', ['--steps=x', '--mode=other', '--widths=1,b', '--rate=', '--steps=0']
)
def test_bad_lines_are_refused_by_name(line):
    with pytest.raises(ValueError, match=line.split('=')[0].strip('-')):
        options.from_flagfile(Config, line)


def test_names_are_unique():
    @dataclasses.dataclass(frozen=True)
    class Twice:
        steps: int = option(1, 'how long')
        inner: Inner = Inner()

    with pytest.raises(ValueError, match='two options of the name steps'):
        options.fields_of(Twice)


def test_a_prefix_keeps_two_options_of_one_name_apart():
    @dataclasses.dataclass(frozen=True)
    class Twice:
        steps: int = option(1, 'how long')
        inner: Inner = options.held(Inner(steps=4), prefix='inner_')

    config = Twice(steps=2, inner=Inner(steps=5, mirror=False))
    text = options.flagfile(config)
    assert text.splitlines() == ['--noinner_mirror', '--inner_steps=5', '--steps=2']
    assert options.from_flagfile(Twice, text) == config
    assert options.make(Twice, {'inner_mirror': False}).inner == Inner(steps=4, mirror=False)
    assert list(options.differences('--inner_steps=5', Twice())) == [
        ('--inner_steps=5', '--inner_steps=4')
    ]


def test_made_from_values_the_outer_default_stays():
    assert options.make(Config, {'mirror': False}).inner == Inner(steps=7, mirror=False)


def test_optional_fields_are_none_until_they_are_given():
    choice = options.optional_fields('Choice', Inner, 'what differs')
    assert choice() == choice(steps=None, mirror=None) and choice(steps=3).steps == 3
    assert options.fields_of(choice)['steps'][0].metadata['help'] == 'how long'


def test_nothing_heavy_is_imported():
    code = (
        'import sys, common.options; print([m for m in ("jax", "numpy", "absl") if m in'
        ' sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
