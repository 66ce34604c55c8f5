"""Configurations as frozen dataclasses: their fields say what they mean, a flagfile repeats them.

A configuration may hold others: the options of all of them are one flat list of names, which are
also the names of flags (`experiments.flags`). Nothing here knows absl or JAX.

    @dataclasses.dataclass(frozen=True)
    class TrainConfig:
        checkpoint: str = option('none', 'networks to start from')
        recipe: RecipeConfig = RecipeConfig()

    text = flagfile(TrainConfig(), mode='train')        # '--checkpoint=none', '--batch_size=4' ...
    config = from_flagfile(TrainConfig, text)
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any


def option(default, help, *, lower_bound=None, upper_bound=None, repeated=False):
    """A dataclass field with a default and the sentence that its flag shows.

    Args:
        default: an immutable value.
        help: what the option means, with its unit.
        lower_bound, upper_bound: of a number, themselves accepted; or None.
        repeated: the flag of this tuple of texts is given once for each item, which may hold
            commas.

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
        },
    )


def optional_fields(name: str, cls: type, doc: str) -> type:
    """A frozen dataclass with the fields of another one, each of them None unless it is given.

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
    return dataclasses.make_dataclass(name, fields, frozen=True, namespace={'__doc__': doc})


@functools.cache
def fields_of(cls: type) -> dict[str, tuple[dataclasses.Field, Any]]:
    """The options of a configuration and of those that it holds: {name: (field, type)}.

    Raises:
        ValueError: two options share a name.
    """
    found, kinds = {}, typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = kinds[field.name]
        if not field.init:
            continue
        inner = fields_of(kind) if dataclasses.is_dataclass(kind) else {field.name: (field, kind)}
        for name, entry in inner.items():
            if name in found:
                raise ValueError(f'{cls.__name__} has two options of the name {name}')
            found[name] = entry
    return found


def make(cls: type, values: Mapping[str, Any]) -> Any:
    """Makes a configuration, and those that it holds, from values by option.

    Args:
        cls: the dataclass.
        values: value by name; what is left out takes its default.

    Raises:
        ValueError: the dataclass refuses a value, or one without default is left out.
    """
    arguments, kinds = {}, typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = kinds[field.name]
        if dataclasses.is_dataclass(kind):
            names = fields_of(kind)
            given = {name: value for name, value in values.items() if name in names}
            if given or is_required(field):
                # What the outer default says of the other fields stays.
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
    """The options of a configuration and of those that it holds, by name."""
    found = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.init:
            held = dataclasses.is_dataclass(value)
            found.update(values_of(value) if held else {field.name: value})
    return found


def literal(kind) -> Any:
    """The type of an option without `| None`."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(kind) if one is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def flagfile(config, **beside: Any) -> str:
    """A configuration as the text of a flagfile that repeats the run.

    Args:
        config: instance of a dataclass of options.
        **beside: further flags of the command, such as `mode` and `input`.

    Returns:
        Lines `--name=value`, booleans `--name` and `--noname`, sorted by name; what is None is left
        out.

    Raises:
        ValueError: a value is no text that a line of a flagfile can hold; names the flag.
    """
    repeated = {name for name, (field, _) in fields_of(type(config)).items() if _repeats(field)}
    lines = []
    for name, value in sorted({**values_of(config), **beside}.items()):
        lines += [f'{line}\n' for line in flag_lines(name, value, repeated=name in repeated)]
    return ''.join(lines)


def _repeats(field: dataclasses.Field) -> bool:
    return bool(field.metadata.get('repeated'))


