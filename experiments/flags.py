"""Flags from dataclasses, and flagfiles that repeat a run.

Each default lives once, in a frozen dataclass of the library; its fields become flags of the same names:

    @dataclasses.dataclass(frozen=True)
    class TrainConfig:
        steps: int = field(default=1000, metadata={'help': 'number of optimiser steps', 'lower_bound': 1})
        mode: Literal['full', 'single_pose'] = field(default='full', metadata={'help': 'how faces move'})

    flags.define(TrainConfig)                    # at import of the main module
    config = flags.build(TrainConfig)            # in main
    open_run(workdir, flags.as_flagfile())
"""

import dataclasses
import math
import sys
import types
import typing

from absl import flags as absl_flags

FLAGS = absl_flags.FLAGS

_NOT_PART_OF_A_RUN = ('traceback',)


def define(cls, *, help=None, skip=(), flag_values=FLAGS):
    """Registers one flag for each field of a dataclass, with the field's default.

    Accepted types: bool, int, float, str, `Literal` of strings or ints (an enum), `tuple[T, ...]` and
    `tuple[T, T]` of int, float or str (comma-separated), and each of them `| None` with the default None. A
    field may carry `metadata={'help': ..., 'lower_bound': ..., 'upper_bound': ...}`; the bounds are for
    numbers. A field that an earlier dataclass has too shares its flag, if type and default are the same.

    Args:
      cls: the dataclass.
      help: dict of field name to help text, over the fields' metadata.
      skip: names of fields that get no flag; `build` takes them as overrides.
      flag_values: where to register, the process's flags unless in a test.

    Raises:
      ValueError: if a field's type has no flag, a field in `skip` does not exist, or the name is taken by
        another flag.
    """
    unknown = set(skip) - {field.name for field in dataclasses.fields(cls)}
    if unknown:
        raise ValueError(f'skip names {sorted(unknown)}, which {cls.__name__} does not have')
    for field in _flag_fields(cls, skip):
        text = (help or {}).get(field.name) or field.metadata.get('help', '')
        parser, serializer = _parser_of(cls, field)
        if field.name in flag_values:
            _check_shared(cls, field, flag_values[field.name])
            continue
        if isinstance(parser, absl_flags.BooleanParser):
            flag = absl_flags.BooleanFlag(field.name, _default(field), text)
        else:
            flag = absl_flags.Flag(parser, serializer, field.name, _default(field), text)
        flag.field = field
        absl_flags.DEFINE_flag(flag, flag_values, module_name=__name__)


def define_float(name, default, help, *, lower_bound=None, upper_bound=None, flag_values=FLAGS):
    """Registers a flag that takes a finite number.

    Args:
      name, default, help: of the flag.
      lower_bound, upper_bound: of its value, themselves accepted; or None.
      flag_values: where to register.
    """
    absl_flags.DEFINE(_FloatParser(lower_bound, upper_bound), name, default, help, flag_values,
                      absl_flags.ArgumentSerializer())


def build(cls, *, flag_values=FLAGS, **overrides):
    """Makes the dataclass from the flags' values.

    Args:
      cls: a dataclass whose fields were registered by `define`.
      flag_values: where to read.
      **overrides: fields to set otherwise, those that were skipped among them.

    Returns:
      An instance of `cls`.

    Raises:
      ValueError: if a flag without default is not given, or the dataclass itself refuses a value.
    """
    values = dict(overrides)
    for field in dataclasses.fields(cls):
        if field.name in values or not field.init or field.name not in flag_values:
            continue
        values[field.name] = flag_values[field.name].value
        if values[field.name] is None and _is_required(field):
            raise ValueError(f'--{field.name} has to be given')
    return cls(**values)


def as_flagfile(*, flag_values=FLAGS):
    """The flags of this project with their present values, as the text of a flagfile that repeats the run.

    Flags whose value is None are left out, as are those of absl and of other libraries.

    Returns:
      Lines `--name=value`, booleans `--name` and `--noname`, sorted by name.

    Raises:
      ValueError: if a value is no text that a line of a flagfile can hold; names the flag.
    """
    lines = []
    for flag in project_flags(flag_values):
        line = '' if flag.value is None or flag.name in _NOT_PART_OF_A_RUN else flag.serialize()
        _check_texts(flag)
        lines += [line] if line else []
    return ''.join(line + '\n' for line in lines)


def _check_texts(flag):
    """Raises ValueError if a text among the flag's values would come back otherwise from a flagfile."""
    for text in flag.value if isinstance(flag.value, (list, tuple)) else [flag.value]:
        text = str(text)
        if len(text.splitlines()) > 1 or text != text.rstrip() or '\0' in text or _is_broken(text):
            raise ValueError(f'--{flag.name} is {text!r}; accepted is text in one line, without white space '
                             'at its end')


def _is_broken(text):
    """Whether a text is no Unicode, as an argument that was not encoded in UTF-8."""
    return text.encode(errors='replace').decode() != text


def project_flags(flag_values):
    """Flags that modules of this package or the started script defined, sorted by name."""
    package = __name__.rpartition('.')[0] + '.'
    found = {flag.name: flag for module, flags in flag_values.flags_by_module_dict().items()
             if module.startswith(package) or module == sys.argv[0] for flag in flags}
    return [found[name] for name in sorted(found)]


def _flag_fields(cls, skip):
    return [field for field in dataclasses.fields(cls) if field.init and field.name not in skip]


def _is_required(field):
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field):
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if _is_required(field) else field.default


def _check_shared(cls, field, flag):
    first = getattr(flag, 'field', None)
    if first is None or (first.type, _default(first)) != (field.type, _default(field)):
        raise ValueError(f'the field {field.name} of {cls.__name__} needs a flag of its own: --{field.name} '
                         'is defined with another type or default')


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
    """Comma-separated values, all of one type, of a fixed number or any."""

    syntactic_help = 'a comma separated list'

    def __init__(self, item_parser, length):
        self._item_parser, self._length = item_parser, length

    def parse(self, argument):
        items = argument.split(',') if isinstance(argument, str) and argument else argument or ()
        values = tuple(self._item_parser.parse(item.strip() if isinstance(item, str) else item)
                       for item in items)
        if self._length is not None and len(values) != self._length:
            raise ValueError(f'value should have {self._length} items separated by commas')
        return values


def _parser_of(cls, field):
    """The absl parser and serializer of a field's type."""
    kind = typing.get_type_hints(cls)[field.name]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        kind = options[0] if len(options) == 1 and len(typing.get_args(kind)) == 2 else kind
    bounds = {name: field.metadata.get(name) for name in ('lower_bound', 'upper_bound')}
    scalars = {bool: absl_flags.BooleanParser, str: absl_flags.ArgumentParser,
               int: lambda: absl_flags.IntegerParser(**bounds),
               float: lambda: _FloatParser(**bounds)}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in scalars:
        return scalars[kind](), absl_flags.ArgumentSerializer()
    if origin is typing.Literal:
        return _ChoiceParser(arguments), absl_flags.ArgumentSerializer()
    if origin is tuple and len(set(arguments) - {Ellipsis}) == 1 and arguments[0] in (int, float, str):
        length = None if Ellipsis in arguments else len(arguments)
        return _TupleParser(scalars[arguments[0]](), length), absl_flags.ListSerializer(',')
    raise ValueError(f'the field {field.name} of {cls.__name__} has the type {kind}, which has no flag: '
                     'skip it')
