"""Wrong values of flags: one sentence with the flag, its value and what is accepted."""

import dataclasses

import pytest
from absl import flags as absl_flags

from common import options
from experiments import depth_flags, entry, flags, nas_flags, parsers


def flags_of(program):
    values = absl_flags.FlagValues()
    program.define(values)
    return values


def refused(values, *arguments):
    """The sentence that a command line ends with."""
    with pytest.raises((absl_flags.Error, ValueError)) as caught:
        values(['program', *arguments])
    return entry.refusal(caught.value, values)


@pytest.mark.parametrize(
    'program, argument, accepted',
    [
        (nas_flags, '--budget=many', 'a whole number from 1 up'),
        (nas_flags, '--budget=1e3', 'a whole number from 1 up'),
        (nas_flags, '--budget=0', 'a whole number from 1 up'),
        (nas_flags, '--early_stopping=maybe', 'true, false'),
        (nas_flags, '--learning_rate=nan', 'a finite number'),
        (nas_flags, '--rung_margin=-1', 'a finite number from 0 up'),
        (nas_flags, '--holdout=a: b', 'a finite number from 0 to 0.9'),
        (nas_flags, '--stages=2,b', 'whole numbers, separated by commas'),
        (nas_flags, '--executor=cloud', 'serial, process, ray, slurm'),
        (nas_flags, '--mode=find', 'cost, search, train, export, serve'),
        (depth_flags, '--mode=find', 'predict, eval, train, improve, export, view, cost'),
        (depth_flags, '--overwrite=', 'true, false'),
        (depth_flags, '--port=http', 'a whole number from 1 to 65535'),
    ],
)
def test_the_sentence_names_flag_value_and_what_is_accepted(program, argument, accepted):
    sentence = refused(flags_of(program), argument)
    assert sentence == f'{argument} cannot be used; accepted: {accepted}'


@pytest.mark.parametrize('program', [nas_flags, depth_flags])
def test_no_flag_answers_in_the_words_of_python(program):
    names = [
        flag.name
        for flag in flags.project_flags(flags_of(program))
        if parsers.accepted(flag.parser) is not None
    ]
    assert len(names) > 30
    for name in names:
        sentence = refused(flags_of(program), f'--{name}=~wrong~')
        assert sentence.startswith(f'--{name}=~wrong~ cannot be used; accepted: ')
        assert '(' not in sentence and 'None' not in sentence


def test_a_value_that_was_forgotten_is_said():
    sentence = refused(flags_of(nas_flags), '--budget', '--workdir=runs/x')
    assert sentence == '--budget needs a value; accepted: a whole number from 1 up'


@dataclasses.dataclass(frozen=True)
class Part:
    steps: int = 3
    least: float = 1.0
    most: float = 2.0

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f'steps is {self.steps}, it has to be at least 1')
        if self.least > self.most:
            raise ValueError(f'least, most are {self.least}, {self.most}; accepted: least <= most')


@dataclasses.dataclass(frozen=True)
class Whole:
    steps: int = 9
    part: Part = options.held(Part(), prefix='part_')

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f'steps is {self.steps}, it has to be at least 1')
        if self.steps > 99:
            raise ValueError('steps of this size take a day')


@pytest.mark.parametrize(
    'arguments, sentence',
    [
        (['--steps=0', '--part_steps=5'], '--steps is 0, it has to be at least 1'),
        (['--steps=5', '--part_steps=0'], '--part_steps is 0, it has to be at least 1'),
        (['--part_least=7.0'], '--part_least, most are 7.0, 2.0; accepted: least <= most'),
        (['--steps=100'], 'steps of this size take a day'),
    ],
)
def test_what_a_configuration_refuses_is_named_by_its_flag(arguments, sentence):
    values = absl_flags.FlagValues()
    flags.define(Whole, flag_values=values)
    values(['program', *arguments])
    with pytest.raises(ValueError) as caught:
        flags.build(Whole, flag_values=values)
    assert str(caught.value) == sentence
