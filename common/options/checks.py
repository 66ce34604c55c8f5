"""Checks the values of a configuration against the bounds and choices of its options.

These checks are for users of Python; on a command line the parser of a flag makes the same ones.
"""

import dataclasses
import math
import typing

from common.options.fields import literal


def check_options(config) -> None:
    """Checks the numbers and choices of a configuration; configurations inside it check themselves.

    Args:
        config: instance of a dataclass of options.

    Raises:
        ValueError: a number is not finite or outside its bounds, or a value is not among the
            choices of its `Literal`; the message names the option.
    """
    kinds = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, kind = getattr(config, field.name), literal(kinds[field.name])
        if value is None:
            continue
        if typing.get_origin(kind) is typing.Literal:
            choices = typing.get_args(kind)
            if value not in choices:
                raise ValueError(
                    f'{field.name} is {value!r}; accepted: {", ".join(map(str, choices))}'
                )
        elif kind in (int, float):
            _check_number(field, value)


def _check_number(field: dataclasses.Field, value) -> None:
    """Raises ValueError for a number that is not finite or outside the option's bounds."""
    lower, upper = (field.metadata.get(name) for name in ('lower_bound', 'upper_bound'))
    if not math.isfinite(value):
        raise ValueError(f'{field.name} is {value}; accepted: a finite number')
    if lower is not None and value < lower:
        raise ValueError(f'{field.name} is {value}, it has to be at least {lower:g}')
    if upper is not None and value > upper:
        raise ValueError(f'{field.name} is {value}, it has to be at most {upper:g}')
