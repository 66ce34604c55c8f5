"""Parsers of flags by the types of their options, and what each parser accepts, in words."""

import dataclasses
import math
import typing

from absl import flags as absl_flags

from common import options


class FloatParser(absl_flags.FloatParser):
    """A finite number; NaN would lie within any bounds."""

    def convert(self, argument):
        """The number. Raises ValueError for NaN, infinities and what is no number."""
        value = super().convert(argument)
        if not math.isfinite(value):
            raise ValueError('value should be a finite number')
        return value


class ChoiceParser(absl_flags.ArgumentParser):
    """One of a `Literal`'s values."""

    def __init__(self, choices):
        self._choices = {str(choice): choice for choice in choices}
        self.enum_values = tuple(self._choices)
        self.syntactic_help = f'<{"|".join(self._choices)}>'

    def parse(self, argument):
        """The choice. Raises ValueError for another text."""
        if str(argument) not in self._choices:
            raise ValueError(f'value should be one of {self.syntactic_help}')
        return self._choices[str(argument)]


class TupleParser(absl_flags.ArgumentParser):
    """Comma-separated values of one type, of a fixed number or any number.

    Attributes:
        item_parser: of one value.
        length: number of values, None for any.
    """

    syntactic_help = 'a comma separated list'

    def __init__(self, item_parser, length):
        self.item_parser, self.length = item_parser, length

    def parse(self, argument):
        """The values. Raises ValueError for a wrong item or number of them."""
        items = argument.split(',') if isinstance(argument, str) and argument else argument or ()
        values = tuple(
            self.item_parser.parse(item.strip() if isinstance(item, str) else item)
            for item in items
        )
        if self.length is not None and len(values) != self.length:
            raise ValueError(f'value should have {self.length} items separated by commas')
        return values


def parser_of(cls: type, field: dataclasses.Field, kind):
    """The absl parser and serializer of an option's type.

    Args:
        cls: the dataclass of the option, for the message.
        field: the option.
        kind: its type.

    Raises:
        ValueError: the type has no flag.
    """
    kind = options.literal(kind)
    bounds = {name: field.metadata.get(name) for name in ('lower_bound', 'upper_bound')}
    scalars = {
        bool: absl_flags.BooleanParser,
        str: absl_flags.ArgumentParser,
        int: lambda: absl_flags.IntegerParser(**bounds),
        float: lambda: FloatParser(**bounds),
    }
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in scalars:
        return scalars[kind](), absl_flags.ArgumentSerializer()
    if origin is typing.Literal:
        return ChoiceParser(arguments), absl_flags.ArgumentSerializer()
    if (
        origin is tuple
        and len(set(arguments) - {Ellipsis}) == 1
        and arguments[0] in (int, float, str)
    ):
        if field.metadata.get('repeated'):
            return scalars[arguments[0]](), absl_flags.ArgumentSerializer()
        length = None if Ellipsis in arguments else len(arguments)
        return TupleParser(scalars[arguments[0]](), length), absl_flags.ListSerializer(',')
    raise ValueError(
        f'the option {field.name} of {cls.__name__} has the type {kind}, which has no flag: skip it'
    )


def accepted(parser: absl_flags.ArgumentParser) -> str | None:
    """What a parser accepts, such as 'a whole number from 1 up'; None if it takes any text."""
    if isinstance(parser, absl_flags.BooleanParser):
        return 'true, false'
    if hasattr(parser, 'enum_values'):
        return ', '.join(parser.enum_values)
    if isinstance(parser, TupleParser):
        number = _number(parser.item_parser)
        if number is None and parser.length is None:
            return None
        kind, bounds = number or ('text', '')
        count = '' if parser.length is None else f'{parser.length} '
        return f'{count}{kind}s{bounds}, separated by commas'
    number = _number(parser)
    return None if number is None else f'a {"".join(number)}'


def _number(parser) -> tuple[str, str] | None:
    """(kind of number, its bounds) that a parser accepts; None for other parsers."""
    if not isinstance(parser, (absl_flags.IntegerParser, absl_flags.FloatParser)):
        return None
    kind = 'whole number' if isinstance(parser, absl_flags.IntegerParser) else 'finite number'
    low, high = parser.lower_bound, parser.upper_bound
    if low is not None:
        return kind, f' from {low} up' if high is None else f' from {low} to {high}'
    return kind, '' if high is None else f' up to {high}'