def flag_lines(name: str, value: Any, *, repeated: bool = False) -> list[str]:
    """One flag as lines of a flagfile; none for None. Raises ValueError as `flagfile`."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [f'--{name}' if value else f'--no{name}']
    items = value if isinstance(value, (list, tuple)) else [value]
    for text in map(str, items):
        broken = text.encode(errors='replace').decode() != text  # no UTF-8
        if len(text.splitlines()) > 1 or text != text.rstrip() or '\0' in text or broken:
            raise ValueError(
                f'--{name} is {text!r}; accepted is text in one line, without white space at its'
                ' end'
            )
    if repeated:
        return [f'--{name}={item}' for item in items]
    return [f'--{name}={",".join(map(str, items))}']


def _read_lines(text: str, names: Collection[str]) -> dict[str, list[str | bool]]:
    """{name: values} of the lines of a flagfile, of options in `names` alone."""
    found = {}
    for line in map(str.strip, text.splitlines()):
        if not line.startswith('-'):
            continue
        name, equals, value = line.lstrip('-').partition('=')
        if not equals:
            value = True
            if name not in names and name.startswith('no'):
                name, value = name[2:], False
        if name in names:
            found.setdefault(name, []).append(value)
    return found


def from_flagfile(cls: type, text: str) -> Any:
    """Reads a configuration back from `flagfile`; other flags in the text are passed over.

    Args:
        cls: the dataclass.
        text: of the flagfile.

    Raises:
        ValueError: a value is not of its option's type, or the dataclass refuses it.
    """
    fields, values = fields_of(cls), {}
    for name, given in _read_lines(text, fields).items():
        field, kind = fields[name]
        values[name] = (
            tuple(map(str, given)) if _repeats(field) else _parse(name, literal(kind), given[-1])
        )
    return make(cls, values)


def _parse(name: str, kind, text: str | bool) -> Any:
    """A value of a type from the text behind a flag."""
    try:
        if kind is bool:
            return {'true': True, 'false': False}[str(text).lower()]
        if typing.get_origin(kind) is typing.Literal:
            return {str(choice): choice for choice in typing.get_args(kind)}[str(text)]
        if typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            return tuple(item(part.strip()) for part in text.split(',')) if text else ()
        return kind(text)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f'--{name}={text} is no value of this option') from None


def differences(
    earlier: str, config, free: Collection[str] = (), **beside: Any
) -> Iterator[tuple[str, str]]:
    """What differs between the flagfile of an earlier run and a configuration.

    An option that the earlier flagfile lacks is compared with its default, so that options of a
    later version do not make a difference.

    Args:
        earlier: text of a flagfile.
        config: the configuration.
        free: options that may differ.
        **beside: as for `flagfile`.

    Yields:
        (then, now): lines of a flagfile such as '--seed=0', or 'no --mask'.
    """
    fields, now = fields_of(type(config)), {**values_of(config), **beside}
    then, defaults = _read_lines(earlier, now), _defaults(type(config))
    for name in sorted(set(now) - set(free)):
        repeated = name in fields and _repeats(fields[name][0])
        lines = flag_lines(name, now[name], repeated=repeated)
        if name in then:
            before = [_line(name, value) for value in then[name]]
            before = before if repeated else before[-1:]
        else:
            before = flag_lines(name, defaults.get(name), repeated=repeated)
        if before != lines:
            yield ' '.join(before) or f'no --{name}', ' '.join(lines) or f'no --{name}'


def _defaults(cls: type) -> dict[str, Any]:
    """What the options are that nobody has given."""
    found = {name: default_of(field) for name, (field, _) in fields_of(cls).items()}
    if not any(is_required(field) for field in dataclasses.fields(cls)):
        found.update(values_of(cls()))
    return found


def _line(name: str, value: str | bool) -> str:
    """A flag as it stands in a flagfile."""
    if isinstance(value, bool):
        return f'--{name}' if value else f'--no{name}'
    return f'--{name}={value}'


def check_same(
    earlier: str | None, config, *, workdir, what: str, free: Collection[str] = (), **beside: Any
) -> None:
    """Refuses to go on with another job in the directory of an earlier run.

    Args:
        earlier: the earlier run's flagfile, or None where there is none.
        config: the configuration of now.
        workdir: the directory, for the message.
        what: what the run is, such as 'search'.
        free: options that may change when it goes on.
        **beside: further flags of the command.

    Raises:
        ValueError: an option or flag is another one; names it with both values.
    """
    if earlier is None:
        return
    for then, now in differences(earlier, config, free, **beside):
        raise ValueError(
            f'workdir {workdir} holds a {what} with {then}, not {now}; it goes on with the same'
            f' flags, another {what} needs another --workdir'
        )
