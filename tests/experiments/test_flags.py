"""Flags derived from dataclasses, and flagfiles that repeat a run."""

import dataclasses
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
