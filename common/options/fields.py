"""The options of a configuration: fields that say what they mean, in one flat list of names."""

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any


def option(default, help, *, lower_bound=None, upper_bound=None, repeated=False, path=None):
    """A dataclass field with a default and the sentence that its flag shows.

    Args:
        default: an immutable value.
        help: what the option means, with its unit.
        lower_bound, upper_bound: limits of a number, both accepted values; or None.
        repeated: whether the flag is given once for each item of this tuple of texts; an item may
            then hold commas.
        path: of an option that is a path, where in its text that path is, see `options.paths`.

    Returns:
        A `dataclasses.field`.
    """
    return dataclasses.field(
        default=default,
        metadata={
            'help': help,
            'lower_bound': lower_bound,
            'upper_bound': upper_bound,
            'repeated': repeated,
            'path': path,
        },
    )


def held(default, *, prefix: str):
    """A field that holds another configuration, whose options get longer names here.

    Args:
        default: the configuration.
        prefix: what the names of its options begin with, so that they differ from others: `bundle_`
            makes `--bundle_steps` of its `steps`.

    Returns:
        A `dataclasses.field`.
    """
    return dataclasses.field(default=default, metadata={'prefix': prefix})


def prefix_of(field: dataclasses.Field) -> str:
    """What the names of the options begin with that a field holds."""
    return field.metadata.get('prefix', '')


def optional_fields(name: str, cls: type, doc: str) -> type:
    """A frozen dataclass with the fields of another one, each None unless it is given.

    Args:
        name: of the new class.
        cls: dataclass of options.
        doc: what the new class is.
    """
    hints = typing.get_type_hints(cls)
    fields = [
        (
            field.name,
            hints[field.name] | None,
            dataclasses.field(default=None, metadata=field.metadata),
        )
        for field in dataclasses.fields(cls)
    ]
    # It is pickled by its name in the module that asks for it.
    names = {'__doc__': doc, '__module__': sys._getframe(1).f_globals['__name__']}
    return dataclasses.make_dataclass(name, fields, frozen=True, namespace=names)


@functools.cache
def fields_of(cls: type) -> dict[str, tuple[dataclasses.Field, Any]]:
    """The options of a configuration and of the ones inside it: {name: (field, type)}.

    Raises:
        ValueError: two options share a name.
    """
    found, kinds = {}, typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = kinds[field.name]
        if not field.init:
            continue
        inner = {field.name: (field, kind)}
        if dataclasses.is_dataclass(kind):
            inner = {prefix_of(field) + name: entry for name, entry in fields_of(kind).items()}
        for name, entry in inner.items():
            if name in found:
                raise ValueError(f'{cls.__name__} has two options of the name {name}')
            found[name] = entry
    return found


def make(cls: type, values: Mapping[str, Any]) -> Any:
    """Makes a configuration, and the ones inside it, from the values of their options.

    Args:
        cls: the dataclass.
        values: value by name; an option that is left out takes its default.

    Raises:
        ValueError: the dataclass refuses a value, or an option without default is left out.
    """
    arguments, kinds = {}, typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = kinds[field.name]
        if dataclasses.is_dataclass(kind):
            names = {prefix_of(field) + name: name for name in fields_of(kind)}
            given = {names[name]: value for name, value in values.items() if name in names}
            if given or is_required(field):
                # The other fields keep the values of the outer default.
                start = {} if is_required(field) else values_of(default_of(field))
                arguments[field.name] = make(kind, {**start, **given})
        elif field.name in values:
            arguments[field.name] = values[field.name]
        elif field.init and is_required(field):
            raise ValueError(f'--{field.name} has to be given')
    return cls(**arguments)


def is_required(field: dataclasses.Field) -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def default_of(field: dataclasses.Field) -> Any:
    """The default of a field; None where it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if is_required(field) else field.default


def values_of(config) -> dict[str, Any]:
    """The values of the options of a configuration and of the ones inside it, by name."""
    found = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.init:
            inner = {field.name: value}
            if dataclasses.is_dataclass(value):
                inner = {prefix_of(field) + name: one for name, one in values_of(value).items()}
            found.update(inner)
    return found


def literal(kind) -> Any:
    """The type of an option without `| None`."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(kind) if one is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def repeats(field: dataclasses.Field) -> bool:
    """Whether the flag of an option is given once for each item."""
    return bool(field.metadata.get('repeated'))
