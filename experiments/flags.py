"""Flags from dataclasses, and dataclasses from flags.

Each default is written once, in a frozen dataclass of the library. Its options (`common.options`),
and those of the dataclasses that it holds, become flags of the same names:

    @dataclasses.dataclass(frozen=True)
    class TrainConfig:
        steps: int = option(1000, 'number of optimiser steps', lower_bound=1)
        mode: Literal['full', 'single_pose'] = option('full', 'how faces move')

    flags.define(TrainConfig)                    # at import of the main module
    config = flags.build(TrainConfig)            # in main
"""

import dataclasses
import re
import sys
import typing

from absl import flags as absl_flags

from common import options
from experiments.parsers import parser_of

FLAGS = absl_flags.FLAGS


def define(cls, *, help=None, skip=(), flag_values=FLAGS):
    """Registers one flag for each option of a dataclass.

    Accepted types: bool, int, float, str, `Literal` of strings or ints (an enum), `tuple[T, ...]`
    and `tuple[T, T]` of int, float or str (comma-separated, or repeated if the option says so), and
    each of them `| None`. If an earlier dataclass has the same option with the same type, both
    share one flag; if their defaults differ, each dataclass takes its own.

    Args:
        cls: the dataclass.
        help: dict of option name to help text, in place of the options' own.
        skip: names of options that get no flag; `build` takes them as overrides.
        flag_values: where to register, the process's flags unless in a test.

    Raises:
        ValueError: if an option's type has no flag, an option in `skip` does not exist, or the name
            is taken by another flag.
    """
    fields, headings = options.fields_of(cls), _headings(cls)
    unknown = set(skip) - set(fields)
    if unknown:
        raise ValueError(f'skip names {sorted(unknown)}, which {cls.__name__} does not have')
    for name, (field, kind) in fields.items():
        if name in skip:
            continue
        if name in flag_values:
            _share(cls, name, field, kind, flag_values[name])
            continue
        text = (help or {}).get(name) or field.metadata.get('help', '')
        flag = _make_flag(cls, name, field, kind, text)
        flag.kind, flag.heading = options.literal(kind), headings[name]
        absl_flags.DEFINE_flag(flag, flag_values, module_name=__name__)


def build(cls, *, flag_values=FLAGS, **overrides):
    """Makes the dataclass from the flags that are given; all other options take its own defaults.

    Args:
        cls: a dataclass whose options were registered by `define`.
        flag_values: where to read.
        **overrides: values of options that replace their flags, or that have no flag.

    Returns:
        An instance of `cls`.

    Raises:
        ValueError: if a flag without default is not given, or the dataclass itself refuses a value.
    """
    values = dict(overrides)
    for name in options.fields_of(cls):
        if name not in values and name in flag_values and is_given(name, flag_values=flag_values):
            value = flag_values[name].value
            values[name] = tuple(value) if isinstance(value, list) else value
    try:
        return options.make(cls, values)
    except ValueError as error:
        raise ValueError(_with_dashes(str(error), cls, values)) from error


def _with_dashes(message, cls, values):
    """The message of a dataclass that refuses its fields: 'epochs is 0' -> '--epochs is 0'."""
    head = re.match(r'\w+(?:, \w+)*(?= (?:is|are) )', message)
    for word in head[0].split(', ') if head else ():
        # Two configurations may have fields of one name, whose flags differ by a prefix.
        found = [
            name
            for name, (field, _) in options.fields_of(cls).items()
            if field.name == word and name in values
        ]
        found.sort(key=lambda name: str(values[name]) not in message)
        if found:
            message = re.sub(rf'\b{word}\b', f'--{found[0]}', message, count=1)
    return message


def is_given(name, *, flag_values=FLAGS):
    """Whether a flag was set, on the command line or in a flagfile."""
    return not flag_values[name].using_default_value


def project_flags(flag_values):
    """Flags that modules of this package or the started script defined, sorted by name."""
    package = __name__.rpartition('.')[0] + '.'
    found = {
        flag.name: flag
        for module, flags in flag_values.flags_by_module_dict().items()
        if module.startswith(package) or module == sys.argv[0]
        for flag in flags
    }
    return [found[name] for name in sorted(found)]


def _headings(cls):
    """{option: summary of the dataclass that has it}, for the help."""
    kinds, found = typing.get_type_hints(cls), {}
    for field in dataclasses.fields(cls):
        kind = kinds[field.name]
        about = (cls.__doc__ or cls.__name__).strip().partition('\n')[0].rstrip('.')
        inner = {field.name: about}
        if dataclasses.is_dataclass(kind):
            prefix = options.prefix_of(field)
            inner = {prefix + name: heading for name, heading in _headings(kind).items()}
        found.update(inner)
    return found


def _share(cls, name, field, kind, flag):
    """Lets a dataclass use an existing flag; if their defaults differ, the flag shows none."""
    if getattr(flag, 'kind', None) != options.literal(kind):
        raise ValueError(
            f'the option {name} of {cls.__name__} needs a flag of its own: --{name} is defined with'
            ' another type'
        )
    if flag.using_default_value and flag.default != options.default_of(field):
        flag.default = flag.value = None


def _make_flag(cls, name, field, kind, text):
    """The flag of an option."""
    parser, serializer = parser_of(cls, field, kind)
    default = options.default_of(field)
    if field.metadata.get('repeated'):
        return absl_flags.MultiFlag(
            parser, serializer, name, None if default is None else list(default), text
        )
    if isinstance(parser, absl_flags.BooleanParser):
        return absl_flags.BooleanFlag(name, default, text)
    return absl_flags.Flag(parser, serializer, name, default, text)
