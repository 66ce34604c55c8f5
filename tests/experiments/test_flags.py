"""Flags derived from dataclasses, and flagfiles that repeat a run."""

import dataclasses
from typing import Literal

import pytest
from absl import flags as absl_flags

from common import options
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
    mask: str | None = None
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
    assert flags.build(Config, flag_values=values, layout='cube', steps=3) == Config(
        layout='cube', steps=3
    )


ARGUMENTS = [
    '--name=a b # c',
    '--steps=7',
    '--rate=2e-4',
    '--nomirror',
    '--mode=single_pose',
    '--group=2',
    '--widths=8,16, 24',
    '--size=32,64',
    '--mask=m.png',
    '--cap=10',
]
EXPECTED = Config(
    name='a b # c',
    steps=7,
    rate=2e-4,
    mirror=False,
    mode='single_pose',
    group=2,
    widths=(8, 16, 24),
    size=(32, 64),
    mask='m.png',
    cap=10.0,
)


def test_arguments_are_read_back_by_type():
    config = flags.build(Config, flag_values=parse(*ARGUMENTS))
    assert config == EXPECTED
    assert [type(value) for value in (config.group, config.cap, config.widths)] == [
        int,
        float,
        tuple,
    ]


@pytest.mark.parametrize('arguments', [[], ARGUMENTS, ['--widths=', '--name=', '--mirror']])
def test_the_flagfile_repeats_the_run(tmp_path, arguments):
    first = parse(*arguments)
    path = tmp_path / 'flags.txt'
    path.write_text(options.flagfile(flags.build(Config, flag_values=first)))
    again = absl_flags.FlagValues()
    flags.define(Config, skip=('layout',), flag_values=again)
    absl_flags.DEFINE_string('flagfile', None, '', again)
    again(['program', *path.read_text().splitlines()])
    assert flags.build(Config, flag_values=again) == flags.build(Config, flag_values=first)
    assert len(path.read_text().splitlines()) >= 8


@pytest.mark.parametrize(
    'argument, message',
    [
        ('--steps=0', 'steps=0'),
        ('--steps=x', 'steps=x'),
        ('--mode=ful', r'mode=ful.*<full\|single_pose>'),
        ('--group=3', r'group=3.*<1\|2\|4>'),
        ('--widths=1,b', 'widths=1,b'),
        ('--size=1', 'size=1.*2 items'),
        ('--step=1', "'step'"),
    ],
)
def test_bad_values_are_refused_by_name(argument, message):
    with pytest.raises(absl_flags.Error, match=message):
        parse(argument)


def test_options_of_one_name_share_a_flag_and_keep_their_own_defaults():
    @dataclasses.dataclass(frozen=True)
    class Other:
        steps: int = 11
        seed: int = 0

    @dataclasses.dataclass(frozen=True)
    class Clash:
        steps: str = '11'

    def both(*arguments):
        values = absl_flags.FlagValues()
        flags.define(Config, skip=('layout',), flag_values=values)
        flags.define(Other, flag_values=values)
        values(['program', *arguments])
        return [flags.build(cls, flag_values=values) for cls in (Config, Other)]

    assert both('--steps=5') == [Config(steps=5), Other(steps=5)]
    assert both('--seed=1') == [Config(), Other(seed=1)]
    with pytest.raises(ValueError, match='steps of Clash'):
        values = absl_flags.FlagValues()
        flags.define(Config, skip=('layout',), flag_values=values)
        flags.define(Clash, flag_values=values)


def test_options_of_what_a_dataclass_holds_are_flags_too():
    @dataclasses.dataclass(frozen=True)
    class Holder:
        devices: tuple[str, ...] = options.option((), 'where', repeated=True)
        config: Config = Config(steps=3)

    values = absl_flags.FlagValues()
    flags.define(Holder, skip=('layout',), flag_values=values)
    values(['program', '--devices=a,b', '--devices=c', '--rate=2'])
    assert flags.build(Holder, flag_values=values) == Holder(
        ('a,b', 'c'), Config(steps=3, rate=2.0)
    )


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
