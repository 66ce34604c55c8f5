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
import math
import sys
import typing

from absl import flags as absl_flags

from common import options

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
    return options.make(cls, values)


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
    parser, serializer = _parser_of(cls, field, kind)
    default = options.default_of(field)
    if field.metadata.get('repeated'):
        return absl_flags.MultiFlag(
            parser, serializer, name, None if default is None else list(default), text
        )
    if isinstance(parser, absl_flags.BooleanParser):
        return absl_flags.BooleanFlag(name, default, text)
    return absl_flags.Flag(parser, serializer, name, default, text)


class _FloatParser(absl_flags.FloatParser):
    """A finite number; NaN would lie within any bounds."""

    def convert(self, argument):
        value = super().convert(argument)
        if not math.isfinite(value):
            raise ValueError('value should be a finite number')
        return value


class _ChoiceParser(absl_flags.ArgumentParser):
    """One of a `Literal`'s values."""

    def __init__(self, choices):
        self._choices = {str(choice): choice for choice in choices}
        self.syntactic_help = f'<{"|".join(self._choices)}>'

    def parse(self, argument):
        if str(argument) not in self._choices:
            raise ValueError(f'value should be one of <{"|".join(self._choices)}>')
        return self._choices[str(argument)]


class _TupleParser(absl_flags.ArgumentParser):
    """Comma-separated values of one type, of a fixed number or any number."""

    syntactic_help = 'a comma separated list'

    def __init__(self, item_parser, length):
        self._item_parser, self._length = item_parser, length

    def parse(self, argument):
        items = argument.split(',') if isinstance(argument, str) and argument else argument or ()
        values = tuple(
            self._item_parser.parse(item.strip() if isinstance(item, str) else item)
            for item in items
        )
        if self._length is not None and len(values) != self._length:
            raise ValueError(f'value should have {self._length} items separated by commas')
        return values


def _parser_of(cls, field, kind):
    """The absl parser and serializer of an option's type."""
    kind = options.literal(kind)
    bounds = {name: field.metadata.get(name) for name in ('lower_bound', 'upper_bound')}
    scalars = {
        bool: absl_flags.BooleanParser,
        str: absl_flags.ArgumentParser,
        int: lambda: absl_flags.IntegerParser(**bounds),
        float: lambda: _FloatParser(**bounds),
    }
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in scalars:
        return scalars[kind](), absl_flags.ArgumentSerializer()
    if origin is typing.Literal:
        return _ChoiceParser(arguments), absl_flags.ArgumentSerializer()
    if (
        origin is tuple
        and len(set(arguments) - {Ellipsis}) == 1
        and arguments[0] in (int, float, str)
    ):
        if field.metadata.get('repeated'):
            return scalars[arguments[0]](), absl_flags.ArgumentSerializer()
        length = None if Ellipsis in arguments else len(arguments)
        return _TupleParser(scalars[arguments[0]](), length), absl_flags.ListSerializer(',')
    raise ValueError(
        f'the option {field.name} of {cls.__name__} has the type {kind}, which has no flag: skip it'
    )
